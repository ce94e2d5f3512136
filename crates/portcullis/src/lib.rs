//! The `portcullis` crate.

//! The `pool` crate.

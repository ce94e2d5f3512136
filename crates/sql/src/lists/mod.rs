//! The hand-made lists: what a read may hold. They never grow by themselves: what is not here is opaque.

pub(crate) mod functions;
pub(crate) mod kinds;
pub(crate) mod names;

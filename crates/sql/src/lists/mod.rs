//! The lists: what a read may hold. What PostgreSQL has comes from its own catalogs (`make functions`), what of it is harmless
//! is judged by hand; they never grow by themselves: what is not here is opaque.

pub(crate) mod functions;
pub(crate) mod kinds;
mod lines;
pub(crate) mod names;

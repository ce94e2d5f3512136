//! One SQL text to a [`Reading`]: what its statements are and what they touch. The only crate that names a parser.
//! It never does I/O, asks the clock only how long a text has waited for a thread, and never trims, rewrites or re-encodes the text it is given.
//!
//! PostgreSQL's own grammar (`pg_query`) says what a statement is; lists judged by hand say what of it is harmless. Whatever is
//! on no list is [`Class::Opaque`]: down by default.
//!
//! ```
//! let reading = sql::read("SELECT name FROM accounts");
//! assert_eq!(reading.class(), Some(sql::Class::Read));
//! assert_eq!(sql::read("SELECT billing.run()").class(), Some(sql::Class::Opaque));
//! ```
//!
//! Limits that a syntax tree cannot lift (the server's READ ONLY fence and the tenant's catalog stand behind them): a listed
//! name that a user has overloaded (functions, operators, implicit casts), `a.b` meaning the function call `b(a)`, and what
//! views, triggers and rules do behind a table.

mod anywhere;
mod behind;
mod cache;
mod caps;
mod catalog;
mod class;
mod columns;
mod found;
mod frames;
mod hidden;
mod leaves;
mod lists;
mod look;
mod major;
mod mask;
mod named;
mod numbers;
mod on;
mod own;
mod parse;
mod plain;
mod reader;
mod reading;
mod scope;
mod second;
mod set_config;
mod settings;
mod signal;
mod statement;
mod utility;
mod visit;
mod writing;

pub use caps::{OPERATOR_RUN_MAX, READ_BYTES_MAX};
pub use catalog::{Catalog, UnknownRow};
pub use class::{Class, UnknownClass};
pub use columns::Columns;
pub use leaves::{TRACKED_SETTINGS, is_tracked};
pub use major::{Major, UnknownMajor};
pub use mask::masked;
pub use named::{Function, Relation};
pub use parse::{read, read_for, unread};
pub use reader::{
    CACHE_BYTES_MAX, CACHED_TEXT_BYTES_MAX, HERE_BYTES_MAX, QUEUE_MAX, Reader, WAIT_MAX,
};
pub use reading::{
    Control, Isolation, Keeps, Leaves, Mention, Ours, Own, Pid, Reading, Second, Sets, Signal,
    Statement,
};

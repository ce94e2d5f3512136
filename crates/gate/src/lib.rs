//! Who may run what, and the proof that they may: principals, rules, verdicts, tickets, and the
//! one `claim` that mints [`Released`].
//!
//! This crate never opens a socket or a file, never reads a clock and never decodes a frame. The
//! ticket store and the journal are traits here and live elsewhere.

pub mod apart;
pub mod audit;
pub mod cargo;
pub mod claim;
pub mod context;
pub mod digest;
pub mod disposition;
pub mod isolation;
pub mod ledger;
pub mod policy;
pub mod principal;
mod progress;
pub mod request;
pub mod rights;
pub mod script;
pub mod surface;
pub mod ticket;
pub mod tickets;
pub mod wish;
pub mod work;

pub use apart::Apart;
pub use audit::{Entry, Journal, JournalDown};
pub use cargo::{Cargo, Form, Look, Own};
pub use claim::{Authority, Clearance, Law, NotClaimed, Released, Right, claim};
pub use context::{Context, Settings};
pub use digest::Digest;
pub use disposition::Disposition;
pub use isolation::{Isolation, Walls};
pub use policy::{Judgement, Need, Pass, Policy, Rule};
pub use principal::{Group, People, Principal, PrincipalId, TenantId};
pub use request::Request;
pub use rights::{Action, Forbidden, Permit, authorize};
pub use surface::{Place, Shelf, Slot, Surface};
pub use ticket::{Event, Outcome, State, Ticket, TicketId};
pub use tickets::Tickets;
pub use wish::Wish;
pub use work::{Prepared, Step, Work};

/// The classes of statements, for whoever keeps tickets and does not read SQL.
pub use sql::Class;

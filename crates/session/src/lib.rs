//! The state machine of one client connection: what came in, what is asked of the gate, what goes
//! up, what the client hears.
//!
//! It never touches a socket, a disk or a clock. The driver hands in [`Input`]s with the time and
//! carries out [`Effect`]s; the order checkout, context, claim, intent, send is written here, so a
//! simulation runs the same code as the daemon.

mod ahead;
mod batch;
mod command;
mod effect;
mod fault;
mod heard;
mod input;
mod lent;
mod limit;
mod mode;
mod moved;
mod names;
mod notices;
mod ours;
mod owed;
mod replies;
mod session;
mod settings;
mod shape;
mod state;
mod talk;
mod told;
mod transaction;

pub use command::{COMMANDS as CONSOLE_COMMANDS, ConsoleCommand, Show};
pub use effect::{Checkout, Effect, Lane, Settlement};
pub use fault::{Blame, Fault, sqlstate};
pub use gate::Disposition;
pub use input::{Account, Admission, Destination, Input, Leased, News, TableReply, Verdict};
pub use mode::PoolMode;
pub use session::Session;
pub use settings::{LoginSettings, Refused, login_settings};
pub use talk::{Limits, Peer};

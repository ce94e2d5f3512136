//! Conversations: scripts of protocol messages, played twice and compared reply by reply. A script
//! never says what is answered: what PostgreSQL answers is what a gate has to answer.
//!
//! ```text
//! # What it shows, and the rules it is for: R36, V18.
//! modes: session (a temporary table lives in one session)
//! startup: application_name = me
//! startup b: options = -c geqo=off
//! protocol: 3.2
//!
//! Parse "s" "select $1::int" [23]
//! Bind "" "s" ["7"] params [text] results [binary]
//! Describe portal ""
//! Execute "" 10
//! Sync => Z
//! b: Query "select 1" => Z
//! ```
//!
//! One message a line, or several with ` / ` between them, and `100 times` in front; a line that begins with a blank goes on with the one before. `b:` in front
//! names the connection, which is opened when first named; without, it is `a`. Behind `=>` stands
//! what the client waits for before it goes on: tags of messages in their order, or `end`, the end of
//! the connection. Where a tag but `Z` is awaited, an ErrorResponse ends the waiting too.
//!
//! Strings take `\n \t \r \" \\ \0 \xHH`, can be repeated (`", 1" * 1599`) and added (`"a" + "b"`).
//! Values of a Bind are strings, `null`, or bytes such as `0x00000007`. Beside the messages there are:
//!
//! | line | what it does |
//! |---|---|
//! | `Raw 51 00 00 00 05 00` | sends these bytes |
//! | `connect` | opens the connection; only here is the greeting compared |
//! | `disconnect`, `half-close` | ends it without Terminate; ends what it sends |
//! | `cancel a`, `cancel a wrongly` | CancelRequest with the key of `a`; with another secret |
//! | `when "select ..."` | waits until the server itself answers `t` |
//! | `gate answers E 0A000, Z I` | here the gate differs on purpose, and says this since the last `=>` |

mod player;
mod readable;
mod script;
mod transcript;
mod words;

pub use player::{Door, play};
pub use script::{Script, scripts};
pub use transcript::{Transcript, mismatch};

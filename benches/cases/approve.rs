//! Hold, approve, first byte upstream: one statement at a time, approved by somebody whose console
//! is open, with the gate's store and journal on this machine's disk. The byte is seen on the wire
//! to PostgreSQL, not in the gate. It never measures how long people think.

use super::Case;
use crate::Trouble;
use crate::client::{Client, Door, Message};
use crate::ground::Ground;
use crate::measure::{Metric, Reading, ms_since, now};
use crate::peers::{Kind, Peer};

/// Statements of a turn.
const STATEMENTS: usize = 100;

/// The tenant behind a wire that is watched.
const WATCHED: &str = "watched";

/// What the gate's console is named as a database.
const CONSOLE: &str = "portcullis";

/// Who signs.
const APPROVER: &str = "bob";

pub(super) struct Approve;

/// Somebody on the console.
pub(super) struct Approver(Client);

/// Milliseconds of one statement: until it was held, and from the approval until the approver had
/// an answer, until its first byte went up, and until its client had the result.
type Times = [f64; 4];

const NAMES: [(&str, &str); 4] = [
    ("hold ms", "hold p99 ms"),
    ("approve to answer ms", "approve to answer p99 ms"),
    ("approve to first byte ms", "approve to first byte p99 ms"),
    ("approve to result ms", "approve to result p99 ms"),
];

impl Case for Approve {
    fn name(&self) -> String {
        "approve".to_owned()
    }

    fn about(&self) -> String {
        "hold, approve, first byte upstream, one statement at a time".to_owned()
    }

    fn seconds(&self) -> u64 {
        2
    }

    fn takes(&self, kind: Kind) -> bool {
        kind == Kind::Gate
    }

    fn turn(&self, ground: &Ground, peer: &Peer) -> Result<Vec<Reading>, Trouble> {
        let door = Door {
            database: WATCHED,
            ..ground.door(peer, false)
        };
        let mut client = Client::login(&door)?;
        let mut approver = Approver::log_in(ground, peer)?;
        let mut all: Vec<Times> = Vec::new();
        for number in 0..STATEMENTS {
            all.push(one(ground, &mut client, &mut approver, number)?);
        }
        let mut readings = Vec::new();
        for (place, (middle, high)) in NAMES.into_iter().enumerate() {
            let mut sorted: Vec<f64> = all.iter().filter_map(|it| it.get(place).copied()).collect();
            sorted.sort_by(f64::total_cmp);
            let at = |percent: usize| sorted.get(sorted.len() * percent / 100).copied();
            for (name, value) in [(middle, at(50)), (high, at(99))] {
                let metric = Metric {
                    name,
                    against: None,
                };
                readings.extend(value.map(|value| (metric, value)));
            }
        }
        Ok(readings)
    }
}

fn one(
    ground: &Ground,
    client: &mut Client,
    approver: &mut Approver,
    number: usize,
) -> Result<Times, Trouble> {
    let mark = format!("signed {number:04}");
    let start = now();
    client.ask(&format!("UPDATE ledger SET note = '{mark}' WHERE id = 1"))?;
    let ticket = ticket_in(&client.message()?)?;
    let held = ms_since(start);
    // What was described for the ticket has passed the wire before.
    ground.relay().forget()?;
    let start = now();
    approver.approve(&ticket)?;
    let answered = ms_since(start);
    client.until(b'Z')?;
    let done = ms_since(start);
    let first = ground.relay().sighting(mark.as_bytes())?;
    Ok([held, answered, (first - start).as_secs_f64() * 1e3, done])
}

impl Approver {
    pub(super) fn log_in(ground: &Ground, peer: &Peer) -> Result<Self, Trouble> {
        let door = Door {
            user: APPROVER,
            database: CONSOLE,
            ..ground.door(peer, false)
        };
        Ok(Self(Client::login(&door)?))
    }

    pub(super) fn approve(&mut self, ticket: &str) -> Result<(), Trouble> {
        self.0.query(&format!("APPROVE {ticket}"))
    }
}

/// The ticket in the notice of a hold.
pub(super) fn ticket_in(message: &Message) -> Result<String, Trouble> {
    let said = message.said();
    let ticket = said
        .split_once("held as ticket ")
        .and_then(|it| it.1.split_once(':'));
    let ticket = ticket
        .filter(|_| message.tag == b'N')
        .map(|it| it.0.to_owned());
    ticket.ok_or_else(|| format!("not the notice of a hold: {said:?}").into())
}

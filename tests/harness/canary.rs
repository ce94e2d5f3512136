//! The canary: a function that writes as soon as it is bound (hazards V2), asked for in every shape
//! that a driver uses. Until somebody signs, nothing of it may be in the server.

use std::fmt;

use crate::raw::{self, Raw};
use crate::stage::{Setup, Stage, held_raw};

/// PostgreSQL believes `quiet` to be immutable and calls it while it plans, that is, at Bind. The gate holds it for the rights
/// that it runs with.
const CANARY: &str = "
    create table song (verse text);
    create table work (done int);
    create function sing(verse text) returns text volatile language plpgsql
        as $$ begin insert into song values (verse); return verse; end $$;
    create function quiet(verse text) returns text immutable security definer language plpgsql
        as $$ begin return sing(verse); end $$;";

/// How the statement is asked for: what comes before its hold, what asks for it, what is left to
/// send once it was decided, and whether all that is inside a transaction.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub name: &'static str,
    ahead: &'static str,
    asks: &'static str,
    behind: &'static str,
    in_transaction: bool,
}

impl Shape {
    const fn new(name: &'static str, ahead: &'static str, asks: &'static str) -> Self {
        Self {
            name,
            ahead,
            asks,
            behind: "",
            in_transaction: false,
        }
    }
}

/// Every shape, in letters of the protocol; `D` describes a statement, `d` a portal.
pub const SHAPES: [Shape; 8] = [
    Shape::new("Query", "", "Q"),
    Shape::new("P B E S", "", "PBdES"),
    Shape::new("P S | B E S", "PS", "BES"),
    Shape {
        behind: "EHS",
        ..Shape::new("P S | B H | E H S", "PS", "BH")
    },
    Shape::new("P D S | B E S", "PDS", "BES"),
    Shape::new("P D H | B E S", "PDH", "BES"),
    Shape {
        in_transaction: true,
        ..Shape::new("in a transaction: Query", "", "Q")
    },
    Shape {
        in_transaction: true,
        ..Shape::new("in a transaction: P D H | B E S", "PDH", "BES")
    },
];

/// How a hold ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Approve,
    Reject,
    Cancel,
    /// And the ticket that nobody waits for any more is approved.
    Disconnect,
}

pub const ENDS: [End; 4] = [End::Approve, End::Reject, End::Cancel, End::Disconnect];

/// What was found of one canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effects {
    /// Rows while it was held.
    pub before: u32,
    /// Rows after the end.
    pub after: u32,
    /// Connections of the gate that were busy while it was held. A transaction that has done work
    /// keeps its own, which must be waiting for the gate's next message.
    pub active: u32,
}

impl Effects {
    /// What there must be.
    pub fn expected(end: End) -> Self {
        Self {
            before: 0,
            after: u32::from(end == End::Approve),
            active: 0,
        }
    }
}

impl fmt::Display for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{} -> {}", self.before, self.after);
        match self.active {
            0 => f.pad(&text),
            active => f.pad(&format!("{text}, {active} active")),
        }
    }
}

/// A stage with the canary in it.
#[track_caller]
pub fn stage() -> Stage {
    let setup = Setup {
        tables: CANARY.to_owned(),
        ..Setup::default()
    };
    setup.start()
}

/// Asks for the canary in this shape, ends its hold so, and counts.
#[track_caller]
pub fn run(stage: &Stage, shape: Shape, end: End) -> Effects {
    let verse = format!("{} {end:?}", shape.name);
    let sql = format!("select quiet('{verse}')");
    let mut client = stage.raw("alice");
    if shape.in_transaction {
        begin(stage, &mut client);
    }
    if !shape.ahead.is_empty() {
        client.send(&messages(shape.ahead, &sql));
        let last = if shape.ahead.ends_with('H') {
            b'T'
        } else {
            b'Z'
        };
        client.frames_until(last);
    }
    client.send(&messages(shape.asks, &sql));
    let ticket = held_raw(&mut client);
    let before = effects(stage, &verse);
    let active = stage.upstreams(if shape.in_transaction {
        "and state <> 'idle in transaction' and wait_event is distinct from 'ClientRead'"
    } else {
        "and state <> 'idle'"
    });
    finish(stage, client, shape, end, &ticket);
    Effects {
        before,
        after: effects(stage, &verse),
        active,
    }
}

/// A transaction that has done work, so that it lives on an upstream connection.
#[track_caller]
fn begin(stage: &Stage, client: &mut Raw) {
    client.query("begin");
    client.send(&raw::query("insert into work values (1)"));
    stage.approve(&held_raw(client));
    let answer = client.frames_until(b'Z');
    assert_eq!(raw::tags(&answer), "NCZ");
}

#[track_caller]
fn finish(stage: &Stage, mut client: Raw, shape: Shape, end: End, ticket: &str) {
    let sqlstate = match end {
        End::Approve => {
            stage.approve(ticket);
            None
        }
        End::Reject => {
            stage.reject(ticket, "the canary stays quiet");
            Some("ZG002")
        }
        End::Cancel => {
            let (id, secret) = client.key();
            let mut other = Raw::connect(stage.gate.address());
            other.send(&raw::cancel_request(id, secret));
            other.frames_until_closed();
            Some("57014")
        }
        End::Disconnect => {
            drop(client);
            stage.wait_for_nobody("alice");
            stage.approve(ticket);
            assert_eq!(stage.state(ticket), "approved");
            return;
        }
    };
    if shape.behind.is_empty() {
        let answer = client.frames_until(b'Z');
        let error = answer.iter().find(|frame| frame.tag == b'E');
        assert_eq!(error.map(raw::Frame::sqlstate).as_deref(), sqlstate);
    } else {
        let answered = if sqlstate.is_none() { b'2' } else { b'E' };
        let frames = client.frames_until(answered);
        assert!(sqlstate.is_none_or(|it| frames.last().unwrap().sqlstate() == it));
        client.send(&messages(shape.behind, ""));
        client.frames_until(b'Z');
    }
    if shape.in_transaction {
        let tag = if sqlstate.is_none() {
            "COMMIT"
        } else {
            "ROLLBACK"
        };
        assert_eq!(client.query("commit")[0].text(), tag);
    }
}

/// What of it is in the server, by the server's own word.
fn effects(stage: &Stage, verse: &str) -> u32 {
    let count = format!("select count(*) from song where verse = '{verse}'");
    stage.database.sql(&count).parse().unwrap()
}

fn messages(letters: &str, sql: &str) -> Vec<u8> {
    let one = |letter| match letter {
        'Q' => raw::query(sql),
        'P' => raw::parse("s", sql),
        'D' => raw::describe(b'S', "s"),
        'B' => raw::bind("", "s"),
        'd' => raw::describe(b'P', ""),
        'E' => raw::execute(""),
        'H' => raw::flush(),
        'S' => raw::sync(),
        other => panic!("not a message: {other}"),
    };
    letters.chars().flat_map(one).collect()
}

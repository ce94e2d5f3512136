//! The shapes in which a sweep asks for something whose effect can be counted. They never name a step.

use crate::raw;

/// A case's turns, from its first message to its last.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub name: &'static str,
    pub turns: &'static [Turn],
}

/// One thing that a client asks for.
#[derive(Debug, Clone, Copy)]
pub enum Turn {
    /// What the gate answers by itself: nothing is at stake.
    Begin,
    /// What decides about all that was signed in the transaction.
    Commit,
    /// What somebody has to sign; the letter tells it from others of its case.
    Signed(How, char),
}

/// How it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Query,
    Batch,
    Copy,
    /// By two clients, who wait for one ticket.
    Twice,
    /// By a client that does not wait; another asks once it is signed.
    Ahead,
}

impl Shape {
    const fn new(name: &'static str, turns: &'static [Turn]) -> Self {
        Self { name, turns }
    }
}

pub const SHAPES: [Shape; 7] = [
    Shape::new("Query", &[Turn::Signed(How::Query, 'a')]),
    Shape::new("P B E S", &[Turn::Signed(How::Batch, 'a')]),
    Shape::new("COPY", &[Turn::Signed(How::Copy, 'a')]),
    Shape::new(
        "transaction",
        &[Turn::Begin, Turn::Signed(How::Batch, 'a'), Turn::Commit],
    ),
    Shape::new(
        "two in a transaction",
        &[
            Turn::Begin,
            Turn::Signed(How::Query, 'a'),
            Turn::Signed(How::Query, 'b'),
            Turn::Commit,
        ],
    ),
    Shape::new("two clients", &[Turn::Signed(How::Twice, 'a')]),
    Shape::new("signed ahead", &[Turn::Signed(How::Ahead, 'a')]),
];

impl How {
    /// The messages that ask for it.
    pub fn ask(self, key: &str) -> Vec<u8> {
        let insert = format!("insert into effects values ('{key}')");
        match self {
            Self::Query | Self::Twice | Self::Ahead => raw::query(&insert),
            Self::Batch => [
                raw::parse("", &insert),
                raw::bind("", ""),
                raw::execute(""),
                raw::sync(),
            ]
            .concat(),
            Self::Copy => raw::query(&format!("copy effects from stdin /* '{key}' */")),
        }
    }

    /// What is left to send once the server wants data.
    pub fn data(key: &str) -> Vec<u8> {
        let line = raw::frame(b'd', format!("{key}\n").as_bytes());
        [line, raw::frame(b'c', &[])].concat()
    }
}

//! What a client asked to have run: texts, types, formats and values, byte for byte as they came.
//! Nothing here rewrites, trims or normalises (hazards R93).

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;

use crate::context::{Settings, meaningful};
use crate::digest::Gather;

/// A statement that Parse named: its text and the parameter types that the client gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// The client's own name for it; empty for the unnamed statement. No part of its identity.
    pub name: ByteString,
    /// The name that it has upstream where many sessions share a connection; empty for the unnamed.
    pub shared: ByteString,
    /// The SQL text.
    pub text: ByteString,
    /// Type OIDs of the parameters, as many as the client cared to name.
    pub types: Vec<u32>,
    /// Where the text comes from.
    pub origin: Origin,
}

/// Who said what stands behind a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A Parse: the text is what runs.
    Parse,
    /// SQL: the text is the whole PREPARE.
    Sql,
    /// Nobody that the gate has heard: the text is the EXECUTE that it amounts to.
    Unknown,
}

/// What PostgreSQL keeps of a name; NAMEDATALEN of its manual, less one.
const NAME_MAX: usize = 63;

/// In front of the digest in a shared name. A client that names its own so finds nothing there.
const SHARED_PREFIX: &str = "portcullis_";

impl Prepared {
    /// A statement as Parse gave it in a session with these settings. What a literal means is
    /// settled when it is parsed (a date under DateStyle), so the settings are in the shared name.
    pub fn new(name: ByteString, text: ByteString, types: Vec<u32>, settings: &Settings) -> Self {
        let shared = if name.is_empty() {
            ByteString::new()
        } else {
            shared_name(&text, &types, settings)
        };
        Self {
            name,
            shared,
            text,
            types,
            origin: Origin::Parse,
        }
    }

    /// A statement that this PREPARE has made, on the session's own connection.
    pub fn made(name: ByteString, text: ByteString) -> Self {
        Self {
            shared: name.clone(),
            name,
            text,
            types: Vec::new(),
            origin: Origin::Sql,
        }
    }

    /// A statement that no Parse gave: what it does only the server knows, if it knows it at all. To
    /// people and rules it is the EXECUTE that it amounts to.
    pub fn unknown(name: &ByteString) -> Self {
        let quoted = name.replace('"', "\"\"");
        Self {
            name: name.clone(),
            shared: name.clone(),
            text: format!("EXECUTE \"{quoted}\"").into(),
            types: Vec::new(),
            origin: Origin::Unknown,
        }
    }
}

fn shared_name(text: &str, types: &[u32], settings: &Settings) -> ByteString {
    let mut gather = Gather::new("prepared statement 1");
    gather.field(text.as_bytes());
    gather.number(types.len() as u64);
    for oid in types {
        gather.number(u64::from(*oid));
    }
    for (name, value) in meaningful(settings) {
        gather.field(name.as_bytes());
        gather.field(value.as_bytes());
    }
    let digest = gather.finish().to_string();
    let room = NAME_MAX - SHARED_PREFIX.len();
    let digits = digest.get(..room).unwrap_or_default();
    format!("{SHARED_PREFIX}{digits}").into()
}

/// The parameters of one execution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    /// Format codes: none, one for all, or one a value.
    pub formats: Vec<i16>,
    /// The values; `None` is NULL.
    pub values: Vec<Option<Bytes>>,
    /// Format codes of the result columns.
    pub result_formats: Vec<i16>,
}

/// One message of an extended batch. Statements travel by what they are, not by the name that the
/// client gave them: names are the session's, and upstream they may be others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Parse: nothing runs.
    Parse(Arc<Prepared>),
    /// Describe of a statement: nothing runs.
    DescribeStatement(Arc<Prepared>),
    /// Bind: from here on things may run (hazards V2), so here the gate stands.
    Bind {
        /// The portal's name, the client's own.
        portal: ByteString,
        /// What is bound.
        statement: Arc<Prepared>,
        /// With which values.
        values: Values,
    },
    /// Describe of a portal.
    DescribePortal(ByteString),
    /// Execute.
    Execute {
        /// The portal.
        portal: ByteString,
        /// At most so many rows; 0 is all.
        max_rows: i32,
    },
    /// Close of a portal.
    ClosePortal(ByteString),
    /// Close of a statement, where it stands upstream under the client's own name.
    CloseStatement(Arc<Prepared>),
}

/// All that one decision is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// One Query string, of one or several statements.
    Query(ByteString),
    /// An extended batch, up to its Sync or Flush.
    Batch(Vec<Step>),
}

/// Whether something in a batch may run: from Bind on (hazards R70).
pub fn binds(steps: &[Step]) -> bool {
    steps.iter().any(|step| matches!(step, Step::Bind { .. }))
}

/// About how many bytes a batch keeps: the texts that it brings, and the values.
pub fn bytes(steps: &[Step]) -> usize {
    let step = |step: &Step| match step {
        Step::Parse(it) => it.text.len(),
        Step::Bind { values, .. } => values.values.iter().flatten().map(Bytes::len).sum(),
        _ => 0,
    };
    steps.iter().map(step).sum()
}

/// One thing that would run: a text with its values.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// The SQL text.
    pub text: &'a ByteString,
    /// Types and values, where there are any.
    pub bound: Option<(&'a [u32], &'a Values)>,
}

impl Work {
    /// The steps of a batch; none of a Query.
    pub fn steps(&self) -> &[Step] {
        match self {
            Self::Query(_) => &[],
            Self::Batch(steps) => steps,
        }
    }

    /// About how many bytes it keeps.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Query(text) => text.len(),
            Self::Batch(steps) => bytes(steps),
        }
    }

    /// What would run, in order. A text that is only parsed or described is not in it.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let query = match self {
            Self::Query(text) => Some(Piece { text, bound: None }),
            Self::Batch(_) => None,
        };
        let bound = self.steps().iter().filter_map(|step| match step {
            Step::Bind {
                statement, values, ..
            } => Some(Piece {
                text: &statement.text,
                bound: Some((&statement.types, values)),
            }),
            _ => None,
        });
        query.into_iter().chain(bound)
    }

    /// What is only parsed beside what runs. A literal in it may run something all the same: the CHECK of a domain in an array or a
    /// row is evaluated as early as that.
    pub fn unbound(&self) -> Vec<&Arc<Prepared>> {
        let steps = self.steps();
        let binds = |prepared: &Arc<Prepared>| {
            steps.iter().any(
                |step| matches!(step, Step::Bind { statement, .. } if Arc::ptr_eq(statement, prepared)),
            )
        };
        let parsed = steps.iter().filter_map(|step| match step {
            Step::Parse(prepared) => Some(prepared),
            _ => None,
        });
        let runs = self::binds(steps);
        parsed.filter(|it| runs && !binds(it)).collect()
    }

    /// The texts that would run, in order, and then those that are only parsed.
    pub fn texts(&self) -> Vec<ByteString> {
        let run = self.pieces().map(|piece| piece.text.clone());
        let parsed = self.unbound();
        run.chain(parsed.iter().map(|it| it.text.clone())).collect()
    }

    /// Adds everything that decides what runs: texts, types, formats, values, and which of them is
    /// executed when and how far, and what is parsed beside it. Portals count by what was bound to
    /// them; their names, and what is only described, do not.
    pub(crate) fn gather(&self, into: &mut Gather) {
        match self {
            Self::Query(text) => {
                into.number(1);
                into.field(text.as_bytes());
            }
            Self::Batch(steps) => {
                into.number(2);
                let mut portals = Vec::new();
                for step in steps {
                    gather_step(step, &mut portals, into);
                }
                for prepared in self.unbound() {
                    into.number(4);
                    prepared.gather(into);
                }
            }
        }
    }
}

/// `portals` are the names of the portals bound so far, in order.
fn gather_step<'a>(step: &'a Step, portals: &mut Vec<&'a str>, into: &mut Gather) {
    let place = |name: &str, portals: &[&str]| {
        let bound = portals.iter().rposition(|it| *it == name);
        bound.map_or(u64::MAX, |place| place as u64)
    };
    match step {
        Step::Bind {
            portal,
            statement,
            values,
        } => {
            portals.push(portal);
            into.number(1);
            gather_bind(statement, values, into);
        }
        Step::Execute { portal, max_rows } => {
            into.number(2);
            into.number(place(portal, portals));
            into.field(&max_rows.to_be_bytes());
        }
        Step::ClosePortal(portal) => {
            into.number(3);
            into.number(place(portal, portals));
        }
        Step::Parse(_)
        | Step::DescribeStatement(_)
        | Step::DescribePortal(_)
        | Step::CloseStatement(_) => {}
    }
}

impl Prepared {
    /// What decides its meaning; its name does not.
    pub(crate) fn gather(&self, into: &mut Gather) {
        into.field(self.text.as_bytes());
        into.number(self.types.len() as u64);
        for oid in &self.types {
            into.number(u64::from(*oid));
        }
    }
}

fn gather_bind(statement: &Prepared, values: &Values, into: &mut Gather) {
    statement.gather(into);
    for formats in [&values.formats, &values.result_formats] {
        into.number(formats.len() as u64);
        for format in formats {
            into.field(&format.to_be_bytes());
        }
    }
    into.number(values.values.len() as u64);
    for value in &values.values {
        into.optional(value.as_deref());
    }
}

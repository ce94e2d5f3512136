//! What is written down, as data, and the trait of whatever writes it. Intent before forward,
//! outcome after (DESIGN principle 9). Passwords and secrets have no field here.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use crate::claim::Authority;
use crate::policy::Need;
use crate::principal::{PrincipalId, TenantId};
use crate::request::Request;
use crate::ticket::{Asked, ClaimId, Parameter, TicketId};
use crate::work::{Origin, Piece};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// The gate started; the chain goes on.
    Started {
        /// Bytes at the end of the file that were no whole record, left by a crash.
        torn_bytes: u64,
    },
    /// The journal could not be written for a while, and the gate was closed. Whoever waited for an entry near the end of what
    /// is before this was told that nothing was sent.
    Reopened {
        /// Why.
        why: String,
    },
    /// A closed file of the journal is removed by rule, with these records in it.
    Forgotten {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
        /// The last one's hash.
        last_hash: String,
    },
    /// All of the chain before this is as it was written, by the word of whoever holds this key.
    Signed {
        /// The key's id.
        key: String,
        /// The signature over the record before this, in base64.
        signature: String,
    },
    /// Somebody logged in.
    Login {
        /// The session.
        session: u64,
        /// Who.
        principal: PrincipalId,
        /// Which tenant.
        tenant: TenantId,
        /// From where.
        client: Arc<str>,
    },
    /// Something is about to go up.
    Intent {
        /// The session.
        session: u64,
        /// The number of this intent within the session; its outcome has the same.
        number: u64,
        /// Who.
        principal: PrincipalId,
        /// Which tenant.
        tenant: TenantId,
        /// The rule that let it pass, if nobody signed.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        rule: Option<Arc<str>>,
        /// The ticket, if people signed.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        ticket: Option<TicketId>,
        /// The use of the ticket.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        claim: Option<ClaimId>,
        /// Exactly what goes up.
        asked: Vec<Asked>,
    },
    /// A client looks around: it reads catalogs and makes its settings, as nearly all do at every log-in, and
    /// nobody signed for that. Who it is, and where, the session's log-in says; an outcome follows only if it is not `done`.
    Looked {
        /// The session.
        session: u64,
        /// The number of this intent within the session.
        number: u64,
        /// Exactly what goes up.
        asked: Vec<Asked>,
    },
    /// What came of an intent.
    Outcome {
        /// The session.
        session: u64,
        /// The intent's number.
        number: u64,
        /// `done`, `failed`, `in_doubt` or `not_sent`.
        end: End,
        /// Command tags in order; they carry the row counts.
        tags: Vec<Arc<str>>,
        /// SQLSTATE and message, where the server refused.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        error: Option<String>,
    },
    /// A transaction in which tickets were spent ended.
    TransactionEnd {
        /// The session.
        session: u64,
        /// The tickets.
        tickets: Vec<TicketId>,
        /// `commit` or `rollback` or `in_doubt`.
        end: TransactionEnd,
    },
    /// A statement was refused by a rule.
    Denied {
        /// The session.
        session: u64,
        /// Who.
        principal: PrincipalId,
        /// Which tenant.
        tenant: TenantId,
        /// The rule.
        rule: Arc<str>,
        /// What was asked.
        asked: Vec<Asked>,
    },
    /// Somebody cancelled or ended another session of their own by SQL; nothing went up.
    Signalled {
        /// The session that asked.
        session: u64,
        /// Who.
        principal: PrincipalId,
        /// The process id that it named.
        pid: u32,
        /// Whether the other session ends.
        terminates: bool,
    },
    /// What a policy would have held that only observes; it passed.
    Observed {
        /// The session.
        session: u64,
        /// Who.
        principal: PrincipalId,
        /// Which tenant.
        tenant: TenantId,
        /// The rule.
        rule: Arc<str>,
        /// Why, in words.
        why: String,
        /// The approvals that it would have needed.
        needs: Vec<Need>,
        /// What was asked.
        asked: Vec<Asked>,
    },
    /// A ticket was opened, or one was shared.
    Held {
        /// The session.
        session: u64,
        /// The ticket.
        ticket: TicketId,
        /// Who asks.
        principal: PrincipalId,
        /// Which tenant.
        tenant: TenantId,
        /// The ticket's digest.
        digest: String,
    },
    /// Somebody's word on a ticket.
    Decided {
        /// The ticket.
        ticket: TicketId,
        /// Who.
        by: PrincipalId,
        /// `approve`, `reject`, `withdraw` or `expire`.
        word: Arc<str>,
        /// What they said.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        comment: Option<String>,
        /// Where the ticket stands after it.
        state: crate::ticket::State,
    },
    /// Something is about to run that nobody has signed for; somebody must look at it afterwards.
    BrokeGlass {
        /// The session.
        session: u64,
        /// The ticket.
        ticket: TicketId,
        /// Who.
        principal: PrincipalId,
        /// Which tenant.
        tenant: TenantId,
        /// The rule that lets them.
        rule: String,
        /// Why, in their words.
        reason: String,
        /// The ticket's digest.
        digest: String,
    },
    /// Somebody asked for a ticket on the console.
    Requested {
        /// The ticket.
        ticket: TicketId,
        /// Who.
        principal: PrincipalId,
        /// Which tenant.
        tenant: TenantId,
        /// The ticket's digest.
        digest: String,
    },
    /// Somebody closed the gate to all but reads, or opened it again.
    HeldAll {
        /// Who.
        by: PrincipalId,
        /// Whether it is closed now.
        closed: bool,
        /// Why, in their words.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<String>,
    },
    /// The configuration was read again; the gate goes by it from here on.
    Reloaded {
        /// Its number; that of the start is 1.
        version: u64,
        /// Who asked for that on the console; nobody where a signal did, or where files had changed.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        by: Option<PrincipalId>,
        /// SHA-256 of its files.
        digest: String,
    },
    /// Somebody had a tenant wait, or all, or go on again.
    Paused {
        /// Who.
        by: PrincipalId,
        /// Which; all where none is named.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        tenant: Option<TenantId>,
        /// Whether it waits now.
        paused: bool,
    },
    /// Somebody ended what ran as a ticket.
    Terminated {
        /// The ticket.
        ticket: TicketId,
        /// Who.
        by: PrincipalId,
    },
    /// A claim that a crash left behind was put back or put in doubt at start-up.
    Recovered {
        /// The ticket.
        ticket: TicketId,
        /// The use of it.
        claim: ClaimId,
        /// Where the ticket stands now.
        state: crate::ticket::State,
    },
}

/// How an intent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The server answered without an error.
    Done,
    /// The server refused.
    Failed,
    /// Contact was lost.
    InDoubt,
    /// It was never sent.
    NotSent,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransactionEnd {
    /// The server confirmed COMMIT.
    Commit,
    /// It was rolled back.
    Rollback,
    /// Contact was lost.
    InDoubt,
}

/// Why the journal cannot be written. The gate is then closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalDown {
    /// The disk is full.
    #[error("the journal cannot be written: no space left on device")]
    NoSpace,
    /// So is what the gate may have of it.
    #[error("the journal cannot be written: disk quota exceeded")]
    Quota,
    /// A limit of the file system or of the process.
    #[error("the journal cannot be written: file too large")]
    TooLarge,
    /// Nothing can be written there.
    #[error("the journal cannot be written: read-only file system")]
    ReadOnly,
    /// Anything else that a disk says.
    #[error("the journal cannot be written: input/output error")]
    Disk,
    /// More is to be written than the disk takes; this passes.
    #[error("the journal cannot be written: the disk is too slow")]
    Behind,
    /// The gate is going.
    #[error("the journal cannot be written: it is closed")]
    Ended,
}

/// Where entries go.
pub trait Journal {
    /// Whether entries can be written, as far as is known. Where they cannot, the gate is closed.
    fn is_open(&self) -> bool;

    /// Why they cannot.
    fn down(&self) -> JournalDown;

    /// Writes an entry in its turn and does not wait for the disk; at most 100 ms of such entries
    /// can be lost by a crash (DESIGN ruling 25). An error means that nothing may pass: where the
    /// journal is still open it is only behind, and the entry can be given again.
    fn note(&self, entry: &Entry) -> Result<(), JournalDown>;

    /// Writes an entry and resolves when it, and all before it, are on disk.
    fn write(&self, entry: Entry) -> impl Future<Output = Result<(), JournalDown>>;

    /// As [`Journal::note`]: an entry that is of this tenant, which it need not say itself.
    fn note_at(&self, _tenant: Option<&TenantId>, entry: &Entry) -> Result<(), JournalDown> {
        self.note(entry)
    }

    /// As [`Journal::write`]: an entry that is of this tenant, which it need not say itself.
    fn write_at(
        &self,
        _tenant: Option<&TenantId>,
        entry: Entry,
    ) -> impl Future<Output = Result<(), JournalDown>> {
        self.write(entry)
    }
}

/// What people and the journal see of a request: in front of it the statements that it names.
pub fn asked(request: &Request) -> Vec<Asked> {
    let named = request.named.iter().map(|statement| Asked {
        text: match statement.origin {
            Origin::Parse => format!("PREPARE \"{}\" AS {}", statement.name, statement.text).into(),
            Origin::Sql | Origin::Unknown => statement.text.clone(),
        },
        parameters: Vec::new(),
    });
    let pieces = request.work.pieces().map(show);
    let unbound = request.work.unbound();
    let parsed = unbound.into_iter().map(|it| Asked {
        text: it.text.clone(),
        parameters: Vec::new(),
    });
    named.chain(pieces).chain(parsed).collect()
}

impl Entry {
    /// The intent to run `request` on the word of `authority`.
    pub fn intent(session: u64, number: u64, request: &Request, authority: &Authority) -> Self {
        let unsigned = matches!(authority, Authority::Unsigned { .. });
        if unsigned && request.looks_around() {
            let asked = asked(request);
            return Self::Looked {
                session,
                number,
                asked,
            };
        }
        let (rule, ticket, claim) = match authority {
            Authority::Unsigned { rule } => (Some(Arc::clone(rule)), None, None),
            Authority::Signed { ticket, claim } => (None, Some(*ticket), Some(*claim)),
        };
        Self::Intent {
            session,
            number,
            principal: request.principal.id.clone(),
            tenant: request.context.tenant.clone(),
            rule,
            ticket,
            claim,
            asked: asked(request),
        }
    }
}

fn show(piece: Piece<'_>) -> Asked {
    let parameters = piece.bound.map_or_else(Vec::new, |(types, values)| {
        values
            .values
            .iter()
            .enumerate()
            .map(|(index, value)| Parameter {
                type_oid: types.get(index).copied().unwrap_or(0),
                value: value
                    .as_ref()
                    .map(|bytes| render(bytes, format_of(&values.formats, index))),
            })
            .collect()
    });
    Asked {
        text: piece.text.clone(),
        parameters,
    }
}

/// Format code of value `index`: none given is text, one given is for all.
fn format_of(formats: &[i16], index: usize) -> i16 {
    match formats {
        [] => 0,
        [all] => *all,
        each => each.get(index).copied().unwrap_or(0),
    }
}

fn render(bytes: &Bytes, format: i16) -> ByteString {
    match ByteString::try_from(bytes.clone()) {
        Ok(text) if format == 0 => text,
        _ => {
            let mut hex = String::with_capacity(2 + 2 * bytes.len());
            hex.push_str("\\x");
            hex.extend(bytes.iter().flat_map(|byte| digits(*byte)));
            hex.into()
        }
    }
}

/// A byte as two digits.
fn digits(byte: u8) -> [char; 2] {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    [digit(byte >> 4), digit(byte & 15)]
}

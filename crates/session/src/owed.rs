//! One reply that an upstream owes, and whose it is. The queue of them is `replies`.

use bytes::Bytes;
use bytestring::ByteString;
use gate::Own;

/// Whose message a reply answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The client's: it sees the answer.
    Client,
    /// The client's statement in a message that the client did not send: it sees errors alone.
    Carried,
    /// The gate's own: the client sees nothing of it.
    Gate,
    /// The gate's own, too: what lays down a row of the ledger in front of what was signed.
    Ledger,
}

/// One reply that is owed.
#[derive(Debug, PartialEq)]
pub(crate) enum Owed {
    /// ParseComplete; the name is confirmed by it.
    Parse(Whose, Option<ByteString>),
    /// BindComplete.
    Bind(Whose),
    /// ParameterDescription, then RowDescription or NoData.
    DescribeStatement,
    /// The same, for the gate itself: what the statement of this name returns.
    Shape(ByteString),
    /// RowDescription or NoData. Carried, it is part of a Query, which would not have said NoData.
    DescribePortal(Whose),
    /// Rows and CommandComplete, or EmptyQueryResponse, or PortalSuspended, or COPY.
    Execute(Whose),
    /// CloseComplete.
    Close(Whose),
    /// All of a Query, up to its ReadyForQuery.
    Query(Whose),
    /// ReadyForQuery of a Sync.
    Sync,
    /// Not owed by the server at all: ours, said when its turn comes.
    Say(Bytes),
}

impl Owed {
    /// Whose message it answers.
    pub(crate) fn whose(&self) -> Whose {
        match self {
            Self::Parse(whose, _)
            | Self::Bind(whose)
            | Self::DescribePortal(whose)
            | Self::Execute(whose)
            | Self::Close(whose)
            | Self::Query(whose) => *whose,
            Self::Shape(_) => Whose::Gate,
            Self::DescribeStatement | Self::Sync | Self::Say(_) => Whose::Client,
        }
    }
}

/// What the gate's own SQL is answered with.
pub(crate) fn of_own(own: &Own) -> Vec<Owed> {
    let whose = match own {
        Own::Ledger(..) => Whose::Ledger,
        _ => Whose::Gate,
    };
    let mut owed = Vec::new();
    match own {
        own if own.goes_as_queries() => {
            owed.extend(own.sql().iter().map(|_| Owed::Query(whose)));
        }
        Own::Settings(settings) | Own::Restore(settings) => {
            if matches!(own, Own::Settings(_)) {
                owed.extend(statement(own, whose));
            }
            if !settings.is_empty() {
                owed.push(Owed::Parse(whose, None));
            }
            for _ in settings.iter() {
                owed.extend([Owed::Bind(whose), Owed::Execute(whose)]);
            }
            owed.push(Owed::Sync);
        }
        own => {
            for _ in own.sql() {
                owed.extend(statement(own, whose));
            }
            if own.stands_alone() {
                owed.push(Owed::Sync);
            }
        }
    }
    owed
}

/// One statement of it, in a segment.
fn statement(own: &Own, whose: Whose) -> impl Iterator<Item = Owed> {
    let runs = [
        Owed::Parse(whose, None),
        Owed::Bind(whose),
        Owed::Execute(whose),
    ];
    let closes = !own.portal().is_empty();
    runs.into_iter().chain(closes.then_some(Owed::Close(whose)))
}

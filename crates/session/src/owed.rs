//! One reply that an upstream owes, and whose it is. The queue of them is `replies`.

use bytes::Bytes;
use bytestring::ByteString;

/// Whose message a reply answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The client's: it sees the answer.
    Client,
    /// The client's statement in a message that the client did not send: it sees errors alone.
    Carried,
    /// The gate's own: the client sees nothing of it.
    Gate,
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

//! Asking a server what the gate itself wants to know: what its catalog holds, what became of a row of its ledger. It sends the
//! gate's own SQL, and never says what an answer means.

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use gate::ledger::{Fate, Key, Logins};
use gate::{Cargo, Disposition, Own, TicketId};
use tokio::io::{AsyncRead, AsyncWrite};
use wire::backend::{Status, decode, tag};
use wire::frame::{self, Frame};

use crate::connect::{ConnectError, connect};
use crate::dial::Dial;
use crate::lease::Lease;
use crate::options::Options;
use crate::upstream::Upstream;

/// How long the answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// The largest row: the query of a view is in it.
const MESSAGE_MAX: usize = 4 * 1024 * 1024;
/// All of it.
const BYTES_MAX: usize = 256 * 1024 * 1024;

/// Kind, schema, name, and two facts: see `sql::Catalog::of_rows`.
pub type CatalogRow = [String; 5];

pub(crate) type Row = Vec<Option<Bytes>>;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The connection broke.
    #[error("the connection broke")]
    Io(#[from] io::Error),
    /// It took too long.
    #[error("the answer took too long")]
    Timeout,
    /// The answer is larger than a catalog is.
    #[error("the answer is too large")]
    TooLarge,
    /// The answer was not understood.
    #[error("the answer was not understood")]
    Wire(#[from] wire::WireError),
    /// The server sent what does not belong there.
    #[error("unexpected answer {:?}", char::from(*.0))]
    Unexpected(u8),
    /// The server refused.
    #[error("the server said: {0}")]
    Refused(String),
}

impl<D: Dial> Lease<D> {
    /// What the catalog of this database holds that PostgreSQL did not bring. Dropping the future closes the
    /// connection.
    pub async fn catalog(mut self) -> Result<Vec<CatalogRow>, AskError> {
        let rows = in_time(self.upstream(), Own::Catalog).await?;
        self.checkin(Disposition::Clean);
        rows.into_iter().map(texts).collect()
    }

    /// What became of a row of this database's ledger; if nothing did, nothing ever will (hazards R83). It waits for a
    /// transaction that has laid the row down and goes on, and is refused where that takes too long. Dropping the future
    /// closes the connection.
    pub async fn fence(mut self, key: Key, ticket: TicketId) -> Result<Fate, AskError> {
        let rows = in_time(self.upstream(), Own::Fence(key, ticket)).await?;
        self.checkin(Disposition::Clean);
        let fate = rows.first().and_then(|row| row.first()?.as_deref());
        let fate = fate.and_then(|it| Fate::of(std::str::from_utf8(it).ok()?));
        fate.ok_or(AskError::Unexpected(tag::DATA_ROW))
    }
}

/// Makes the ledger of a database, over a connection of its own that logs in as `options` say.
pub async fn install<D: Dial>(
    dial: &D,
    options: &Options,
    logins: Logins,
) -> Result<Result<(), AskError>, ConnectError> {
    let (mut upstream, _) = connect(dial, options, None, &gate::Settings::default()).await?;
    let answer = in_time(&mut upstream, Own::Install(logins)).await;
    Ok(answer.map(drop))
}

pub(crate) async fn in_time<S: AsyncRead + AsyncWrite + Unpin>(
    upstream: &mut Upstream<S>,
    own: Own,
) -> Result<Vec<Row>, AskError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "what the gate asks for itself is a slow state"
    )]
    let rows = tokio::time::timeout(ANSWER, ask(upstream, own)).await;
    rows.unwrap_or(Err(AskError::Timeout))
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    upstream: &mut Upstream<S>,
    own: Own,
) -> Result<Vec<Row>, AskError> {
    let mut turns = if own.goes_as_queries() {
        own.sql().len()
    } else {
        1
    };
    upstream.load(&[Cargo::Own(own)])?;
    poll_fn(|cx| upstream.poll_flush(cx)).await?;
    let (mut rows, mut bytes) = (Vec::new(), 0);
    let (mut refused, mut left_open) = (None, false);
    while turns > 0 {
        let frame = next(upstream).await?;
        bytes += frame.body.len();
        match frame.tag {
            tag::DATA_ROW if bytes > BYTES_MAX => return Err(AskError::TooLarge),
            tag::DATA_ROW => rows.push(decode::data_row_values(&frame.body)?),
            tag::READY => {
                turns -= 1;
                left_open = decode::ready_status(&frame.body)? != Status::Idle;
            }
            tag::ERROR => refused = Some(decode::fields(&frame.body)?.message),
            tag::ROW_DESCRIPTION
            | tag::COMMAND_COMPLETE
            | tag::PARSE_COMPLETE
            | tag::BIND_COMPLETE
            | tag::NOTICE
            | tag::PARAMETER_STATUS => {}
            other => return Err(AskError::Unexpected(other)),
        }
    }
    match refused {
        Some(said) => Err(AskError::Refused(said)),
        None if left_open => Err(AskError::Unexpected(tag::READY)),
        None => Ok(rows),
    }
}

async fn next<S: AsyncRead + AsyncWrite + Unpin>(
    upstream: &mut Upstream<S>,
) -> Result<Frame, AskError> {
    loop {
        if let Some(frame) = frame::take(upstream.inbox(), MESSAGE_MAX)? {
            return Ok(frame);
        }
        if poll_fn(|cx| upstream.poll_read(cx)).await? == 0 {
            return Err(AskError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
    }
}

/// A row of so many texts.
pub(crate) fn texts<const N: usize>(values: Row) -> Result<[String; N], AskError> {
    let text =
        |it: Option<Bytes>| String::from_utf8_lossy(it.as_deref().unwrap_or_default()).into_owned();
    let values: Vec<_> = values.into_iter().map(text).collect();
    values
        .try_into()
        .map_err(|_| AskError::Unexpected(tag::DATA_ROW))
}

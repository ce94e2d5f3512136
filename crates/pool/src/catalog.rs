//! Asking a server what its catalog holds. It sends the gate's own constant query, and never says what the answer means.

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use gate::{Cargo, Disposition, Own};
use wire::backend::{Status, decode, tag};
use wire::frame::{self, Frame};

use crate::dial::Dial;
use crate::lease::Lease;

/// How long the answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// The largest row: the query of a view is in it.
const MESSAGE_MAX: usize = 4 * 1024 * 1024;
/// All of it.
const BYTES_MAX: usize = 256 * 1024 * 1024;

/// Kind, schema, name, and two facts: see `sql::Catalog::of_rows`.
pub type CatalogRow = [String; 5];

/// Why a catalog was not read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
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
    pub async fn catalog(mut self) -> Result<Vec<CatalogRow>, CatalogError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "reading a catalog is a slow state"
        )]
        let rows = tokio::time::timeout(ANSWER, self.ask()).await;
        let rows = rows.unwrap_or(Err(CatalogError::Timeout))?;
        self.checkin(Disposition::Clean);
        Ok(rows)
    }

    async fn ask(&mut self) -> Result<Vec<CatalogRow>, CatalogError> {
        let mut turns = Own::Catalog.sql().len();
        self.upstream().load(&[Cargo::Own(Own::Catalog)])?;
        poll_fn(|cx| self.upstream().poll_flush(cx)).await?;
        let (mut rows, mut bytes) = (Vec::new(), 0);
        let mut refused = None;
        while turns > 0 {
            let frame = self.next().await?;
            bytes += frame.body.len();
            match frame.tag {
                tag::DATA_ROW if bytes > BYTES_MAX => return Err(CatalogError::TooLarge),
                tag::DATA_ROW => rows.push(row(&frame)?),
                tag::READY => turns -= 1,
                tag::ERROR => refused = Some(decode::fields(&frame.body)?.message),
                tag::ROW_DESCRIPTION
                | tag::COMMAND_COMPLETE
                | tag::NOTICE
                | tag::PARAMETER_STATUS => {}
                other => return Err(CatalogError::Unexpected(other)),
            }
            if turns == 0 && decode::ready_status(&frame.body)? != Status::Idle {
                return Err(CatalogError::Unexpected(frame.tag));
            }
        }
        refused.map_or(Ok(rows), |said| Err(CatalogError::Refused(said)))
    }

    async fn next(&mut self) -> Result<Frame, CatalogError> {
        let upstream = self.upstream();
        loop {
            if let Some(frame) = frame::take(upstream.inbox(), MESSAGE_MAX)? {
                return Ok(frame);
            }
            if poll_fn(|cx| upstream.poll_read(cx)).await? == 0 {
                return Err(CatalogError::Io(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}

fn row(frame: &Frame) -> Result<CatalogRow, CatalogError> {
    let values = decode::data_row_values(&frame.body)?;
    let text = |it: Option<bytes::Bytes>| {
        String::from_utf8_lossy(it.as_deref().unwrap_or_default()).into_owned()
    };
    let values: Vec<_> = values.into_iter().map(text).collect();
    values
        .try_into()
        .map_err(|_| CatalogError::Unexpected(frame.tag))
}

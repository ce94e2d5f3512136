//! Throwing away what a session holds and looking whether it is gone; and taking leave of a server.
//! Whatever is not exactly as expected is an error: the connection is then closed.

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use gate::{Cargo, Own};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use wire::backend::{Status, decode, tag};
use wire::frame::{self, Frame};
use wire::frontend;

use crate::upstream::Upstream;

/// How long a reset may take.
const RESET: Duration = Duration::from_secs(5);
/// How long the server may take to close a connection that says farewell.
const FAREWELL: Duration = Duration::from_secs(1);
/// The largest message of a reset.
const MESSAGE_MAX: usize = 64 * 1024;
/// Counts in the answer to [`Own::Verify`].
const COUNTS: usize = 7;

/// Why a connection is not clean.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unclean {
    #[error("the connection broke during its reset")]
    Io(#[from] io::Error),
    #[error("the reset took too long")]
    Timeout,
    #[error("a reset was not understood")]
    Wire(#[from] wire::WireError),
    #[error("a reset was answered by {:?}", char::from(*.0))]
    Unexpected(u8),
    #[error("something is left behind the reset: {0:?}")]
    Left(Vec<Option<String>>),
}

/// Throws away what the session holds, and verifies that nothing is left, and that one that logged in to take a role on has it.
pub(crate) async fn reset<S>(upstream: &mut Upstream<S>, role: bool) -> Result<(), Unclean>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    #[expect(clippy::disallowed_methods, reason = "a reset is a slow state")]
    let done = tokio::time::timeout(RESET, discard_and_verify(upstream, role)).await;
    done.unwrap_or(Err(Unclean::Timeout))
}

/// Frees advisory locks and throws away what the session knows of sequences, and nothing else of it.
pub(crate) async fn tidy<S>(upstream: &mut Upstream<S>) -> Result<(), Unclean>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let forget = async {
        upstream.load(&[Cargo::Own(Own::Tidy)])?;
        poll_fn(|cx| upstream.poll_flush(cx)).await?;
        expect(&next(upstream).await?, tag::ROW_DESCRIPTION)?;
        expect(&next(upstream).await?, tag::DATA_ROW)?;
        completed(&next(upstream).await?, "SELECT 1")?;
        ready(&next(upstream).await?)?;
        completed(&next(upstream).await?, "DISCARD SEQUENCES")?;
        ready(&next(upstream).await?)?;
        nothing_more(upstream)
    };
    #[expect(clippy::disallowed_methods, reason = "a reset is a slow state")]
    let done = tokio::time::timeout(RESET, forget).await;
    done.unwrap_or(Err(Unclean::Timeout))
}

async fn discard_and_verify<S>(upstream: &mut Upstream<S>, role: bool) -> Result<(), Unclean>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let cargo: &[_] = if role {
        &[Own::Discard, Own::Role, Own::VerifyRole].map(Cargo::Own)
    } else {
        &[Own::Discard, Own::Verify].map(Cargo::Own)
    };
    upstream.load(cargo)?;
    poll_fn(|cx| upstream.poll_flush(cx)).await?;
    completed(&next(upstream).await?, "DISCARD ALL")?;
    ready(&next(upstream).await?)?;
    if role {
        completed(&next(upstream).await?, "RESET")?;
        ready(&next(upstream).await?)?;
    }
    expect(&next(upstream).await?, tag::ROW_DESCRIPTION)?;
    let row = next(upstream).await?;
    expect(&row, tag::DATA_ROW)?;
    nothing_left(&row)?;
    completed(&next(upstream).await?, "SELECT 1")?;
    ready(&next(upstream).await?)?;
    nothing_more(upstream)
}

/// The server has said nothing that it was not asked.
fn nothing_more<S>(upstream: &mut Upstream<S>) -> Result<(), Unclean> {
    match upstream.inbox.first() {
        None => Ok(()),
        Some(unasked) => Err(Unclean::Unexpected(*unasked)),
    }
}

async fn next<S>(upstream: &mut Upstream<S>) -> Result<Frame, Unclean>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match frame::take(upstream.inbox(), MESSAGE_MAX)? {
            // What was set goes back to what it was: said in front of the tag, or from 15 on behind it.
            Some(frame) if frame.tag == tag::PARAMETER_STATUS => continue,
            Some(frame) => return Ok(frame),
            None => {}
        }
        if poll_fn(|cx| upstream.poll_read(cx)).await? == 0 {
            return Err(Unclean::Io(io::ErrorKind::UnexpectedEof.into()));
        }
    }
}

fn expect(frame: &Frame, tag: u8) -> Result<(), Unclean> {
    if frame.tag == tag {
        return Ok(());
    }
    Err(Unclean::Unexpected(frame.tag))
}

fn completed(frame: &Frame, command: &str) -> Result<(), Unclean> {
    expect(frame, tag::COMMAND_COMPLETE)?;
    if decode::command_tag(&frame.body)? == command {
        return Ok(());
    }
    Err(Unclean::Unexpected(frame.tag))
}

fn ready(frame: &Frame) -> Result<(), Unclean> {
    expect(frame, tag::READY)?;
    if decode::ready_status(&frame.body)? == Status::Idle {
        return Ok(());
    }
    Err(Unclean::Unexpected(frame.tag))
}

/// Each count is there, and each is 0.
fn nothing_left(row: &Frame) -> Result<(), Unclean> {
    let counts = decode::data_row_values(&row.body)?;
    let zero = |it: &Option<bytes::Bytes>| it.as_deref() == Some(b"0");
    if counts.len() == COUNTS && counts.iter().all(zero) {
        return Ok(());
    }
    let text = |it: &Option<bytes::Bytes>| it.as_deref().map(|it| it.escape_ascii().to_string());
    Err(Unclean::Left(counts.iter().map(text).collect()))
}

/// Says Terminate and waits, for a moment, until the server has closed. Not where a message was sent
/// in part: what follows would be taken for the rest of it (hazards R28).
pub(crate) async fn farewell<S>(mut upstream: Upstream<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if upstream.unsent() > 0 {
        return;
    }
    let closed = async {
        let mut last = BytesMut::new();
        frontend::terminate(&mut last);
        upstream.stream.write_all_buf(&mut last).await?;
        upstream.stream.flush().await?;
        loop {
            upstream.inbox.clear();
            if upstream.stream.read_buf(&mut upstream.inbox).await? == 0 {
                return io::Result::Ok(());
            }
        }
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the end of a connection is a slow state"
    )]
    let _either = tokio::time::timeout(FAREWELL, closed).await;
}

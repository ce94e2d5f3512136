//! A connection: bytes on their way, late and in pieces, up to an end or a break. It never looks at them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use proxy::simulate::{Peek, Socket};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::dice::Dice;
use super::life::{Deed, Life};

/// One side of a connection. Dropped, what it has sent still arrives, and then its end.
#[derive(Debug)]
pub(super) struct End {
    reads: Rc<RefCell<Way>>,
    writes: Rc<RefCell<Way>>,
    wake: Option<Pin<Box<Sleep>>>,
    dice: Dice,
    /// The gate's sides end with it.
    of_gate: Option<(Rc<Life>, Deed)>,
}

/// What goes in one direction.
#[derive(Debug, Default)]
struct Way {
    /// Each with the time when it arrives.
    pieces: VecDeque<(Instant, Bytes)>,
    /// Nothing more comes.
    ended: bool,
    /// Nobody takes it any more.
    broken: bool,
    reader: Option<Waker>,
}

impl Way {
    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// A connection between the gate, which does `deed` by it, and somebody else.
pub(super) fn with_gate(dice: &Dice, life: &Rc<Life>, deed: Deed) -> (End, End) {
    let ways = (Rc::<RefCell<Way>>::default(), Rc::<RefCell<Way>>::default());
    let end = |reads: &Rc<RefCell<Way>>, writes: &Rc<RefCell<Way>>, of_gate| End {
        reads: Rc::clone(reads),
        writes: Rc::clone(writes),
        wake: None,
        dice: dice.own(),
        of_gate,
    };
    let gate = end(&ways.0, &ways.1, Some((Rc::clone(life), deed)));
    (gate, end(&ways.1, &ways.0, None))
}

impl End {
    fn is_dead(&self) -> bool {
        self.of_gate.as_ref().is_some_and(|it| it.0.is_over())
    }

    fn does(&self) -> bool {
        let of_gate = self.of_gate.as_ref();
        of_gate.is_none_or(|(life, deed)| life.does(*deed))
    }

    /// Ready when something is there to be taken: a piece, or nothing at the end.
    fn poll_arrival(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            if self.is_dead() {
                return Poll::Pending;
            }
            let mut way = self.reads.borrow_mut();
            let Some((at, piece)) = way.pieces.front() else {
                if way.ended {
                    return Poll::Ready(Ok(None));
                }
                way.reader = Some(cx.waker().clone());
                return Poll::Pending;
            };
            if *at <= Instant::now() {
                return Poll::Ready(Ok(Some(piece.clone())));
            }
            let at = *at;
            way.reader = Some(cx.waker().clone());
            drop(way);
            let wake = self.wake.insert(Box::pin(sleep_until(at)));
            ready!(wake.as_mut().poll(cx));
        }
    }
}

impl AsyncRead for End {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(piece) = ready!(self.poll_arrival(cx))? else {
            return Poll::Ready(Ok(()));
        };
        if !self.does() {
            return Poll::Pending;
        }
        let mut size = piece.len().min(into.remaining());
        if size > 1 && self.dice.chance(150) {
            size = usize::try_from(self.dice.between(1, size as u64 - 1)).unwrap();
        }
        into.put_slice(&piece[..size]);
        let mut way = self.reads.borrow_mut();
        let (_, front) = way.pieces.front_mut().unwrap();
        front.advance(size);
        if front.is_empty() {
            way.pieces.pop_front();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.does() {
            return Poll::Pending;
        }
        let mut way = self.writes.borrow_mut();
        if way.broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let soonest = Instant::now() + self.dice.delay();
        let last = way.pieces.back().map_or(soonest, |it| it.0.max(soonest));
        way.pieces.push_back((last, Bytes::copy_from_slice(bytes)));
        way.wake();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_dead() {
            let mut way = self.writes.borrow_mut();
            way.ended = true;
            way.wake();
        }
        Poll::Ready(Ok(()))
    }
}

impl Socket for End {
    fn has_hung_up(&self) -> bool {
        let way = self.reads.borrow();
        let now = Instant::now();
        way.ended && way.pieces.iter().all(|it| it.0 <= now)
    }
}

impl Peek for End {
    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<u8>>> {
        let piece = ready!(self.poll_arrival(cx))?;
        Poll::Ready(Ok(piece.and_then(|it| it.first().copied())))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let mut writes = self.writes.borrow_mut();
        // What a machine that crashes has just sent may never leave it.
        if self.is_dead() && self.dice.chance(500) {
            let now = Instant::now();
            writes.pieces.retain(|it| it.0 <= now);
        }
        writes.ended = true;
        writes.wake();
        self.reads.borrow_mut().broken = true;
    }
}

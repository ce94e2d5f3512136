//! The threads that drive sessions, as they know of one another: which has the fewest connections, and what one asks of another.
//! It never drives a session itself.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::doors::Arrival;
use crate::figures::Figures;
use crate::lanes::PoolView;
use crate::paused::Whom;
use crate::version::Version;

/// Connections that may wait for a thread to take them over; more stay with the one that accepts.
const ERRANDS_MAX: usize = 1024;

/// A connection that was accepted.
#[derive(Debug)]
pub(crate) struct Guest<S> {
    pub(crate) socket: S,
    pub(crate) address: SocketAddr,
    pub(crate) counted: Counted,
}

/// What a connection is counted by, for as long as it lives: at the door, and for its thread.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) arrival: Arrival,
    _permit: OwnedSemaphorePermit,
    _load: Load,
}

/// What a thread is asked for by another.
pub(crate) enum Errand {
    /// To serve this connection.
    Serve(Box<Guest<TcpStream>>),
    /// To say how its pools stand.
    Pools(oneshot::Sender<Vec<PoolView>>),
    /// To say what it has counted, and how it stands.
    Figures(oneshot::Sender<Figures>),
    /// To say that it is there.
    Answer(oneshot::Sender<()>),
    /// To go by this configuration, and to say when it does.
    Adopt(Box<Version>, oneshot::Sender<()>),
    /// To pause what is paused by now, and to resume all else; and to say, of one tenant or of all, once no connection is open
    /// there: `false` where nothing is paused, or not any more.
    Pause(Whom, oneshot::Sender<bool>),
    /// To stop: nobody is served any more.
    Stop,
}

/// All threads, and how to reach them. The first is the one that accepts.
#[derive(Clone)]
pub(crate) struct Crew(Arc<[Post]>);

struct Post {
    errands: mpsc::Sender<Errand>,
    load: Arc<AtomicUsize>,
}

/// What comes for one thread.
pub(crate) struct Errands(mpsc::Receiver<Errand>);

/// A connection that is counted for a thread until this is dropped.
#[derive(Debug)]
struct Load(Arc<AtomicUsize>);

impl Load {
    fn of(post: &Post) -> Self {
        post.load.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&post.load))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Crew {
    /// So many threads, and for each what comes for it.
    pub(crate) fn new(size: usize) -> (Self, Vec<Errands>) {
        let post = |_| {
            let (errands, coming) = mpsc::channel(ERRANDS_MAX);
            let load = Arc::default();
            (Post { errands, load }, Errands(coming))
        };
        let (posts, errands): (Vec<_>, _) = (0..size.max(1)).map(post).unzip();
        (Self(Arc::from(posts)), errands)
    }

    /// Hands a connection that was accepted to the thread that has the fewest. Given back where that is the one that accepts,
    /// or where no other takes it.
    pub(crate) fn hand_over(
        &self,
        (socket, address): (tokio::net::TcpStream, SocketAddr),
        (arrival, permit): (Arrival, OwnedSemaphorePermit),
    ) -> io::Result<Option<Guest<tokio::net::TcpStream>>> {
        let fewest = |(_, post): &(usize, &Post)| post.load.load(Ordering::Relaxed);
        let Some((number, post)) = self.0.iter().enumerate().min_by_key(fewest) else {
            return Ok(None);
        };
        let guest = Guest::of(post, (socket, address), (arrival, permit));
        if number == 0 {
            return Ok(Some(guest));
        }
        let guest = guest.with(tokio::net::TcpStream::into_std)?;
        let errand = Errand::Serve(Box::new(guest));
        let sent = post.errands.try_send(errand);
        match sent.map_err(TrySendError::into_inner) {
            Err(Errand::Serve(guest)) => guest.with(tokio::net::TcpStream::from_std).map(Some),
            Ok(()) | Err(_) => Ok(None),
        }
    }

    /// A connection that stays with the thread that accepts.
    pub(crate) fn keep<S>(
        &self,
        came: (S, SocketAddr),
        counted: (Arrival, OwnedSemaphorePermit),
    ) -> Option<Guest<S>> {
        let post = self.0.first()?;
        Some(Guest::of(post, came, counted))
    }

    /// How the pools of all threads stand.
    pub(crate) async fn pools(&self) -> Vec<PoolView> {
        let mut views = Vec::new();
        for post in self.0.iter() {
            let (send, answer) = oneshot::channel();
            // A thread that is gone has no pools.
            let _asked = post.errands.send(Errand::Pools(send)).await;
            views.extend(answer.await.unwrap_or_default());
        }
        views
    }

    /// What every thread answers to this; none for one that does not within `limit`.
    pub(crate) async fn ask<T>(
        &self,
        limit: Duration,
        errand: impl Fn(oneshot::Sender<T>) -> Errand,
    ) -> Vec<Option<T>> {
        let answers = self.0.iter().map(|post| {
            let (send, answer) = oneshot::channel();
            let errand = errand(send);
            let asked = async move {
                post.errands.send(errand).await.ok()?;
                answer.await.ok()
            };
            #[expect(
                clippy::disallowed_methods,
                reason = "nobody does this for a statement"
            )]
            let asked = tokio::time::timeout(limit, asked);
            async move { asked.await.ok().flatten() }
        });
        futures_util::future::join_all(answers).await
    }

    /// Has every thread go by this configuration. All do when this returns.
    pub(crate) async fn adopt(&self, version: &Version) {
        let mut answers = Vec::new();
        for post in self.0.iter() {
            let (send, answer) = oneshot::channel();
            let errand = Errand::Adopt(Box::new(version.clone()), send);
            // A thread that is gone serves nobody.
            let _asked = post.errands.send(errand).await;
            answers.push(answer);
        }
        for answer in answers {
            let _adopted = answer.await;
        }
    }

    /// Has every thread pause what is paused, and resume all else. Whether no connection of these is open when this returns.
    pub(crate) async fn pause(&self, whom: &Whom) -> bool {
        let mut answers = Vec::new();
        for post in self.0.iter() {
            let (send, answer) = oneshot::channel();
            // A thread that is gone has no connections.
            let _asked = post.errands.send(Errand::Pause(whom.clone(), send)).await;
            answers.push(answer);
        }
        let mut all = true;
        for answer in answers {
            all &= answer.await.unwrap_or(true);
        }
        all
    }

    /// Has every thread stop.
    pub(crate) async fn stop(&self) {
        for post in self.0.iter() {
            let _stopped = post.errands.send(Errand::Stop).await;
        }
    }
}

impl Errands {
    /// The next one; none where nobody is left to send any. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Errand> {
        self.0.recv().await
    }
}

impl<S> Guest<S> {
    fn of(
        post: &Post,
        (socket, address): (S, SocketAddr),
        (arrival, permit): (Arrival, OwnedSemaphorePermit),
    ) -> Self {
        Self {
            socket,
            address,
            counted: Counted {
                arrival,
                _permit: permit,
                _load: Load::of(post),
            },
        }
    }

    /// The same with another kind of socket.
    pub(crate) fn with<T>(self, change: impl FnOnce(S) -> io::Result<T>) -> io::Result<Guest<T>> {
        Ok(Guest {
            socket: change(self.socket)?,
            address: self.address,
            counted: self.counted,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that hangs is found out, and keeps nobody from hearing of the others.
    #[tokio::test]
    async fn a_thread_that_does_not_answer_is_not_waited_for() {
        let (crew, errands) = Crew::new(2);
        let [mut lively, silent] = <[Errands; 2]>::try_from(errands).ok().unwrap();
        tokio::spawn(async move {
            if let Some(Errand::Answer(answer)) = lively.next().await {
                answer.send(()).unwrap();
            }
        });
        let answers = crew.ask(Duration::from_millis(50), Errand::Answer).await;
        assert_eq!(answers, [Some(()), None]);
        drop(silent);
    }
}

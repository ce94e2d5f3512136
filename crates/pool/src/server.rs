//! One server, as the pools that lead to it share it: the connections it has and how many it may
//! get, whose turn it is, and how soon it may be asked for a login. It knows the pools only as
//! lanes, other threads only by what they want, and it never says anything to the server but farewell.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use futures_util::FutureExt;
use gate::{PrincipalId, Settings, Surface, TenantId};
use tokio::io::AsyncReadExt;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::connect::ConnectError;
use crate::credential::Issue;
use crate::dial::Dial;
use crate::idle::Borrower;
use crate::logged::Logged;
use crate::quota::Part;
use crate::reset::farewell;
use crate::storm::Logins;
use crate::turns::{Seat, Turns};
use crate::upstream::Upstream;

/// Limits of each server, which is a host and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Connections at the most, over all tenants; 0 is no limit.
    pub connections_max: usize,
    /// Logins at the same time.
    pub logins_max: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections_max: 0,
            logins_max: 8,
        }
    }
}

/// One server.
pub(crate) struct Server<D: Dial> {
    /// Connections that are open or about to be.
    part: Part,
    /// Those of them that lie unused in a pool.
    pub(crate) idle: Cell<usize>,
    turns: RefCell<Turns<Waiter<D>>>,
    /// Whoever is served now; what becomes free meanwhile is seen to by them.
    serving: Cell<Serving>,
    /// Lanes whose part of a quota is too small for those that wait.
    wanting: RefCell<Vec<Rc<dyn Lane<D>>>>,
    lanes: RefCell<Vec<Weak<dyn Lane<D>>>>,
    pub(crate) logins: Logins,
    /// A connection was closed, or a pause ended.
    pub(crate) left: Notify,
    pub(crate) logged: Rc<Logged>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Serving {
    #[default]
    Nobody,
    Somebody,
    /// And something became free meanwhile.
    Again,
}

/// What leads to a server, as the server sees it: a pool.
pub(crate) trait Lane<D: Dial> {
    /// A connection that `who` may have and that is still good; else the place of one that is not.
    fn take_idle(&self, who: Option<&Borrower>) -> Option<Grant<D>>;

    /// The one that has been unused longest, to be closed for its place.
    fn take_oldest(&self) -> Option<(Upstream<D::Socket>, Place<D>)>;

    /// Since when the longest unused one has been so.
    fn idle_since(&self) -> Option<Instant>;

    /// How many lie unused.
    fn idle_count(&self) -> usize;

    /// The count of connections that are open or about to be.
    fn part(&self) -> &Rc<Part>;

    /// Whether nobody gets anything for now.
    fn is_paused(&self) -> bool;
}

/// Somebody who waits for a connection.
pub(crate) struct Waiter<D: Dial> {
    pub(crate) lane: Rc<dyn Lane<D>>,
    pub(crate) owner: Option<Borrower>,
    pub(crate) send: oneshot::Sender<Turn<D>>,
}

/// What somebody who waits hears: what they get, or why nobody of the lane gets anything.
pub(crate) type Turn<D> = Result<Grant<D>, Arc<ConnectError>>;

/// What a turn gives.
pub(crate) enum Grant<D: Dial> {
    /// A connection that lay ready.
    Ready(Box<Connection<D>>),
    /// The place for a new one.
    Open(Place<D>),
    /// The same, once this one has been closed.
    Replace(Box<Upstream<D::Socket>>, Place<D>),
}

impl<D: Dial> Server<D> {
    pub(crate) fn new(part: Part, (logins_max, logged): (usize, Rc<Logged>), seed: u64) -> Self {
        Self {
            part,
            idle: Cell::new(0),
            turns: RefCell::default(),
            serving: Cell::default(),
            wanting: RefCell::default(),
            lanes: RefCell::default(),
            logins: Logins::new(logins_max, seed),
            left: Notify::new(),
            logged,
        }
    }

    /// This lane leads here, for as long as it lives.
    pub(crate) fn add(&self, lane: Weak<dyn Lane<D>>) {
        let mut lanes = self.lanes.borrow_mut();
        lanes.retain(|it| it.strong_count() > 0);
        lanes.push(lane);
    }

    /// Serves everybody who can be, in turn. Called whenever something became free.
    pub(crate) fn serve(self: &Rc<Self>) {
        if self.serving.replace(Serving::Again) != Serving::Nobody {
            return;
        }
        loop {
            self.serving.set(Serving::Somebody);
            let mut grant = None;
            let next = self.turns.borrow_mut().next(|it| {
                grant = self.grant(&*it.lane, it.owner.as_ref());
                grant.is_some()
            });
            if let (Some(waiter), Some(grant)) = (next, grant) {
                // Who has stopped waiting left the queue. What cannot be given is given back.
                let _given = waiter.send.send(Ok(grant));
            } else if self.serving.get() == Serving::Somebody && !self.want() {
                break;
            }
        }
        self.serving.set(Serving::Nobody);
    }

    /// Lets other threads know who waits here in vain. Whether to look again, as something may have been given up there before
    /// they heard of it.
    fn want(&self) -> bool {
        let turns = self.turns.borrow();
        let mut before = self.wanting.borrow_mut();
        let room = self.part.has_room();
        let (mut again, mut all) = (false, 0);
        let lanes = turns.lanes().filter(|(first, _)| !first.lane.is_paused());
        let now = lanes.map(|(first, waiting)| {
            let lane = Rc::clone(&first.lane);
            let lane_room = lane.part().has_room();
            again |= lane.part().want(if lane_room { 0 } else { waiting });
            again |= room && lane_room;
            all += if lane_room { waiting } else { 0 };
            lane
        });
        let now: Vec<_> = now.collect();
        for lane in before.iter() {
            if !now.iter().any(|it| Rc::ptr_eq(it, lane)) {
                lane.part().want(0);
            }
        }
        *before = now;
        self.part.want(if room { 0 } else { all }) || again
    }

    /// Serves who can be now that another thread gave something up, and gives up what lies unused here and is wanted there.
    pub(crate) fn tend(self: &Rc<Self>) {
        self.serve();
        let lanes = self.alive();
        let wanted = lanes.iter().filter(|lane| lane.part().yields(false));
        let mut gone: Vec<_> = wanted.filter_map(|lane| lane.take_oldest()).collect();
        if gone.is_empty() && self.part.yields(false) {
            let oldest = self.longest_idle();
            gone.extend(oldest.and_then(|lane| lane.take_oldest()));
        }
        for (upstream, place) in gone {
            tokio::task::spawn_local(async move {
                farewell(upstream).await;
                drop(place);
            });
        }
    }

    /// Whether a connection of this lane that comes back is given up for another thread.
    pub(crate) fn yields(&self, lane: &Part, tenant: &TenantId, number: u64) -> bool {
        let wanted = self.turns.borrow().waits(tenant, number);
        lane.yields(wanted) || self.part.yields(!self.turns.borrow().is_empty())
    }

    /// The owner's own, else anybody's, else a new one, else a new one in the place of what nobody
    /// uses: of the same pool first.
    fn grant(self: &Rc<Self>, lane: &dyn Lane<D>, owner: Option<&Borrower>) -> Option<Grant<D>> {
        if lane.is_paused() {
            return None;
        }
        if let Some(grant) = lane.take_idle(owner) {
            return Some(grant);
        }
        let room = Room::of(lane.part());
        if room.is_some() && self.part.take() {
            let server = Rc::clone(self);
            return room.map(|room| Grant::Open(Place { server, room }));
        }
        if let Some((upstream, place)) = lane.take_oldest() {
            return Some(Grant::Replace(Box::new(upstream), place));
        }
        let room = room?;
        let (upstream, place) = self.longest_idle()?.take_oldest()?;
        Some(Grant::Replace(Box::new(upstream), place.moved_to(room)))
    }

    /// The lane with the connection that has been unused longest.
    fn longest_idle(&self) -> Option<Rc<dyn Lane<D>>> {
        if self.idle.get() == 0 {
            return None;
        }
        let since = self.alive().into_iter();
        let since = since.filter_map(|lane| Some((lane.idle_since()?, lane)));
        since.min_by_key(|(since, _)| *since).map(|(_, lane)| lane)
    }

    fn alive(&self) -> Vec<Rc<dyn Lane<D>>> {
        let lanes = self.lanes.borrow();
        lanes.iter().filter_map(Weak::upgrade).collect()
    }

    /// Nobody of this lane is served any more.
    pub(crate) fn forget(&self, lane: u64) {
        let gone = self.turns.borrow_mut().clear(lane);
        drop(gone);
        self.want();
    }

    /// Tells all that wait in this lane why they would wait in vain.
    pub(crate) fn refuse(&self, lane: u64, why: &Arc<ConnectError>) {
        let all = self.turns.borrow_mut().clear(lane);
        for waiter in all {
            let _told = waiter.send.send(Err(Arc::clone(why)));
        }
        self.want();
    }
}

/// A place in the queue; dropped, it is given up.
pub(crate) struct Queued<D: Dial> {
    server: Rc<Server<D>>,
    seat: Seat,
}

impl<D: Dial> Queued<D> {
    /// Joins, and is served at once where that can be.
    pub(crate) fn join(
        server: &Rc<Server<D>>,
        (tenant, lane): &(TenantId, u64),
        waiter: Waiter<D>,
    ) -> Self {
        let seat = server.turns.borrow_mut().join(tenant, *lane, waiter);
        server.serve();
        Self {
            server: Rc::clone(server),
            seat,
        }
    }
}

impl<D: Dial> Drop for Queued<D> {
    fn drop(&mut self) {
        let left = self.server.turns.borrow_mut().leave(&self.seat);
        if left.is_some() {
            self.server.want();
        }
    }
}

/// The right to one connection of a pool to a server. Dropped, it is somebody else's.
pub(crate) struct Place<D: Dial> {
    server: Rc<Server<D>>,
    room: Room,
}

impl<D: Dial> Place<D> {
    /// The same place on the server, for another pool.
    fn moved_to(mut self, room: Room) -> Self {
        self.room = room;
        self
    }
}

impl<D: Dial> Drop for Place<D> {
    fn drop(&mut self) {
        self.room.leave();
        self.server.part.give();
        self.server.left.notify_waiters();
        self.server.serve();
    }
}

/// One connection's room in a pool.
struct Room(Option<Rc<Part>>);

impl Room {
    fn of(part: &Rc<Part>) -> Option<Self> {
        part.take().then(|| Self(Some(Rc::clone(part))))
    }

    fn leave(&mut self) {
        if let Some(part) = self.0.take() {
            part.give();
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.leave();
    }
}

/// An open connection and its place. It goes from hand to hand in a box: thousands of sessions have room for
/// one, and few have one.
pub(crate) struct Connection<D: Dial> {
    pub(crate) upstream: Upstream<D::Socket>,
    /// Whose it is since it was reset; until then it is anybody's.
    pub(crate) owner: Option<PrincipalId>,
    /// The settings that it logged in with.
    pub(crate) login: Arc<Settings>,
    /// What the server said its parameters are at that login.
    pub(crate) parameters: Arc<Settings>,
    /// The timeline that the server wrote at that login; 0 where it did not say.
    pub(crate) timeline: u32,
    /// When it is too old.
    pub(crate) expires: Instant,
    /// What it logged in by, if that was given out.
    pub(crate) issue: Option<Arc<Issue>>,
    pub(crate) place: Place<D>,
}

impl<D: Dial> Connection<D> {
    /// Whether it is to be lent no more: it is too old, or its login ends.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        now >= self.expires || self.issue.as_ref().is_some_and(|it| it.is_over(now))
    }

    /// Whether nothing came that nobody asked for: bytes, or its end (hazards R30).
    pub(crate) fn is_quiet(&mut self) -> bool {
        let upstream = &mut self.upstream;
        let unasked = upstream.stream.read_buf(&mut upstream.inbox).now_or_never();
        unasked.is_none() && upstream.inbox.is_empty()
    }

    /// Whether it can be lent: nothing came, and its login goes on.
    pub(crate) fn is_good(&mut self) -> bool {
        let lasts = |it: &Arc<Issue>| !it.is_over(Instant::now());
        self.issue.as_ref().is_none_or(lasts) && self.is_quiet()
    }

    /// Nothing is on it but what it logged in with.
    pub(crate) fn renew(&mut self) {
        self.upstream.put_surface(Box::new(Surface {
            settings: Arc::clone(&self.login),
            ..Surface::default()
        }));
    }

    /// Closes it as the server likes it. The place is free when the server has let go.
    pub(crate) async fn dismiss(self: Box<Self>) {
        let Self {
            upstream,
            place,
            issue,
            ..
        } = *self;
        farewell(upstream).await;
        drop((issue, place));
    }

    /// The same, behind the caller's back.
    pub(crate) fn dismiss_later(self: Box<Self>) {
        tokio::task::spawn_local(self.dismiss());
    }
}

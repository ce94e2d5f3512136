//! Loading: what goes up for a turn, in what fence, and what is owed for it. The cargo and the
//! replies are made side by side here, so that they cannot drift apart.

use std::sync::Arc;

use gate::cargo::More;
use gate::{Authority, Cargo, Disposition, Form, Look, Own, Released, Request, Slot, Step, Work};
use sql::{Class, Control, Reading, Statement};

use crate::effect::{Effect, Lane};
use crate::names::Open;
use crate::owed::Owed;
use crate::replies::{Replies, close_complete};
use crate::shape::Shape;
use crate::state::row;
use crate::talk::{Fence, Io, Segment, Sent, Talk};
use crate::transaction::Spent;

/// Loads a released request with its fence, and says what is owed for it.
pub(crate) fn send(
    released: Released,
    fenced: bool,
    number: u64,
    shape: &Shape,
    talk: &mut Talk,
    io: &mut Io,
) -> Replies {
    let request = Arc::clone(released.request());
    let fence = fence_for(fenced.then_some(&*request), talk);
    talk.state.note(&request, talk.mode);
    if request
        .statements()
        .any(|it| it.class != Class::Transaction)
    {
        talk.transaction.work();
    }
    talk.names.release(&request);
    note_sent(&released, number, talk);
    open_portals(&released, fenced, talk);
    let row = row::of(&released);
    let form = match row {
        Some(_) => row::form_behind(&request, talk),
        None => Talk::form(fence),
    };
    let mut load = Load::new(talk);
    if fence == Fence::Savepoint {
        let keeps = keeps(&request);
        if keeps && request.runs_own() {
            // What it sets stays up to the end of the transaction.
            talk.state.unsettle(&request);
        }
        load.keeps |= keeps;
    }
    match (&request.work, form) {
        (Work::Query(_), Form::Query) => {
            if row.is_some() {
                load.put_own(row);
                // Where the row is refused, the server waits for a Sync; where it is not, the Query ends by itself.
                load.replies.withhold_sync();
            }
            load.put(Cargo::Released(released, form));
        }
        (Work::Query(_), Form::Parse) => {
            load.fence(fence, talk);
            load.put_own(row);
            // The commit is behind its CommandComplete (R82).
            load.replies.hold_back_completion();
            load.put(Cargo::Released(released, form));
            let copies = may_copy_in(&request);
            if copies {
                load.replies.withhold_sync();
            }
            load.close(fence, shape.syncs() && !copies, talk);
        }
        (Work::Batch(steps), _) => {
            load.fence(fence, talk);
            load.put_own(row);
            let slots = talk.place(steps);
            owe_steps(steps, &slots, shape, &mut load);
            load.put(Cargo::Batch(released, slots));
            let copies = may_copy_in(&request);
            if copies && shape.syncs() {
                load.replies.withhold_sync();
            }
            load.close(fence, shape.syncs() && !copies, talk);
        }
    }
    load.send(io)
}

/// The portals that it opens, for what comes later.
fn open_portals(released: &Released, fenced: bool, talk: &mut Talk) {
    let open = || Open {
        right: released.right(),
        fenced,
    };
    talk.portals.released(open());
    if let Work::Batch(steps) = &released.request().work {
        for step in steps {
            match step {
                Step::Bind { portal, .. } => talk.portals.insert(portal, open()),
                Step::ClosePortal(portal) => talk.portals.close(portal),
                _ => {}
            }
        }
    }
}

/// Whether what runs in a savepoint must not be rolled back behind it: it opens something that is meant to stay, or holds
/// nothing of the user's that could have set anything, and keeps the locks that reads keep.
fn keeps(request: &Request) -> bool {
    let opens = match &request.work {
        Work::Query(_) => false,
        Work::Batch(steps) => steps.iter().any(|step| match step {
            Step::Bind { portal, .. } => !portal.is_empty() || !runs_out(steps),
            _ => false,
        }),
    };
    let far = |it: &Statement| matches!(it.own, Some(sql::Own::Far(_)));
    let stays = opens || request.statements().any(|it| it.keeps.is_some());
    !request.statements().any(far) && (stays || !request.runs_own())
}

/// Whether the unnamed portal is run to its end.
fn runs_out(steps: &[Step]) -> bool {
    let last = steps.iter().rev().find_map(|step| match step {
        Step::Execute { portal, max_rows } if portal.is_empty() => Some(*max_rows <= 0),
        Step::Bind { .. } => Some(false),
        _ => None,
    });
    last.unwrap_or(false)
}

/// Whether the server may ask for COPY data, and then swallow what was sent behind it. What nobody
/// could read may be one.
fn may_copy_in(request: &Request) -> bool {
    let unread = request.readings.iter().any(|it| it.why_opaque.is_some());
    unread || request.statements().any(|it| it.copies_in)
}

/// The fence around a request that wants one, here and now.
fn fence_for(fenced: Option<&Request>, talk: &Talk) -> Fence {
    let Some(request) = fenced else {
        return Fence::None;
    };
    // The session's own settings are put on the connection, this one too.
    let undone = talk.settings.contains_key("default_transaction_read_only");
    let lane = talk.lent.as_ref().is_some_and(|it| it.lane == Lane::Read) && !undone;
    let begun = talk
        .segment
        .is_some_and(|it| it.fence == Fence::Transaction);
    if talk.transaction.has_upstream() {
        Fence::Savepoint
    } else if lane && !begun && !request.runs_own() {
        Fence::Lane
    } else {
        Fence::Transaction
    }
}

/// Whether a request can go into the open segment. Around a read of its own stands a transaction of
/// its own, which would take in what was sent before it, or end it; where that was only read on the
/// read lane, it may.
pub(crate) fn fits(request: &Request, fenced: bool, talk: &Talk) -> bool {
    let fence = fence_for(fenced.then_some(request), talk);
    let alone = |fence: Fence| !matches!(fence, Fence::None | Fence::Savepoint);
    let joins = |open: Fence| {
        open == fence
            || (open, fence) == (Fence::Lane, Fence::Transaction)
            || !(alone(open) || alone(fence))
    };
    talk.segment.is_none_or(|open| joins(open.fence))
}

/// The statements in the order in which they are executed; one that is only bound is not.
fn executed(request: &Request) -> Vec<&Statement> {
    let Work::Batch(steps) = &request.work else {
        return request.statements().collect();
    };
    let mut bound: Vec<(&str, &Reading)> = Vec::new();
    let mut readings = request.readings.iter();
    let mut executed = Vec::new();
    for step in steps {
        match step {
            Step::Bind { portal, .. } => {
                bound.extend(readings.next().map(|reading| (&**portal, &**reading)));
            }
            Step::Execute { portal, .. } => {
                let found = bound.iter().rev().find(|it| it.0 == &**portal);
                executed.extend(found.into_iter().flat_map(|it| it.1.statements.iter()));
            }
            _ => {}
        }
    }
    executed
}

/// Transaction control in front of the first statement that does work, and behind it.
fn controls(request: &Request) -> (Vec<Control>, Vec<Control>) {
    if request.statements().all(|it| it.control.is_none()) {
        return Default::default();
    }
    let executed = executed(request);
    let works = |it: &&Statement| it.class != Class::Transaction;
    let first = executed.iter().position(works).unwrap_or(executed.len());
    let (before, after) = executed.split_at(first);
    let of = |part: &[&Statement]| part.iter().filter_map(|it| it.control.clone()).collect();
    (of(before), of(after))
}

/// What the next ReadyForQuery will decide about.
fn note_sent(released: &Released, number: u64, talk: &mut Talk) {
    let request = released.request();
    let lasting = request.outlasts_rollback();
    let spent = match released.authority() {
        Authority::Unsigned { .. } => None,
        Authority::Signed { ticket, claim } => Some(Spent::new(*ticket, *claim, lasting)),
    };
    let may_commit = request
        .statements()
        .any(|it| it.class == Class::Opaque || matches!(it.control, Some(Control::Commit { .. })));
    let (before, after) = controls(request);
    talk.sent.push(Sent {
        number,
        may_commit,
        looks_around: spent.is_none() && request.looks_around(),
        spent,
        before,
        after,
        tags: Vec::new(),
    });
}

/// Loads looks, and more of open portals.
pub(crate) fn send_steps(steps: &[Step], shape: &Shape, talk: &mut Talk, io: &mut Io) -> Replies {
    let look = |step: &Step| {
        matches!(
            step,
            Step::Parse(_) | Step::DescribeStatement(_) | Step::CloseStatement(_)
        )
    };
    let upstream = talk.transaction.has_upstream();
    let here = upstream || talk.segment.is_some();
    let fences = |step: &Step| refetches(step, talk) || parses(step);
    let fence = if !here && steps.iter().all(look) {
        Fence::Look
    } else if upstream && !talk.transaction.has_failed() && steps.iter().any(fences) {
        Fence::Savepoint
    } else {
        talk.segment.map_or(Fence::None, |segment| segment.fence)
    };
    if steps.iter().any(parses) {
        talk.state.soil(Disposition::Tidy);
    }
    let mut load = Load::new(talk);
    load.fence(fence, talk);
    let slots = talk.place(steps);
    owe_steps(steps, &slots, shape, &mut load);
    for (step, slot) in steps.iter().zip(slots) {
        load_step(step, slot, talk, &mut load);
    }
    for step in steps {
        if let Step::ClosePortal(portal) = step {
            talk.portals.close(portal);
        }
    }
    load.close(fence, shape.syncs(), talk);
    load.send(io)
}

/// Whether a step has the server analyse a text, which evaluates the literals in it.
fn parses(step: &Step) -> bool {
    matches!(step, Step::Parse(_) | Step::DescribeStatement(_))
}

/// Whether looks, if there are any, find a fence or can be given one (DESIGN principle 7).
pub(crate) fn can_be_looked_at(steps: &[Step], talk: &Talk) -> bool {
    let bare = talk.segment.is_some_and(|it| it.fence == Fence::None);
    !bare || talk.transaction.has_upstream() || !steps.iter().any(parses)
}

/// Whether a step fetches from a portal of an unsigned read, which must be fenced again.
fn refetches(step: &Step, talk: &Talk) -> bool {
    match step {
        Step::Execute { portal, .. } => talk.portals.get(portal).is_some_and(|open| open.fenced),
        _ => false,
    }
}

fn load_step(step: &Step, slot: Slot, talk: &Talk, load: &mut Load) {
    let more = |portal: &str, more: More| talk.portals.get(portal).map(|it| (it.right, more));
    let look = match step {
        Step::Parse(it) => Some(Look::Parse(Arc::clone(it), slot)),
        Step::DescribeStatement(it) => Some(Look::Describe(Arc::clone(it), slot)),
        Step::CloseStatement(_) => Some(Look::Close(slot)),
        _ => None,
    };
    load.cargo.extend(look.map(Cargo::Look));
    let more = match step {
        Step::Execute { portal, max_rows } => more(
            portal,
            More::Execute {
                portal: portal.clone(),
                max_rows: *max_rows,
            },
        ),
        Step::DescribePortal(portal) => more(portal, More::DescribePortal(portal.clone())),
        Step::ClosePortal(portal) => more(portal, More::ClosePortal(portal.clone())),
        // A batch with a Bind in it is decided, never merely proceeded with.
        Step::Bind { .. }
        | Step::Parse(_)
        | Step::DescribeStatement(_)
        | Step::CloseStatement(_) => None,
    };
    if let Some((right, more)) = more {
        load.cargo.push(Cargo::More(right, more));
    }
}

/// Notes what the steps of a batch are answered with, with what the gate says itself in between.
fn owe_steps(steps: &[Step], slots: &[Slot], shape: &Shape, load: &mut Load) {
    let Shape::Batch(_, labels) = shape else {
        return;
    };
    for (place, (step, slot)) in steps.iter().zip(slots).enumerate() {
        labels
            .closes
            .iter()
            .filter(|at| **at == place)
            .for_each(|_| load.say_close());
        load.replies.owe_step(step, slot, labels.name_at(place));
    }
    labels
        .closes
        .iter()
        .filter(|at| **at >= steps.len())
        .for_each(|_| load.say_close());
}

/// Cargo in the making, with what is owed for it.
struct Load {
    cargo: Vec<Cargo>,
    replies: Replies,
    open: Option<Fence>,
    /// See [`Segment::keeps`].
    keeps: bool,
}

impl Load {
    fn new(talk: &Talk) -> Self {
        let open = talk.segment.map(|segment| segment.fence);
        Self {
            cargo: Vec::new(),
            replies: Replies::default(),
            open,
            keeps: talk.segment.is_some_and(|segment| segment.keeps),
        }
    }

    fn put(&mut self, cargo: Cargo) {
        self.replies.owe(&cargo);
        self.cargo.push(cargo);
    }

    fn put_own(&mut self, own: Option<Own>) {
        if let Some(own) = own {
            self.put(Cargo::Own(own));
        }
    }

    fn say_close(&mut self) {
        self.replies.push(Owed::Say(close_complete()));
    }

    /// Puts up the fence, unless it stands already in the open segment.
    fn fence(&mut self, fence: Fence, talk: &mut Talk) {
        if self.open == Some(fence) {
            return;
        }
        if let Some(open) = self.open.take() {
            self.unfence(open);
        }
        match fence {
            Fence::None | Fence::Lane => {}
            Fence::Transaction => self.put(Cargo::Own(Own::FenceOpen)),
            Fence::Savepoint => self.put(Cargo::Own(Own::SavepointOpen)),
            Fence::Look => self.put(Cargo::Own(Own::LookOpen)),
        }
        self.open = Some(fence);
        talk.segment = Some(Segment {
            fence,
            keeps: self.keeps,
            failed: false,
        });
    }

    fn unfence(&mut self, fence: Fence) {
        match fence {
            Fence::None | Fence::Lane => {}
            Fence::Transaction => self.put(Cargo::Own(Own::FenceClose)),
            Fence::Savepoint if self.keeps => self.put(Cargo::Own(Own::SavepointClose)),
            Fence::Savepoint => self.put(Cargo::Own(Own::SavepointUndo)),
            Fence::Look => self.put(Cargo::Own(Own::LookClose)),
        }
    }

    /// Ends the segment with the client's Sync, or leaves it open behind the client's Flush. A look
    /// is always whole: nothing of it stays open upstream.
    fn close(&mut self, fence: Fence, sync: bool, talk: &mut Talk) {
        talk.segment = Some(Segment {
            fence,
            keeps: self.keeps,
            failed: false,
        });
        if sync || fence == Fence::Look {
            self.unfence(fence);
            self.put(Cargo::Sync);
        } else {
            self.put(Cargo::Flush);
        }
    }

    fn send(self, io: &mut Io) -> Replies {
        io.effect(Effect::Load(self.cargo));
        self.replies
    }
}

/// Ends the open segment with a Sync, the client's or one of the gate's own.
pub(crate) fn end_segment(talk: &Talk, io: &mut Io) -> Replies {
    end_segment_behind(Replies::default(), talk, io)
}

/// Ends the open segment, behind what is still owed in it.
pub(crate) fn end_segment_behind(replies: Replies, talk: &Talk, io: &mut Io) -> Replies {
    let mut load = Load {
        replies,
        ..Load::new(talk)
    };
    if let Some(segment) = talk.segment.filter(|segment| !segment.failed) {
        load.unfence(segment.fence);
    }
    load.put(Cargo::Sync);
    load.send(io)
}

/// Makes the upstream's transaction fail, so that it can only be rolled back (DESIGN ruling 4).
pub(crate) fn poison(talk: &Talk, io: &mut Io) -> Replies {
    let mut load = Load::new(talk);
    load.put(Cargo::Own(Own::Poison));
    load.put(Cargo::Sync);
    load.send(io)
}

/// Rolls the upstream's transaction back.
pub(crate) fn rollback(talk: &Talk, io: &mut Io) -> Replies {
    let mut load = Load::new(talk);
    if talk.segment.is_some() {
        load.put(Cargo::Own(Own::Poison));
        load.put(Cargo::Sync);
    }
    load.put(Cargo::Own(Own::Rollback));
    load.send(io)
}

/// Asks what settings the session has of its own.
pub(crate) fn probe(io: &mut Io) -> Replies {
    let mut replies = Replies::default();
    let cargo = Cargo::Own(Own::Probe);
    replies.owe(&cargo);
    io.effect(Effect::Load(vec![cargo]));
    replies
}

/// One more message of a COPY that was released.
pub(crate) fn copy(right: gate::Right, more: More, io: &mut Io) {
    io.effect(Effect::Load(vec![Cargo::More(right, more)]));
}

/// Has the server say what it has not said yet.
pub(crate) fn flush(io: &mut Io) {
    io.effect(Effect::Load(vec![Cargo::Flush]));
}

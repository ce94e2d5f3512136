//! What is known to lie on an upstream connection: settings, and prepared statements by name. It
//! goes with the connection from session to session, and says where a statement stands; it sends
//! nothing itself.

use std::num::NonZeroUsize;
use std::sync::Arc;

use bytestring::ByteString;
use lru::LruCache;

use crate::context::Settings;
use crate::work::{Origin, Prepared, Step};

/// Statements under shared names on one connection; pgbouncer's `max_prepared_statements`.
const SHARED_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(199);

/// What lies on a connection.
#[derive(Debug, Default)]
pub struct Surface {
    /// Settings of the session, beyond those that it logged in with.
    pub settings: Arc<Settings>,
    /// Prepared statements.
    pub shelf: Shelf,
}

/// Prepared statements by the names that they have upstream.
#[derive(Debug)]
pub struct Shelf {
    /// Under shared names: the one that was not used for longest makes room.
    shared: LruCache<ByteString, Certainty>,
    /// Under the names that the connection's own client gave; it closes them itself.
    own: LruCache<ByteString, Certainty>,
    /// Placed since the last ReadyForQuery.
    fresh: Vec<Place>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certainty {
    /// It is there.
    Certain,
    /// Its Parse went up in a segment that failed.
    Doubtful,
}

/// Where a statement stands upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// As the unnamed statement.
    Unnamed,
    /// Under a name made of all that decides its meaning, so that every session of the gate that
    /// prepares the same finds it (DESIGN ruling 13).
    Shared(ByteString),
    /// Under the client's own name, on a connection that is the client's alone.
    Own(ByteString),
}

/// What one step of a batch needs, so that its statement is where it looks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// The name; empty for the unnamed statement, and for a step without a statement.
    pub name: ByteString,
    /// Names to close in front of it.
    pub close: Vec<ByteString>,
    /// Whether a Parse that the client did not send goes in front of it.
    pub carried: bool,
    /// Whether the server is asked, behind its Parse, what the statement returns.
    pub described: bool,
}

impl Place {
    /// Where `statement` stands on a connection that is lent to one client alone, or to many.
    pub fn of(statement: &Prepared, alone: bool) -> Self {
        if statement.name.is_empty() {
            Self::Unnamed
        } else if alone {
            Self::Own(statement.name.clone())
        } else {
            Self::Shared(statement.shared.clone())
        }
    }

    fn name(&self) -> ByteString {
        match self {
            Self::Unnamed => ByteString::new(),
            Self::Shared(name) | Self::Own(name) => name.clone(),
        }
    }
}

impl Default for Shelf {
    fn default() -> Self {
        Self {
            shared: LruCache::new(SHARED_MAX),
            own: LruCache::unbounded(),
            fresh: Vec::new(),
        }
    }
}

impl Shelf {
    /// Says for each step of a batch where its statement stands, and notes what will be there once
    /// the batch has run. The unnamed statement is parsed anew in each batch.
    pub fn place(&mut self, steps: &[Step], alone: bool) -> Vec<Slot> {
        let mut unnamed: Option<&Arc<Prepared>> = None;
        let mut slots = Vec::with_capacity(steps.len());
        for step in steps {
            let (statement, parses) = match step {
                Step::Parse(statement) => (statement, true),
                Step::DescribeStatement(statement) | Step::Bind { statement, .. } => {
                    (statement, false)
                }
                Step::CloseStatement(statement) => {
                    slots.push(self.close(statement, alone));
                    continue;
                }
                Step::DescribePortal(_) | Step::Execute { .. } | Step::ClosePortal(_) => {
                    slots.push(Slot::default());
                    continue;
                }
            };
            let place = Place::of(statement, alone);
            if statement.origin != Origin::Parse {
                slots.push(self.unknown(&place));
            } else if place == Place::Unnamed {
                let there = unnamed.is_some_and(|it| Arc::ptr_eq(it, statement));
                unnamed = Some(statement);
                slots.push(Slot {
                    carried: !there && !parses,
                    ..Slot::default()
                });
            } else {
                slots.push(self.named(place, parses));
            }
        }
        slots
    }

    fn named(&mut self, place: Place, parses: bool) -> Slot {
        let name = place.name();
        let found = self.side(&place).get(&name).copied();
        if found == Some(Certainty::Certain) && !parses {
            return Slot {
                name,
                ..Slot::default()
            };
        }
        // Closing what is not there is no error, and a shared name may be there unknown: a segment can
        // fail in front of the Close that was to make room. A name that its own client gives twice is
        // an error, and the server says so.
        let first = match place {
            Place::Own(_) => found == Some(Certainty::Doubtful),
            Place::Shared(_) | Place::Unnamed => true,
        };
        let mut close: Vec<_> = first.then(|| name.clone()).into_iter().collect();
        let gone = self.side(&place).push(name.clone(), Certainty::Certain);
        close.extend(gone.map(|it| it.0).filter(|it| *it != name));
        self.fresh.push(place);
        Slot {
            name,
            close,
            carried: !parses,
            described: parses,
        }
    }

    /// What it takes to have the statement there and to know what it returns; nothing if it is there.
    pub fn fetch(&mut self, statement: &Prepared, alone: bool) -> Option<Slot> {
        let place = Place::of(statement, alone);
        if place == Place::Unnamed {
            return None;
        }
        let slot = self.named(place, false);
        slot.carried.then_some(Slot {
            described: true,
            ..slot
        })
    }

    /// It is there, and is not what it was: whoever asks for it again hears so again.
    pub fn doubt(&mut self, statement: &Prepared, alone: bool) {
        self.doubt_place(&Place::of(statement, alone));
    }

    fn doubt_place(&mut self, place: &Place) {
        if let Some(certainty) = self.side(place).peek_mut(&place.name()) {
            *certainty = Certainty::Doubtful;
        }
    }

    /// A statement that the client did not make by Parse. What stands there of a Parse all the same, in
    /// a segment that failed, is none of the client's: nobody has judged that.
    fn unknown(&mut self, place: &Place) -> Slot {
        let name = place.name();
        let ours = self.side(place).pop(&name);
        Slot {
            close: ours.map(|_| name.clone()).into_iter().collect(),
            name,
            ..Slot::default()
        }
    }

    /// The client closes a statement; on a connection of its own that goes up.
    fn close(&mut self, statement: &Prepared, alone: bool) -> Slot {
        let place = Place::of(statement, alone);
        let name = place.name();
        self.side(&place).pop(&name);
        Slot {
            name,
            ..Slot::default()
        }
    }

    fn side(&mut self, place: &Place) -> &mut LruCache<ByteString, Certainty> {
        match place {
            Place::Own(_) => &mut self.own,
            Place::Shared(_) | Place::Unnamed => &mut self.shared,
        }
    }

    /// The segment is over: what it placed is there, or nobody knows.
    pub fn settle(&mut self, failed: bool) {
        for place in std::mem::take(&mut self.fresh) {
            if failed {
                self.doubt_place(&place);
            }
        }
    }

    /// Whether something may stand there under a client's own name.
    pub fn has_own(&self) -> bool {
        !self.own.is_empty()
    }

    /// The client's own name is gone from the connection.
    pub fn forget(&mut self, own: &ByteString) {
        self.own.pop(own);
    }

    /// Nobody knows what of it is still there: each is closed before it is used again.
    pub fn doubt_all(&mut self) {
        let shared = self.shared.iter_mut();
        for (_, certainty) in shared.chain(self.own.iter_mut()) {
            *certainty = Certainty::Doubtful;
        }
    }

    /// Nothing is on the connection any more: DISCARD ALL.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

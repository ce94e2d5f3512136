//! A session takes up what was reloaded since it last asked for something: the groups of its person, and the pools of its tenant.
//! While something is borrowed it stays where it is: a transaction ends where it began.

use std::rc::Rc;

use bytestring::ByteString;
use session::{Checkout, Fault, Input};

use super::{Answer, Connection, Move, Wanted};
use crate::lanes::Lanes;
use crate::world::World;

impl<W: World, S: crate::socket::Socket> Connection<W, S> {
    /// Before texts are read for a request: from here on it is bound to where its tenant leads. Nothing comes back where that
    /// takes its time; the texts are read behind it.
    pub(super) fn catch_up(&mut self, texts: Vec<ByteString>) -> Option<Vec<ByteString>> {
        let version = self.keeper.version();
        if version.number == self.caught_up {
            return Some(texts);
        }
        let known = version.principal(&self.place.user()).cloned();
        if let Some(who) = known.filter(|it| self.session.principal() != Some(it)) {
            self.tell(Input::Regrouped(who));
        }
        if self.lease.is_some() {
            return Some(texts);
        }
        self.caught_up = version.number;
        match self.newer() {
            None => Some(texts),
            Some((lanes, true)) => {
                self.lanes = Some(lanes);
                Some(texts)
            }
            Some((_, false)) => {
                self.go(Wanted::Readings(texts));
                None
            }
        }
    }

    /// Before a connection is asked for: those of a tenant that was changed are others. What was asked for where the tenant led
    /// before does not run anywhere else.
    pub(super) fn follow(&mut self, wanted: Checkout) -> Option<Checkout> {
        match self.newer() {
            None => return Some(wanted),
            Some((lanes, true)) => {
                self.lanes = Some(lanes);
                return Some(wanted);
            }
            Some((_, false)) if self.doubts.bound => {
                self.doubts.bound = false;
                // It looks again before the next request.
                self.caught_up = 0;
                let tenant = self.tenant.as_ref().map_or("", |it| it.as_str());
                let fault = Fault::moved(tenant, None);
                self.tell(Input::Leased(Err(fault)));
            }
            Some((_, false)) => self.go(Wanted::Connection(wanted)),
        }
        None
    }

    /// The pools that have taken the place of its own, if some have, and whether they lead to the same place.
    fn newer(&self) -> Option<(Rc<Lanes<W::Dial>>, bool)> {
        let (lanes, tenant) = (self.lanes.as_ref()?, self.tenant.as_ref()?);
        let newer = self.keeper.newer(tenant, lanes)?;
        let same = newer.leads_where(lanes);
        Some((newer, same))
    }

    fn go(&mut self, wanted: Wanted) {
        let who = self.session.principal().map(|it| it.id.clone());
        let (Some(who), Some(tenant)) = (who, self.tenant.clone()) else {
            return;
        };
        let keeper = Rc::clone(&self.keeper);
        self.later(async move {
            let arrived = match keeper.admit(&tenant, &who, &keeper.plain).await {
                Some(arrived) => arrived,
                None => Err(Fault::no_upstream(tenant.as_str())),
            };
            Answer::Moved(Box::new(Move { arrived, wanted }))
        });
    }

    /// It knows what it must, or cannot go there now.
    pub(super) fn arrive(&mut self, moved: Move<W::Dial>) {
        match (moved.arrived, moved.wanted) {
            (Ok((lanes, admission)), wanted) => {
                self.lanes = Some(lanes);
                self.tell(Input::Moved(admission));
                match wanted {
                    Wanted::Readings(texts) => self.read_texts(texts),
                    Wanted::Connection(wanted) => self.checkout(wanted),
                }
            }
            (Err(fault), wanted) => {
                self.caught_up = 0;
                match wanted {
                    Wanted::Readings(_) => self.tell(Input::Unread(Box::new(fault))),
                    Wanted::Connection(_) => self.tell(Input::Leased(Err(fault))),
                }
            }
        }
    }
}

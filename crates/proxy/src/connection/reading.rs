//! Where a read goes: to a replica of its tenant, if that shows enough; else to the primary. What somebody has written is noted here,
//! so that they see it. It decides nothing about a statement.

use std::rc::Rc;
use std::sync::Arc;

use gate::{Cargo, Released};
use pool::Borrower;
use session::Checkout;

use super::{Answer, Connection, GivesUp};
use crate::replicas::Way;
use crate::world::World;

impl<W: World, S: crate::socket::Socket> Connection<W, S> {
    /// Has a replica serve it, where one may and some do. Given back where the primary does.
    pub(super) fn read_elsewhere(
        &mut self,
        wanted: Checkout,
        owner: Borrower,
    ) -> Option<(Checkout, Borrower)> {
        let lanes = self.lanes.as_ref();
        let lanes = lanes.filter(|it| it.replicas().is_some()).cloned();
        let replicas = lanes.as_ref().and_then(|it| it.replicas());
        let (Some(lanes), Some(replicas), Some(request)) = (&lanes, replicas, &wanted.reads) else {
            return Some((wanted, owner));
        };
        let now = self.keeper.world.now();
        replicas.use_now(now);
        if !replicas.suit(request) {
            return Some((wanted, owner));
        }
        match replicas.way(&owner.principal, now) {
            Way::Primary => return Some((wanted, owner)),
            Way::Replica(pool) => {
                if let Some(lease) = pool.try_checkout(&owner) {
                    self.leased(Ok(lease));
                    return None;
                }
            }
            Way::Later => {}
        }
        let (replicas, primary) = (Rc::clone(replicas), Rc::clone(lanes.pool(wanted.lane)));
        self.gives_up = GivesUp::Place;
        self.meter.waits(self.now);
        self.later(async move {
            let leased = match replicas.reach(owner.clone()).await {
                Some(lease) => Ok(lease),
                None => primary.checkout(&owner).await,
            };
            Answer::Lease(Box::new((wanted, leased)))
        });
        None
    }

    /// Something goes up. What only reads changes nothing that anybody must see.
    pub(super) fn note_load(&mut self, cargo: &[Cargo]) {
        let writes = |released: &Released| !released.request().only_reads();
        let has_replicas = || {
            self.lanes
                .as_ref()
                .is_some_and(|it| it.replicas().is_some())
        };
        let changes = cargo.iter().any(|it| match it {
            Cargo::Released(released, _) | Cargo::Batch(released, _) => writes(released),
            _ => false,
        });
        if changes && has_replicas() {
            self.wrote = true;
        }
    }

    /// The server has said something, which may be that it is done. Noted before the client hears of it: what they do next may
    /// come over another of their connections.
    pub(super) fn note_answer(&self) {
        if !self.wrote {
            return;
        }
        let replicas = self.lanes.as_ref().and_then(|it| it.replicas());
        let who = self.session.principal().map(Arc::clone);
        if let (Some(replicas), Some(who)) = (replicas, who) {
            replicas.following.wrote(&who.id, self.keeper.world.now());
        }
    }

    /// The connection goes: whatever was written over it is there by now, if it ever will be.
    pub(super) fn note_return(&mut self) {
        self.note_answer();
        self.wrote = false;
    }
}

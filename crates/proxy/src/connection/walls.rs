//! What keeps a session within its tenant, before any rule is asked: the tenant must be kept apart as it is said to be, and nothing
//! that is asked for may lead out of its schemas (DESIGN ruling 11, hazards R116).

use std::rc::Rc;
use std::sync::Arc;

use gate::Request;
use session::{Fault, Input, Verdict};

use super::{Answer, Connection, Texts};
use crate::standing::Stands;
use crate::world::World;

impl<W: World, S: crate::socket::Socket> Connection<W, S> {
    /// Whether the rules may be asked of this request; else the session has its answer, or will have it.
    pub(super) fn is_within_walls(&mut self, request: &Arc<Request>) -> bool {
        let (Some(lanes), Some(tenant)) = (&self.lanes, &self.tenant) else {
            return true;
        };
        let Some(walled) = &lanes.walled else {
            return true;
        };
        let denial = walled.walls.denies(request);
        let stands = walled.standing.at(self.now);
        let waits = stands == Stands::IllSoFar;
        if waits || (stands == Stands::WellSoFar && walled.standing.wants_test(self.now)) {
            let (keeper, lanes) = (Rc::clone(&self.keeper), Rc::clone(lanes));
            let (tenant, now) = (tenant.clone(), self.now);
            let test = async move {
                let stands = keeper.test_again(&tenant, &lanes).await;
                if let (Err(_), Some(walled)) = (&stands, &lanes.walled) {
                    walled.standing.put_off(now);
                }
                stands
            };
            if waits {
                self.doubts.texts = Texts::Any;
                self.later(async move {
                    let verdict = test
                        .await
                        .map_or_else(Verdict::Unavailable, |()| Verdict::Again);
                    Answer::Input(Input::Verdict(verdict))
                });
                return false;
            }
            // Nobody waits for it: what it finds counts from then on, and is in the log.
            tokio::task::spawn_local(test);
        }
        if let Some(fault) = self.not_isolated() {
            self.doubts.texts = Texts::Any;
            self.tell(Input::Verdict(Verdict::Unavailable(fault)));
            return false;
        }
        let Some(denial) = denial else {
            return true;
        };
        let verdict = match std::mem::take(&mut self.doubts.texts) {
            // What is written down are the very texts, which are read first.
            Texts::Alike => {
                self.doubts.texts = Texts::Exactly;
                Verdict::Again
            }
            Texts::Any | Texts::Exactly => self.keeper.deny(self.number, request, denial),
        };
        self.tell(Input::Verdict(verdict));
        false
    }

    /// Why nothing may be sent to the tenant, if that is so by its last test.
    pub(super) fn not_isolated(&self) -> Option<Fault> {
        let walled = self.lanes.as_ref()?.walled.as_ref()?;
        let tenant = self.tenant.as_ref()?;
        let failed = walled.standing.has_failed();
        failed.then(|| Fault::not_isolated(tenant.as_str()))
    }
}

//! What came of claims is told to the store, and told again until it has heard: in the journal it is already. It never decides what
//! came of one.

use std::rc::Rc;

use gate::tickets::StoreError;
use gate::{Event, Tickets};
use session::Settlement;

use crate::gatekeeper::Gatekeeper;
use crate::pause::Pause;
use crate::world::World;

/// Tells it once. Where the store does not answer, somebody else goes on telling it: a session need not wait for that.
pub(crate) async fn settle<W: World>(
    keeper: Rc<Gatekeeper<W>>,
    it: Settlement,
) -> Result<(), StoreError> {
    let settled = tell(&keeper, &it).await;
    if let Err(error) = &settled {
        tracing::error!("a claim could not be settled: {error}");
        if matches!(error, StoreError::Unavailable(_)) {
            tokio::task::spawn_local(async move { insist(&keeper, &it).await });
        }
    }
    settled
}

async fn insist<W: World>(keeper: &Gatekeeper<W>, it: &Settlement) {
    let mut pause = Pause::default();
    loop {
        tokio::time::sleep(pause.next()).await;
        match tell(keeper, it).await {
            Err(StoreError::Unavailable(_)) => {}
            Ok(()) => return,
            // It has heard, and could not say so; or a person was quicker.
            Err(error) => return tracing::debug!("a claim is settled already: {error}"),
        }
    }
}

async fn tell<W: World>(keeper: &Gatekeeper<W>, it: &Settlement) -> Result<(), StoreError> {
    let (claims, outcome) = (it.claims.clone(), it.outcome.clone());
    keeper.tickets.settle(claims, it.event, outcome).await?;
    if it.event == Event::Doubt {
        keeper.doubt.notify_one();
    }
    Ok(())
}

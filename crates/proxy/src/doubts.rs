//! What is in doubt is looked up in the ledger of its tenant, and fenced there if it never ran (hazards R83, V8). It never sends
//! anything of a requester's, and where there is no ledger it decides nothing.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use gate::ledger::Place;
use gate::tickets::{Doubt, StoreError};
use gate::{PrincipalId, Tickets};
use pool::{AskError, CheckoutError};
use session::Lane;
use store::killpoint::{self, Step};

use crate::gatekeeper::{CONSOLE, Gatekeeper};
use crate::pause::Pause;
use crate::world::World;

/// How long a connection to a ledger is waited for.
const CHECKOUT: Duration = Duration::from_secs(10);
/// So many are asked for at once.
const AT_ONCE: usize = 16;

/// Why a doubt stays.
#[derive(Debug, thiserror::Error)]
enum Unresolved {
    /// The tenant has no ledger any more, or is gone.
    #[error("the tenant has no ledger")]
    NoLedger,
    /// The tenant leads to another database or cluster: its ledger says nothing of what went up before.
    #[error("the tenant leads elsewhere by now")]
    Elsewhere,
    /// A file with one of its passwords cannot be read.
    #[error("the tenant cannot be connected to")]
    NoPassword,
    /// No connection to it.
    #[error(transparent)]
    Checkout(#[from] CheckoutError),
    /// The ledger did not say: what is in doubt may go on.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The store did not take what was found out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Resolves doubts as they come up, and those that were left, for as long as it is polled.
pub(crate) async fn resolve<W: World>(keeper: Rc<Gatekeeper<W>>) {
    let mut pause = Pause::default();
    loop {
        let left = round(&keeper).await;
        let news = keeper.doubt.notified();
        if !left {
            news.await;
            pause = Pause::default();
            continue;
        }
        tokio::select! {
            () = news => pause = Pause::default(),
            () = tokio::time::sleep(pause.next()) => {}
        }
    }
}

/// Asks for each once; says whether some are left.
async fn round<W: World>(keeper: &Rc<Gatekeeper<W>>) -> bool {
    // Nothing is decided that cannot be written down.
    if keeper.check_journal().is_err() {
        return true;
    }
    let doubts = match keeper.tickets.doubts().await {
        Ok(doubts) => doubts,
        Err(error) => {
            tracing::error!("what is in doubt is not known: {error}");
            return true;
        }
    };
    let mut left = false;
    for some in doubts.chunks(AT_ONCE) {
        let found = join_all(some.iter().map(|doubt| one(keeper, doubt))).await;
        for (doubt, found) in some.iter().zip(found) {
            match found {
                // Where there is no ledger, people must find out.
                Ok(()) | Err(Unresolved::NoLedger) => {}
                Err(why) => {
                    // Where it leads elsewhere, only a reload changes that.
                    left |= !matches!(why, Unresolved::Elsewhere);
                    tracing::warn!(ticket = %doubt.ticket, "still in doubt: {why}");
                }
            }
        }
    }
    left
}

async fn one<W: World>(keeper: &Rc<Gatekeeper<W>>, doubt: &Doubt) -> Result<(), Unresolved> {
    if !keeper.has_ledger(&doubt.tenant) {
        return Err(Unresolved::NoLedger);
    }
    let lanes = keeper.lanes(&doubt.tenant).ok_or(Unresolved::NoPassword)?;
    let ledger = lanes.ledger().ok_or(Unresolved::NoLedger)?;
    // As whoever claimed it knew the server.
    let server = lanes.pool(Lane::Write).facts().await?.system_identifier;
    if Place::of(&server, &ledger.options().database) != doubt.place {
        return Err(Unresolved::Elsewhere);
    }
    let lease = ledger.lend_to_gate(CHECKOUT).await?;
    killpoint::reached(Step::Fence);
    let fate = lease.fence(doubt.key, doubt.ticket).await?;
    killpoint::reached(Step::Fenced);
    let resolved = keeper.tickets.resolve(doubt.ticket, doubt.claim, fate);
    let ticket = match resolved.await {
        Ok(ticket) => ticket,
        // Somebody was quicker.
        Err(StoreError::WrongState { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    killpoint::reached(Step::Resolved);
    tracing::info!(ticket = %doubt.ticket, ?fate, "resolved by the ledger");
    let why = ticket.outcome.as_ref().and_then(|it| it.error.clone());
    keeper
        .tell(&ticket, PrincipalId::from(CONSOLE), fate.word(), why)
        .await;
    Ok(())
}

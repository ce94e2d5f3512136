//! `PAUSE` and `RESUME`, as pgbouncer has them: an operator restarts a server or moves it, and whoever wants something of it waits
//! at the gate. It closes no connection itself.

use gate::audit::Entry;
use gate::{Action, Journal, Principal, TenantId, authorize};
use session::{Fault, TableReply};

use crate::gatekeeper::Gatekeeper;
use crate::paused::{NotResumed, Whom};
use crate::world::World;

/// Pauses a tenant, or all, and waits until no connection to its server is open. Whoever gives the command up leaves the tenant
/// paused.
pub(super) async fn pause<W: World>(
    keeper: &Gatekeeper<W>,
    who: &Principal,
    tenant: Option<String>,
) -> Result<TableReply, Fault> {
    let whom = whom(keeper, who, tenant)?;
    note(keeper, who, &whom, true).await?;
    keeper.paused.pause(&whom);
    if keeper.crew.pause(&whom).await {
        Ok(done("PAUSE"))
    } else {
        Err(Fault::not_drained())
    }
}

/// Goes on with a tenant, or with all.
pub(super) async fn resume<W: World>(
    keeper: &Gatekeeper<W>,
    who: &Principal,
    tenant: Option<String>,
) -> Result<TableReply, Fault> {
    let whom = whom(keeper, who, tenant)?;
    keeper.check_journal()?;
    keeper.paused.resume(&whom).map_err(|why| {
        let tenant = whom.as_ref().map(TenantId::as_str);
        Fault::not_resumed(tenant, why == NotResumed::AllArePaused)
    })?;
    keeper.crew.pause(&whom).await;
    note(keeper, who, &whom, false).await?;
    Ok(done("RESUME"))
}

/// Whom it is about, if it may be given at all.
fn whom<W: World>(
    keeper: &Gatekeeper<W>,
    who: &Principal,
    tenant: Option<String>,
) -> Result<Whom, Fault> {
    authorize(who, Action::Operate).map_err(|it| Fault::forbidden(&it))?;
    let Some(name) = tenant else { return Ok(None) };
    if keeper.version().config.tenants.find(&name).is_none() {
        return Err(Fault::no_such_tenant(&name));
    }
    Ok(Some(TenantId::from(name)))
}

async fn note<W: World>(
    keeper: &Gatekeeper<W>,
    who: &Principal,
    whom: &Whom,
    paused: bool,
) -> Result<(), Fault> {
    let entry = Entry::Paused {
        by: who.id.clone(),
        tenant: whom.clone(),
        paused,
    };
    let written = keeper.journal.write(entry).await;
    written.map_err(Fault::journal_down)
}

fn done(tag: &str) -> TableReply {
    TableReply {
        columns: Vec::new(),
        rows: Vec::new(),
        tag: tag.to_owned(),
    }
}

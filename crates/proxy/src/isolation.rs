//! Whether tenants are kept apart as they are said to be: each login of one is tested when somebody first comes, and from time to
//! time, and a tenant that fails is sent nothing (hazards R116). It never says what is tested.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use gate::isolation::test::{Finding, Question};
use gate::{Isolation, TenantId};
use pool::{AskError, CheckoutError, Dial, Options, Pool};
use session::{Fault, Lane};

use crate::gatekeeper::{Gatekeeper, checkout_fault};
use crate::lanes::Lanes;
use crate::standing::UNKNOWN;
use crate::world::World;

/// How long to wait for a connection to test over.
const WAIT: Duration = Duration::from_secs(5);
/// So many findings are written to the log one by one.
const SAID_MAX: usize = 20;

impl<W: World> Gatekeeper<W> {
    /// Tests a tenant, unless that was done just now: why nothing may be sent to it, if that is so. Of every tenant it is noted
    /// which cluster answers.
    pub(crate) async fn test(
        &self,
        tenant: &TenantId,
        lanes: &Rc<Lanes<W::Dial>>,
        cluster: &Arc<str>,
    ) -> Result<(), Fault> {
        self.standings.note(tenant, cluster);
        let Some(walled) = &lanes.walled else {
            return Ok(());
        };
        let standing = &walled.standing;
        let questions = &walled.questions;
        let mut tested = standing.tested.lock().await;
        let now = self.world.now();
        if *tested != *questions || standing.is_due(now) {
            let mut findings = Vec::new();
            for (question, pool) in questions.iter().zip(lanes.logins()) {
                let found = ask(pool, question).await;
                let found = found.map_err(|why| why.fault(tenant, pool))?;
                let user = &pool.options().user;
                findings.extend(found.into_iter().map(|it| (user.as_str(), it)));
            }
            if walled.walls.isolation == Isolation::Instance {
                let same = self.same_server(tenant, lanes, cluster);
                findings.extend(same.map(|it| (lanes.role(), it)));
            }
            say(tenant, walled.walls.isolation, &findings);
            tested.clone_from(questions);
            standing.settle(!findings.is_empty(), now);
        }
        if standing.has_failed() {
            return Err(Fault::not_isolated(tenant.as_str()));
        }
        Ok(())
    }

    /// The same for a tenant whose cluster is known.
    pub(crate) async fn test_again(
        &self,
        tenant: &TenantId,
        lanes: &Rc<Lanes<W::Dial>>,
    ) -> Result<(), Fault> {
        let facts = lanes.pool(Lane::Write).facts().await;
        let facts = facts.map_err(|error| checkout_fault(tenant, &error))?;
        self.test(tenant, lanes, &facts.system_identifier).await
    }

    /// That another tenant is on the server of this one, which should have it alone.
    fn same_server(
        &self,
        tenant: &TenantId,
        lanes: &Lanes<W::Dial>,
        cluster: &str,
    ) -> Option<Finding> {
        if cluster == UNKNOWN {
            return Some(Finding::same_server(None));
        }
        let config = &self.version().config;
        let own = lanes.pool(Lane::Write).options();
        // That of migrations leads to the same database, and the same way.
        let way = |it: &Options| (it.host.clone(), it.port, it.database.clone());
        let is_other = |it: &TenantId| {
            let other = config.tenants.find(it.as_str());
            other.is_some_and(|it| way(&it.write) != way(own))
        };
        let other = self.standings.neighbour(tenant, cluster, is_other)?;
        // It may be one that should have its server alone as well.
        self.standings.outdate_one(&other);
        Some(Finding::same_server(Some(other.as_str())))
    }
}

/// Why a login could not be tested.
enum Untested {
    NoConnection(CheckoutError),
    NoAnswer(AskError),
}

impl Untested {
    /// What is not tested is sent nothing.
    fn fault<D: Dial>(&self, tenant: &TenantId, pool: &Pool<D>) -> Fault {
        let login = &pool.options().user;
        match self {
            Self::NoConnection(error) => {
                tracing::error!(%tenant, %login, "its isolation could not be tested: {error}");
                checkout_fault(tenant, error)
            }
            Self::NoAnswer(error) => {
                tracing::error!(%tenant, %login, "its isolation could not be tested: {error}");
                Fault::not_tested(tenant.as_str())
            }
        }
    }
}

async fn ask<D: Dial>(pool: &Rc<Pool<D>>, question: &Question) -> Result<Vec<Finding>, Untested> {
    let lease = pool.lend_to_gate(WAIT).await;
    let lease = lease.map_err(Untested::NoConnection)?;
    let found = lease.self_test(Arc::new(question.clone())).await;
    found.map_err(Untested::NoAnswer)
}

fn say(tenant: &TenantId, isolation: Isolation, findings: &[(&str, Finding)]) {
    for (login, finding) in findings.iter().take(SAID_MAX) {
        tracing::error!(%tenant, %isolation, login, "not isolated: {finding}");
    }
    match findings.len().saturating_sub(SAID_MAX) {
        0 => {}
        more => tracing::error!(%tenant, "not isolated: {more} more"),
    }
}

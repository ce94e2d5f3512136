//! Whether tenants are kept apart as the configuration says, as `check --online` tells it. What is tested is the gate's own to know.

use std::collections::BTreeMap;
use std::sync::Arc;

use gate::Isolation;
use gate::isolation::test::{self, Question};
use pool::{Options, TcpDial};

use super::findings::Finding;
use crate::serve;

const MEND: &str = "a gate that runs serves nobody of this tenant until that is mended";

/// Where a tenant is, and what it is said to be kept in.
#[derive(Default)]
pub(super) struct Home {
    /// Which cluster answered.
    pub(super) cluster: Option<Arc<str>>,
    /// By which host and port, and to which database.
    pub(super) way: (String, u16, String),
    pub(super) isolation: Option<Isolation>,
}

/// What one login found, over a connection of its own.
pub(super) async fn tested(options: &Options, question: Question) -> Vec<Finding> {
    let isolation = question.walls.isolation;
    let tested = match pool::isolation::test(&TcpDial, options, Arc::new(question)).await {
        Ok(Ok(tested)) => tested,
        Ok(Err(error)) => return vec![untested(isolation, &error)],
        Err(error) => return vec![untested(isolation, &error)],
    };
    if tested.findings.is_empty() {
        return vec![Finding::ok(format!("nothing leads out ({isolation})"))];
    }
    tested.findings.iter().map(not_isolated).collect()
}

/// Of tenants that should each have a server alone, those whose server is another's, too.
pub(super) fn shared_servers(tenants: &BTreeMap<String, &Home>) -> BTreeMap<String, Finding> {
    let mut shared = BTreeMap::new();
    for (name, one) in tenants {
        if one.isolation != Some(Isolation::Instance) {
            continue;
        }
        // That of migrations leads to the same database, and the same way.
        let same = |it: &Home| it.way == one.way;
        let mut all = tenants.iter();
        let other =
            all.find(|(other, it)| *other != name && it.cluster == one.cluster && !same(it));
        let other = other.map(|(other, _)| other.as_str());
        if other.is_some() || one.cluster.is_none() {
            let other = other.filter(|_| one.cluster.is_some());
            let found = test::Finding::same_server(other);
            shared.insert(name.clone(), not_isolated(&found));
        }
    }
    shared
}

fn not_isolated(finding: &test::Finding) -> Finding {
    Finding::failed(format!("not isolated: {finding}"), MEND)
}

fn untested(isolation: Isolation, error: &dyn std::error::Error) -> Finding {
    let why = serve::chain(error);
    let found = format!("isolation ({isolation}) could not be tested: {why}");
    Finding::failed(found, "the server's log says more")
}

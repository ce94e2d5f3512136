//! The self-test of a tenant's logins (hazards R116): each asks its server what would let it out of the tenant. It never says what
//! becomes of one that fails.

use std::sync::Arc;

use gate::isolation::test::{Finding, Question};
use gate::{Disposition, Own};

use crate::ask::{AskError, in_time, texts};
use crate::connect::{ConnectError, connect};
use crate::credential::Once;
use crate::dial::Dial;
use crate::lease::Lease;
use crate::options::Options;
use crate::reset::farewell;

/// What a login found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tested {
    /// What is not as it must be; nothing where all is well.
    pub findings: Vec<Finding>,
    /// The cluster's identifier, where the login may know it: no two tenants that are said to have a server of their own may have
    /// the same.
    pub system_identifier: Option<Arc<str>>,
}

/// Tests one login, over a connection of its own that logs in as `options` say.
pub async fn test<D: Dial>(
    dial: &D,
    options: &Options,
    question: Arc<Question>,
) -> Result<Result<Tested, AskError>, ConnectError> {
    let once = Once::of(options).await?;
    let plain = gate::Settings::default();
    let (mut upstream, greeting) = connect(dial, options, once.issue(), &plain).await?;
    let rows = in_time(&mut upstream, Own::SelfTest(question)).await;
    farewell(upstream).await;
    once.end().await;
    let rows = rows.and_then(|it| it.into_iter().map(texts).collect::<Result<Vec<_>, _>>());
    Ok(rows.map(|rows| Tested {
        findings: rows.into_iter().map(Finding::of).collect(),
        system_identifier: greeting.system_identifier,
    }))
}

impl<D: Dial> Lease<D> {
    /// What would let its login out of the tenant. Dropping the future closes the connection.
    pub async fn self_test(mut self, question: Arc<Question>) -> Result<Vec<Finding>, AskError> {
        let rows = in_time(self.upstream(), Own::SelfTest(question)).await?;
        self.checkin(Disposition::Clean);
        let findings = rows.into_iter().map(|row| Ok(Finding::of(texts(row)?)));
        findings.collect()
    }
}

//! What a pool knows of its server, by what a login said, and that it stays the same cluster. It keeps no figures.

use std::rc::Rc;
use std::sync::Arc;

use gate::{Disposition, Settings};
use tokio::time::Instant;

use super::{CheckoutError, Facts, Pool};
use crate::dial::Dial;
use crate::lease::Home;
use crate::server::Grant;
use crate::storm::Patience;

impl<D: Dial> Pool<D> {
    /// What is known of the server; the first caller logs in to find out. A login does not wait for
    /// a server that is down: the next failure is enough.
    pub async fn facts(self: &Rc<Self>) -> Result<Facts, CheckoutError> {
        if let Some(facts) = self.known_facts() {
            return Ok(facts);
        }
        let _waits = self.waits.begin();
        let until = Instant::now() + self.options.wait;
        let known = Some(self.server.logins.backoff().known());
        let patience = Patience { until, known };
        while self.known_facts().is_none() {
            let grant = self.turn(None, until).await?;
            if self.known_facts().is_some() {
                if let Grant::Ready(connection) = grant {
                    self.put_back(connection);
                }
                break;
            }
            match self.take_up(grant, patience, &Arc::default()).await {
                Ok(connection) => self.lend(connection, None).checkin(Disposition::Clean),
                // One that takes no writes now says what it is all the same.
                Err(CheckoutError::Paused | CheckoutError::Connect(_))
                    if self.known_facts().is_some() => {}
                Err(CheckoutError::Paused) => {}
                Err(error) => return Err(error),
            }
        }
        self.known_facts().ok_or(CheckoutError::Closed)
    }

    /// Takes the place of `before`, which leads to the same database by the same login: the same cluster must answer.
    pub fn succeed(&self, before: &Self) {
        if self.options.leads_where(&before.options) {
            *self.facts.borrow_mut() = before.known_facts();
        }
    }

    /// What a login says of the server; of one with settings of its own only which cluster it is.
    pub(super) fn learn(
        &self,
        system_identifier: Option<Arc<str>>,
        plain: bool,
        parameters: &Arc<Settings>,
    ) -> Result<(), CheckoutError> {
        let system_identifier = system_identifier.unwrap_or_else(|| Arc::from("unknown"));
        let mut facts = self.facts.borrow_mut();
        if facts
            .as_ref()
            .is_some_and(|known| known.system_identifier != system_identifier)
        {
            tracing::error!(
                host = %self.options.host,
                port = self.options.port,
                "another cluster answers at this address; nothing is sent to it"
            );
            return Err(CheckoutError::AnotherCluster);
        }
        if plain || facts.is_none() {
            *facts = Some(Facts {
                parameters: Arc::clone(parameters),
                system_identifier,
            });
        }
        Ok(())
    }

    pub(super) fn known_facts(&self) -> Option<Facts> {
        self.facts.borrow().clone()
    }
}

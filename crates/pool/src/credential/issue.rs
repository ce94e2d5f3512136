//! One login as it was given out: who logs in, by what password, and how long that and the connections made with it are good.
//! It never shows the password.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use secrecy::SecretString;
use tokio::time::Instant;

use super::term::Term;
use super::vault::{Given, VaultLease};

/// A login that was given out.
pub(crate) struct Issue {
    /// Who logs in, where that is not the configured role.
    user: Option<String>,
    password: SecretString,
    /// Since when.
    since: Instant,
    life: Mutex<Life>,
    lease: Option<VaultLease>,
}

/// How long it is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Until the server refuses it.
    Open,
    /// So long to log in with. What is connected stays.
    Login(Term),
    /// So long altogether: what is connected by it must be gone then.
    Connections(Term),
    /// Something newer has taken its place.
    Over(Term),
}

impl Issue {
    /// A password of the configured role.
    pub(crate) fn of_password(password: SecretString, since: Instant, life: Life) -> Self {
        Self {
            user: None,
            password,
            since,
            life: Mutex::new(life),
            lease: None,
        }
    }

    /// What Vault gave.
    pub(crate) fn of_vault(given: Given, since: Instant) -> Self {
        let life = match (given.term, &given.lease) {
            (Some(term), Some(_)) => Life::Connections(term),
            (Some(term), None) => Life::Login(term),
            (None, _) => Life::Open,
        };
        Self {
            user: Some(given.user),
            password: given.password,
            since,
            life: Mutex::new(life),
            lease: given.lease,
        }
    }

    /// Who logs in, where that is not the configured role.
    pub(crate) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The role that a session takes on which logs in so; none where it is that role already. What it makes is that role's,
    /// and nothing hangs on a login that ends.
    pub(crate) fn takes_on<'a>(&self, role: &'a str) -> Option<&'a str> {
        let other = self.user.as_deref().is_some_and(|it| it != role);
        other.then_some(role)
    }

    /// By what.
    pub(crate) fn password(&self) -> &SecretString {
        &self.password
    }

    /// Since when it is there.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    /// What must be renewed, if it is lent.
    pub(crate) fn lease(&self) -> Option<&VaultLease> {
        self.lease.as_ref()
    }

    /// Gives it back, if it is lent.
    pub(crate) async fn give_back(self) {
        if let Some(lease) = self.lease {
            lease.give_back().await;
        }
    }

    pub(crate) fn life(&self) -> Life {
        *self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It has been renewed.
    pub(crate) fn prolong(&self, term: Term) {
        *self.life.lock().unwrap_or_else(PoisonError::into_inner) = Life::Connections(term);
    }

    /// Something newer has taken its place: whatever is connected by it takes leave.
    pub(crate) fn retire(&self) {
        let mut life = self.life.lock().unwrap_or_else(PoisonError::into_inner);
        if let Life::Connections(term) = *life {
            *life = Life::Over(term);
        }
    }

    /// Whether nothing newer is wanted yet.
    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        match self.life() {
            Life::Open => true,
            Life::Login(term) | Life::Connections(term) => now < term.renews(),
            Life::Over(_) => false,
        }
    }

    /// Whether one can still log in by it.
    pub(crate) fn is_usable(&self, now: Instant) -> bool {
        match self.life() {
            Life::Open => true,
            Life::Login(term) => now < term.ends(),
            Life::Connections(term) => now < term.retires(),
            Life::Over(_) => false,
        }
    }

    /// Whether what is connected by it takes leave.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        match self.life() {
            Life::Open | Life::Login(_) => false,
            Life::Connections(term) => now >= term.retires(),
            Life::Over(_) => true,
        }
    }

    /// Whether what is connected by it has lost its login.
    pub(crate) fn has_ended(&self, now: Instant) -> bool {
        match self.life() {
            Life::Open | Life::Login(_) => false,
            Life::Connections(term) | Life::Over(term) => now >= term.ends(),
        }
    }
}

impl fmt::Debug for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issue")
            .field("user", &self.user)
            .field("life", &self.life())
            .finish_non_exhaustive()
    }
}

//! What one source has given out, shared by all pools that log in by it, on whichever thread: one is asked for at a time, and all
//! that wait share what comes of it. Nothing is asked for that nobody wants.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::aws::{self, Place};
use super::command;
use super::error::CredentialError;
use super::issue::{Issue, Life};
use super::source::LoginSource;
use super::term::Term;

/// What the server refuses is asked for anew, but not what came just now.
const AGAIN: Duration = Duration::from_secs(5);
/// How soon a renewal that failed is tried again, at the least and at the most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// What a source has given out for one login.
#[derive(Debug)]
pub(crate) struct Issuer {
    source: LoginSource,
    place: Place,
    state: Mutex<State>,
    /// One asks at a time.
    flight: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Arc<Issue>>,
    /// What went before, while something is connected by it.
    past: Vec<Weak<Issue>>,
    /// The last failure, and when it was known.
    failed: Option<(Arc<CredentialError>, Instant)>,
    /// What is due is not tried before.
    not_before: Option<Instant>,
}

/// All that are in use, by what they give out, and where that logs in.
#[derive(Debug, Default)]
pub(crate) struct Issuers(Mutex<HashMap<(LoginSource, Place), Weak<Issuer>>>);

impl Issuers {
    /// The one of this source for this place.
    pub(crate) fn of(&self, source: &LoginSource, place: Place) -> Arc<Issuer> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (source.clone(), place);
        if let Some(known) = all.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        if all.len() == all.capacity() {
            all.retain(|_, it| it.strong_count() > 0);
        }
        let issuer = Arc::new(Issuer {
            source: key.0.clone(),
            place: key.1.clone(),
            state: Mutex::default(),
            flight: tokio::sync::Mutex::default(),
        });
        all.insert(key, Arc::downgrade(&issuer));
        issuer
    }
}

impl Issuer {
    /// A login that is good, asked for where there is none; that takes at most `limit`. It goes on to its end though whoever
    /// waits for it goes: what is lent must be known.
    pub(crate) async fn login(
        self: &Arc<Self>,
        limit: Duration,
    ) -> Result<Arc<Issue>, Arc<CredentialError>> {
        let now = Instant::now();
        if let Some(issue) = self.at_hand(now) {
            return Ok(issue);
        }
        let issuer = Arc::clone(self);
        let asked = tokio::task::spawn_local(async move { issuer.refresh(now, limit).await });
        let stopping = |_| Err(Arc::new(CredentialError::Stopping));
        asked.await.unwrap_or_else(stopping)
    }

    /// The server refused it. Whether there is another one to be had.
    pub(crate) fn refused(&self, issue: &Arc<Issue>) -> bool {
        let mut state = self.state();
        match &state.current {
            Some(current) if Arc::ptr_eq(current, issue) => {
                if Instant::now() < issue.since() + AGAIN {
                    return false;
                }
                state.current = None;
                true
            }
            _ => true,
        }
    }

    /// Renews what is due, behind the caller's back. To be called now and then while something is connected.
    pub(crate) fn keep_up(self: &Arc<Self>, limit: Duration) {
        let now = Instant::now();
        self.look_back(now);
        let due = {
            let state = self.state();
            let lent = state.current.as_ref().filter(|it| it.lease().is_some());
            lent.is_some_and(|it| !it.is_fresh(now)) && state.may_try(now)
        };
        if due && self.flight.try_lock().is_ok() {
            let issuer = Arc::clone(self);
            tokio::task::spawn_local(async move {
                // What failed is said where it failed, and tried again.
                let _tried = issuer.refresh(now, limit).await;
            });
        }
    }

    /// Gives back what is lent, if nobody is connected by it any more, on whichever thread.
    pub(crate) async fn close(&self) {
        let unused = {
            let current = &mut self.state().current;
            current.take_if(|it| Arc::strong_count(it) == 1)
        };
        if let Some(unused) = unused.and_then(Arc::into_inner) {
            unused.give_back().await;
        }
    }

    fn at_hand(&self, now: Instant) -> Option<Arc<Issue>> {
        let state = self.state();
        let current = state.current.as_ref()?;
        let good = current.is_fresh(now) || (current.is_usable(now) && !state.may_try(now));
        good.then(|| Arc::clone(current))
    }

    /// Renews what there is or asks for another, unless somebody did so since `asked`.
    async fn refresh(
        &self,
        asked: Instant,
        limit: Duration,
    ) -> Result<Arc<Issue>, Arc<CredentialError>> {
        let _flight = self.flight.lock().await;
        let now = Instant::now();
        if let Some(issue) = self.at_hand(now) {
            return Ok(issue);
        }
        let failed = self.state().failed.clone();
        if let Some((error, when)) = failed
            && when >= asked
        {
            return Err(error);
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "to ask for a login is a slow state"
        )]
        let done = tokio::time::timeout(limit, self.renew_or_ask(now)).await;
        let timeout = || CredentialError::Timeout {
            source_name: self.source.to_string(),
            after: limit,
        };
        match done.unwrap_or_else(|_| Err(timeout())) {
            Ok(issue) => Ok(issue),
            Err(error) => self.bear(error),
        }
    }

    async fn renew_or_ask(&self, now: Instant) -> Result<Arc<Issue>, CredentialError> {
        let current = self.state().current.clone();
        if let Some(current) = current
            && let Life::Connections(term) = current.life()
            && let (Some(lease), true) = (current.lease(), now < term.ends())
        {
            let renewed = lease.renew().await.map_err(|error| self.of_vault(error))?;
            // Near the end of what it may become it gets ever less.
            if let Some(renewed) = renewed.filter(|it| it.length() > term.length() / 2) {
                tracing::debug!(source = %self.source, "the login was renewed");
                current.prolong(renewed);
                self.state().not_before = None;
                return Ok(current);
            }
        }
        let issue = Arc::new(self.ask(now).await?);
        tracing::info!(source = %self.source, user = issue.user(), "another login");
        let mut state = self.state();
        if let Some(before) = state.current.replace(Arc::clone(&issue)) {
            before.retire();
            state.past.push(Arc::downgrade(&before));
        }
        (state.failed, state.not_before) = (None, None);
        Ok(issue)
    }

    async fn ask(&self, now: Instant) -> Result<Issue, CredentialError> {
        match &self.source {
            LoginSource::Command(words) => {
                let password = command::run(words).await.map_err(|error| {
                    let program = words.first().cloned().unwrap_or_default();
                    CredentialError::Command { program, error }
                })?;
                Ok(Issue::of_password(password, now, Life::Open))
            }
            LoginSource::Vault(vault, path) => {
                let given = vault
                    .read(path)
                    .await
                    .map_err(|error| self.of_vault(error))?;
                Ok(Issue::of_vault(given, now))
            }
            LoginSource::Aws(aws) => {
                let token = aws.token(&self.place).await?;
                let life = Life::Login(Term::new(now, aws::GOOD_FOR));
                Ok(Issue::of_password(token, now, life))
            }
        }
    }

    /// It failed. While what there is is good that is no trouble yet.
    fn bear(&self, error: CredentialError) -> Result<Arc<Issue>, Arc<CredentialError>> {
        let (error, now) = (Arc::new(error), Instant::now());
        let mut state = self.state();
        state.failed = Some((Arc::clone(&error), now));
        let usable = state.current.clone().filter(|it| it.is_usable(now));
        let Some(usable) = usable else {
            return Err(error);
        };
        let left = match usable.life() {
            Life::Login(term) | Life::Connections(term) | Life::Over(term) => {
                term.retires().saturating_duration_since(now)
            }
            Life::Open => PAUSES.1,
        };
        let pause = (left / 8).clamp(PAUSES.0, PAUSES.1);
        state.not_before = Some(now + pause);
        tracing::warn!(source = %self.source, "the login could not be renewed, and is good for {} s: {error}", left.as_secs());
        Ok(usable)
    }

    fn of_vault(&self, error: super::vault::VaultError) -> CredentialError {
        let path = match &self.source {
            LoginSource::Vault(_, path) => path.to_string(),
            LoginSource::Command(_) | LoginSource::Aws(_) => String::new(),
        };
        CredentialError::Vault { path, error }
    }

    /// Says what is connected by logins that have ended.
    fn look_back(&self, now: Instant) {
        let mut state = self.state();
        let source = &self.source;
        state.past.retain(|it| {
            let Some(issue) = it.upgrade().filter(|it| it.has_ended(now)) else {
                return it.strong_count() > 0;
            };
            let left = Arc::strong_count(&issue) - 1;
            tracing::warn!(%source, user = issue.user(), "{left} connections were lent for longer than their login is good");
            false
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn may_try(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|it| now >= it)
    }
}

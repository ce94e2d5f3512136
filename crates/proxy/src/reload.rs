//! A reload: the configuration is read and checked beside the one that stands, written down, and taken up by every thread. Those
//! who lose by it are told; nobody else notices. A configuration that is wrong changes nothing.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use gate::audit::Entry;
use gate::ticket::{Scope, State};
use gate::tickets::Filter;
use gate::{Event, Journal, JournalDown, PrincipalId, Ticket, Tickets};
use session::{Fault, News};

use crate::changes::{Changes, Tally};
use crate::config::Config;
use crate::gatekeeper::{CONSOLE, Gatekeeper};
use crate::origin::Last;
use crate::systemd;
use crate::version::Version;
use crate::world::World;

/// How often the end of sessions is looked for whose tickets are void.
const LOOK: Duration = Duration::from_millis(20);
/// How often at the most; whoever is ended has less than that to hear of it.
const LOOKS_MAX: u32 = 1000;

/// What a reload came to.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// The number of what the gate goes by now.
    pub(crate) version: u64,
    /// What became of the tenants.
    pub(crate) tenants: Tally,
    /// Sessions that were ended.
    pub(crate) sessions_ended: usize,
    /// Tickets that are void.
    pub(crate) tickets_void: usize,
    /// What is otherwise in the files and only a start takes up.
    pub(crate) waits: Vec<&'static str>,
}

/// Why everything stays as it is.
#[derive(Clone, Debug)]
pub(crate) enum NotReloaded {
    /// The configuration is wrong: each thing that is, in a line, with its file, line and column.
    Wrong(Vec<String>),
    /// It could not be written down.
    Journal(JournalDown),
}

impl<W: World> Gatekeeper<W> {
    /// Reads the configuration again and goes by it, at the word of `by`, or of a signal. It goes on to its end though whoever
    /// waits for it goes.
    pub(crate) async fn reload(
        self: &Rc<Self>,
        by: Option<PrincipalId>,
    ) -> Result<Report, NotReloaded> {
        let keeper = Rc::clone(self);
        let reloading = tokio::task::spawn_local(async move {
            systemd::reloading();
            let reloaded = Rc::clone(&keeper).reload_now(by).await;
            systemd::ready(&keeper.version());
            reloaded
        });
        let ended = |_| NotReloaded::Wrong(vec!["the gate is stopping".to_owned()]);
        reloading.await.map_err(ended)?
    }

    async fn reload_now(self: Rc<Self>, by: Option<PrincipalId>) -> Result<Report, NotReloaded> {
        let _turn = self.origin.turn.lock().await;
        let before = self.version();
        let (config, tenants) = match self.read_again(&before).await {
            Ok(read) => read,
            Err(problems) => return Err(self.not_reloaded(problems)),
        };
        let number = before.number + 1;
        let waits = self.origin.waits(&config);
        let at_ms = self.world.now_ms();
        let source = config.source.as_ref();
        let entry = Entry::Reloaded {
            version: number,
            by: by.clone(),
            digest: source.map_or_else(String::new, |it| it.digest.to_string()),
        };
        let after = Version::new(number, (at_ms, by), config);
        let after = after.map_err(|why| {
            self.not_reloaded(vec![format!("the certificate cannot be used: {why}")])
        })?;
        let written = self.journal.write(entry).await;
        written.map_err(NotReloaded::Journal)?;
        self.crew.adopt(&after).await;
        self.registry.limit(after.config.edge.clone());
        // Whoever has mended the grants of a tenant need not wait.
        self.standings.outdate();
        // A tenant may have a ledger now that had none.
        self.doubt.notify_one();
        let changes = Changes {
            before: &before,
            after: &after,
        };
        let ended = self.take_leave(changes);
        let tickets_void = self.void_lost(changes, |_| true).await;
        self.origin.note(Last {
            waits: waits.clone(),
            failed: None,
        });
        let report = Report {
            version: number,
            tenants,
            sessions_ended: ended.len(),
            tickets_void,
            waits,
        };
        tracing::info!(
            version = report.version,
            added = tenants.added,
            changed = tenants.changed,
            removed = tenants.removed,
            sessions_ended = report.sessions_ended,
            tickets_void,
            "configuration reloaded"
        );
        if !report.waits.is_empty() {
            let waits = report.waits.join(", ");
            tracing::warn!("a restart is needed for what changed in: {waits}");
        }
        Rc::clone(&self).look_after((before, after), ended);
        Ok(report)
    }

    /// The configuration as its files have it now, and what that changes of the tenants. Threads that serve sessions do not
    /// read it: there may be much of it.
    async fn read_again(&self, before: &Version) -> Result<(Config, Tally), Vec<String>> {
        let Some(path) = self.origin.path() else {
            return Err(vec!["this gate was started without a file".to_owned()]);
        };
        let (path, before) = (path.to_owned(), before.clone());
        let standing = self.origin.tenant_keys().clone();
        let read = tokio::task::spawn_blocking(move || {
            let config = Config::load_again(&path, &standing)?;
            let tally = Tally::of(&before.config.tenants, &config.tenants);
            Ok::<_, crate::config::ConfigError>((config, tally))
        });
        let (config, tally) = match read.await {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => {
                return Err(error.problems().iter().map(ToString::to_string).collect());
            }
            Err(_) => return Err(vec!["the configuration could not be read".to_owned()]),
        };
        let workers = self.origin.workers();
        match config.tenants.smallest().filter(|it| it.1 < workers) {
            Some((name, size)) => Err(vec![format!(
                "\"pool_size\" of tenant \"{name}\" is {size}, but this gate has {workers} \
                 \"workers\" until it is started again, expected a connection for each"
            )]),
            None => Ok((config, tally)),
        }
    }

    fn not_reloaded(&self, problems: Vec<String>) -> NotReloaded {
        for problem in &problems {
            tracing::error!("configuration not reloaded: {problem}");
        }
        let failed = Some((self.world.now_ms(), problems.clone()));
        let waits = self.origin.last().waits;
        self.origin.note(Last { waits, failed });
        NotReloaded::Wrong(problems)
    }

    /// Ends the sessions that must go, and tells those that wait for a ticket which is good for nothing where their tenant leads
    /// now. A transaction that has begun stays where it is, and what waits in it.
    fn take_leave(&self, changes: Changes<'_>) -> Vec<(u32, Arc<str>)> {
        let mut ended = Vec::new();
        for (pid, view) in self.registry.views() {
            if let Some(why) = changes.farewell(&view.user, &view.tenant) {
                // Who has not proven anything is told nothing.
                let known = view.state != "login";
                let why = if known { why } else { Fault::shutdown(None) };
                self.registry.dismiss(pid, why);
                ended.push((pid, view.client));
            } else if let (Some(ticket), None) = (view.ticket, view.server)
                && changes.has_moved(&view.tenant)
            {
                self.registry.inform(pid, ticket, News::Moved);
            }
        }
        ended
    }

    /// Makes the tickets void that somebody asked for who must go, or who may not go there any more. What ran before anybody
    /// signed still has to be looked at.
    async fn void_lost(&self, changes: Changes<'_>, also: impl Fn(&Ticket) -> bool) -> usize {
        let (mut void, lost) = (0, changes.lost());
        for person in lost.all.union(&lost.some) {
            let filter = Filter {
                states: vec![State::Pending, State::Approved],
                requester: Some(person.clone()),
                limit: 0,
            };
            let tickets = match self.tickets.list(filter).await {
                Ok(tickets) => tickets,
                Err(error) => {
                    tracing::error!(%person, "tickets could not be made void: {error}");
                    continue;
                }
            };
            for ticket in tickets {
                let reviews = matches!(ticket.scope, Scope::BreakGlass);
                let voids = changes.voids(&lost, person, ticket.tenant.as_str());
                if reviews || !voids || !also(&ticket) {
                    continue;
                }
                // Where it was decided or spent in the meantime, that stands.
                if let Ok(ticket) = self.tickets.conclude(ticket.id, Event::Void, None).await {
                    let why = "whoever asked for it was removed or changed".to_owned();
                    let by = PrincipalId::from(CONSOLE);
                    self.tell(&ticket, by, "void", Some(why)).await;
                    void += 1;
                }
            }
        }
        void
    }

    /// What a session asked for just before it was ended may have become a ticket since: looks again when all are gone.
    fn look_after(
        self: Rc<Self>,
        (before, after): (Rc<Version>, Version),
        ended: Vec<(u32, Arc<str>)>,
    ) {
        if ended.is_empty() {
            return;
        }
        tokio::task::spawn_local(async move {
            for _ in 0..LOOKS_MAX {
                let pids = ended.iter().map(|it| it.0);
                if !self.registry.has_any(pids) {
                    break;
                }
                tokio::time::sleep(LOOK).await;
            }
            let changes = Changes {
                before: &before,
                after: &after,
            };
            // Whoever has come back asks for what is theirs.
            let theirs = |it: &Ticket| ended.iter().any(|(_, client)| **client == *it.client);
            self.void_lost(changes, theirs).await;
        });
    }
}

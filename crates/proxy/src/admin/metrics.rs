//! The metrics of the gate, gathered when somebody asks for them. Their labels are tenants, classes and verdicts alone, and of
//! tenants no more have a name than `tenants_max` says: what is there of all others is added up as `*`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::time::{Duration, Instant};

use gate::ticket::State;
use pool::{Figures as Pools, LoginCounts};

use super::Desk;
use super::page::{Kind, Page};
use crate::counting::ANSWER;
use crate::crew::Errand;
use crate::figures::Figures;
use crate::gatekeeper::CONSOLE;
use crate::stats::{Figure, Sums, Totals, together};
use crate::world::{Real, World};

use Kind::{Counter, Gauge};

/// Milliseconds, or microseconds, in seconds, as they are counted: exactly.
struct Seconds {
    whole: u64,
    micros: u32,
}

impl From<Duration> for Seconds {
    fn from(time: Duration) -> Self {
        Self {
            whole: time.as_secs(),
            micros: time.subsec_micros(),
        }
    }
}

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.whole, self.micros)
    }
}

fn seconds_of_ms(ms: i64) -> Seconds {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0)).into()
}

/// A name, what it says, and how it is read off.
type Measure<T> = (&'static str, &'static str, fn(&T) -> usize);

/// What sessions of a tenant do.
#[derive(Default)]
struct Crowd {
    sessions: usize,
    active: usize,
    held: usize,
    waiting: usize,
}

/// Pools of a tenant.
#[derive(Default)]
struct Servers {
    figures: Pools,
    size: usize,
}

/// The tickets that are not over, and how long the store took to say so.
pub(super) struct Census {
    tickets: Vec<(State, u64)>,
    time: Duration,
}

impl Desk {
    /// All of them, as text.
    pub(super) async fn metrics(&self) -> String {
        let threads = self.crew.ask(ANSWER, Errand::Figures).await;
        let asked = threads.len();
        let threads: Vec<Figures> = threads.into_iter().flatten().collect();
        let census = self.census().await;
        let mut page = Page::default();
        self.about(&mut page, &threads, asked);
        self.crowds(&mut page);
        counts(&mut page, &threads);
        self.servers(&mut page, &threads);
        self.evidence(&mut page, census);
        page.into_text()
    }

    /// The store's count of tickets; none where it does not answer in time.
    pub(super) async fn census(&self) -> Option<Census> {
        let before: Instant = Real.now();
        #[expect(
            clippy::disallowed_methods,
            reason = "nobody does this for a statement"
        )]
        let answer = tokio::time::timeout(ANSWER, self.tickets.census()).await;
        let tickets = answer.ok()?.ok()?;
        let time = Real.now().saturating_duration_since(before);
        Some(Census { tickets, time })
    }

    /// The gate itself.
    fn about(&self, page: &mut Page, threads: &[Figures], asked: usize) {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        page.family(Gauge, "build_info", "The program.")
            .sample(&version, 1);
        let started = seconds_of_ms(self.started_ms);
        page.one(
            Gauge,
            "start_time_seconds",
            "When it started, since 1970.",
            started,
        );
        page.one(Gauge, "workers", "Threads that drive sessions.", asked);
        page.one(
            Gauge,
            "workers_answering",
            "Those that answered now.",
            threads.len(),
        );
        let draining = u8::from(self.registry.is_draining());
        page.one(Gauge, "draining", "Whether it stops.", draining);
        let shut = u8::from(self.shut.by().is_some());
        page.one(
            Gauge,
            "held_all",
            "Whether all but reads is held back.",
            shut,
        );
        let (reloads, failures) = self.origin.reloads();
        page.one(
            Counter,
            "reloads_total",
            "Configurations taken up since the start.",
            reloads,
        );
        let help = "Configurations that were wrong and changed nothing.";
        page.one(Counter, "reload_failures_total", help, failures);
        if let Some(first) = threads.first() {
            page.one(
                Gauge,
                "config_version",
                "Which configuration it goes by.",
                first.version,
            );
            let loaded = seconds_of_ms(first.loaded_ms);
            page.one(
                Gauge,
                "config_load_time_seconds",
                "When that was read, since 1970.",
                loaded,
            );
            if let Some(expires) = first.certificate_expires {
                let help = "When the gate's certificate expires, since 1970.";
                page.one(Gauge, "certificate_expiry_time_seconds", help, expires);
            }
        }
    }

    /// Who is connected.
    fn crowds(&self, page: &mut Page) {
        let (mut crowds, mut logging_in, mut consoles) = (BTreeMap::new(), 0, 0);
        self.registry.census(|tenant, state| {
            // What a client says before it has proven anything names nothing here.
            match (state, tenant) {
                ("login", _) => logging_in += 1,
                (_, CONSOLE) => consoles += 1,
                _ => {
                    let name = self.roster.name(tenant);
                    if !crowds.contains_key(name) {
                        crowds.insert(name.to_owned(), Crowd::default());
                    }
                    if let Some(crowd) = crowds.get_mut(name) {
                        crowd.add(state);
                    }
                }
            }
        });
        page.one(
            Gauge,
            "sessions_logging_in",
            "Sessions whose people are not known yet.",
            logging_in,
        );
        page.one(
            Gauge,
            "console_sessions",
            "Sessions on the console.",
            consoles,
        );
        let most = self.registry.edge().sessions_max;
        page.one(Gauge, "sessions_max", "Sessions that there may be.", most);
        let figures: [Measure<Crowd>; 4] = [
            ("sessions", "Sessions.", |it| it.sessions),
            (
                "sessions_active",
                "Sessions for which a server works.",
                |it| it.active,
            ),
            ("sessions_held", "Sessions that wait for people.", |it| {
                it.held
            }),
            (
                "sessions_waiting",
                "Sessions that wait for a connection.",
                |it| it.waiting,
            ),
        ];
        for (name, help, value) in figures {
            let mut family = page.family(Gauge, name, help);
            for (tenant, crowd) in &crowds {
                family.sample(&[("tenant", tenant)], value(crowd));
            }
        }
    }

    /// Connections to servers.
    fn servers(&self, page: &mut Page, threads: &[Figures]) {
        let mut tenants: BTreeMap<&str, Servers> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for pool in threads.iter().flat_map(|it| &it.pools) {
            let servers = tenants
                .entry(self.roster.name(pool.tenant.as_str()))
                .or_default();
            servers.figures += pool.figures;
            // Threads share the size of a pool.
            if seen.insert((&pool.tenant, pool.lane)) {
                servers.size += pool.size;
            }
        }
        let figures: [Measure<Servers>; 6] = [
            (
                "server_connections_active",
                "Connections that are lent.",
                |it| it.figures.active,
            ),
            (
                "server_connections_idle",
                "Connections that lie unused.",
                |it| it.figures.idle,
            ),
            (
                "server_connections_resetting",
                "Connections that are reset.",
                |it| it.figures.resetting,
            ),
            (
                "server_connections_logging_in",
                "Connections that log in.",
                |it| it.figures.logging_in,
            ),
            (
                "server_connections_max",
                "Connections that there may be.",
                |it| it.size,
            ),
            ("checkouts_waiting", "Who waits for a connection.", |it| {
                it.figures.waiting
            }),
        ];
        for (name, help, value) in figures {
            let mut family = page.family(Gauge, name, help);
            for (tenant, servers) in &tenants {
                family.sample(&[("tenant", tenant)], value(servers));
            }
        }
        let help = "How long the first of them has waited.";
        let mut family = page.family(Gauge, "checkout_wait_longest_seconds", help);
        for (tenant, servers) in &tenants {
            let longest = Seconds::from(servers.figures.max_wait);
            family.sample(&[("tenant", tenant)], longest);
        }
        let mut logins = LoginCounts::default();
        for thread in threads {
            logins += thread.logins;
        }
        page.one(
            Counter,
            "server_logins_total",
            "Logins to servers.",
            logins.done,
        );
        let help = "Logins to servers that failed.";
        page.one(Counter, "server_login_failures_total", help, logins.failed);
    }

    /// The store and the journal.
    fn evidence(&self, page: &mut Page, census: Option<Census>) {
        let answers = u8::from(census.is_some());
        page.one(
            Gauge,
            "store_up",
            "Whether the ticket store answers.",
            answers,
        );
        if let Some(Census { tickets, time }) = census {
            let time = Seconds::from(time);
            page.one(
                Gauge,
                "store_answer_seconds",
                "How long it took to do so now.",
                time,
            );
            for (state, count) in tickets {
                let (name, help) = match state {
                    State::Pending => ("tickets_pending", "Tickets that wait for people."),
                    State::Approved => ("tickets_approved", "Tickets that may be used."),
                    State::Executing => ("tickets_executing", "Tickets that run."),
                    _ => ("tickets_in_doubt", "Tickets whose end nobody knows."),
                };
                page.one(Gauge, name, help, count);
            }
        }
        let open = u8::from(gate::Journal::is_open(&self.journal));
        page.one(
            Gauge,
            "journal_up",
            "Whether the journal can be written.",
            open,
        );
        let backlog = self.journal.backlog();
        let help = "Entries that wait for the disk.";
        page.one(Gauge, "journal_waiting_entries", help, backlog.entries);
        page.one(
            Gauge,
            "journal_waiting_bytes",
            "Their bytes.",
            backlog.bytes,
        );
        let help = "How often the disk took nothing and the gate was closed.";
        page.one(Counter, "journal_outages_total", help, backlog.outages);
    }
}

impl Crowd {
    fn add(&mut self, state: &str) {
        self.sessions += 1;
        match state {
            "active" => self.active += 1,
            "held" => self.held += 1,
            "waiting" => self.waiting += 1,
            _ => {}
        }
    }
}

/// What was counted since the start.
fn counts(page: &mut Page, threads: &[Figures]) {
    let sums: Sums = together(threads.iter().map(|it| it.sums.clone()));
    let help = "Requests by what became of them; what was held and then ran is there twice.";
    let mut family = page.family(Counter, "requests_total", help);
    for (tenant, totals) in &sums {
        for (class, answer, count) in totals.requests() {
            let class = class.to_string();
            let labels = [
                ("tenant", tenant.as_str()),
                ("class", class.as_str()),
                ("verdict", answer.as_str()),
            ];
            family.sample(&labels, count);
        }
    }
    let counts = [
        (
            "transactions_total",
            "Transactions that ended.",
            Figure::Transactions,
        ),
        (
            "checkouts_total",
            "Times that a connection was lent.",
            Figure::Assignments,
        ),
        (
            "received_bytes_total",
            "Bytes from clients.",
            Figure::Received,
        ),
        ("sent_bytes_total", "Bytes to clients.", Figure::Sent),
        ("logins_total", "Sessions that came in.", Figure::Logins),
    ];
    for (name, help, figure) in counts {
        each(page, &sums, (name, help), |it| it.of(figure));
    }
    let times = [
        (
            "transaction_seconds_total",
            "Time in transactions.",
            Figure::TransactionTime,
        ),
        (
            "query_seconds_total",
            "Time in which servers worked.",
            Figure::QueryTime,
        ),
        (
            "checkout_wait_seconds_total",
            "Time spent waiting for connections.",
            Figure::WaitTime,
        ),
    ];
    for (name, help, figure) in times {
        each(page, &sums, (name, help), |it| {
            Seconds::from(Duration::from_micros(it.of(figure)))
        });
    }
}

fn each<V: Display>(
    page: &mut Page,
    sums: &Sums,
    (name, help): (&'static str, &str),
    value: impl Fn(&Totals) -> V,
) {
    let mut family = page.family(Counter, name, help);
    for (tenant, totals) in sums {
        family.sample(&[("tenant", tenant)], value(totals));
    }
}

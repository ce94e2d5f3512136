//! `portcullis check --online`: the gate's certificate is looked at, and every login made once, as the gate would make it. It needs no
//! running gate, opens no store, and leaves nothing behind at a server.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::rc::Rc;

use pool::Options;
use proxy::config::{Config, ServerTls, Tenant};
use serde::Serialize;
use store::{SystemClock, WallClock};
use tokio::task::{JoinSet, LocalSet};

use super::findings::{self, Finding, Level, Login};
use super::isolation::{self, Home};
use crate::cli::grid::Grid;
use crate::serve;

/// Tenants that are tried at the same time.
const AT_ONCE: usize = 8;

const COLUMNS: [&str; 6] = ["tenant", "login", "server", "result", "found", "what_to_do"];

/// One finding, and of what.
#[derive(Debug, Serialize)]
struct Line {
    /// None where it is the gate's own.
    tenant: Option<String>,
    login: &'static str,
    /// Who logs in where.
    server: Option<String>,
    result: &'static str,
    found: String,
    what_to_do: Option<String>,
    #[serde(skip)]
    level: Level,
}

/// The whole, as JSON.
#[derive(Debug, Serialize)]
struct Report<'a> {
    ok: bool,
    findings: &'a [Line],
}

/// Tries all that `config` names, or one tenant.
pub(super) fn run(config: Config, only: Option<&str>, json: bool) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return serve::fail(&format!("could not start: {error}")),
    };
    let lines = match LocalSet::new().block_on(&runtime, tried(config, only)) {
        Ok(lines) => lines,
        Err(why) => return serve::fail(&why),
    };
    let failed = lines.iter().filter(|it| it.level == Level::Failed).count();
    if print(&lines, failed, json).is_err() || failed > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

async fn tried(config: Config, only: Option<&str>) -> Result<Vec<Line>, String> {
    let now = SystemClock.now_ms() / 1000;
    let config = Rc::new(config);
    let mut names: Vec<String> = match only {
        Some(name) => vec![name.to_owned()],
        None => config.tenants.names().map(str::to_owned).collect(),
    };
    names.sort_unstable();
    if let Some(name) = only
        && config.tenants.find(name).is_none()
    {
        return Err(format!("no tenant fits \"{name}\""));
    }
    let mut tenants = BTreeMap::new();
    let (all, mut progress) = (names.len(), Progress::new(names.len()));
    let mut names = names.into_iter();
    let mut trying = JoinSet::new();
    while tenants.len() < all {
        while trying.len() < AT_ONCE
            && let Some(name) = names.next()
        {
            let config = Rc::clone(&config);
            trying.spawn_local(async move {
                let tried = tenant(&config, &name, now).await;
                (name, tried)
            });
        }
        match trying.join_next().await {
            Some(Ok((name, tried))) => drop(tenants.insert(name, tried)),
            Some(Err(error)) => return Err(format!("a tenant could not be tried: {error}")),
            None => break,
        }
        progress.show(tenants.len());
    }
    progress.end();
    let mut lines = own(&config, now);
    let homes = tenants.iter().map(|(name, it)| (name.clone(), &it.home));
    let shared = isolation::shared_servers(&homes.collect());
    for (name, Tried { lines: found, .. }) in tenants {
        lines.extend(found);
        let shared = shared.get(&name);
        lines.extend(shared.map(|it| line(Some(&name), "-", None, it.clone())));
    }
    if only.is_none() {
        lines.extend(config.tenants.patterns().iter().map(pattern));
    }
    Ok(lines)
}

/// The gate's certificate; that its key fits was seen when it was read.
fn own(config: &Config, now: i64) -> Vec<Line> {
    let finding = match (&config.tls, config.tls.expires()) {
        (ServerTls::Off, _) => Finding::ok("no certificate: clients talk in clear text".to_owned()),
        (ServerTls::On { .. }, None) => Finding::warning(
            "the gate's certificate cannot be read whole",
            "see that \"certificate\" holds X.509 certificates",
        ),
        (ServerTls::On { .. }, Some(expires)) => {
            let well = || {
                let days = (expires - now) / 86_400;
                Finding::ok(format!("the gate's certificate expires in {days} days"))
            };
            findings::validity(expires, now, "the gate's certificate").unwrap_or_else(well)
        }
    };
    vec![line(None, "gate", None, finding)]
}

/// Whoever fits a pattern is known when they come.
fn pattern(pattern: &Tenant) -> Line {
    let finding = Finding::of(
        Level::Skipped,
        "a pattern is not tried",
        "name one that fits it: --tenant NAME",
    );
    line(Some(&pattern.name), "-", None, finding)
}

/// What was found of a tenant.
#[derive(Default)]
struct Tried {
    lines: Vec<Line>,
    home: Home,
}

/// All logins of a tenant, one after the other: as many as there are lanes.
async fn tenant(config: &Config, name: &str, now: i64) -> Tried {
    let tenant = match config.tenant(name) {
        Some(Ok(tenant)) => tenant,
        Some(Err(why)) => {
            let todo = "see that the gate may read the file, and that it has one line";
            return Tried {
                lines: vec![line(Some(name), "-", None, Finding::failed(why, todo))],
                ..Tried::default()
            };
        }
        None => return Tried::default(),
    };
    let mut logins = vec![("write", &tenant.write), ("read", &tenant.read)];
    logins.extend(tenant.ledger.iter().map(|it| ("ledger", it)));
    let (mut lines, mut clusters) = (Vec::new(), Vec::new());
    for (lane, options) in logins {
        let login = Login { lane, options, now };
        let (found, seen) = findings::of(login).await;
        let of_login = |it| line(Some(name), lane, Some(server(options)), it);
        lines.extend(found.into_iter().map(of_login));
        let asked = tenant
            .question(options)
            .filter(|_| lane != "read" || !tenant.has_one_login());
        // Who cannot log in cannot be tested.
        if let (Some(question), true) = (asked, seen.is_some()) {
            let found = isolation::tested(options, question).await;
            lines.extend(found.into_iter().map(of_login));
        }
        clusters.extend(seen.and_then(|it| it.system_identifier));
    }
    clusters.dedup();
    if clusters.len() > 1 {
        let found = "its logins come to different clusters";
        let todo = "let \"host\" lead to one server, and not to several in turn";
        lines.push(line(Some(name), "-", None, Finding::failed(found, todo)));
    }
    Tried {
        lines,
        home: Home {
            cluster: clusters.into_iter().next(),
            way: (tenant.write.host, tenant.write.port, tenant.write.database),
            isolation: tenant.walls.map(|it| it.isolation),
        },
    }
}

/// Who logs in where.
fn server(options: &Options) -> String {
    let Options {
        host,
        port,
        database,
        user,
        ..
    } = options;
    format!("{user}@{host}:{port}/{database}")
}

fn line(
    tenant: Option<&str>,
    login: &'static str,
    server: Option<String>,
    finding: Finding,
) -> Line {
    Line {
        tenant: tenant.map(str::to_owned),
        login,
        server,
        result: finding.level.as_str(),
        found: finding.found,
        what_to_do: finding.todo,
        level: finding.level,
    }
}

fn print(lines: &[Line], failed: usize, json: bool) -> io::Result<()> {
    let mut out = anstream::stdout();
    if json {
        let report = Report {
            ok: failed == 0,
            findings: lines,
        };
        let text = serde_json::to_string_pretty(&report)?;
        return writeln!(out, "{text}");
    }
    let row = |it: &Line| {
        vec![
            it.tenant.clone(),
            Some(it.login.to_owned()),
            it.server.clone(),
            Some(it.result.to_owned()),
            Some(it.found.clone()),
            it.what_to_do.clone(),
        ]
    };
    let grid = Grid {
        columns: COLUMNS.map(str::to_owned).to_vec(),
        rows: lines.iter().map(row).collect(),
    };
    write!(out, "{}", grid.table(None))?;
    match failed {
        0 => writeln!(out, "nothing failed"),
        1 => writeln!(out, "1 failed"),
        more => writeln!(out, "{more} failed"),
    }
}

/// How far it has come, for whoever watches.
struct Progress {
    all: usize,
    watched: bool,
}

impl Progress {
    fn new(all: usize) -> Self {
        let watched = io::stderr().is_terminal();
        Self { all, watched }
    }

    fn show(&mut self, done: usize) {
        if self.watched {
            let mut err = anstream::stderr();
            // Whoever watched may be gone.
            let _told = write!(err, "\r{done} of {} tenants", self.all).and_then(|()| err.flush());
        }
    }

    fn end(&self) {
        if self.watched {
            let _told = write!(anstream::stderr(), "\r\x1b[K");
        }
    }
}

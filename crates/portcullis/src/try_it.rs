//! `portcullis try`: a gate before a PostgreSQL that exists already, with everything made on the
//! spot: certificate, store, two people, a policy under which reads pass and the rest waits.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use gate::{Group, Policy, PrincipalId};
use pool::{ClientTls, Roots, ServerLimits};
use proxy::config::{
    Admin, Config, Edge, Hosts, NoWait, Release, ServerTls, Tenant, Tenants, User,
};
use secrecy::{ExposeSecret, SecretString};
use session::Limits;
use wire::scram::{ITERATIONS, Verifier};

use crate::cli::args::{Login, TryArgs};
use crate::cli::audit::state_folder;
use crate::cli::conninfo::{self, SslMode, Target};
use crate::cli::connstring::Layer;
use crate::cli::pgpass;
use crate::sandbox::ca::{Certificates, LOCAL_NAMES};
use crate::serve;

/// The group that decides.
const APPROVERS: &str = "approvers";

/// Connections to each database.
const POOL_SIZE: usize = 20;

/// Puts a gate before a server.
pub fn run(args: &TryArgs) -> ExitCode {
    if let Err(why) = serve::start_log(if args.quiet { "warn" } else { "info" }) {
        return serve::fail(&why);
    }
    match prepare(args) {
        Ok(prepared) => {
            let Prepared { config, guide } = prepared;
            serve::serve(config, &mut |address| {
                if !args.quiet {
                    guide.print(address);
                }
            })
        }
        Err(why) => serve::fail(&why),
    }
}

struct Prepared {
    config: Config,
    guide: Guide,
}

fn prepare(args: &TryArgs) -> Result<Prepared, String> {
    let environment = |name: &str| {
        let ours = name.starts_with("PORTCULLIS_");
        if ours { None } else { std::env::var(name).ok() }
    };
    let target = conninfo::upstream(&args.url, &environment);
    let target = target.map_err(|error| error.to_string())?;
    let layer = Layer::parse(&args.url).map_err(|error| error.to_string())?;
    let state = match &args.state {
        Some(state) => state.clone(),
        None => state_folder(&|name| std::env::var(name).ok())
            .ok_or("there is no home folder: use --state")?,
    };
    let tls_named = layer.value("sslmode").is_some();
    let upstream = upstream(&target, tls_named)?;
    let database = target.database.clone();
    let logins = logins(&args.logins)?;
    let (policy, groups) = policy(args, &logins)?;
    let (tls, root) = tls(args, &state)?;
    let guide = Guide {
        names: logins.iter().map(|it| it.name.clone()).collect(),
        passwords: logins.iter().map(|it| it.password.clone()).collect(),
        shown: args.logins.is_empty(),
        database,
        root,
        all: args.allow_all,
    };
    let config = Config {
        listen: vec![args.listen],
        tls,
        state,
        node: "try".to_owned(),
        workers: 1,
        limits: Limits::default(),
        edge: Edge::with_sessions(10_000),
        tickets: store::Options::default(),
        journal: store::Custody::default(),
        no_wait: NoWait::default(),
        release: Release::default(),
        users: users(&logins, &groups)?,
        servers: ServerLimits::default(),
        tenants: Tenants::of([Tenant::of_one_login("*", args.pool_mode, upstream)]),
        policy,
        hosts: Hosts::default(),
        watch: None,
        admin: Admin::default(),
        source: None,
    };
    Ok(Prepared { config, guide })
}

/// Where the databases are. Without `sslmode` in the URL a server on this machine is reached in
/// clear text, and any other by `verify-full`.
fn upstream(target: &Target, tls_named: bool) -> Result<pool::Options, String> {
    let place = target
        .places
        .first()
        .ok_or("the connection string names no host")?;
    if place.is_socket() {
        return Err("a Unix socket cannot be an upstream: use a host name or an address".into());
    }
    let host = place.name();
    let local = matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1");
    let roots = match &target.roots {
        conninfo::Roots::File(path) => Roots::File(path.clone()),
        conninfo::Roots::IfThere(path) if path.exists() => Roots::File(path.clone()),
        _ => Roots::System,
    };
    let mode = match (tls_named, local) {
        (true, _) => target.ssl_mode,
        (false, true) => SslMode::Disable,
        (false, false) => SslMode::VerifyFull,
    };
    let tls = match mode {
        SslMode::Disable => Ok(ClientTls::disable()),
        SslMode::Require => ClientTls::require(),
        SslMode::VerifyCa => ClientTls::verify_ca(&roots),
        SslMode::VerifyFull => ClientTls::verify_full(&roots),
        SslMode::Allow | SslMode::Prefer => {
            let why = "may fall back to clear text silently: say disable, require or verify-full";
            return Err(format!("sslmode \"{}\" {why}", mode.as_str()));
        }
    };
    Ok(pool::Options {
        host: host.clone(),
        port: place.port,
        database: "{tenant}".to_owned(),
        user: target.user.clone(),
        password: password(target, &host, place.port)?,
        source: None,
        tls: tls.map_err(|error| error.to_string())?,
        size: POOL_SIZE,
        wait: Duration::from_secs(30),
        connect: Duration::from_secs(10),
        idle_timeout: pool::Options::IDLE_TIMEOUT,
        lifetime: pool::Options::LIFETIME,
        parameters: Vec::new(),
        station: pool::Station::Primary,
    })
}

fn password(target: &Target, host: &str, port: u16) -> Result<pool::Password, String> {
    if target.password.is_some() {
        return Ok(target.password.clone());
    }
    let Some(path) = &target.passfile else {
        return Ok(None);
    };
    let wanted = pgpass::Wanted {
        host,
        port,
        database: "*",
        user: &target.user,
    };
    Ok(pgpass::look_up(path, wanted)?.map(SecretString::from))
}

/// `alice` and `bob` with passwords made on the spot, or those that were given.
fn logins(given: &[Login]) -> Result<Vec<Login>, String> {
    if !given.is_empty() {
        return Ok(given.to_vec());
    }
    ["alice", "bob"]
        .into_iter()
        .map(|name| {
            Ok(Login {
                name: name.to_owned(),
                password: random_password()?.into(),
            })
        })
        .collect()
}

fn random_password() -> Result<String, String> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| "no randomness to be had")?;
    let letter = |byte: &u8| {
        LETTERS
            .get(usize::from(byte % 32))
            .map(|it| char::from(*it))
    };
    Ok(bytes.iter().filter_map(letter).collect())
}

/// The groups of each login.
type Groups = BTreeMap<PrincipalId, BTreeSet<Group>>;

/// Everybody but the first login decides; with a policy file, whoever its groups name.
fn users(logins: &[Login], groups: &Groups) -> Result<Vec<User>, String> {
    logins
        .iter()
        .enumerate()
        .map(|(place, login)| {
            let name = PrincipalId::from(login.name.as_str());
            let mut member = groups.get(&name).cloned().unwrap_or_default();
            if groups.is_empty() && (place > 0 || logins.len() == 1) {
                member.insert(Group::from(APPROVERS));
                member.insert(Group::from(gate::rights::OPERATORS));
            }
            let mut salt = [0; 16];
            getrandom::fill(&mut salt).map_err(|_| "no randomness to be had")?;
            let verifier =
                Verifier::from_password(login.password.expose_secret(), &salt, ITERATIONS);
            Ok(User {
                name: login.name.clone(),
                person: name,
                verifier,
                groups: member,
                tenants: Vec::new(),
            })
        })
        .collect()
}

fn policy(args: &TryArgs, logins: &[Login]) -> Result<(Policy, Groups), String> {
    if args.allow_all {
        return Ok((Policy::allow_all(), Groups::new()));
    }
    let Some(path) = &args.policy else {
        return Ok((Policy::built_in(Group::from(APPROVERS)), Groups::new()));
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("could not read \"{}\": {error}", path.display()))?;
    let names: Vec<PrincipalId> = logins
        .iter()
        .map(|it| PrincipalId::from(it.name.as_str()))
        .collect();
    proxy::config::policy_file(&text, path, &names).map_err(|error| error.to_string())
}

/// A certificate made on the spot; the second time the one that is there.
fn tls(args: &TryArgs, state: &Path) -> Result<(ServerTls, Option<PathBuf>), String> {
    if args.plain {
        return if args.listen.ip().is_loopback() {
            Ok((ServerTls::Off, None))
        } else {
            Err(format!(
                "--plain listens on a loopback address only, not on {}",
                args.listen
            ))
        };
    }
    let folder = state.join("tls");
    let (ca, certificate, key) = (
        folder.join("ca.pem"),
        folder.join("server.pem"),
        folder.join("server.key"),
    );
    if !(ca.exists() && certificate.exists() && key.exists()) {
        let address = args.listen.ip().to_string();
        let mut names = LOCAL_NAMES.to_vec();
        if !args.listen.ip().is_unspecified() && !names.contains(&address.as_str()) {
            names.push(&address);
        }
        let made = Certificates::make(&names).and_then(|made| made.write(&folder));
        made.map_err(|error| serve::chain(&error))?;
    }
    let tls = ServerTls::read(&certificate, &key).map_err(|error| error.to_string())?;
    Ok((tls, Some(ca)))
}

/// What to type next.
struct Guide {
    names: Vec<String>,
    passwords: Vec<SecretString>,
    shown: bool,
    database: String,
    root: Option<PathBuf>,
    all: bool,
}

impl Guide {
    fn print(&self, address: SocketAddr) {
        let mut out = anstream::stdout();
        for line in self.lines(address) {
            // Whoever started it may not read; it serves all the same.
            let _told = writeln!(out, "{line}");
        }
    }

    fn lines(&self, address: SocketAddr) -> Vec<String> {
        let ssl = self.root.as_ref().map_or_else(
            || "sslmode=disable".to_owned(),
            |root| format!("sslmode=verify-full sslrootcert={}", root.display()),
        );
        let (host, port) = (address.ip(), address.port());
        let mut lines = Vec::new();
        for (place, (name, password)) in self.names.iter().zip(&self.passwords).enumerate() {
            let secret = if self.shown {
                format!(" password={}", password.expose_secret())
            } else {
                String::new()
            };
            let base = format!("host={host} port={port} user={name}{secret} {ssl}");
            if place == 0 {
                lines.push(format!("{name} asks:"));
                lines.push(format!("  psql \"{base} dbname={}\"", self.database));
            } else {
                lines.push(format!("{name} decides:"));
                lines.push(format!("  export PORTCULLIS_URL=\"{base}\""));
                lines.push("  portcullis pending".to_owned());
            }
        }
        if self.all {
            lines.push("Every statement passes and is journalled (--allow-all).".to_owned());
        } else {
            lines.push("Reads pass; everything else waits until somebody else signs.".to_owned());
        }
        lines
    }
}

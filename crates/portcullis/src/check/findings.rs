//! What is found of one login, in words that say what to do. It never shows a secret, and never changes anything at the server.

use gate::Settings;
use pool::{ConnectError, Options, Probe, TcpDial};
use sql::Major;

/// A certificate that expires within so many days is spoken of.
const SOON_DAYS: i64 = 30;
const DAY_S: i64 = 86_400;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// All is well.
    Ok,
    /// It was not tried.
    Skipped,
    /// It works, and should be seen to.
    Warning,
    /// It does not work.
    Failed,
}

impl Level {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) level: Level,
    pub(super) found: String,
    /// What to do about it.
    pub(super) todo: Option<String>,
}

impl Finding {
    pub(super) fn ok(found: String) -> Self {
        Self {
            level: Level::Ok,
            found,
            todo: None,
        }
    }

    pub(super) fn warning(found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self::of(Level::Warning, found, todo)
    }

    pub(super) fn failed(found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self::of(Level::Failed, found, todo)
    }

    pub(super) fn of(level: Level, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self {
            level,
            found: found.into(),
            todo: Some(todo.into()),
        }
    }
}

/// A login that is tried.
#[derive(Clone, Copy)]
pub(super) struct Login<'a> {
    /// `write`, `read` or `ledger`.
    pub(super) lane: &'static str,
    pub(super) options: &'a Options,
    /// Now, in seconds since 1970.
    pub(super) now: i64,
}

/// A look at what a login learnt; nothing to say is nothing found.
type Look = fn(&Login<'_>, &Probe) -> Option<Finding>;

/// All of them, in the order in which they are told. What is to be seen of each login goes here.
const LOOKS: [Look; 3] = [version, cluster, certificate];

/// Logs in, as the gate would, and looks around: what was found, and what the login learnt.
pub(super) async fn of(login: Login<'_>) -> (Vec<Finding>, Option<Probe>) {
    let seen = match pool::probe(&TcpDial, login.options).await {
        Ok(seen) => seen,
        Err(error) => return (vec![refused(&login, &error)], None),
    };
    let mut found: Vec<Finding> = LOOKS
        .iter()
        .filter_map(|look| look(&login, &seen))
        .collect();
    if found.is_empty() {
        found.push(Finding::ok(well(&login, &seen)));
    }
    (found, Some(seen))
}

fn well(login: &Login<'_>, seen: &Probe) -> String {
    let version = server_version(&seen.parameters);
    let days = days_left(login, seen).map(|it| format!(", its certificate expires in {it} days"));
    format!("PostgreSQL {version}{}", days.unwrap_or_default())
}

/// What the certificate of the gate, or of a server, has left to live.
pub(super) fn validity(expires: i64, now: i64, whose: &str) -> Option<Finding> {
    let days = (expires - now).div_euclid(DAY_S);
    if expires <= now {
        return Some(Finding::failed(
            format!("{whose} has expired"),
            "put a new one in its place; a reload takes it up",
        ));
    }
    (days < SOON_DAYS).then(|| {
        Finding::warning(
            format!("{whose} expires in {days} days"),
            "renew it in time; a reload takes it up",
        )
    })
}

fn days_left(login: &Login<'_>, seen: &Probe) -> Option<i64> {
    let expires = seen.certificate.as_ref().and_then(proxy::expires)?;
    Some((expires - login.now).div_euclid(DAY_S))
}

fn server_version(parameters: &Settings) -> &str {
    parameters
        .get("server_version")
        .map_or("of an unknown version", String::as_str)
}

fn version(_: &Login<'_>, seen: &Probe) -> Option<Finding> {
    let version = server_version(&seen.parameters);
    let digits = version.split(|it: char| !it.is_ascii_digit()).next();
    let major = digits.and_then(|it| it.parse().ok()).and_then(Major::new);
    if major.is_some() {
        return None;
    }
    let todo = format!(
        "this gate reads the SQL of PostgreSQL {} to {}, and holds all that it cannot read: take one of these, or another gate",
        Major::OLDEST,
        Major::GRAMMAR
    );
    Some(Finding::failed(format!("PostgreSQL {version}"), todo))
}

fn cluster(login: &Login<'_>, seen: &Probe) -> Option<Finding> {
    if seen.system_identifier.is_some() {
        return None;
    }
    let todo = format!(
        "GRANT EXECUTE ON FUNCTION pg_control_system() TO \"{}\", so that another cluster at this address is noticed",
        login.options.user
    );
    let found = "it is not known which cluster this is";
    Some(Finding::warning(found, todo))
}

fn certificate(login: &Login<'_>, seen: &Probe) -> Option<Finding> {
    let expires = seen.certificate.as_ref().and_then(proxy::expires)?;
    validity(expires, login.now, "the server's certificate").map(|it| Finding {
        todo: Some("whoever runs the server must renew it in time".to_owned()),
        ..it
    })
}

/// Why there is no connection, and what that mostly means.
fn refused(login: &Login<'_>, error: &ConnectError) -> Finding {
    let Options {
        host,
        port,
        database,
        user,
        ..
    } = login.options;
    let key = match login.lane {
        "write" => "",
        "read" => "read_",
        _ => "ledger_",
    };
    let found = crate::serve::chain(error);
    let todo = match error {
        ConnectError::Io(why) if is_tls(why) => format!(
            "\"sslrootcert\" must name the CA of the server's certificate, and that must be for \"{host}\""
        ),
        ConnectError::Io(_) => format!("see that a server listens at {host}:{port} and lets this machine in"),
        ConnectError::Timeout => format!("see that nothing between here and {host}:{port} drops packets; \"connect\" is how long a login may take"),
        ConnectError::NoTls => "turn \"ssl\" on at the server; sslmode = \"disable\" is for networks that nobody else is on".to_owned(),
        ConnectError::HostName(_) => "\"host\" must be a name or an address that a certificate can be for".to_owned(),
        ConnectError::Protocol => format!("see that it is PostgreSQL that listens at {host}:{port}"),
        ConnectError::NoPassword => format!("give \"{user}\" a {key}password_file, or a {key}password_env"),
        ConnectError::Method(_) => format!("let pg_hba.conf ask \"{user}\" for scram-sha-256"),
        ConnectError::Credential(_) => format!("see that what gives out the {key}login of \"{user}\" answers, and lets the gate ask"),
        ConnectError::InRecovery | ConnectError::OldTimeline { .. } => {
            "\"host\" must lead to the primary; servers that follow it are \"replicas\"".to_owned()
        }
        ConnectError::NoReplica => "\"replicas\" must name servers that follow the tenant's own".to_owned(),
        ConnectError::Refused(said) | ConnectError::Settings(said) => match said.get(..5) {
            Some("28P01") => format!("the {key}password of \"{user}\" must be the one that the server knows"),
            Some("28000") => format!("make the role \"{user}\" with LOGIN, and let it in by pg_hba.conf"),
            Some("3D000") => format!("make the database \"{database}\", or name another in \"database\""),
            Some("42501") => format!("GRANT CONNECT ON DATABASE \"{database}\" TO \"{user}\""),
            Some("53300") => "the server has no connection left: raise max_connections, or lower \"pool_size\"".to_owned(),
            Some("57P03") => "wait until the server has started".to_owned(),
            _ => "the server's log says more".to_owned(),
        },
    };
    Finding::failed(found, todo)
}

/// Whether it was the certificate, and not the network.
fn is_tls(error: &std::io::Error) -> bool {
    let cause = error.get_ref();
    cause.is_some_and(|it| it.downcast_ref::<rustls::Error>().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_spoken_of_in_time() {
        let level = |days: i64| {
            validity(1_000 * DAY_S + days * DAY_S, 1_000 * DAY_S, "it").map(|it| it.level)
        };
        assert_eq!(level(30), None);
        assert_eq!(level(29), Some(Level::Warning));
        assert_eq!(level(0), Some(Level::Failed));
        assert_eq!(level(-1), Some(Level::Failed));
    }
}

//! Where the gate is and who we are, found as libpq finds it: flags, connection string, service, environment,
//! defaults. It never connects or touches the real environment: that is handed in.

use std::net::IpAddr;
use std::path::PathBuf;

use secrecy::SecretString;

use super::connstring::{BadConnstring, Layer};
use super::service;

/// The virtual database that is the console.
pub const CONSOLE: &str = "portcullis";
/// The gate's port where nobody says another.
pub const PORT: u16 = 6432;
/// PostgreSQL's.
const POSTGRESQL: u16 = 5432;

/// Environment variables and the keyword that each stands for.
const VARIABLES: &[(&str, &str)] = &[
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGPASSFILE", "passfile"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGCHANNELBINDING", "channel_binding"),
];

/// libpq's `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    /// Never TLS.
    Disable,
    /// TLS if the server insists.
    Allow,
    /// TLS if the server has it.
    Prefer,
    /// TLS.
    Require,
    /// TLS, and somebody we trust signed the certificate.
    VerifyCa,
    /// TLS, somebody we trust signed the certificate, and it is for this host.
    VerifyFull,
}

impl SslMode {
    const ALL: &[(&str, Self)] = &[
        ("disable", Self::Disable),
        ("allow", Self::Allow),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];

    /// libpq's word for it.
    pub fn as_str(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|it| it.1 == self)
            .map_or("", |it| it.0)
    }
}

/// Whose signatures on the server's certificate are good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// Nobody named a file and there is no home folder.
    Nowhere,
    /// Those in this file, if there is one: it was not asked for.
    IfThere(PathBuf),
    /// Those in this file.
    File(PathBuf),
    /// Those that the operating system trusts.
    System,
}

/// libpq's `channel_binding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Never.
    Disable,
    /// Where both sides can.
    Prefer,
    /// Or no login.
    Require,
}

/// One address to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// A name or address, or the folder of a Unix socket; empty if only `address` is known.
    pub host: String,
    /// Where to connect, if not to what `host` resolves to.
    pub address: Option<IpAddr>,
    /// The port.
    pub port: u16,
}

impl Place {
    /// Whether it is a Unix socket.
    pub fn is_socket(&self) -> bool {
        self.address.is_none() && self.host.starts_with('/')
    }

    /// The name of it that a certificate must have and that `.pgpass` says.
    pub fn name(&self) -> String {
        match self.address {
            Some(address) if self.host.is_empty() => address.to_string(),
            _ => self.host.clone(),
        }
    }
}

/// Where to connect, as whom, and how.
#[derive(Clone, Debug)]
pub struct Target {
    /// Addresses, to be tried in order; never empty.
    pub places: Vec<Place>,
    /// The login.
    pub user: String,
    /// The database: the console, or one of a server of PostgreSQL itself.
    pub database: String,
    /// The password, if somebody gave one.
    pub password: Option<SecretString>,
    /// The password file.
    pub passfile: Option<PathBuf>,
    /// Whether TLS, and how strict.
    pub ssl_mode: SslMode,
    /// Whom to trust.
    pub roots: Roots,
    /// Channel binding of the login.
    pub binding: Binding,
    /// How long to wait for a connection; `None` is for ever.
    pub connect_timeout_s: Option<u64>,
}

/// What the command line said itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flags<'a> {
    /// `-h`
    pub host: Option<&'a str>,
    /// `-p`
    pub port: Option<u16>,
    /// `-U`
    pub user: Option<&'a str>,
    /// `--url`
    pub url: Option<&'a str>,
}

fn bad<T>(message: impl Into<String>) -> Result<T, BadConnstring> {
    Err(BadConnstring(message.into()))
}

/// Finds the target: flags, then `--url` or else `PORTCULLIS_URL`, then the service that one of them or `PGSERVICE`
/// names, then libpq's variables, then defaults.
pub fn resolve(
    flags: Flags<'_>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Target, BadConnstring> {
    Sources::of(flags, environment)?.target(PORT)
}

/// Finds a server of PostgreSQL itself: a connection string, then its service, libpq's variables, and defaults.
pub fn upstream(
    connstring: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Target, BadConnstring> {
    let flags = Flags {
        url: Some(connstring),
        ..Flags::default()
    };
    let sources = Sources::of(flags, environment)?;
    let target = sources.target(POSTGRESQL)?;
    let database = sources.value("dbname");
    let database = database.or_else(|| sources.said("PGDATABASE"));
    Ok(Target {
        database: database.unwrap_or_else(|| target.user.clone()),
        ..target
    })
}

/// All that says something, the strongest first.
struct Sources<'a> {
    layers: [Layer; 4],
    environment: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Sources<'a> {
    fn of(
        flags: Flags<'_>,
        environment: &'a dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, BadConnstring> {
        let mut typed = Layer::default();
        typed.set("host", flags.host.unwrap_or_default().to_owned());
        typed.set(
            "port",
            flags.port.map(|port| port.to_string()).unwrap_or_default(),
        );
        typed.set("user", flags.user.unwrap_or_default().to_owned());
        let said = |name: &str| environment(name).filter(|it| !it.is_empty());
        let url = match flags.url {
            Some(url) => Layer::parse(url)?,
            None => Layer::parse(&said("PORTCULLIS_URL").unwrap_or_default())
                .map_err(|error| BadConnstring(format!("PORTCULLIS_URL: {error}")))?,
        };
        let service = url.value("service").map(str::to_owned);
        let service = match service.or_else(|| said("PGSERVICE")) {
            Some(name) => service::look_up(&name, &said)?,
            None => Layer::default(),
        };
        let mut variables = Layer::default();
        for (variable, keyword) in VARIABLES {
            variables.set(keyword, said(variable).unwrap_or_default());
        }
        Ok(Self {
            layers: [typed, url, service, variables],
            environment,
        })
    }

    /// A variable, if there is anything in it.
    fn said(&self, name: &str) -> Option<String> {
        (self.environment)(name).filter(|it| !it.is_empty())
    }

    /// What the strongest that says anything of a keyword says, if that is not nothing.
    fn value(&self, keyword: &str) -> Option<String> {
        let value = self.layers.iter().find_map(|it| it.value(keyword))?;
        (!value.is_empty()).then(|| value.to_owned())
    }

    fn target(&self, usual_port: u16) -> Result<Target, BadConnstring> {
        let home = self.said("HOME").map(PathBuf::from);
        let (ssl_mode, roots) = ssl(
            self.value("sslmode"),
            self.value("sslrootcert"),
            home.as_ref(),
        )?;
        let (hosts, addresses) = hosts(&self.layers);
        let ports = self.value("port").unwrap_or_default();
        let user = self.value("user");
        let user = user.or_else(|| self.said("USER"));
        Ok(Target {
            places: places(&hosts, &addresses, &ports, usual_port)?,
            user: match user.or_else(|| self.said("LOGNAME")) {
                Some(user) => user,
                None => {
                    return bad("no user name was given: use -U, PGUSER or a connection string");
                }
            },
            database: CONSOLE.to_owned(),
            password: self.value("password").map(SecretString::from),
            passfile: self
                .value("passfile")
                .map(PathBuf::from)
                .or_else(|| Some(home?.join(".pgpass"))),
            ssl_mode,
            roots,
            binding: match self.value("channel_binding").as_deref() {
                None | Some("prefer") => Binding::Prefer,
                Some("disable") => Binding::Disable,
                Some("require") => Binding::Require,
                Some(other) => return bad(format!("invalid channel_binding value: \"{other}\"")),
            },
            connect_timeout_s: timeout(self.value("connect_timeout"))?,
        })
    }
}

/// Host and address. A host from a stronger source silences an address from a weaker one, which would
/// otherwise lead to another server than the one that was named.
fn hosts(layers: &[Layer]) -> (String, String) {
    let mut host = None;
    let mut address = None;
    for layer in layers {
        if host.is_none() && address.is_none() {
            address = layer.value("hostaddr");
        }
        host = host.or_else(|| layer.value("host"));
    }
    (
        host.unwrap_or_default().to_owned(),
        address.unwrap_or_default().to_owned(),
    )
}

fn places(
    hosts: &str,
    addresses: &str,
    ports: &str,
    usual_port: u16,
) -> Result<Vec<Place>, BadConnstring> {
    let hosts: Vec<&str> = hosts.split(',').map(str::trim).collect();
    let addresses: Vec<&str> = addresses.split(',').map(str::trim).collect();
    let ports: Vec<&str> = ports.split(',').map(str::trim).collect();
    let named = |list: &[&str]| list.len() > 1 || list.first().is_some_and(|it| !it.is_empty());
    if named(&hosts) && named(&addresses) && hosts.len() != addresses.len() {
        return bad(format!(
            "could not match {} host names to {} hostaddr values",
            hosts.len(),
            addresses.len()
        ));
    }
    let count = hosts.len().max(addresses.len());
    if ports.len() > 1 && ports.len() != count {
        return bad(format!(
            "could not match {} port numbers to {count} hosts",
            ports.len()
        ));
    }
    let mut places = Vec::with_capacity(count);
    for index in 0..count {
        let host = hosts.get(index).copied().unwrap_or_default();
        let address = match addresses.get(index).copied().unwrap_or_default() {
            "" => None,
            text => match text.parse::<IpAddr>() {
                Ok(address) => Some(address),
                Err(_) => return bad(format!("could not parse network address \"{text}\"")),
            },
        };
        let host = if host.is_empty() && address.is_none() {
            "localhost"
        } else {
            host
        };
        let port = ports
            .get(index)
            .or_else(|| ports.first())
            .copied()
            .unwrap_or_default();
        places.push(Place {
            host: host.to_owned(),
            address,
            port: self::port(port, usual_port)?,
        });
    }
    Ok(places)
}

fn port(text: &str, usual: u16) -> Result<u16, BadConnstring> {
    match text.parse::<u16>() {
        _ if text.is_empty() => Ok(usual),
        Ok(port) if port > 0 => Ok(port),
        _ => bad(format!("invalid port number: \"{text}\"")),
    }
}

fn timeout(text: Option<String>) -> Result<Option<u64>, BadConnstring> {
    let Some(text) = text else { return Ok(None) };
    match text.trim().parse::<i32>() {
        Ok(seconds) => Ok(u64::try_from(seconds).ok().filter(|it| *it > 0)),
        Err(_) => bad(format!(
            "invalid integer value \"{text}\" for connection option \"connect_timeout\""
        )),
    }
}

fn ssl(
    mode: Option<String>,
    root: Option<String>,
    home: Option<&PathBuf>,
) -> Result<(SslMode, Roots), BadConnstring> {
    let roots = match (root, home) {
        (Some(root), _) if root == "system" => Roots::System,
        (Some(root), _) => Roots::File(PathBuf::from(root)),
        (None, Some(home)) => Roots::IfThere(home.join(".postgresql").join("root.crt")),
        (None, None) => Roots::Nowhere,
    };
    let mode = match mode {
        None if roots == Roots::System => SslMode::VerifyFull,
        None => SslMode::Prefer,
        Some(word) => match SslMode::ALL.iter().find(|it| it.0 == word) {
            Some(found) => found.1,
            None => return bad(format!("invalid sslmode value: \"{word}\"")),
        },
    };
    if roots == Roots::System && mode != SslMode::VerifyFull {
        return bad(format!(
            "weak sslmode \"{}\" may not be used with sslrootcert=system (use \"verify-full\")",
            mode.as_str()
        ));
    }
    Ok((mode, roots))
}

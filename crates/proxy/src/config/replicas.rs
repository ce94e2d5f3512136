//! The servers that follow a tenant's: where they are, how far behind one may be, and how long a read waits for one. It never
//! connects.

use std::time::Duration;

use pool::{Options, Station};

use super::problem::Flaw;
use super::reader::{Fields, Text};

/// How far behind one may be, unless the tenant says otherwise.
const LAG_MAX: Duration = Duration::from_secs(1);
/// How long a read waits, unless the tenant says otherwise.
const WAIT: Duration = Duration::from_millis(200);
/// So many, at the most.
const REPLICAS_MAX: usize = 16;

/// The servers that follow a tenant's. Their database, TLS and login are those of its reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replicas {
    /// Hosts and ports.
    pub places: Vec<(String, u16)>,
    /// How far behind one may be that serves a read.
    pub lag_max: Duration,
    /// How long a read waits for one that has what its person wrote before, or for a connection to it; then the primary serves it.
    pub wait: Duration,
}

impl Replicas {
    /// The login for reads of each, in order.
    pub fn logins<'a>(&'a self, read: &'a Options) -> impl Iterator<Item = Options> + 'a {
        self.places.iter().map(|(host, port)| Options {
            host: host.clone(),
            port: *port,
            wait: self.wait,
            station: Station::Replica,
            ..read.clone()
        })
    }
}

/// What is wrong with them was said.
pub(super) struct Flawed;

/// Of a tenant whose own server this is; none where it names none.
pub(super) fn replicas(fields: &Fields<'_>, primary: &Options) -> Result<Option<Replicas>, Flawed> {
    if !fields.has("replicas") {
        for key in ["replica_lag_max", "replica_wait"] {
            fields.refuse(key, "without \"replicas\"");
        }
        return Ok(None);
    }
    let expected = "a host or \"host:port\"";
    let texts = fields.texts("replicas", expected).ok_or(Flawed)?;
    let mut places = Vec::with_capacity(texts.len());
    for text in &texts {
        let place = place(fields, text, primary, &places);
        places.push(place.ok_or(Flawed)?);
    }
    if places.len() > REPLICAS_MAX {
        let flaw = Flaw::found(format!("\"replicas\" names {} servers", places.len()));
        let flaw = flaw.expected(format!("at most {REPLICAS_MAX} of them"));
        fields.page.flaw(&fields.span_of("replicas"), flaw);
        return Err(Flawed);
    }
    let lag_max = fields.duration(
        "replica_lag_max",
        Duration::from_millis(10)..=Duration::from_hours(1),
    );
    let wait = fields.duration(
        "replica_wait",
        Duration::from_millis(1)..=Duration::from_mins(1),
    );
    Ok(Some(Replicas {
        places,
        lag_max: lag_max.unwrap_or(LAG_MAX),
        wait: wait.unwrap_or(WAIT),
    }))
}

/// `host`, `host:port` or `[address]:port`; another server than the others.
fn place(
    fields: &Fields<'_>,
    text: &Text<'_>,
    primary: &Options,
    others: &[(String, u16)],
) -> Option<(String, u16)> {
    let flaw = |found: String, expected: &str| {
        fields
            .page
            .flaw(&text.span, Flaw::found(found).expected(expected.to_owned()));
    };
    let Some(place) = split(text.text) else {
        let expected = "a host name or an address, and a port behind a colon";
        flaw(format!("{:?} names no server", text.text), expected);
        return None;
    };
    if place == (primary.host.clone(), primary.port) {
        flaw(
            format!("{:?} is the tenant's own server", text.text),
            "one that follows it",
        );
        return None;
    }
    if others.contains(&place) {
        flaw(format!("{:?} stands twice", text.text), "each once");
        return None;
    }
    Some(place)
}

fn split(text: &str) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (
                host,
                port.strip_prefix(':').or(port.is_empty().then_some(""))?,
            )
        }
        // An address of IP version 6 has more than one.
        None if text.matches(':').count() > 1 => (text, ""),
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let sound = !host.is_empty()
        && !host.starts_with('/')
        && !host.contains(|c: char| " ,{}\"".contains(c) || c.is_control());
    let port = match port {
        "" if !text.ends_with(':') || text.matches(':').count() > 1 => 5432,
        digits => digits.parse().ok().filter(|it| *it > 0)?,
    };
    sound.then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_place_is_a_host_and_perhaps_a_port() {
        for (text, expected) in [
            ("db2", Some(("db2", 5432))),
            ("db2:6000", Some(("db2", 6000))),
            ("10.0.0.2:6000", Some(("10.0.0.2", 6000))),
            ("::1", Some(("::1", 5432))),
            ("[::1]:6000", Some(("::1", 6000))),
            ("[::1]", Some(("::1", 5432))),
            ("db2:", None),
            ("db2:0", None),
            ("db2:70000", None),
            ("db2:x", None),
            (":6000", None),
            ("", None),
            ("a b", None),
            ("/run/postgresql", None),
            ("a,b", None),
        ] {
            let expected = expected.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(split(text), expected, "{text}");
        }
    }
}

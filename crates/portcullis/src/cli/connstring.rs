//! Connection strings in both of libpq's forms, `postgres://...` and `key=value`, as a map of keywords.
//! It never connects, reads a file or looks at the environment, and it quotes no value in an error.

use std::collections::BTreeMap;

/// Keywords that mean something to us.
const USED: &[&str] = &[
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "passfile",
    "password",
    "port",
    "service",
    "sslmode",
    "sslrootcert",
    "user",
];

/// Keywords that libpq knows and that mean nothing to a console: a string made for psql works.
const IGNORED: &[&str] = &[
    "application_name",
    "client_encoding",
    "fallback_application_name",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "max_protocol_version",
    "min_protocol_version",
    "options",
    "replication",
    "require_auth",
    "sslcert",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslkey",
    "sslnegotiation",
    "sslpassword",
    "sslsni",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "target_session_attrs",
    "tcp_user_timeout",
];

/// A connection string that cannot be read, in libpq's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadConnstring(pub String);

fn bad<T>(message: impl Into<String>) -> Result<T, BadConnstring> {
    Err(BadConnstring(message.into()))
}

/// One source of connection options: what it says of each keyword. An empty value says nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Layer(BTreeMap<&'static str, String>);

impl Layer {
    /// What it says of `keyword`.
    pub fn value(&self, keyword: &str) -> Option<&str> {
        self.0.get(keyword).map(String::as_str)
    }

    /// Says `value` of `keyword`; `false` if there is no such keyword.
    pub fn set(&mut self, keyword: &str, value: String) -> bool {
        if let Some(known) = USED.iter().find(|it| **it == keyword) {
            if value.is_empty() {
                self.0.remove(known);
            } else {
                self.0.insert(known, value);
            }
            return true;
        }
        IGNORED.contains(&keyword)
    }

    /// Says `value` of `keyword` unless it has said something already. An empty one is said, too: of what is stronger
    /// than the environment it keeps that out. `false` if there is no such keyword.
    pub fn set_first(&mut self, keyword: &str, value: String) -> bool {
        if let Some(known) = USED.iter().find(|it| **it == keyword) {
            self.0.entry(known).or_insert(value);
            return true;
        }
        IGNORED.contains(&keyword)
    }

    /// Reads a connection string.
    pub fn parse(text: &str) -> Result<Self, BadConnstring> {
        let rest = text
            .strip_prefix("postgresql://")
            .or_else(|| text.strip_prefix("postgres://"));
        match rest {
            Some(rest) => uri(rest),
            None => pairs(text),
        }
    }
}

fn uri(rest: &str) -> Result<Layer, BadConnstring> {
    let mut layer = Layer::default();
    let (credentials, rest) = match rest.find(['@', '/']) {
        Some(at) if rest.get(at..).is_some_and(|it| it.starts_with('@')) => {
            let (credentials, rest) = rest.split_at(at);
            (Some(credentials), rest.trim_start_matches('@'))
        }
        _ => (None, rest),
    };
    if let Some(credentials) = credentials {
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        layer.set("user", decoded(user)?);
        layer.set("password", decoded(password)?);
    }
    let (places, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (places, dbname) = places.split_once('/').unwrap_or((places, ""));
    if !dbname.is_empty() {
        layer.set("dbname", decoded(dbname)?);
    }
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    for place in places.split(',') {
        let (host, port) = host_and_port(place)?;
        hosts.push(decoded(host)?);
        ports.push(decoded(port)?);
    }
    if hosts.iter().any(|it| !it.is_empty()) {
        layer.set("host", hosts.join(","));
    }
    if ports.iter().any(|it| !it.is_empty()) {
        layer.set("port", ports.join(","));
    }
    for parameter in query.split('&').filter(|it| !it.is_empty()) {
        uri_parameter(&mut layer, parameter)?;
    }
    Ok(layer)
}

fn host_and_port(place: &str) -> Result<(&str, &str), BadConnstring> {
    let (host, after) = if let Some(inner) = place.strip_prefix('[') {
        match inner.split_once(']') {
            Some(("", _)) => return bad("IPv6 host address may not be empty in URI"),
            Some(found) => found,
            None => {
                return bad(
                    "end of string reached when looking for matching \"]\" in IPv6 host address in URI",
                );
            }
        }
    } else {
        let colon = place.find(':').unwrap_or(place.len());
        place.split_at(colon)
    };
    match after.strip_prefix(':') {
        Some(port) => Ok((host, port)),
        None if after.is_empty() => Ok((host, "")),
        None => bad("unexpected character after the host in URI (expected \":\" or \"/\")"),
    }
}

fn uri_parameter(layer: &mut Layer, parameter: &str) -> Result<(), BadConnstring> {
    let Some((keyword, value)) = parameter.split_once('=') else {
        return bad(format!(
            "missing key/value separator \"=\" in URI query parameter: \"{parameter}\""
        ));
    };
    let keyword = decoded(keyword)?;
    if value.contains('=') {
        return bad(format!(
            "extra key/value separator \"=\" in URI query parameter: \"{keyword}\""
        ));
    }
    let value = decoded(value)?;
    if keyword == "ssl" && value == "true" {
        layer.set("sslmode", "require".to_owned());
        return Ok(());
    }
    if layer.set(&keyword, value) {
        return Ok(());
    }
    bad(format!("invalid URI query parameter: \"{keyword}\""))
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> Result<String, BadConnstring> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |it: Option<u8>| it.and_then(|it| char::from(it).to_digit(16));
        match (digit(rest.next()), digit(rest.next())) {
            (Some(0), Some(0)) => return bad("forbidden value %00 in percent-encoded value"),
            (Some(high), Some(low)) => bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'?')),
            _ => return bad("invalid percent-encoded token in URI"),
        }
    }
    String::from_utf8(bytes).or_else(|_| bad("a percent-encoded value in the URI is not UTF-8"))
}

/// libpq names the word, which may be the rest of a password that was not quoted.
const NO_EQUALS: &str = "missing \"=\" after a keyword in connection info string";

fn pairs(text: &str) -> Result<Layer, BadConnstring> {
    let mut layer = Layer::default();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let Some((keyword, value)) = rest.split_once('=') else {
            return bad(NO_EQUALS);
        };
        let keyword = keyword.trim_end();
        if keyword.contains(char::is_whitespace) {
            return bad(NO_EQUALS);
        }
        let (value, after) = pair_value(value.trim_start())?;
        if !layer.set(keyword, value) {
            return bad(format!("invalid connection option \"{keyword}\""));
        }
        rest = after.trim_start();
    }
    Ok(layer)
}

/// A value and what comes after it: to the next blank, or to the closing quote; a backslash takes the
/// next character as it is.
fn pair_value(text: &str) -> Result<(String, &str), BadConnstring> {
    let quoted = text.starts_with('\'');
    let text = text.strip_prefix('\'').unwrap_or(text);
    let mut value = String::new();
    let mut characters = text.chars();
    loop {
        let before = characters.as_str();
        match characters.next() {
            Some('\\') => value.extend(characters.next()),
            Some('\'') if quoted => return Ok((value, characters.as_str())),
            Some(blank) if !quoted && blank.is_ascii_whitespace() => return Ok((value, before)),
            Some(other) => value.push(other),
            None if quoted => return bad("unterminated quoted string in connection info string"),
            None => return Ok((value, before)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(text: &str) -> String {
        match Layer::parse(text) {
            Ok(layer) => {
                let said: Vec<String> = layer.0.iter().map(|(k, v)| format!("{k}={v}")).collect();
                said.join(" ")
            }
            Err(error) => format!("! {error}"),
        }
    }

    #[test]
    fn uris() {
        for (text, said) in [
            ("postgres://", ""),
            ("postgresql://gate", "host=gate"),
            (
                "postgres://bob@gate:7/acme",
                "dbname=acme host=gate port=7 user=bob",
            ),
            (
                "postgres://bob:p%40ss%3aw@gate",
                "host=gate password=p@ss:w user=bob",
            ),
            ("postgres://bob:@gate", "host=gate user=bob"),
            (
                "postgres://[::1]:7/x?sslmode=verify-full",
                "dbname=x host=::1 port=7 sslmode=verify-full",
            ),
            (
                "postgres:///x?host=/run/gate&port=7",
                "dbname=x host=/run/gate port=7",
            ),
            ("postgres://%2Frun%2Fgate:7", "host=/run/gate port=7"),
            ("postgres://a:1,b:2/x", "dbname=x host=a,b port=1,2"),
            ("postgres://gate?ssl=true", "host=gate sslmode=require"),
            (
                "postgres://gate?application_name=x&target_session_attrs=any",
                "host=gate",
            ),
            ("postgres://gate/x@y", "dbname=x@y host=gate"),
            (
                "postgres://gate?colour=red",
                "! invalid URI query parameter: \"colour\"",
            ),
            (
                "postgres://gate?a=b=c",
                "! extra key/value separator \"=\" in URI query parameter: \"a\"",
            ),
            (
                "postgres://gate?sslmode",
                "! missing key/value separator \"=\" in URI query parameter: \"sslmode\"",
            ),
            ("postgres://g%zz", "! invalid percent-encoded token in URI"),
            ("postgres://g%", "! invalid percent-encoded token in URI"),
            (
                "postgres://g%00",
                "! forbidden value %00 in percent-encoded value",
            ),
            (
                "postgres://[]",
                "! IPv6 host address may not be empty in URI",
            ),
            (
                "postgres://[::1]x",
                "! unexpected character after the host in URI (expected \":\" or \"/\")",
            ),
        ] {
            assert_eq!(says(text), said, "{text}");
        }
    }

    #[test]
    fn key_value_strings() {
        for (text, said) in [
            ("", ""),
            ("  ", ""),
            (
                "host=gate port = 7  user=bob dbname=acme",
                "dbname=acme host=gate port=7 user=bob",
            ),
            (
                "host='gate' password='it",
                "! unterminated quoted string in connection info string",
            ),
            (
                r"password='it\'s \\ here' user=bob",
                r"password=it's \ here user=bob",
            ),
            (r"password=a\ b", "password=a b"),
            ("host='' user=bob", "user=bob"),
            (
                "host=gate user",
                "! missing \"=\" after a keyword in connection info string",
            ),
            (
                "host gate user=bob",
                "! missing \"=\" after a keyword in connection info string",
            ),
            ("colour=red", "! invalid connection option \"colour\""),
        ] {
            assert_eq!(says(text), said, "{text}");
        }
    }

    #[test]
    fn no_password_in_an_error() {
        for text in [
            "postgres://bob:secret@g%",
            "password=secret colour=red",
            "password='secret",
        ] {
            assert!(!says(text).contains("secret"), "{text}");
        }
    }
}

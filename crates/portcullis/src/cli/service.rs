//! The connection service file, by libpq's rules: a name stands for a set of connection options. It never asks an LDAP
//! server, never reads a second service from the first, and quotes no value in an error.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::connstring::{BadConnstring, Layer};

/// As long as a line may be, with its end: that of libpq's buffer.
const LINE_MAX: usize = 1022;
/// Where the system's file is, unless `PGSYSCONFDIR` says it: that is fixed when libpq is built, and these are what Debian,
/// Red Hat's packages of the PostgreSQL project, and the source make of it. The first that is there is the one.
const SYSTEM: [&str; 3] = [
    "/etc/postgresql-common",
    "/etc/sysconfig/pgsql",
    "/usr/local/pgsql/etc",
];

/// What the service file says of the service `name`: `PGSERVICEFILE`, or else `~/.pg_service.conf`, and where that has
/// no such service the system's. `said` is a variable of the environment that has something in it.
pub fn look_up(name: &str, said: &dyn Fn(&str) -> Option<String>) -> Result<Layer, BadConnstring> {
    let named = said("PGSERVICEFILE").map(PathBuf::from);
    let own = named.clone().or_else(|| {
        let home = said("HOME").map(PathBuf::from)?;
        Some(home.join(".pg_service.conf")).filter(|it| it.exists())
    });
    let system = match said("PGSYSCONFDIR") {
        Some(folder) => vec![PathBuf::from(folder)],
        None => SYSTEM.iter().map(PathBuf::from).collect(),
    };
    let system = system.iter().map(|it| it.join("pg_service.conf"));
    let system = system.into_iter().find(|it| it.exists());
    for file in own.into_iter().chain(system) {
        if let Some(layer) = read(&file, name)? {
            return Ok(layer);
        }
    }
    bad(format!("definition of service \"{name}\" not found"))
}

fn bad<T>(message: impl Into<String>) -> Result<T, BadConnstring> {
    Err(BadConnstring(message.into()))
}

fn read(file: &Path, name: &str) -> Result<Option<Layer>, BadConnstring> {
    match fs::read(file) {
        Ok(bytes) => section(&bytes, name, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bad(format!("service file \"{}\" not found", file.display()))
        }
        Err(error) => bad(format!(
            "could not read service file \"{}\": {error}",
            file.display()
        )),
    }
}

/// What stands below `[name]`, up to the next name.
fn section(bytes: &[u8], name: &str, file: &Path) -> Result<Option<Layer>, BadConnstring> {
    let mut found: Option<Layer> = None;
    for (index, line) in bytes.split_inclusive(|it| *it == b'\n').enumerate() {
        let wrong = |what: &str| {
            let (file, number) = (file.display(), index + 1);
            bad(format!("{what} in service file \"{file}\", line {number}"))
        };
        if line.len() > LINE_MAX {
            let (file, number) = (file.display(), index + 1);
            return bad(format!("line {number} too long in service file \"{file}\""));
        }
        let line = trimmed(line);
        let layer = match (line.first(), &mut found) {
            (Some(b'['), Some(_)) => break,
            (Some(b'['), None) => {
                found = is_head(line, name).then(Layer::default);
                continue;
            }
            (None | Some(b'#'), _) | (Some(_), None) => continue,
            (Some(_), Some(layer)) => layer,
        };
        if line.starts_with(b"ldap") {
            return wrong("LDAP lookup is not supported");
        }
        let Ok(line) = std::str::from_utf8(line) else {
            return wrong("what is not UTF-8 is not supported");
        };
        // Nothing is trimmed around the sign: libpq does not.
        match line.split_once('=') {
            Some(("service" | "servicefile", _)) => {
                return wrong("nested service specifications not supported");
            }
            Some((keyword, value)) if layer.set_first(keyword, value.to_owned()) => {}
            _ => return wrong("syntax error"),
        }
    }
    Ok(found)
}

/// Whether a line is `[name]`; what is behind that does not count.
fn is_head(line: &[u8], name: &str) -> bool {
    let rest = line.strip_prefix(b"[");
    let rest = rest.and_then(|it| it.strip_prefix(name.as_bytes()));
    rest.is_some_and(|it| it.starts_with(b"]"))
}

/// Without what C takes for blanks at both ends.
fn trimmed(line: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !byte.is_ascii_whitespace() && *byte != 0x0b;
    let from = line.iter().position(is_text).unwrap_or(line.len());
    let to = line.iter().rposition(is_text).map_or(from, |it| it + 1);
    line.get(from..to).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# services
host=of nobody
[gate]
host=gate
  port=7\t
host=second
[other]
host=other
[gate]
host=again
[spaced] # a remark
 user= bob smith
password=
sslmode=require
[nested]
service=gate
[ldap]
ldap://directory/cn=gate
[keyword]
port=7
colour=red
[blank]
host = gate
[nothing]
nonsense
[empty]
";

    fn says(name: &str) -> String {
        let file = Path::new("services");
        match section(FILE.as_bytes(), name, file) {
            Ok(None) => "-".to_owned(),
            Ok(Some(layer)) => {
                let said = ["host", "password", "port", "user"].map(|keyword| {
                    let value = layer.value(keyword)?;
                    Some(format!("{keyword}={value}"))
                });
                let said: Vec<String> = said.into_iter().flatten().collect();
                said.join("|")
            }
            Err(error) => format!("! {error}"),
        }
    }

    /// As psql 15 reads the same file.
    #[test]
    fn a_section_as_libpq_reads_it() {
        let at = |line| format!("in service file \"services\", line {line}");
        for (name, said) in [
            ("gate", "host=gate|port=7".to_owned()),
            ("other", "host=other".to_owned()),
            ("spaced", "password=|user= bob smith".to_owned()),
            ("empty", String::new()),
            ("gat", "-".to_owned()),
            ("Gate", "-".to_owned()),
            (
                "nested",
                format!("! nested service specifications not supported {}", at(16)),
            ),
            ("ldap", format!("! LDAP lookup is not supported {}", at(18))),
            ("keyword", format!("! syntax error {}", at(21))),
            ("blank", format!("! syntax error {}", at(23))),
            ("nothing", format!("! syntax error {}", at(25))),
        ] {
            assert_eq!(says(name), said, "{name}");
        }
    }

    #[test]
    fn a_line_has_an_end() {
        let file = Path::new("services");
        let of = |length: usize| format!("[gate]\n#{}\nhost=x", "x".repeat(length));
        let fits = section(of(LINE_MAX - 2).as_bytes(), "gate", file);
        assert_eq!(fits.unwrap().unwrap().value("host"), Some("x"));
        let error = section(of(LINE_MAX - 1).as_bytes(), "gate", file).map(|_| ());
        assert_eq!(
            error.unwrap_err().to_string(),
            "line 2 too long in service file \"services\""
        );
    }
}

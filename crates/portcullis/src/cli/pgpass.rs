//! The password file, by libpq's rules. It never uses a file that others can read, and never prints one.

use std::fs;
use std::io;
use std::path::Path;

/// What to look up.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Host name as it was asked for.
    pub host: &'a str,
    /// Port.
    pub port: u16,
    /// Database.
    pub database: &'a str,
    /// Login.
    pub user: &'a str,
}

/// The password of the first line that fits, or a warning why the file was not used.
pub fn look_up(path: &Path, wanted: Wanted<'_>) -> Result<Option<String>, String> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(format!(
                "could not read password file \"{}\": {error}",
                path.display()
            ));
        }
    };
    if !metadata.is_file() {
        return Err(format!(
            "password file \"{}\" is not a plain file",
            path.display()
        ));
    }
    if is_open(&metadata) {
        return Err(format!(
            "password file \"{}\" has group or world access; permissions should be u=rw (0600) or less",
            path.display()
        ));
    }
    match fs::read(path) {
        Ok(bytes) => Ok(find(&bytes, wanted)),
        Err(error) => Err(format!(
            "could not read password file \"{}\": {error}",
            path.display()
        )),
    }
}

#[cfg(unix)]
fn is_open(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn is_open(_metadata: &fs::Metadata) -> bool {
    false
}

/// The password of the first line that fits.
fn find(bytes: &[u8], wanted: Wanted<'_>) -> Option<String> {
    let port = wanted.port.to_string();
    bytes
        .split(|byte| *byte == b'\n')
        .filter_map(|line| std::str::from_utf8(line).ok())
        .map(|line| line.trim_end_matches('\r'))
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let mut rest = line;
            for value in [wanted.host, &port, wanted.database, wanted.user] {
                let (field, after) = field(rest)?;
                if field.text != value && !field.any {
                    return None;
                }
                rest = after;
            }
            let password = unescaped(rest);
            (!password.is_empty()).then_some(password)
        })
}

struct Field {
    text: String,
    any: bool,
}

/// One field and what comes after its colon.
fn field(line: &str) -> Option<(Field, &str)> {
    let mut text = String::new();
    let mut characters = line.chars();
    let mut escaped = false;
    loop {
        match characters.next()? {
            '\\' => {
                escaped = true;
                text.push(characters.next()?);
            }
            ':' => {
                let any = text == "*" && !escaped;
                return Some((Field { text, any }, characters.as_str()));
            }
            other => text.push(other),
        }
    }
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => out.extend(characters.next()),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOB: Wanted<'_> = Wanted {
        host: "gate",
        port: 6432,
        database: "portcullis",
        user: "bob",
    };

    #[test]
    fn the_first_line_that_fits() {
        for (file, password) in [
            ("gate:6432:portcullis:bob:secret", Some("secret")),
            ("*:*:*:*:any\r\n", Some("any")),
            (
                "other:*:*:*:no\n#gate:*:*:*:no\ngate:*:*:bob:yes\n*:*:*:*:late",
                Some("yes"),
            ),
            ("gate:6432:portcullis:bob", None),
            ("gate:6432:portcullis:bob:", None),
            ("gate:6432:acme:bob:no", None),
            ("gate:5432:*:bob:no", None),
            (r"gate:*:*:b\ob:a\:b\\c:d", Some(r"a:b\c:d")),
            (r"\*:*:*:*:no", None),
            ("", None),
            ("\n\n:::\n", None),
        ] {
            assert_eq!(find(file.as_bytes(), BOB).as_deref(), password, "{file}");
        }
        let v6 = Wanted { host: "::1", ..BOB };
        assert_eq!(find(br"\:\:1:*:*:*:six", v6).as_deref(), Some("six"));
        assert_eq!(
            find(b"\xff:*:*:*:no\n*:*:*:*:yes", BOB).as_deref(),
            Some("yes")
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let path = std::env::temp_dir().join(format!("pgpass-{}", std::process::id()));
        fs::write(&path, "*:*:*:*:secret").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let warning = look_up(&path, BOB).unwrap_err();
        assert!(
            warning
                .ends_with("has group or world access; permissions should be u=rw (0600) or less")
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(look_up(&path, BOB), Ok(Some("secret".to_owned())));
        fs::remove_file(&path).unwrap();
        assert_eq!(look_up(&path, BOB), Ok(None));
        assert!(
            look_up(&std::env::temp_dir(), BOB)
                .unwrap_err()
                .ends_with("is not a plain file")
        );
    }
}

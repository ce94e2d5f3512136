//! How a private PostgreSQL should be.

use std::path::PathBuf;

/// The certificate a server shows, as PEM text.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// The certificate, and its chain if it has one.
    pub cert_pem: String,
    /// Its key. Written for the server's user alone.
    pub key_pem: String,
}

/// What to start. The default is a plain server that syncs its disk.
#[derive(Debug, Clone)]
pub struct Options {
    /// TLS with this certificate; without one the server speaks clear text only.
    pub tls: Option<ServerTls>,
    /// `false` for tests that no crash ends: starting and committing become much faster.
    pub fsync: bool,
    /// More settings for `postgresql.conf`, later ones winning. Values are quoted for you.
    pub settings: Vec<(String, String)>,
    /// The whole of `pg_hba.conf`, in place of "a password from this machine".
    pub hba: Option<String>,
    /// Where to put the private directory; the system's temporary directory by default.
    pub parent: Option<PathBuf>,
    /// Which server binaries; see `PORTCULLIS_PG_BIN` for the default.
    pub binaries: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tls: None,
            fsync: true,
            settings: Vec::new(),
            hba: None,
            parent: None,
            binaries: None,
        }
    }
}

impl Options {
    /// Adds one setting.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The text to append to `postgresql.conf`.
    pub(super) fn configuration(&self, port: u16) -> String {
        let mut lines = vec![
            ("port".to_owned(), port.to_string()),
            ("listen_addresses".to_owned(), "127.0.0.1".to_owned()),
            ("unix_socket_directories".to_owned(), String::new()),
            ("lc_messages".to_owned(), "C".to_owned()),
            ("password_encryption".to_owned(), "scram-sha-256".to_owned()),
        ];
        if self.tls.is_some() {
            lines.push(("ssl".to_owned(), "on".to_owned()));
            lines.push(("ssl_cert_file".to_owned(), "server.crt".to_owned()));
            lines.push(("ssl_key_file".to_owned(), "server.key".to_owned()));
        }
        if !self.fsync {
            lines.push(("fsync".to_owned(), "off".to_owned()));
            lines.push(("synchronous_commit".to_owned(), "off".to_owned()));
            lines.push(("full_page_writes".to_owned(), "off".to_owned()));
        }
        lines.extend(self.settings.iter().cloned());
        lines
            .iter()
            .map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''")))
            .collect::<Vec<_>>()
            .concat()
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn later_settings_come_later_and_are_quoted() {
        let text = Options::default()
            .set("log_line_prefix", "it's %p")
            .configuration(5433);
        assert!(text.starts_with("port = '5433'\n"), "{text}");
        assert!(text.ends_with("log_line_prefix = 'it''s %p'\n"), "{text}");
        assert!(!text.contains("fsync"), "{text}");
    }
}

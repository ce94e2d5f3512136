//! Where the gate listens and how its clients are protected. It never opens a socket, and never lets a
//! password cross a network in clear text unless that is spelled out.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustls::sign::CertifiedKey;

use super::files;
use super::keys;
use super::problem::{ConfigError, Flaw};
use super::reader::{Fields, Text};
use super::words::all;

/// TLS towards the clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerTls {
    /// None: every client talks in clear text.
    Off,
    /// These files, which were there and belonged together when the configuration was read.
    On {
        /// The server's certificate and what leads from it to the CA, as PEM.
        certificate: PathBuf,
        /// Its private key, as PEM.
        key: PathBuf,
        /// Whether a client may also talk in clear text.
        plaintext: bool,
    },
}

impl ServerTls {
    /// Reads the files; none where TLS is off.
    pub fn certified_key(&self) -> Result<Option<CertifiedKey>, ConfigError> {
        let Self::On {
            certificate, key, ..
        } = self
        else {
            return Ok(None);
        };
        let of = |path: &Path, flaw| ConfigError::of_file(path, flaw);
        let chain = files::chain(certificate).map_err(|flaw| of(certificate, flaw))?;
        let secret = files::private_key(key).map_err(|flaw| of(key, flaw))?;
        let pair = files::pair(chain, secret).map_err(|flaw| of(key, flaw))?;
        Ok(Some(pair))
    }
}

const ADDRESS: &str = "an address with a port such as \"127.0.0.1:6432\"";

/// Reads `listen`.
pub(super) fn addresses(top: &Fields<'_>) -> Vec<SocketAddr> {
    top.require("listen", ADDRESS);
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for Text { text, span } in top.texts("listen", ADDRESS).unwrap_or_default() {
        let flaw = match text.parse() {
            Ok(address) if !addresses.contains(&address) || address.port() == 0 => {
                addresses.push(address);
                continue;
            }
            Ok(_) => Flaw::found(format!("\"listen\" names \"{text}\" twice")),
            Err(_) => Flaw::found(format!("\"listen\" is the string \"{text}\"")).expected(ADDRESS),
        };
        top.page.flaw(&span, flaw);
    }
    addresses
}

/// Reads `[tls]` and its files.
pub(super) fn tls(top: &Fields<'_>, addresses: &[SocketAddr]) -> Option<ServerTls> {
    top.require(
        "tls",
        "[tls] with \"certificate\" and \"key\", or with plaintext = true",
    );
    let tls = top.table("tls", keys::TLS)?;
    let plaintext = tls.boolean("plaintext")?;
    clear_text(&tls, plaintext, addresses);
    let path = |key: &str, expected: &str| tls.text(key, expected).map(|it| tls.page.path(it.text));
    if !tls.has("certificate") && !tls.has("key") && plaintext {
        return Some(ServerTls::Off);
    }
    tls.require("certificate", "a PEM file, or plaintext = true");
    tls.require("key", "a PEM file");
    let certificate = path("certificate", "a PEM file");
    let key = path("key", "a PEM file");
    let read = |key: &str, flaw| tls.page.flaw(&tls.span_of(key), flaw);
    let chain = certificate.as_ref().map(|path| files::chain(path));
    let secret = key.as_ref().map(|path| files::private_key(path));
    match (chain, secret) {
        (Some(Ok(chain)), Some(Ok(secret))) => {
            if let Err(flaw) = files::pair(chain, secret) {
                read("key", flaw);
            }
        }
        (chain, secret) => {
            if let Some(Err(flaw)) = chain {
                read("certificate", flaw);
            }
            if let Some(Err(flaw)) = secret {
                read("key", flaw);
            }
        }
    }
    Some(ServerTls::On {
        certificate: certificate?,
        key: key?,
        plaintext,
    })
}

/// Clear text stays on this machine unless somebody insists.
fn clear_text(tls: &Fields<'_>, plaintext: bool, addresses: &[SocketAddr]) {
    let insecure = tls.boolean("insecure_plaintext").unwrap_or(true);
    let outside: Vec<String> = addresses
        .iter()
        .filter(|address| !address.ip().to_canonical().is_loopback())
        .map(ToString::to_string)
        .collect();
    if plaintext && !insecure && !outside.is_empty() {
        let outside = all(outside.iter().map(String::as_str));
        let found = format!("clear text would be accepted from the network on {outside}");
        let expected = "only loopback addresses, or insecure_plaintext = true";
        tls.page.flaw(
            &tls.span_of("plaintext"),
            Flaw::found(found).expected(expected),
        );
    }
    if !plaintext {
        tls.refuse("insecure_plaintext", "without plaintext = true");
    }
}

//! Where the gate listens and how its clients are protected. It never opens a socket, and never lets a
//! password cross a network in clear text unless that is spelled out.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::sign::CertifiedKey;

use super::files;
use super::hosts::Hosts;
use super::keys;
use super::problem::{ConfigError, Flaw};
use super::reader::{Fields, Text};
use super::words::all;

/// TLS towards the clients.
#[derive(Clone, Debug)]
pub enum ServerTls {
    /// None: every client talks in clear text.
    Off,
    /// With a certificate.
    On {
        /// The gate's certificate, what leads from it to the CA, and its private key, as the files had
        /// them when the configuration was read.
        pair: Arc<CertifiedKey>,
        /// Whether a client may also talk in clear text.
        plaintext: bool,
    },
}

impl ServerTls {
    /// For TLS only, with a certificate and a key in PEM files that belong together.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, ConfigError> {
        let of = |path: &Path, flaw| ConfigError::of_file(path, flaw);
        let chain = files::chain(certificate).map_err(|flaw| of(certificate, flaw))?;
        let secret = files::private_key(key).map_err(|flaw| of(key, flaw))?;
        let pair = files::pair(chain, secret).map_err(|flaw| of(key, flaw))?;
        Ok(Self::On {
            pair: Arc::new(pair),
            plaintext: false,
        })
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

/// Reads `[tls]` and its files, and the hosts in it.
pub(super) fn tls(top: &Fields<'_>, addresses: &[SocketAddr]) -> (Option<ServerTls>, Hosts) {
    top.require(
        "tls",
        "[tls] with \"certificate\" and \"key\", or with plaintext = true",
    );
    match top.table("tls", keys::TLS) {
        Some(tls) => (encryption(&tls, addresses), Hosts::read(&tls)),
        None => (None, Hosts::default()),
    }
}

fn encryption(tls: &Fields<'_>, addresses: &[SocketAddr]) -> Option<ServerTls> {
    let plaintext = tls.boolean("plaintext")?;
    clear_text(tls, plaintext, addresses);
    let path = |key: &str, expected: &str| tls.text(key, expected).map(|it| tls.page.path(it.text));
    if !tls.has("certificate") && !tls.has("key") && plaintext {
        tls.refuse("hosts", "without a certificate");
        return Some(ServerTls::Off);
    }
    tls.require("certificate", "a PEM file, or plaintext = true");
    tls.require("key", "a PEM file");
    let certificate = path("certificate", "a PEM file");
    let key = path("key", "a PEM file");
    let chain = certificate.and_then(|path| sound(tls, "certificate", files::chain(&path)));
    let secret = key.and_then(|path| sound(tls, "key", files::private_key(&path)));
    let pair = sound(tls, "key", files::pair(chain?, secret?))?;
    Some(ServerTls::On {
        pair: Arc::new(pair),
        plaintext,
    })
}

/// What a file held, or a note at its key of what is wrong with it.
fn sound<T>(tls: &Fields<'_>, key: &str, read: Result<T, Flaw>) -> Option<T> {
    read.map_err(|flaw| tls.page.flaw(&tls.span_of(key), flaw))
        .ok()
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

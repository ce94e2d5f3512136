//! TLS to the servers behind the gate, as a tenant's `sslmode`, `sslrootcert`, `sslcert` and `sslkey` say it. It never connects.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use pool::{ClientTls, Roots, TlsError};

use super::files;
use super::problem::Flaw;
use super::reader::{Fields, Text};
use super::words::{either, nearest};

/// TLS settings that were set up already: the system's roots are many.
#[derive(Default)]
pub(super) struct KnownTls {
    plain: Vec<(Mode, Roots, ClientTls)>,
    /// Those of `plain`, by number, with the files of a certificate and its key.
    showing: HashMap<(usize, PathBuf, PathBuf), ClientTls>,
}

/// A `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Disable,
    Require,
    VerifyCa,
    VerifyFull,
}

const MODES: [(&str, Mode); 4] = [
    ("disable", Mode::Disable),
    ("require", Mode::Require),
    ("verify-ca", Mode::VerifyCa),
    ("verify-full", Mode::VerifyFull),
];

/// What `sslmode` and `sslrootcert` of a tenant come to, with the certificate that the gate shows under these two keys, if it
/// shows one.
pub(super) fn shown(
    fields: &Fields<'_>,
    [certificate, key]: [&'static str; 2],
    known: &mut KnownTls,
) -> Option<ClientTls> {
    let (number, tls) = plain(fields, &mut known.plain)?;
    if !fields.has(certificate) && !fields.has(key) {
        return Some(tls);
    }
    if tls == ClientTls::disable() {
        fields.refuse(certificate, "without TLS");
        fields.refuse(key, "without TLS");
    }
    fields.require(
        certificate,
        &format!("a PEM file with the certificate of \"{key}\""),
    );
    fields.require(
        key,
        &format!("a PEM file with the private key of \"{certificate}\""),
    );
    let file = |key| fields.text(key, "the path of a PEM file");
    let (chain, private) = (file(certificate), file(key));
    let (chain, private) = (chain?, private?);
    let paths = [&chain, &private].map(|it| fields.page.path(it.text));
    let [chain_path, private_path] = paths.clone();
    if let Some(tls) = known.showing.get(&(number, chain_path, private_path)) {
        return Some(tls.clone());
    }
    let [chain_path, private_path] = paths;
    let flawed = |span, flaw| fields.page.flaw(span, flaw);
    let read = files::chain(&chain_path).map_err(|flaw| flawed(&chain.span, flaw));
    let private_read = files::private_key(&private_path);
    let private_read = private_read.map_err(|flaw| flawed(&private.span, flaw));
    let pair = files::pair(read.ok()?, private_read.ok()?);
    let pair = pair.map_err(|flaw| flawed(&private.span, flaw)).ok()?;
    let tls = tls.showing(pair);
    let key = (number, chain_path, private_path);
    known.showing.insert(key, tls.clone());
    Some(tls)
}

/// What the rest comes to, and its number among what is known.
fn plain(
    fields: &Fields<'_>,
    known: &mut Vec<(Mode, Roots, ClientTls)>,
) -> Option<(usize, ClientTls)> {
    let mode = mode(fields)?;
    if matches!(mode, Mode::Disable | Mode::Require) {
        fields.refuse("sslrootcert", "where the certificate is not verified");
    }
    let roots = match fields.text("sslrootcert", "\"system\" or a PEM file") {
        Some(Text { text, .. }) if text != "system" => Roots::File(fields.page.path(text)),
        _ => Roots::System,
    };
    let same = |known: &&(Mode, Roots, ClientTls)| known.0 == mode && known.1 == roots;
    if let Some(number) = known.iter().position(|it| same(&it)) {
        return known.get(number).map(|it| (number, it.2.clone()));
    }
    let tls = match mode {
        Mode::Disable => Ok(ClientTls::disable()),
        Mode::Require => ClientTls::require(),
        Mode::VerifyCa => ClientTls::verify_ca(&roots),
        Mode::VerifyFull => ClientTls::verify_full(&roots),
    };
    match tls {
        Ok(tls) => {
            known.push((mode, roots, tls.clone()));
            Some((known.len() - 1, tls))
        }
        Err(error) => {
            fields
                .page
                .flaw(&fields.span_of("sslrootcert"), untrusted(&error, &roots));
            None
        }
    }
}

pub(super) fn mode(fields: &Fields<'_>) -> Option<Mode> {
    let expected = either(MODES.iter().map(|(name, _)| *name));
    if !fields.has("sslmode") {
        return Some(Mode::VerifyFull);
    }
    let Text { text, span } = fields.text("sslmode", &expected)?;
    let mode = MODES.iter().find(|(name, _)| *name == text);
    if mode.is_none() {
        let flaw = if ["allow", "prefer"].contains(&text) {
            let why = "it goes on in clear text where TLS fails";
            Flaw::found(format!("sslmode \"{text}\" is refused: {why}")).expected(expected)
        } else {
            Flaw::found(format!("unknown sslmode \"{text}\""))
                .expected(expected)
                .meant(nearest(text, MODES.iter().map(|(name, _)| *name)))
        };
        fields.page.flaw(&span, flaw);
    }
    mode.map(|(_, mode)| *mode)
}

pub(super) fn untrusted(error: &TlsError, roots: &Roots) -> Flaw {
    let file = |path: &Path| format!("root certificate file \"{}\"", path.display());
    match (error, roots) {
        (TlsError::NoRoots, Roots::System) => Flaw::found("this system has no root certificates")
            .expected("\"sslrootcert\" with a PEM file"),
        (TlsError::NoRoots, Roots::File(path)) => {
            Flaw::found(format!("{} holds no PEM certificate", file(path)))
        }
        (TlsError::Roots { path, why }, _) => match why.split_once(" (os error") {
            Some((why, _)) => {
                let why = why.rsplit(": ").next().unwrap_or(why);
                Flaw::found(format!("could not read {}: {why}", file(path)))
            }
            None => Flaw::found(format!("{} cannot be used", file(path)))
                .expected("certificates in PEM"),
        },
        (error, _) => Flaw::found(error.to_string()),
    }
}

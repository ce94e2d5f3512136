//! TLS to the servers behind the gate, as a tenant's `sslmode` and `sslrootcert` say it. It never connects.

use std::path::Path;

use pool::{ClientTls, Roots, TlsError};

use super::problem::Flaw;
use super::reader::{Fields, Text};
use super::words::{either, nearest};

/// TLS settings that were set up already: the system's roots are many.
pub(super) type KnownTls = Vec<(Mode, Roots, ClientTls)>;

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

/// What `sslmode` and `sslrootcert` of a tenant come to.
pub(super) fn tls(fields: &Fields<'_>, known: &mut KnownTls) -> Option<ClientTls> {
    let mode = mode(fields)?;
    if matches!(mode, Mode::Disable | Mode::Require) {
        fields.refuse("sslrootcert", "where the certificate is not verified");
    }
    let roots = match fields.text("sslrootcert", "\"system\" or a PEM file") {
        Some(Text { text, .. }) if text != "system" => Roots::File(fields.page.path(text)),
        _ => Roots::System,
    };
    let same = |known: &&(Mode, Roots, ClientTls)| known.0 == mode && known.1 == roots;
    if let Some((_, _, tls)) = known.iter().find(same) {
        return Some(tls.clone());
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
            Some(tls)
        }
        Err(error) => {
            fields
                .page
                .flaw(&fields.span_of("sslrootcert"), untrusted(&error, &roots));
            None
        }
    }
}

fn mode(fields: &Fields<'_>) -> Option<Mode> {
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

fn untrusted(error: &TlsError, roots: &Roots) -> Flaw {
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

//! Whom to trust as the gate: libpq's `sslmode` and `sslrootcert` as a rustls configuration. It never
//! connects, and never takes an unverified certificate without saying so.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::conninfo::{Roots, SslMode};

/// Where operating systems keep what they trust, all in one file.
const SYSTEM: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/etc/ssl/cert.pem",
];

/// What came of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// There was none: clear text.
    Nothing,
    /// A certificate that nobody verified.
    Unverified,
    /// A certificate that somebody we trust signed.
    Verified,
}

/// A TLS configuration, and what it saw.
#[derive(Debug)]
pub struct Trust {
    /// For the handshake.
    pub config: ClientConfig,
    shaken: Arc<AtomicBool>,
    checked: bool,
}

impl Trust {
    /// What came of the last handshake.
    pub fn seen(&self) -> Seen {
        match (self.shaken.load(Ordering::Relaxed), self.checked) {
            (false, _) => Seen::Nothing,
            (true, false) => Seen::Unverified,
            (true, true) => Seen::Verified,
        }
    }
}

/// How to shake hands.
pub fn trust(mode: SslMode, roots: &Roots) -> Result<Trust, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let shaken = Arc::new(AtomicBool::new(false));
    let roots = match mode {
        SslMode::Disable => None,
        _ => trusted(mode, roots)?,
    };
    let checked = roots.is_some();
    let verifier = Verifier {
        provider: Arc::clone(&provider),
        roots,
        name: mode == SslMode::VerifyFull,
        shaken: Arc::clone(&shaken),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("could not set up TLS: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Trust {
        config,
        shaken,
        checked,
    })
}

/// The roots to verify with; `None` verifies nothing. As in libpq, a root file that is there is used even
/// where the mode does not insist.
fn trusted(mode: SslMode, roots: &Roots) -> Result<Option<RootCertStore>, String> {
    let insists = matches!(mode, SslMode::VerifyCa | SslMode::VerifyFull);
    match roots {
        Roots::System => system().map(Some),
        Roots::File(path) => read(path).map(Some),
        Roots::IfThere(path) if path.exists() => read(path).map(Some),
        Roots::IfThere(path) if insists => Err(format!(
            "root certificate file \"{}\" does not exist\nEither provide the file, use the system's trusted roots \
             with sslrootcert=system, or change sslmode to disable server certificate verification.",
            path.display()
        )),
        Roots::Nowhere if insists => {
            Err("could not get home directory to locate root certificate file".to_owned())
        }
        Roots::IfThere(_) | Roots::Nowhere => Ok(None),
    }
}

fn system() -> Result<RootCertStore, String> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let known = SYSTEM.iter().map(PathBuf::from).find(|it| it.exists());
    match named.or(known) {
        Some(path) => read(&path),
        None => Err("could not find the system's trusted root certificates".to_owned()),
    }
}

fn read(path: &Path) -> Result<RootCertStore, String> {
    let failed = |why: String| {
        format!(
            "could not read root certificate file \"{}\": {why}",
            path.display()
        )
    };
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
    let mut store = RootCertStore::empty();
    for certificate in certificates {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        // A system's file may hold one that nobody can read; the others are still good.
        let _ = store.add(certificate);
    }
    if store.is_empty() {
        return Err(failed("there is no certificate in it".to_owned()));
    }
    Ok(store)
}

#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    roots: Option<RootCertStore>,
    name: bool,
    shaken: Arc<AtomicBool>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(roots) = &self.roots {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                roots,
                intermediates,
                now,
                algorithms,
            )?;
            if self.name {
                rustls::client::verify_server_name(&certificate, server_name)?;
            }
        }
        self.shaken.store(true, Ordering::Relaxed);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

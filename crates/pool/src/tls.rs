//! TLS to an upstream, in libpq's words. Verification is the default; not verifying is spelled out.

use std::path::PathBuf;
use std::sync::Arc;

use gate::Digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Whom to trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// The operating system's certificates; libpq's `sslrootcert=system`.
    System,
    /// The certificates in this PEM file.
    File(PathBuf),
}

/// How an upstream connection is protected; libpq's `sslmode`.
#[derive(Clone, Debug)]
pub struct ClientTls(
    pub(crate) Option<Arc<ClientConfig>>,
    Trust,
    /// The certificate that the gate shows, if it shows one.
    Option<Digest>,
);

/// Whose certificate is taken. Two that say the same do the same, whenever they were set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// There is no TLS.
    Off,
    /// Anybody's.
    Anybodys,
    /// One that comes from these roots.
    From(Digest),
    /// One that comes from these roots and is for the host.
    FromFor(Digest),
}

/// TLS to the upstream could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file with the roots cannot be read.
    #[error("could not read root certificates \"{}\": {why}", path.display())]
    Roots {
        /// The file.
        path: PathBuf,
        /// Why, in a word or two.
        why: String,
    },
    /// No root certificate is there to trust.
    #[error("no root certificates found")]
    NoRoots,
    /// rustls refused.
    #[error("could not set up TLS")]
    Setup(#[source] rustls::Error),
}

impl ClientTls {
    /// No TLS; libpq's `disable`.
    pub fn disable() -> Self {
        Self(None, Trust::Off, None)
    }

    /// TLS, but the certificate is not verified; libpq's `require`.
    pub fn require() -> Result<Self, TlsError> {
        let lenient = |provider| Lenient {
            provider,
            chain: None,
        };
        Self::with(|provider| Arc::new(lenient(provider)), Trust::Anybodys)
    }

    /// The certificate must come from the roots, for whatever name; libpq's `verify-ca`.
    pub fn verify_ca(roots: &Roots) -> Result<Self, TlsError> {
        let (verifier, digest) = verifier(roots)?;
        let chain = Some(verifier);
        let lenient = |provider| Lenient { provider, chain };
        Self::with(|provider| Arc::new(lenient(provider)), Trust::From(digest))
    }

    /// The certificate must come from the roots and be for the host; libpq's `verify-full`.
    pub fn verify_full(roots: &Roots) -> Result<Self, TlsError> {
        let (verifier, digest) = verifier(roots)?;
        Self::with(|_| verifier, Trust::FromFor(digest))
    }

    /// Whether the gate shows a certificate of its own.
    pub fn shows_certificate(&self) -> bool {
        self.2.is_some()
    }

    /// libpq's word for it.
    pub fn mode(&self) -> &'static str {
        match self.1 {
            Trust::Off => "disable",
            Trust::Anybodys => "require",
            Trust::From(_) => "verify-ca",
            Trust::FromFor(_) => "verify-full",
        }
    }

    fn with(
        verifier: impl FnOnce(Arc<CryptoProvider>) -> Arc<dyn ServerCertVerifier>,
        trust: Trust,
    ) -> Result<Self, TlsError> {
        let provider = provider();
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .dangerous()
            .with_custom_certificate_verifier(verifier(provider))
            .with_no_client_auth();
        Ok(Self(Some(Arc::new(config)), trust, None))
    }

    /// The same with a certificate that the gate shows; libpq's `sslcert` and `sslkey`. Without TLS there is nobody to show it.
    #[must_use]
    pub fn showing(self, pair: CertifiedKey) -> Self {
        let Some(config) = self.0 else { return self };
        let all: Vec<_> = pair.cert.iter().map(|it| it.to_vec()).collect();
        let mut config = ClientConfig::clone(&config);
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(pair));
        // What others agreed on with a server is not gone on with.
        config.resumption = Resumption::default();
        Self(
            Some(Arc::new(config)),
            self.1,
            Some(Digest::of(&all.concat())),
        )
    }
}

impl PartialEq for ClientTls {
    fn eq(&self, other: &Self) -> bool {
        (self.1, self.2) == (other.1, other.2)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// What verifies by these roots, and which they are.
fn verifier(roots: &Roots) -> Result<(Arc<WebPkiServerVerifier>, Digest), TlsError> {
    let mut store = RootCertStore::empty();
    let mut all = Vec::new();
    match roots {
        Roots::System => {
            let certificates = rustls_native_certs::load_native_certs().certs;
            all.extend(certificates.iter().map(|it| it.to_vec()));
            store.add_parsable_certificates(certificates);
        }
        Roots::File(path) => {
            let unreadable = |why: String| TlsError::Roots {
                path: path.clone(),
                why,
            };
            let certificates = CertificateDer::pem_file_iter(path)
                .map_err(|error| unreadable(error.to_string()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
                all.push(certificate.to_vec());
                store
                    .add(certificate)
                    .map_err(|error| unreadable(error.to_string()))?;
            }
        }
    }
    if store.is_empty() {
        return Err(TlsError::NoRoots);
    }
    // The system gives its own in any order.
    all.sort();
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider())
        .build()
        .map_err(|error| TlsError::Setup(rustls::Error::General(error.to_string())))?;
    Ok((verifier, Digest::of(&all.concat())))
}

/// Less than the full check: `require` has no chain, so anything goes, as libpq has it; with `verify-ca` the
/// chain counts and the name does not. Signatures are always checked.
#[derive(Debug)]
struct Lenient {
    provider: Arc<CryptoProvider>,
    chain: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        use rustls::CertificateError::{NotValidForName, NotValidForNameContext};
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        match chain.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(
                NotValidForName | NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

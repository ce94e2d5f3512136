//! TLS towards clients, by rustls. Certificates and keys were read and checked with the
//! configuration; here they only become an acceptor.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// A certificate that cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("could not use \"{}\": {why}", path.display())]
pub struct CertificateError {
    /// The file.
    pub path: PathBuf,
    /// Why, in words.
    pub why: String,
}

/// An acceptor for this certificate chain and key.
pub(crate) fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, CertificateError> {
    let unusable = |path: &Path, why: String| CertificateError {
        path: path.to_owned(),
        why,
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(certificate, error.to_string()))?;
    let private =
        PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(certificate, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| unusable(certificate, error.to_string()))?;
    // A resumed session saves a client little and costs every idle session memory.
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

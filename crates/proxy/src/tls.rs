//! TLS towards clients, by rustls. Certificates and keys were read and checked with the
//! configuration; here they only become an acceptor.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::TlsAcceptor;

/// The one protocol that clients may name in ALPN.
pub(crate) const ALPN: &[u8] = b"postgresql";

/// An acceptor for this certificate chain and its key.
pub(crate) fn acceptor(pair: &Arc<CertifiedKey>) -> Result<TlsAcceptor, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(pair))));
    // A resumed session saves a client little and costs every idle session memory.
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

//! When a certificate expires. It never says whether anybody should trust one.

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::config::ServerTls;

/// The end of a certificate's validity, in seconds since 1970; none of what cannot be read.
pub fn expires(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

impl ServerTls {
    /// When the first of the gate's certificates expires, in seconds since 1970; none without TLS.
    pub fn expires(&self) -> Option<i64> {
        match self {
            Self::Off => None,
            Self::On { pair, .. } => pair.cert.iter().filter_map(expires).min(),
        }
    }
}

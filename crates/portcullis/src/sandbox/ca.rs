//! Certificates for a gate that nobody has given any: a CA and a server certificate it signed.
//!
//! The CA's key is forgotten as soon as it has signed, so nobody can make a second certificate that
//! those who trust this CA would believe. That is also why both may be valid for long.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};

use super::error::{Doing, SandboxError, write_to};

/// What a development certificate is for.
pub const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A CA's certificate, a server's, and the server's key, as PEM text.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// What clients trust (`sslrootcert`).
    pub ca_pem: String,
    /// What the server shows.
    pub cert_pem: String,
    /// The server's key, PKCS #8.
    pub key_pem: String,
}

/// Where they were written.
#[derive(Debug, Clone)]
pub struct Files {
    /// `ca.pem`
    pub ca: PathBuf,
    /// `server.pem`
    pub cert: PathBuf,
    /// `server.key`, mode 0600
    pub key: PathBuf,
}

impl Certificates {
    /// Makes a CA and a certificate for `names` (host names and addresses), both on P-256.
    pub fn make(names: &[&str]) -> Result<Self, SandboxError> {
        let ca_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let issuer = CertifiedIssuer::self_signed(authority()?, ca_key)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let cert = server(names)?.signed_by(&key, &issuer)?;
        Ok(Self {
            ca_pem: issuer.pem(),
            cert_pem: cert.pem(),
            key_pem: key.serialize_pem(),
        })
    }

    /// Writes `ca.pem`, `server.pem` and `server.key` into a directory, which is made if missing.
    pub fn write(&self, directory: &Path) -> Result<Files, SandboxError> {
        fs::create_dir_all(directory).doing(|| format!("make {}", directory.display()))?;
        let key = directory.join("server.key");
        // A key that was there may be open to all: a new file gets the mode that is asked for.
        if key.exists() {
            fs::remove_file(&key).doing(|| format!("replace {}", key.display()))?;
        }
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&key)
            .and_then(|mut file| file.write_all(self.key_pem.as_bytes()))
            .doing(|| format!("write {}", key.display()))?;
        Ok(Files {
            ca: write_to(&directory.join("ca.pem"), &self.ca_pem)?,
            cert: write_to(&directory.join("server.pem"), &self.cert_pem)?,
            key,
        })
    }
}

fn authority() -> Result<CertificateParams, SandboxError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    name_and_date(&mut params, "Portcullis development CA");
    Ok(params)
}

fn server(names: &[&str]) -> Result<CertificateParams, SandboxError> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let first = names.first().cloned().unwrap_or_default();
    let mut params = CertificateParams::new(names)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    name_and_date(&mut params, &first);
    Ok(params)
}

fn name_and_date(params: &mut CertificateParams, name: &str) {
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2024, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
}

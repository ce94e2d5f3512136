//! How the gate proves to Vault who it is: by a token that lies in a file, or by logging in as an AppRole or as a Kubernetes
//! service account. Files are read each time that they are needed, since others renew them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use serde_json::{Value, json};

/// How the gate proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VaultAuth {
    /// A token that somebody else got and renews, as Vault's agent does.
    TokenFile(PathBuf),
    /// A role and the secret that goes with it.
    AppRole {
        /// Where the method is mounted.
        mount: String,
        /// The role.
        role_id: String,
        /// The file with its secret.
        secret_id_file: PathBuf,
    },
    /// A service account, by the token that Kubernetes gives a pod.
    Kubernetes {
        /// Where the method is mounted.
        mount: String,
        /// Vault's role for the service account.
        role: String,
        /// The file with the token.
        jwt_file: PathBuf,
    },
}

/// A file that could not be read.
type Unreadable = (String, io::Error);

impl VaultAuth {
    /// The token, where there is one without a login.
    pub(crate) fn token(&self) -> Option<Result<SecretString, Unreadable>> {
        match self {
            Self::TokenFile(path) => Some(line(path).map(|it| SecretString::from(it.as_str()))),
            Self::AppRole { .. } | Self::Kubernetes { .. } => None,
        }
    }

    /// Where a login goes.
    pub(crate) fn login_path(&self) -> String {
        match self {
            Self::TokenFile(_) => String::new(),
            Self::AppRole { mount, .. } | Self::Kubernetes { mount, .. } => {
                format!("auth/{mount}/login")
            }
        }
    }

    /// What a login sends.
    pub(crate) fn proof(&self) -> Result<Value, Unreadable> {
        match self {
            Self::TokenFile(_) => Ok(Value::Null),
            Self::AppRole {
                role_id,
                secret_id_file,
                ..
            } => {
                let secret_id = line(secret_id_file)?;
                Ok(json!({ "role_id": role_id, "secret_id": secret_id.as_str() }))
            }
            Self::Kubernetes { role, jwt_file, .. } => {
                let jwt = line(jwt_file)?;
                Ok(json!({ "role": role, "jwt": jwt.as_str() }))
            }
        }
    }
}

fn line(path: &Path) -> Result<Zeroizing<String>, Unreadable> {
    let text = fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|error| (path.display().to_string(), error))?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_says_what_each_method_wants() {
        let path = std::env::temp_dir().join(format!("portcullis-proof-{}", std::process::id()));
        fs::write(&path, "the secret\n").unwrap();
        let app = VaultAuth::AppRole {
            mount: "approle".to_owned(),
            role_id: "gate".to_owned(),
            secret_id_file: path.clone(),
        };
        let pod = VaultAuth::Kubernetes {
            mount: "k8s/eu".to_owned(),
            role: "gate".to_owned(),
            jwt_file: path.clone(),
        };
        let said = [&app, &pod].map(|it| (it.login_path(), it.proof().unwrap()));
        fs::remove_file(&path).unwrap();
        let wanted = [
            (
                "auth/approle/login",
                json!({ "role_id": "gate", "secret_id": "the secret" }),
            ),
            (
                "auth/k8s/eu/login",
                json!({ "role": "gate", "jwt": "the secret" }),
            ),
        ];
        assert_eq!(said, wanted.map(|(path, proof)| (path.to_owned(), proof)));
        assert!(app.proof().is_err());
    }
}

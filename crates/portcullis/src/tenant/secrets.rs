//! The passwords of a tenant's logins: a folder with a file for each, as the gate's `password_file` wants them. Scripts carry what
//! passwords are checked against, and never a password.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use gate::Digest;
use secrecy::{ExposeSecret, SecretString};
use wire::scram::Verifier;

use crate::cli::trouble::Trouble;

/// Rounds of hashing, as PostgreSQL has them.
const ITERATIONS: u32 = 4096;
/// Bytes of a salt, as PostgreSQL has them.
const SALT_BYTES: usize = 16;

/// The file of a role's password.
pub fn file(folder: &Path, role: &str) -> PathBuf {
    folder.join(format!("{role}.password"))
}

/// What the role's password is checked against; the password is that of its file, which is made where there is none.
pub fn verifier(folder: &Path, role: &str) -> Result<String, Trouble> {
    let file = file(folder, role);
    let password = match fs::read_to_string(&file) {
        Ok(text) => SecretString::from(text.lines().next().unwrap_or_default()),
        Err(error) if error.kind() == ErrorKind::NotFound => make(folder, &file)?,
        Err(error) => return Err(local("read", &file, &error)),
    };
    if password.expose_secret().is_empty() {
        return Err(Trouble::Local(format!("{} is empty", file.display())));
    }
    Ok(of(role, &password))
}

fn make(folder: &Path, file: &Path) -> Result<SecretString, Trouble> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Trouble::Local(format!("could not draw a password: {error}")))?;
    let password = Digest::of(&bytes).to_string();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| local("make", folder, &error))?;
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut it| writeln!(it, "{password}"));
    written.map_err(|error| local("write", file, &error))?;
    Ok(SecretString::from(password))
}

fn local(doing: &str, path: &Path, error: &std::io::Error) -> Trouble {
    Trouble::Local(format!("could not {doing} {}: {error}", path.display()))
}

/// The salt is a function of role and password, so that the same folder makes the same script: who asks again, as a job does that
/// was started anew, asks for the ticket that waits already. It gives away no more than the verifier itself: to guess at it
/// takes the same rounds.
fn of(role: &str, password: &SecretString) -> String {
    let password = password.expose_secret();
    let first = Verifier::from_password(password, role.as_bytes(), ITERATIONS).to_string();
    let salt = Digest::of(first.as_bytes());
    let (salt, _) = salt.as_bytes().split_at(SALT_BYTES);
    Verifier::from_password(password, salt, ITERATIONS).to_string()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_password_is_made_once_and_for_its_owner_alone() {
        let folder =
            std::env::temp_dir().join(format!("portcullis-secrets-{}", std::process::id()));
        let first = verifier(&folder, "acme_app").unwrap();
        let file = file(&folder, "acme_app");
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            fs::metadata(&folder).unwrap().permissions().mode() & 0o777,
            0o700
        );
        assert_eq!(fs::read_to_string(&file).unwrap().trim_end().len(), 64);
        assert_eq!(verifier(&folder, "acme_app").unwrap(), first);
        assert_ne!(verifier(&folder, "acme_read").unwrap(), first);
        fs::write(&file, "\n").unwrap();
        assert!(verifier(&folder, "acme_app").is_err());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn another_role_or_password_has_another_salt() {
        let salt = |role, password: &str| {
            let verifier = of(role, &SecretString::from(password));
            let (_, rest) = verifier.split_once(':').unwrap();
            rest.split_once('$').unwrap().0.to_owned()
        };
        assert_eq!(salt("a", "x"), salt("a", "x"));
        assert_ne!(salt("a", "x"), salt("b", "x"));
        assert_ne!(salt("a", "x"), salt("a", "y"));
    }
}

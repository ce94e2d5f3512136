//! Who gives out the login of a pool where that is no fixed password, as it is configured: plain data, equal where it says the
//! same. It never holds a secret but in Vault's and AWS's keeping.

use std::fmt;
use std::sync::Arc;

use super::aws::Aws;
use super::vault::Vault;

/// Who gives out a login.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum LoginSource {
    /// A program and its arguments; the first line that it prints is the password.
    Command(Arc<[String]>),
    /// A path in Vault. What it gives out logs in, and takes on the configured role.
    Vault(Arc<Vault>, Box<str>),
    /// A token for RDS.
    Aws(Arc<Aws>),
}

impl LoginSource {
    /// The same where `from` stands for `to`: in each argument by itself, in the path.
    #[must_use]
    pub fn replaced(&self, from: &str, to: &str) -> Self {
        match self {
            Self::Command(words) => {
                Self::Command(words.iter().map(|it| it.replace(from, to)).collect())
            }
            Self::Vault(vault, path) => {
                Self::Vault(Arc::clone(vault), path.replace(from, to).into())
            }
            Self::Aws(aws) => Self::Aws(Arc::clone(aws)),
        }
    }
}

/// As an operator knows it; of a command the program alone.
impl fmt::Display for LoginSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(words) => {
                let program = words.first().map_or("", String::as_str);
                write!(f, "the command \"{program}\"")
            }
            Self::Vault(_, path) => write!(f, "Vault at \"{path}\""),
            Self::Aws(aws) => write!(f, "AWS IAM in {}", aws.region()),
        }
    }
}

impl fmt::Debug for LoginSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

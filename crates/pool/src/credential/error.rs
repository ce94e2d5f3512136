//! Why there is no login to give. It tells an operator what to look at, and never holds what was to be secret.

use std::time::Duration;

use super::aws::AwsError;
use super::aws_keys::KeysError;
use super::command::CommandError;
use super::vault::VaultError;

/// Why there is no login.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The command gave none.
    #[error("password command \"{program}\": {error}")]
    Command {
        /// The program, without its arguments.
        program: String,
        /// What became of it.
        error: CommandError,
    },
    /// Vault gave none.
    #[error("Vault, asked for \"{path}\": {error}")]
    Vault {
        /// The path.
        path: String,
        /// Why not.
        error: VaultError,
    },
    /// There is no token for AWS.
    #[error("AWS token: {0}")]
    Aws(#[from] AwsError),
    /// Nothing came in time.
    #[error("nothing came from {source_name} within {} s", after.as_secs_f32())]
    Timeout {
        /// Who was asked.
        source_name: String,
        /// The time.
        after: Duration,
    },
    /// The gate stops.
    #[error("the gate is stopping")]
    Stopping,
}

impl CredentialError {
    /// Whether it may be gone in a moment, as a server is back that was restarted.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Command { error, .. } => !matches!(error, CommandError::NotRun(_)),
            Self::Vault { error, .. } => error.may_pass(),
            Self::Aws(AwsError::Keys(error)) => KeysError::may_pass(error),
            Self::Aws(_) | Self::Stopping => false,
            Self::Timeout { .. } => true,
        }
    }
}

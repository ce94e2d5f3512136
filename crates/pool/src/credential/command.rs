//! A command that prints a password. It is run as it is given, never by a shell; what it prints is nowhere but in the secret.

use std::io;
use std::process::{ExitStatus, Stdio};

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// More than that is no password.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// What is kept of what it complains of.
const COMPLAINT_BYTES_MAX: usize = 1024;

/// Why a command gave no password. What it printed on its standard output is not in here.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be started.
    #[error("it could not be run: {0}")]
    NotRun(#[source] io::Error),
    /// It broke off.
    #[error("it could not be read: {0}")]
    Io(#[from] io::Error),
    /// It failed, and said this on its standard error.
    #[error("it failed with {0}: \"{1}\"")]
    Failed(ExitStatus, String),
    /// It ended well, with nothing in its first line.
    #[error("its first line is empty")]
    Empty,
    /// It printed what no password is.
    #[error("it printed more than {OUTPUT_BYTES_MAX} bytes")]
    TooLong,
    /// It printed no text.
    #[error("its first line is not valid UTF-8")]
    NoText,
}

/// Runs it, and returns the first line that it prints. Dropping the future ends the command.
pub(crate) async fn run(words: &[String]) -> Result<SecretString, CommandError> {
    let missing = || CommandError::NotRun(io::ErrorKind::NotFound.into());
    let (program, arguments) = words.split_first().ok_or_else(missing)?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(CommandError::NotRun)?;
    let (printed, complained) = (child.stdout.take(), child.stderr.take());
    let (Some(printed), Some(complained)) = (printed, complained) else {
        return Err(missing());
    };
    let (printed, complaint) = tokio::try_join!(all(printed), beginning(complained))?;
    let status = child.wait().await?;
    if !status.success() {
        return Err(CommandError::Failed(status, complaint));
    }
    first_line(&printed)
}

async fn all(from: impl AsyncRead + Unpin) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    // Room for all of it: what grows leaves copies behind.
    let mut printed = Zeroizing::new(Vec::with_capacity(OUTPUT_BYTES_MAX + 1));
    let limit = u64::try_from(OUTPUT_BYTES_MAX).unwrap_or(u64::MAX);
    from.take(limit + 1).read_to_end(&mut printed).await?;
    if printed.len() > OUTPUT_BYTES_MAX {
        return Err(CommandError::TooLong);
    }
    Ok(printed)
}

/// The rest is read too, so that the command does not wait for ever.
async fn beginning(mut from: impl AsyncRead + Unpin) -> Result<String, CommandError> {
    let (mut kept, mut some) = (Vec::new(), [0; 1024]);
    loop {
        let read = from.read(&mut some).await?;
        if read == 0 {
            let text = String::from_utf8_lossy(&kept).trim().to_owned();
            return Ok(text.escape_debug().to_string());
        }
        let room = COMPLAINT_BYTES_MAX - kept.len().min(COMPLAINT_BYTES_MAX);
        kept.extend(some.iter().take(read.min(room)));
    }
}

fn first_line(printed: &[u8]) -> Result<SecretString, CommandError> {
    let line = printed.split(|it| *it == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = str::from_utf8(line).map_err(|_| CommandError::NoText)?;
    if line.is_empty() {
        return Err(CommandError::Empty);
    }
    Ok(SecretString::from(line))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    async fn sh(script: &str) -> Result<String, CommandError> {
        let words = ["sh", "-c", script].map(str::to_owned);
        run(&words).await.map(|it| it.expose_secret().to_owned())
    }

    #[tokio::test]
    async fn the_first_line_is_the_password() {
        let said = sh("printf 'one two\\r\\nthree\\n'; echo noise >&2").await;
        assert_eq!(said.unwrap(), "one two");
        assert_eq!(sh("printf only").await.unwrap(), "only");
    }

    #[tokio::test]
    async fn what_fails_says_why_and_never_what_it_printed() {
        let said = sh("echo hunter2; echo 'no such\nthing' >&2; exit 3").await;
        let said = said.unwrap_err().to_string();
        assert_eq!(said, r#"it failed with exit status: 3: "no such\nthing""#);
        assert!(matches!(sh("true").await, Err(CommandError::Empty)));
        let binary = sh("printf '\\377\\n'").await;
        assert!(matches!(binary, Err(CommandError::NoText)));
        let nowhere = run(&["/nowhere/at/all".to_owned()]).await;
        assert!(matches!(nowhere, Err(CommandError::NotRun(_))));
    }

    #[tokio::test]
    async fn what_prints_without_end_is_ended() {
        assert!(matches!(sh("yes").await, Err(CommandError::TooLong)));
        let noisy = sh("head -c 1000000 /dev/zero >&2; echo secret").await;
        assert_eq!(noisy.unwrap(), "secret");
    }
}

//! The private directory of a server, the user it belongs to, and the watchdog that removes it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::error::{Doing, SandboxError};

/// Waits for the end of its input, then stops the server of directory `$1` and removes it.
/// A server removes its lock file when it ends, which shows even where nobody reaps orphans. An
/// initdb that is still at work when the directory goes ends by itself, hence the second look.
const WATCHDOG: &str = r#"
trap '' HUP INT TERM QUIT
cat >/dev/null
cd /
tries=0
while [ -d "$1" ] && [ "$tries" -lt 50 ]; do
    pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
    if [ -n "$pid" ]; then
        kill -s QUIT "$pid" 2>/dev/null
        turns=0
        while [ -e "$1/data/postmaster.pid" ] && kill -0 "$pid" 2>/dev/null &&
            [ "$turns" -lt 50 ]
        do
            turns=$((turns + 1))
            [ "$turns" -eq 50 ] && kill -s KILL "$pid" 2>/dev/null
            sleep 0.1
        done
    fi
    rm -rf "$1" 2>/dev/null && sleep 0.1
    tries=$((tries + 1))
done
"#;

/// A user that PostgreSQL will run as when we are root.
#[derive(Debug, Clone, Copy)]
struct Account {
    uid: u32,
    gid: u32,
}

/// A directory of our own that lives until `Room` is dropped or its owner dies.
#[derive(Debug)]
pub(super) struct Room {
    path: PathBuf,
    account: Option<Account>,
    watchdog: Child,
}

impl Room {
    /// Makes the directory, for the server's user alone, and sets the watchdog on it.
    pub(super) fn make(parent: Option<&Path>) -> Result<Self, SandboxError> {
        let name = format!("portcullis-{}", random_word(8)?);
        let mut tried = Vec::new();
        for parent in parents(parent) {
            match Self::make_in(&parent, &name) {
                Ok(room) => return Ok(room),
                Err(error @ (SandboxError::System { .. } | SandboxError::NoRoom { .. })) => {
                    tried.push(error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        Err(SandboxError::NoRoom { tried })
    }

    fn make_in(parent: &Path, name: &str) -> Result<Self, SandboxError> {
        // The real path: on macOS the temporary directory is behind a link.
        let parent = fs::canonicalize(parent).doing(|| format!("find {}", parent.display()))?;
        let path = parent.join(name);
        // First the watchdog, then the directory: there is no moment in which a kill leaves it.
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "sh"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .process_group(0)
            .spawn()
            .doing(|| "start sh".to_owned())?;
        let mut room = Self {
            path,
            account: None,
            watchdog,
        };
        DirBuilder::new()
            .mode(0o700)
            .create(&room.path)
            .doing(|| format!("make {}", room.path.display()))?;
        let owner = fs::metadata(&room.path).doing(|| format!("read {}", room.path.display()))?;
        if owner.uid() == 0 {
            enterable_by_all(&parent)?;
            room.account = Some(unprivileged_account()?);
            room.give(&room.path)?;
        }
        Ok(room)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A command that runs as the server's user, in the room, without the caller's PG* variables.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("PG")) {
                command.env_remove(name);
            }
        }
        command
            .env("LC_ALL", "C")
            .current_dir(&self.path)
            .stdin(Stdio::null());
        if let Some(account) = self.account {
            // Setting a user id as root also drops the supplementary groups.
            command.gid(account.gid).uid(account.uid);
        }
        command
    }

    /// Writes a file that only the server's user can read.
    pub(super) fn write(&self, path: &Path, text: &str) -> Result<(), SandboxError> {
        let doing = || format!("write {}", path.display());
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .doing(doing)?;
        file.write_all(text.as_bytes()).doing(doing)?;
        self.give(path)
    }

    fn give(&self, path: &Path) -> Result<(), SandboxError> {
        let Some(account) = self.account else {
            return Ok(());
        };
        chown(path, Some(account.uid), Some(account.gid))
            .doing(|| format!("give {} to the server's user", path.display()))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // Its input ends, it removes the directory, and then it ends.
        drop(self.watchdog.stdin.take());
        let _ended = self.watchdog.wait();
    }
}

/// Letters and digits nobody can guess.
pub(super) fn random_word(bytes: usize) -> Result<String, SandboxError> {
    let mut word = vec![0_u8; bytes];
    getrandom::fill(&mut word)
        .map_err(|error| std::io::Error::other(error.to_string()))
        .doing(|| "read random bytes".to_owned())?;
    let letters: Vec<String> = word.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(letters.concat())
}

/// What was asked for, or the temporary directories in turn.
fn parents(asked: Option<&Path>) -> Vec<PathBuf> {
    if let Some(asked) = asked {
        return vec![asked.to_path_buf()];
    }
    let mut parents = vec![std::env::temp_dir()];
    for usual in ["/tmp", "/var/tmp"] {
        if !parents.iter().any(|parent| parent == Path::new(usual)) {
            parents.push(PathBuf::from(usual));
        }
    }
    parents
}

/// The server's user must be able to walk down to its directory.
fn enterable_by_all(directory: &Path) -> Result<(), SandboxError> {
    for step in directory.ancestors() {
        let mode = fs::metadata(step)
            .doing(|| format!("read {}", step.display()))?
            .permissions()
            .mode();
        if mode & 0o001 == 0 {
            let why = format!("{} is closed to the server's user", step.display());
            return Err(SandboxError::NoRoom { tried: vec![why] });
        }
    }
    Ok(())
}

fn unprivileged_account() -> Result<Account, SandboxError> {
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| {
            let uid = id("-u", name)?;
            let gid = id("-g", name)?;
            (uid != 0).then_some(Account { uid, gid })
        })
        .ok_or(SandboxError::NoAccount)
}

fn id(which: &str, name: &str) -> Option<u32> {
    let output = Command::new("id").args([which, name]).output().ok()?;
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}

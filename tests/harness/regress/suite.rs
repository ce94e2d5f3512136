//! The suite itself: its SQL, its data and its C functions, which no installed package has.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use portcullis::sandbox::{Options, Postgres};

/// Where the suite is, and the programs that run it.
#[derive(Debug)]
pub struct Suite {
    /// `suite` (sql, data, schedules) and `lib` (C functions) are in it.
    directory: PathBuf,
    /// Where Debian installs this major.
    installed: PathBuf,
}

impl Suite {
    /// Gets it, or finds it in the cache, in exactly the version of the server that the sandbox
    /// starts; or says why not.
    pub fn get() -> Result<Self, String> {
        let server = Postgres::start(Options::default()).map_err(|error| error.to_string())?;
        let said = server
            .sql("postgres", "show server_version")
            .map_err(|error| error.to_string())?;
        let version = packaged(&said).ok_or_else(|| {
            format!("the server is {said:?}, which no package of Debian's is: its sources cannot be had through apt")
        })?;
        let major = server.major().to_string();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("regress/sources.sh");
        let output = Command::new("sh")
            .arg(script)
            .arg(super::directory())
            .args([&major, version])
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("could not run sh: {error}"))?;
        if !output.status.success() {
            return Err("the sources of the suite could not be had (see above)".to_owned());
        }
        let directory = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        let installed = PathBuf::from("/usr/lib/postgresql").join(major);
        let suite = Self {
            directory,
            installed,
        };
        let program = suite.pg_regress();
        if !program.is_file() {
            return Err(format!("there is no {}", program.display()));
        }
        Ok(suite)
    }

    pub(super) fn pg_regress(&self) -> PathBuf {
        self.installed.join("lib/pgxs/src/test/regress/pg_regress")
    }

    /// Where psql is.
    pub(super) fn programs(&self) -> PathBuf {
        self.installed.join("bin")
    }

    /// Copies it to where a server may read it, with a directory for results where both the server
    /// and psql may write. The server has another user than we when we are root.
    pub(super) fn copy_to(&self, room: &Path) -> Result<(), String> {
        const COPY: &str = r#"mkdir "$2" && cp -R "$1/suite" "$1/lib" "$2" && mkdir "$2/results" &&
            chmod -R a+rX "$2" && chmod 777 "$2/results""#;
        let status = Command::new("sh")
            .args(["-c", COPY, "sh"])
            .args([&self.directory, room])
            .status();
        match status {
            Ok(status) if status.success() => Ok(()),
            _ => Err(format!("could not copy the suite to {}", room.display())),
        }
    }
}

/// Debian's version in `15.18 (Debian 15.18-0+deb12u1)`.
fn packaged(server_version: &str) -> Option<&str> {
    let (_, package) = server_version.split_once('(')?;
    let (_, version) = package.strip_suffix(')')?.split_once(' ')?;
    Some(version)
}

#[cfg(test)]
mod tests {
    use super::packaged;

    #[test]
    fn a_packaged_server_names_its_package() {
        let debian = "15.18 (Debian 15.18-0+deb12u1)";
        assert_eq!(packaged(debian), Some("15.18-0+deb12u1"));
        assert_eq!(packaged("19beta1"), None);
    }
}

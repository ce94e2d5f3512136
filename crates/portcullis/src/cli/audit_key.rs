//! `portcullis audit key`: a key made on the spot, to sign the journal or to encrypt what a tenant asks. It never overwrites a
//! file, never prints a private key, and leaves none that others on this machine can read.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use secrecy::ExposeSecret as _;
use serde_json::json;
use store::{KeyError, PublicKey, SigningKey, TenantKey};

use super::look_args::AuditKeyArgs;
use super::trouble::{Exit, Trouble};
use super::visible;

/// Makes the key that `args` ask for.
pub fn make(args: &AuditKeyArgs, as_json: bool) -> ExitCode {
    let made = if args.tenant {
        of_tenant(&args.file)
    } else {
        of_operator(&args.file)
    };
    let said = made.and_then(|made| {
        let mut out = anstream::stdout();
        let file = visible::plain(&args.file.display().to_string());
        let public = made.public.as_ref();
        let public = public.map(|it| visible::plain(&it.display().to_string()));
        match public {
            _ if as_json => {
                let made = json!({ "id": made.id, "file": file, "public": public });
                writeln!(out, "{made:#}")?;
            }
            Some(public) => {
                writeln!(
                    out,
                    "key {}: private in {file}, public in {public}",
                    made.id
                )?;
            }
            None => writeln!(out, "key {} in {file}", made.id)?,
        }
        Ok(())
    });
    match said {
        Ok(()) => Exit::Done.into(),
        Err(trouble) => trouble.tell().into(),
    }
}

/// Reads a public key from its file.
pub fn public_key(path: &Path) -> Result<PublicKey, Trouble> {
    let pem = fs::read(path).map_err(|error| cannot("read", path, &error))?;
    PublicKey::from_pem(&pem).map_err(|error| no_key(path, error))
}

/// Reads the key of a tenant from its file.
pub fn tenant_key(path: &Path) -> Result<TenantKey, Trouble> {
    let text = fs::read_to_string(path).map_err(|error| cannot("read", path, &error))?;
    TenantKey::from_text(&text).map_err(|error| no_key(path, error))
}

struct Made {
    id: String,
    public: Option<PathBuf>,
}

fn of_operator(file: &Path) -> Result<Made, Trouble> {
    let key = SigningKey::generate().map_err(|error| no_key(file, error))?;
    let pem = key.to_pem().map_err(|error| no_key(file, error))?;
    let mut public = OsString::from(file);
    public.push(".pub");
    let public = PathBuf::from(public);
    write(file, 0o600, pem.expose_secret())?;
    if let Err(trouble) = write(&public, 0o644, &key.public().to_pem()) {
        // Nobody could check what it signs.
        fs::remove_file(file).map_err(|error| cannot("remove", file, &error))?;
        return Err(trouble);
    }
    Ok(Made {
        id: key.public().id().to_owned(),
        public: Some(public),
    })
}

fn of_tenant(file: &Path) -> Result<Made, Trouble> {
    let key = TenantKey::generate().map_err(|error| no_key(file, error))?;
    write(file, 0o600, key.to_text().expose_secret())?;
    Ok(Made {
        id: key.id().to_owned(),
        public: None,
    })
}

fn write(path: &Path, mode: u32, text: &str) -> Result<(), Trouble> {
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| cannot("write", path, &error))
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Trouble {
    let path = visible::plain(&path.display().to_string());
    let why = error.to_string();
    let why = why.split(" (os error").next().unwrap_or_default();
    Trouble::Local(format!("could not {what} \"{path}\": {why}"))
}

fn no_key(path: &Path, error: KeyError) -> Trouble {
    let path = visible::plain(&path.display().to_string());
    Trouble::Usage(format!("\"{path}\": {error}"))
}

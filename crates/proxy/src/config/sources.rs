//! Who gives out logins: `[vault]`, and what a tenant says of its own. It looks at the files that it names and asks nobody for a
//! login.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use pool::{Address, Aws, AwsKeys, ClientTls, LoginSource, Roots, Vault, VaultAuth, VaultSettings};

use super::files;
use super::keys;
use super::problem::Flaw;
use super::reader::{Fields, Text};
use super::trust::{Mode, mode, untrusted};

/// Where Kubernetes puts the token of a pod.
const JWT_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Those that give out logins.
#[derive(Default)]
pub(super) struct Givers {
    vault: Option<Arc<Vault>>,
    keys: Arc<AwsKeys>,
    aws: RefCell<HashMap<String, Arc<Aws>>>,
}

/// The keys of a login that name somebody who gives it out.
#[derive(Clone, Copy)]
pub(super) struct SourceKeys {
    pub(super) command: &'static str,
    pub(super) vault: &'static str,
    pub(super) aws: &'static str,
}

impl SourceKeys {
    pub(super) fn all(&self) -> [&'static str; 3] {
        [self.command, self.vault, self.aws]
    }
}

impl Givers {
    pub(super) fn read(top: &Fields<'_>) -> Self {
        let table = top.table("vault", keys::VAULT);
        Self {
            vault: table.and_then(|it| vault(&it)).map(Arc::new),
            ..Self::default()
        }
    }

    /// The one that stands under `key`, which is one of `keys`.
    pub(super) fn source(
        &self,
        fields: &Fields<'_>,
        keys: SourceKeys,
        key: &'static str,
    ) -> Option<LoginSource> {
        if key == keys.command {
            command(fields, key)
        } else if key == keys.vault {
            self.path(fields, key)
        } else {
            self.region(fields, key)
        }
    }

    fn path(&self, fields: &Fields<'_>, key: &'static str) -> Option<LoginSource> {
        let expected = "a path such as \"database/creds/ROLE\"";
        let Text { text, span } = fields.text(key, expected)?;
        let fits = |it: char| it.is_ascii_alphanumeric() || "-_./{}".contains(it);
        let flaw = if text.starts_with('/') || !text.contains('/') || !text.chars().all(fits) {
            Flaw::found(format!("\"{key}\" is the string {text:?}")).expected(expected)
        } else if let Some(vault) = &self.vault {
            return Some(LoginSource::Vault(Arc::clone(vault), text.into()));
        } else {
            Flaw::found("there is no Vault to ask").expected("a sound table [vault]")
        };
        fields.page.flaw(&span, flaw);
        None
    }

    fn region(&self, fields: &Fields<'_>, key: &'static str) -> Option<LoginSource> {
        let expected = "a region such as \"eu-central-1\"";
        let Text { text, span } = fields.text(key, expected)?;
        let fits = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
        if !text.chars().all(fits) {
            let found = format!("\"{key}\" is the string {text:?}");
            fields
                .page
                .flaw(&span, Flaw::found(found).expected(expected));
            return None;
        }
        if mode(fields)? != Mode::VerifyFull {
            let flaw = Flaw::found("a token for AWS is sent to a server that is not verified");
            let flaw = flaw.expected("sslmode \"verify-full\"");
            fields.page.flaw(&fields.span_of("sslmode"), flaw);
        }
        let mut known = self.aws.borrow_mut();
        let new = || Arc::new(Aws::new(text.to_owned(), Arc::clone(&self.keys)));
        let aws = known.entry(text.to_owned()).or_insert_with(new);
        Some(LoginSource::Aws(Arc::clone(aws)))
    }
}

/// The words of a command. A program with a slash in it starts at the file's directory, as other paths do.
fn command(fields: &Fields<'_>, key: &'static str) -> Option<LoginSource> {
    let words = fields.texts(key, "a program and its arguments")?;
    let mut words: Vec<String> = words.iter().map(|it| it.text.to_owned()).collect();
    let program = words.first_mut()?;
    if program.contains('/') {
        *program = fields.page.path(program).display().to_string();
    }
    Some(LoginSource::Command(words.into()))
}

fn vault(table: &Fields<'_>) -> Option<Vault> {
    let expected = "where Vault answers";
    table.require("address", expected);
    let auth = auth(table);
    let Text { text, span } = table.text("address", expected)?;
    let address = match Address::parse(text) {
        Ok(address) => address,
        Err(expected) => {
            let found = format!("\"address\" is the string {text:?}");
            table
                .page
                .flaw(&span, Flaw::found(found).expected(expected));
            return None;
        }
    };
    let tls = if address.is_encrypted() {
        tls(table)?
    } else {
        table.refuse("ca", "where there is no TLS");
        ClientTls::disable()
    };
    let namespace = table.text("namespace", "the name of a namespace");
    Some(Vault::new(VaultSettings {
        address,
        tls,
        namespace: namespace.map(|it| it.text.to_owned()),
        auth: auth?,
    }))
}

fn tls(table: &Fields<'_>) -> Option<ClientTls> {
    let roots = match table.text("ca", "\"system\" or a PEM file") {
        Some(Text { text, .. }) if text != "system" => Roots::File(table.page.path(text)),
        _ => Roots::System,
    };
    let tls = ClientTls::verify_full(&roots);
    let wrong = |error| {
        let flaw = untrusted(&error, &roots);
        table.page.flaw(&table.span_of("ca"), flaw);
    };
    tls.map_err(wrong).ok()
}

/// How the gate logs in there, by exactly one of the three ways.
fn auth(table: &Fields<'_>) -> Option<VaultAuth> {
    const WAYS: [&str; 3] = ["token_file", "role_id", "kubernetes_role"];
    let given: Vec<_> = WAYS.into_iter().filter(|it| table.has(it)).collect();
    let (role_id, kubernetes) = (
        given.contains(&"role_id"),
        given.contains(&"kubernetes_role"),
    );
    if !role_id {
        table.refuse("secret_id_file", "without \"role_id\"");
    }
    if !kubernetes {
        table.refuse("jwt_file", "without \"kubernetes_role\"");
    }
    if !role_id && !kubernetes {
        table.refuse("mount", "without \"role_id\" or \"kubernetes_role\"");
    }
    let [way] = given.as_slice() else {
        let found = match given.as_slice() {
            [first, second, ..] => format!("both \"{first}\" and \"{second}\" are given"),
            _ => "nothing says how to log in to Vault".to_owned(),
        };
        let flaw = Flaw::found(found);
        let flaw = flaw.expected("one of \"token_file\", \"role_id\" and \"kubernetes_role\"");
        table.page.flaw(&table.span, flaw);
        return None;
    };
    let text = |key, expected| table.text(key, expected).map(|it| it.text.to_owned());
    let mount = |usual: &str| {
        let mount = text("mount", "where the method is mounted");
        mount.map_or_else(|| usual.to_owned(), |it| it.trim_matches('/').to_owned())
    };
    match *way {
        "token_file" => Some(VaultAuth::TokenFile(secret(table, "token_file")?)),
        "role_id" => {
            table.require("secret_id_file", "the file with the secret of \"role_id\"");
            Some(VaultAuth::AppRole {
                mount: mount("approle"),
                role_id: text("role_id", "the id of an AppRole")?,
                secret_id_file: secret(table, "secret_id_file")?,
            })
        }
        _ => Some(VaultAuth::Kubernetes {
            mount: mount("kubernetes"),
            role: text("kubernetes_role", "Vault's name for the service account")?,
            jwt_file: match table.text("jwt_file", "the path of a file") {
                Some(file) => table.page.path(file.text),
                None => PathBuf::from(JWT_FILE),
            },
        }),
    }
}

/// A file with a secret, which is there. What is in it counts when it is needed.
fn secret(table: &Fields<'_>, key: &str) -> Option<PathBuf> {
    let Text { text, span } = table.text(key, "the path of a file")?;
    let path = table.page.path(text);
    if let Err(flaw) = files::password(&path) {
        table.page.flaw(&span, flaw);
        return None;
    }
    Some(path)
}

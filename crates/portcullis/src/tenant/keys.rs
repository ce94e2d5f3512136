//! What a new tenant adds to the gate's configuration, in TOML. It never writes into a configuration.

use std::fmt::Write as _;
use std::path::Path;

use gate::isolation::Isolation;
use toml::Value;

use super::names::Login;
use super::plan::Wish;
use super::secrets;
use crate::cli::tenant_new_args::ServerAddress;

/// The tables of the tenant: where its clients come in, and, where it owns something, its migrations.
pub fn tables(wish: &Wish, server: &ServerAddress, folder: &Path) -> String {
    let mut text = table(wish, &wish.tenant, Login::App, server, folder);
    apart(&mut text, wish);
    read(&mut text, wish, folder);
    if wish.ledger {
        login(&mut text, "ledger_", wish, Login::Ledger, folder);
    }
    if wish.logins().contains(&Login::Owner) {
        let migrations = format!("{}_migrate", wish.tenant);
        text.push_str(
            "\n# for migrations alone: nobody else should have it in their \"tenants\"\n",
        );
        text.push_str(&table(wish, &migrations, Login::Owner, server, folder));
    }
    text
}

fn table(
    wish: &Wish,
    tenant: &str,
    writes: Login,
    server: &ServerAddress,
    folder: &Path,
) -> String {
    let mut text = format!("[tenant.{}]\n", key(tenant));
    line(&mut text, "host", &server.host);
    let _ = writeln!(text, "port = {}", server.port);
    line(&mut text, "database", &wish.database);
    login(&mut text, "", wish, writes, folder);
    text
}

/// What the tenant is kept in. The owner is not: what it makes is the tenant's, whose other logins use it.
fn apart(text: &mut String, wish: &Wish) {
    line(text, "isolation", wish.model.as_str());
    if let Some(schemas) = schemas(wish) {
        let _ = writeln!(text, "schemas = [{}]", schemas.join(", "));
    }
}

fn read(text: &mut String, wish: &Wish, folder: &Path) {
    login(text, "read_", wish, Login::Read, folder);
}

fn login(text: &mut String, prefix: &str, wish: &Wish, login: Login, folder: &Path) {
    let role = login.role(&wish.tenant);
    line(text, &format!("{prefix}user"), &role);
    let file = secrets::file(folder, &role);
    line(
        text,
        &format!("{prefix}password_file"),
        &file.to_string_lossy(),
    );
}

/// The schemas that its statements may name, where others are beside them.
fn schemas(wish: &Wish) -> Option<Vec<String>> {
    let mut schemas: Vec<&str> = match wish.model {
        Isolation::Shared => wish.tables.iter().map(|it| it.schema.as_str()).collect(),
        Isolation::Schema => vec![&wish.tenant],
        Isolation::Database | Isolation::Instance => return None,
    };
    schemas.sort_unstable();
    schemas.dedup();
    Some(schemas.into_iter().map(value).collect())
}

fn line(text: &mut String, key: &str, it: &str) {
    let _ = writeln!(text, "{key} = {}", value(it));
}

fn value(text: &str) -> String {
    Value::from(text).to_string()
}

/// A name, quoted where it has to be.
fn key(name: &str) -> String {
    let bare = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-';
    if name.chars().all(bare) {
        return name.to_owned();
    }
    value(name)
}

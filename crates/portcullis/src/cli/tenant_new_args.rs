//! What can be typed after `portcullis tenant new`. It never connects or reads a file.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use gate::isolation::Isolation;

/// What PostgreSQL keeps of a name, in bytes.
const NAME_BYTES_MAX: usize = 63;
/// What the longest ending of a role's name takes of it: that of `_ledger`.
const ENDING_BYTES: usize = 7;
/// The gate's console has this name.
const CONSOLE: &str = "portcullis";
/// PostgreSQL's port.
const PORT: u16 = 5432;

/// A tenant to make.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag that is typed or not"
)]
pub struct NewArgs {
    /// The tenant, as clients name it; its roles begin with it
    #[arg(value_name = "NAME", value_parser = tenant_name)]
    pub tenant: String,
    /// What keeps it apart: shared (rows of tables that all have), schema, database or instance
    #[arg(long, value_parser = isolation)]
    pub model: Isolation,
    /// shared and schema: the database that is there; else the one to make [NAME]
    #[arg(long, value_name = "DATABASE")]
    pub database: Option<String>,
    /// shared: the role that owns the tables, and is no login of the gate
    #[arg(long, value_name = "ROLE")]
    pub owner: Option<String>,
    /// shared: a table, and its column that has the tenant's name; can be given several times
    #[arg(long = "table", value_name = "SCHEMA.TABLE:COLUMN")]
    pub tables: Vec<SharedTable>,
    /// Also make the login of a ledger
    #[arg(long)]
    pub ledger: bool,
    /// A folder of passwords, a file for each login: what is there is used, what is not is made [the roles get none]
    #[arg(long, value_name = "DIR")]
    pub passwords: Option<PathBuf>,
    /// Print what to add to the gate's configuration, instead of the SQL
    #[arg(long, conflicts_with = "apply")]
    pub toml: bool,
    /// --toml: where PostgreSQL is
    #[arg(long, value_name = "HOST[:PORT]", default_value = "localhost")]
    pub server: ServerAddress,
    /// Run it through the gate, as a ticket of its own; waits until that is signed
    #[arg(long, requires = "through")]
    pub apply: bool,
    /// --apply: the gate's tenant whose login may make roles
    #[arg(long, value_name = "TENANT", requires = "apply")]
    pub through: Option<String>,
    /// --apply, database and instance: the gate's tenant that leads into the new database
    #[arg(long, value_name = "TENANT", requires = "apply")]
    pub inside: Option<String>,
    /// --apply: why, for those who sign
    #[arg(short = 'm', long, value_name = "WHY", requires = "apply")]
    pub reason: Option<String>,
    /// --apply: it is no error that the tenant is there already, and nothing is done
    #[arg(long, requires = "apply")]
    pub if_missing: bool,
}

/// A table that all tenants have, and the column that says whose a row is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedTable {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The column.
    pub column: String,
}

impl FromStr for SharedTable {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "expected SCHEMA.TABLE:COLUMN";
        let (table, column) = text.rsplit_once(':').ok_or(wrong)?;
        let (schema, name) = table.split_once('.').ok_or(wrong)?;
        if [schema, name, column].into_iter().any(str::is_empty) {
            return Err(wrong);
        }
        Ok(Self {
            schema: schema.to_owned(),
            name: name.to_owned(),
            column: column.to_owned(),
        })
    }
}

/// Where a server is, as the configuration wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl FromStr for ServerAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // An address with colons in it has its port behind brackets.
        let (host, port) = match text.strip_prefix('[').and_then(|it| it.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, rest)) => (host, rest.strip_prefix(':')),
            None if text.matches(':').count() > 1 => (text, None),
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = port.map_or(Ok(PORT), str::parse);
        match port {
            Ok(port) if !host.is_empty() => Ok(Self {
                host: host.to_owned(),
                port,
            }),
            _ => Err("expected HOST or HOST:PORT"),
        }
    }
}

fn isolation(text: &str) -> Result<Isolation, &'static str> {
    let mut models = Isolation::ALL.into_iter();
    let model = models.find(|it| it.as_str() == text);
    model.ok_or("expected shared, schema, database or instance")
}

fn tenant_name(text: &str) -> Result<String, String> {
    let known = |it: char| it.is_ascii_alphanumeric() || "_-.$".contains(it);
    if text.is_empty() || !text.chars().all(known) {
        return Err("names of tenants have letters, digits, _, -, . and $ only".to_owned());
    }
    if text == CONSOLE {
        return Err("it is the name of the console".to_owned());
    }
    // PostgreSQL would cut it, and take two tenants for one.
    let max = NAME_BYTES_MAX - ENDING_BYTES;
    if text.len() > max {
        return Err(format!(
            "at most {max} characters, since its roles have endings"
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_role_can_begin_with() {
        let longest = "x".repeat(56);
        for (name, good) in [
            ("acme", true),
            ("shop_1.eu-west$", true),
            (&longest, true),
            (&format!("{longest}x"), false),
            ("portcullis", false),
            ("", false),
            ("a b", false),
            ("a\"b", false),
            ("käse", false),
        ] {
            assert_eq!(tenant_name(name).is_ok(), good, "{name:?}");
        }
    }

    #[test]
    fn a_shared_table_says_where_it_is_and_which_column_decides() {
        let table: SharedTable = "app.docs:tenant".parse().unwrap();
        let expected = ["app", "docs", "tenant"];
        assert_eq!([&*table.schema, &*table.name, &*table.column], expected);
        for wrong in [
            "docs:tenant",
            "app.docs",
            "app.:tenant",
            ".docs:tenant",
            "app.docs:",
        ] {
            assert!(wrong.parse::<SharedTable>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_server_may_say_its_port() {
        for (text, expected) in [
            ("db", Some(("db", 5432))),
            ("db:5433", Some(("db", 5433))),
            ("::1", Some(("::1", 5432))),
            ("[::1]:5433", Some(("::1", 5433))),
            ("db:", None),
            (":5432", None),
            ("db:x", None),
        ] {
            let address = text.parse::<ServerAddress>().ok();
            let found = address.as_ref().map(|it| (it.host.as_str(), it.port));
            assert_eq!(found, expected, "{text}");
        }
    }
}

//! `portcullis tenant new`: shows the SQL that makes a tenant, or what to add to the configuration, or has the gate run the SQL as a
//! ticket. It never logs in to a server itself.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use gate::isolation::Isolation;

use super::apply;
use super::keys;
use super::names::{self, Login};
use super::plan::{self, Script, Wish};
use super::secrets;
use crate::cli::args::Options;
use crate::cli::tenant_new_args::NewArgs;
use crate::cli::trouble::{Exit, Trouble};

/// Does what is asked.
pub fn run(options: &Options, args: &NewArgs) -> ExitCode {
    let made = wish(args).and_then(|wish| Ok((scripts(&wish, args.passwords.as_deref())?, wish)));
    let (scripts, wish) = match made {
        Ok(made) => made,
        Err(trouble) => return trouble.tell().into(),
    };
    if args.apply {
        return apply::run(options, args, &scripts);
    }
    let shown = if args.toml {
        let folder = args.passwords.as_deref().unwrap_or(Path::new(""));
        keys::tables(&wish, &args.server, folder)
    } else {
        shown(&wish, &scripts)
    };
    match write!(anstream::stdout(), "{shown}") {
        Ok(()) => Exit::Done.into(),
        Err(error) => Trouble::from(error).tell().into(),
    }
}

fn wish(args: &NewArgs) -> Result<Wish, Trouble> {
    let shared = args.model == Isolation::Shared;
    let own = matches!(args.model, Isolation::Database | Isolation::Instance);
    let usage = |says: &str| Err(Trouble::Usage(format!("model {}: {says}", args.model)));
    if args.database.is_none() && !own {
        return usage("--database says in which one");
    }
    if shared && (args.owner.is_none() || args.tables.is_empty()) {
        return usage("--owner and at least one --table are needed");
    }
    if !shared && (args.owner.is_some() || !args.tables.is_empty()) {
        return usage("--owner and --table are for shared tables");
    }
    if !own && args.inside.is_some() {
        return usage("--inside is for a database of its own");
    }
    let database = args.database.as_ref().unwrap_or(&args.tenant);
    Ok(Wish {
        tenant: args.tenant.clone(),
        model: args.model,
        database: database.clone(),
        owner: args.owner.clone().unwrap_or_default(),
        tables: args.tables.clone(),
        ledger: args.ledger,
    })
}

/// With passwords, where there is a folder of them.
fn scripts(wish: &Wish, folder: Option<&Path>) -> Result<Vec<Script>, Trouble> {
    let mut verifiers: Vec<(Login, String)> = Vec::new();
    for login in wish.logins() {
        if let Some(folder) = folder {
            verifiers.push((login, secrets::verifier(folder, &login.role(&wish.tenant))?));
        }
    }
    let known = |login| {
        verifiers
            .iter()
            .find(|it| it.0 == login)
            .map(|it| it.1.clone())
    };
    Ok(plan::scripts(wish, known))
}

/// As psql runs it.
fn shown(wish: &Wish, scripts: &[Script]) -> String {
    let mut text = format!(
        "-- Tenant {}, model {}. To be run by a superuser, or by a role with CREATEROLE (and CREATEDB) that owns what is there.\n",
        wish.tenant, wish.model
    );
    text.push_str(match wish.model {
        Isolation::Shared | Isolation::Schema => {
            "-- All of it or nothing: run a second time it fails at its first CREATE ROLE and changes nothing.\n\
             -- It takes away from PUBLIC the database and schema public: grant by name to who needs them.\n"
        }
        Isolation::Database | Isolation::Instance => {
            "-- Run a second time it fails at CREATE DATABASE and changes nothing. If it fails behind that, the new\n\
             -- database lets nobody in: DROP DATABASE, and begin again.\n"
        }
    });
    for (number, script) in (1..).zip(scripts) {
        let count = scripts.len();
        let _ = writeln!(text, "\n-- {number} of {count}: {}", script.makes);
        if let Some(database) = &script.inside {
            let _ = writeln!(text, "\\connect {}", names::name(database));
        }
        for statement in &script.statements {
            let _ = writeln!(text, "{statement};");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use insta::assert_snapshot;

    use super::*;
    use crate::cli::args::{Cli, Command};
    use crate::cli::tenant_args::TenantCommand;

    fn parsed(words: &str) -> NewArgs {
        let words = format!("portcullis tenant new {words}");
        match Cli::try_parse_from(words.split(' ')).map(|it| it.command) {
            Ok(Command::Tenant(TenantCommand::New(args))) => *args,
            other => panic!("{other:?}"),
        }
    }

    fn sql(words: &str) -> String {
        let wish = wish(&parsed(words)).unwrap();
        let scripts = plan::scripts(&wish, |login| Some(format!("SCRAM-of-{login:?}")));
        shown(&wish, &scripts)
    }

    fn toml(words: &str) -> String {
        let args = parsed(words);
        keys::tables(&wish(&args).unwrap(), &args.server, Path::new("passwords"))
    }

    const SHARED: &str = "acme --model shared --database app --owner app_owner --table app.docs:tenant --table app.notes:of";

    #[test]
    fn the_sql_of_shared_tables() {
        assert_snapshot!(sql(SHARED));
    }

    #[test]
    fn the_sql_of_a_schema() {
        assert_snapshot!(sql("acme --model schema --database app --ledger"));
    }

    #[test]
    fn the_sql_of_a_database() {
        assert_snapshot!(sql("acme --model database"));
    }

    /// On a server of its own it is the same, and a server of its own it is.
    #[test]
    fn the_sql_of_an_instance_is_that_of_a_database() {
        let of =
            |model| sql(&format!("acme --model {model}")).replace(&format!("model {model}"), "");
        assert_eq!(of("instance"), of("database"));
    }

    #[test]
    fn the_keys_of_each_model() {
        let schema = "shop.1 --model schema --database app --ledger --server db.example.com:5433";
        assert_snapshot!(format!("{}\n{}", toml(SHARED), toml(schema)));
        assert!(!toml("acme --model instance").contains("schemas"));
    }

    #[test]
    fn names_are_quoted_and_texts_too() {
        let hostile = "acme --model shared --database a\"b --owner o'x --table s'.t\"\\:c";
        let sql = sql(hostile);
        assert!(sql.contains("ON DATABASE \"a\"\"b\" FROM PUBLIC;"), "{sql}");
        assert!(
            sql.contains("ALTER TABLE \"s'\".\"t\"\"\\\" FORCE"),
            "{sql}"
        );
        assert!(
            sql.contains(" E'\"s''\".\"t\"\"\\\\\"'::pg_catalog.regclass"),
            "{sql}"
        );
        assert!(sql.contains("<> 'o''x'"), "{sql}");
    }

    #[test]
    fn what_a_model_needs_and_what_it_has_no_use_for() {
        for (words, says) in [
            ("acme --model schema", "--database"),
            ("acme --model shared --database app", "--owner"),
            ("acme --model shared --database app --owner o", "--table"),
            (
                "acme --model schema --database app --table a.b:c",
                "shared tables",
            ),
            (
                "acme --model schema --database app --apply --through t --inside t",
                "a database of its own",
            ),
        ] {
            match wish(&parsed(words)) {
                Err(Trouble::Usage(said)) => assert!(said.contains(says), "{said}"),
                other => panic!("{words}: {other:?}"),
            }
        }
    }
}

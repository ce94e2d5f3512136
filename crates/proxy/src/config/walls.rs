//! `isolation` and `schemas` of a tenant: what it is said to be kept in, and what two tenants may not share then. It never asks a
//! server whether that is so.

use std::collections::HashMap;
use std::net::IpAddr;

use gate::{Isolation, Walls};
use pool::Options;

use super::logins::{PLACEHOLDER, check_length};
use super::problem::Flaw;
use super::reader::{Fields, Text};
use super::words::{either, nearest};

/// The schemas of a tenant that names none.
pub(super) fn usual_schemas(isolation: Isolation, name: &str) -> Vec<String> {
    match isolation {
        Isolation::Shared => vec!["public".to_owned()],
        // Of a pattern it is that of each tenant.
        Isolation::Schema if name.contains('*') => vec![PLACEHOLDER.to_owned()],
        Isolation::Schema => vec![name.to_owned()],
        Isolation::Database | Isolation::Instance => Vec::new(),
    }
}

/// What it says of itself; nothing where it says nothing.
pub(super) fn walls(name: &Text<'_>, fields: &Fields<'_>) -> Option<Walls> {
    let isolation = isolation(fields);
    let Some(isolation) = isolation.filter(|it| it.has_schemas()) else {
        fields.refuse(
            "schemas",
            "without \"isolation\" that is \"shared\" or \"schema\"",
        );
        return isolation.map(|isolation| Walls {
            isolation,
            schemas: Vec::new(),
        });
    };
    let given = fields.texts("schemas", "the name of a schema");
    let schemas = match given {
        None => usual_schemas(isolation, name.text),
        Some(given) => schemas(name, fields, isolation, given),
    };
    Some(Walls { isolation, schemas })
}

fn isolation(fields: &Fields<'_>) -> Option<Isolation> {
    let names = || Isolation::ALL.into_iter().map(Isolation::as_str);
    let expected = either(names());
    let Text { text, span } = fields.text("isolation", &expected)?;
    let isolation = Isolation::ALL.into_iter().find(|it| it.as_str() == text);
    if isolation.is_none() {
        let flaw = Flaw::found(format!("unknown isolation \"{text}\""));
        let flaw = flaw.expected(expected).meant(nearest(text, names()));
        fields.page.flaw(&span, flaw);
    }
    isolation
}

fn schemas(
    name: &Text<'_>,
    fields: &Fields<'_>,
    isolation: Isolation,
    given: Vec<Text<'_>>,
) -> Vec<String> {
    let pattern = name.text.contains('*');
    let own = |it: &Text<'_>| it.text.contains(PLACEHOLDER);
    for it in &given {
        check_length(fields, it.text, &it.span);
        let flaw = if it.text.starts_with("pg_") || it.text == "information_schema" {
            Flaw::found(format!("\"{}\" is PostgreSQL's own schema", it.text))
        } else if own(it) && !pattern {
            Flaw::found(format!("\"{PLACEHOLDER}\" stands for nothing here"))
        } else {
            continue;
        };
        fields
            .page
            .flaw(&it.span, flaw.expected("a schema of the tenant"));
    }
    if isolation == Isolation::Schema && pattern && !given.iter().any(own) {
        let found = format!(
            "every tenant that fits \"{}\" would be in one schema",
            name.text
        );
        let flaw = Flaw::found(found).expected(format!("\"{PLACEHOLDER}\" in \"schemas\""));
        fields.page.flaw(&fields.span_of("schemas"), flaw);
    }
    given.into_iter().map(|it| it.text.to_owned()).collect()
}

/// Servers and logins of the tenants so far, each with the first that has it and whether that one must have it alone.
#[derive(Default)]
pub(super) struct Neighbours {
    servers: HashMap<(String, u16), Vec<Neighbour>>,
    logins: HashMap<(String, u16, String), (String, bool)>,
}

/// A tenant on a server.
struct Neighbour {
    name: String,
    database: String,
    /// Whether it must have the server alone.
    alone: bool,
}

impl Neighbours {
    /// Notes what the next tenant shares with another though one of them may not: its server, and the roles of `logins`.
    pub(super) fn add(
        &mut self,
        name: &Text<'_>,
        fields: &Fields<'_>,
        isolation: Option<Isolation>,
        logins: &[&Options],
    ) {
        let Some(Options {
            host,
            port,
            tls,
            database,
            ..
        }) = logins.first()
        else {
            return;
        };
        let pattern = name.text.contains('*');
        let alone = isolation == Some(Isolation::Instance);
        let flaw = |found: String, expected: &'static str| {
            let span = if fields.has("isolation") {
                fields.span_of("isolation")
            } else {
                name.span.clone()
            };
            fields
                .page
                .flaw(&span, Flaw::found(found).expected(expected));
        };
        if alone && pattern {
            let found = format!(
                "all tenants that fit \"{}\" are on {host}:{port}",
                name.text
            );
            flaw(
                found,
                "a server for each that has \"isolation\" of \"instance\"",
            );
        }
        if alone && tls.mode() != "verify-full" && !is_here(host) {
            let found = format!(
                "\"sslmode\" is {}: any server could be taken for it",
                tls.mode()
            );
            flaw(found, "\"verify-full\" where \"isolation\" is \"instance\"");
        }
        let here = Neighbour {
            name: name.text.to_owned(),
            database: database.clone(),
            alone,
        };
        if let Some(other) = self.beside((host.clone(), *port), here) {
            let found = format!("tenant \"{other}\" is on {host}:{port}, too");
            flaw(
                found,
                "a server for each that has \"isolation\" of \"instance\"",
            );
        }
        let server = (host.as_str(), *port);
        for user in logins.iter().map(|it| &it.user) {
            let shared = self.beside_as(server, user, name.text, isolation.is_some());
            if let Some((found, expected)) = shared {
                flaw(found, expected);
            }
        }
    }

    /// What is wrong with a login, if something is: another tenant's, too, or that of all that fit a pattern.
    fn beside_as(
        &mut self,
        (host, port): (&str, u16),
        user: &str,
        name: &str,
        walled: bool,
    ) -> Option<(String, &'static str)> {
        if user.contains(PLACEHOLDER) {
            return None;
        }
        let login = (host.to_owned(), port, user.to_owned());
        let other = share(&mut self.logins, login, name, walled);
        if walled && name.contains('*') {
            let found = format!("all tenants that fit \"{name}\" log in as \"{user}\"");
            let expected = "\"{tenant}\" in each role of a tenant with \"isolation\"";
            return Some((found, expected));
        }
        let found = format!("tenant \"{}\" logs in as \"{user}\", too", other?);
        Some((found, "a login of its own where \"isolation\" is said"))
    }

    /// Another one on this server, if one of both must have it alone. Two that lead to one database are one tenant that has several
    /// logins, as those of migrations are.
    fn beside(&mut self, server: (String, u16), here: Neighbour) -> Option<String> {
        let known = self.servers.entry(server).or_default();
        let clashes = |it: &&Neighbour| (it.alone || here.alone) && it.database != here.database;
        let other = known.iter().find(clashes).map(|it| it.name.clone());
        // Of those that share there are many, and two of other databases tell as much as all.
        let alike = || known.iter().filter(|it| it.alone == here.alone);
        if alike().count() < 2 && alike().all(|it| it.database != here.database) {
            known.push(here);
        }
        other
    }
}

/// The other one that has this, if one of both must have it alone.
fn share<K: std::hash::Hash + Eq>(
    known: &mut HashMap<K, (String, bool)>,
    key: K,
    name: &str,
    alone: bool,
) -> Option<String> {
    let (first, was_alone) = known.entry(key).or_insert_with(|| (name.to_owned(), alone));
    if first == name {
        return None;
    }
    let clash = *was_alone || alone;
    *was_alone |= alone;
    clash.then(|| first.clone())
}

/// Whether nobody stands between the gate and this host.
fn is_here(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|it| it.is_loopback())
}

//! What a `[[rule]]` is about: who, where, when, which statements and what they name. It never knows what
//! the rule says of them.

use std::net::IpAddr;

use gate::Rule;
use gate::policy::{Access, FunctionPattern, RelationPattern, Ruling, Window};
use ipnet::IpNet;
use sql::Class;

use super::known::Known;
use super::problem::Flaw;
use super::reader::{Fields, Text};
use super::words::either;

const RELATION: &str =
    "a relation such as \"public.accounts\" or a column such as \"hr.people.salary\"";
const FUNCTION: &str = "a function such as \"billing.run\"";
const WINDOW: &str = "a window such as \"mon-fri 08:00-18:00 UTC\" or \"daily 22:00-06:00 +02:00\"";
const NETWORK: &str = "an address or a network such as \"10.0.0.0/8\"";
/// The largest size that a rule can ask for; no request is larger.
const SIZE_MAX: u64 = 1 << 30;

/// A rule of this name about what `fields` say; what it says of it is for the caller to fill in.
pub(super) fn rule(fields: &Fields<'_>, name: &str, known: Known<'_>) -> Rule {
    let groups = fields.texts("group", "a group").unwrap_or_default();
    let rule = Rule {
        tenants: known.tenants_of(fields),
        users: known.users_of(fields, "user"),
        groups: groups.iter().map(|it| known.group(fields, it)).collect(),
        classes: classes(fields),
        relations: several(fields, "relation", RELATION, str::parse::<RelationPattern>),
        access: access(fields),
        functions: several(fields, "function", FUNCTION, str::parse::<FunctionPattern>),
        during: several(fields, "during", WINDOW, str::parse::<Window>),
        addresses: several(fields, "address", NETWORK, network),
        larger_than: fields.size("larger_than", 1..=SIZE_MAX),
        ..Rule::new(name, Ruling::Allow)
    };
    if rule.relations.is_empty() {
        fields.refuse("access", "without \"relation\"");
    }
    rule
}

/// Notes what a rule with this verdict cannot be about.
pub(super) fn check(fields: &Fields<'_>, rule: &Rule) {
    let allows = rule.ruling == Ruling::Allow;
    if !allows && rule.classes.contains(&Class::Transaction) {
        let why = "BEGIN, COMMIT and the like always pass";
        let found = format!("class \"transaction\" cannot be held or denied: {why}");
        let span = fields.span_of("class");
        fields.page.flaw(&span, Flaw::found(found));
    }
    let one_column = |it: &RelationPattern| it.column.as_ref().is_some_and(|it| !it.is_any());
    if allows && rule.relations.iter().any(one_column) {
        let why = "that a statement touches no other cannot be known";
        let found = format!("one column cannot be allowed: {why}");
        let flaw = Flaw::found(found).expected("the relation, behind rules for its other columns");
        fields.page.flaw(&fields.span_of("relation"), flaw);
    }
}

/// The classes that `fields` name.
pub(super) fn classes(fields: &Fields<'_>) -> Vec<Class> {
    let names = Class::ALL.map(Class::name);
    let mut classes = Vec::new();
    for Text { text, span } in fields
        .texts("class", "a statement class")
        .unwrap_or_default()
    {
        if let Ok(class) = text.parse() {
            classes.push(class);
        } else {
            let flaw = Flaw::found(format!("unknown statement class \"{text}\""));
            fields.page.flaw(&span, flaw.expected(either(names)));
        }
    }
    classes
}

fn access(fields: &Fields<'_>) -> Option<Access> {
    let words = Access::ALL.map(Access::name);
    let Text { text, span } = fields.text("access", &either(words))?;
    let access = Access::ALL.into_iter().find(|it| it.name() == text);
    if access.is_none() {
        let flaw = Flaw::found(format!("unknown access \"{text}\""));
        fields.page.flaw(&span, flaw.expected(either(words)));
    }
    access
}

/// One value or a list of them, each as `read` makes it.
fn several<T, E: std::fmt::Display>(
    fields: &Fields<'_>,
    key: &str,
    expected: &str,
    read: fn(&str) -> Result<T, E>,
) -> Vec<T> {
    let mut good = Vec::new();
    for Text { text, span } in fields.texts(key, expected).unwrap_or_default() {
        match read(text) {
            Ok(value) => good.push(value),
            Err(why) => {
                let flaw = Flaw::found(format!("\"{key}\" is {text:?}: {why}"));
                fields.page.flaw(&span, flaw.expected(expected));
            }
        }
    }
    good
}

fn network(text: &str) -> Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(IpNet::from);
    let network = text.parse().or(address);
    match network {
        Err(_) => Err("it is no address".to_owned()),
        Ok(network) if network != network.trunc() => {
            Err(format!("its network is {}", network.trunc()))
        }
        Ok(network) => Ok(network),
    }
}

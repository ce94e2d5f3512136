//! `[policy]` and `[[rule]]`. It never decides on a statement: that is `gate::Policy`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gate::policy::{DEFAULT_RULE, Ruling, glob};
use gate::{Group, Need, Rule};
use sql::Class;

use super::keys;
use super::people::Members;
use super::problem::Flaw;
use super::reader::{Fields, Span, Text};
use super::tenants::check_pattern;
use super::words::{count, either, nearest};

/// What rules may name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    /// Who may log in.
    pub(super) users: &'a [&'a str],
    /// The groups and who is in them.
    pub(super) members: &'a Members,
    /// The tenants; none are known to a policy of its own.
    pub(super) tenants: &'a [&'a str],
}

/// The rules, the default, and where each rule, and at last the default, stands.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) ordered: Vec<Rule>,
    pub(super) default: Need,
    pub(super) spans: Vec<Span>,
}

const PEOPLE: &str = "{ approvals = 1, from = \"GROUP\" }";
const VERDICTS: [&str; 3] = ["allow", "hold", "deny"];

/// Reads them.
pub(super) fn rules(top: &Fields<'_>, known: Known<'_>) -> Option<Rules> {
    let mut ordered = Vec::new();
    let mut spans = Vec::new();
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for fields in top.several("rule", keys::RULE) {
        spans.push(fields.span_of("from"));
        let name = name(&fields, &mut names);
        let (users, groups, tenants) = whom(&fields, known);
        let classes = classes(&fields);
        let ruling = ruling(&fields, name, &classes, known);
        ordered.extend(ruling.map(|ruling| Rule {
            name: Arc::from(name),
            tenants,
            users,
            groups,
            classes,
            ruling,
        }));
    }
    top.require("policy", &format!("[policy] with default = {PEOPLE}"));
    let policy = top.table("policy", keys::POLICY)?;
    policy.require("default", PEOPLE);
    let default = policy.table("default", keys::NEED)?;
    spans.push(default.span.clone());
    let default = need(&default, DEFAULT_RULE, known)?;
    Some(Rules {
        ordered,
        default,
        spans,
    })
}

fn name<'a>(fields: &Fields<'a>, names: &mut BTreeMap<&'a str, usize>) -> &'a str {
    fields.require("name", "a name that people will read on a ticket");
    let Some(Text { text, span }) = fields.text("name", "a name") else {
        return "";
    };
    let line = fields.page.line(&span);
    if let Some(first) = names.get(text) {
        let found = format!("rule \"{text}\" is already on line {first}");
        fields
            .page
            .flaw(&span, Flaw::found(found).expected("another name"));
    } else if text == DEFAULT_RULE {
        let found = format!("\"{DEFAULT_RULE}\" is the name of the default hold");
        fields
            .page
            .flaw(&span, Flaw::found(found).expected("another name"));
    }
    names.entry(text).or_insert(line);
    text
}

fn whom(fields: &Fields<'_>, known: Known<'_>) -> (Vec<String>, Vec<Group>, Vec<String>) {
    let users = fields.texts("user", "a user").unwrap_or_default();
    for Text { text, span } in &users {
        if !known.users.iter().any(|user| glob(text, user)) {
            let meant = nearest(text, known.users.iter().copied());
            fields.page.flaw(
                span,
                Flaw::found(format!("unknown user \"{text}\"")).meant(meant),
            );
        }
    }
    let groups = fields.texts("group", "a group").unwrap_or_default();
    let groups = groups.iter().map(|it| group(fields, it, known)).collect();
    let tenants = fields.texts("tenant", "a tenant").unwrap_or_default();
    for tenant in &tenants {
        check_pattern(fields, tenant, known.tenants);
    }
    let owned = |list: Vec<Text<'_>>| list.iter().map(|it| it.text.to_owned()).collect();
    (owned(users), groups, owned(tenants))
}

fn group(fields: &Fields<'_>, name: &Text<'_>, known: Known<'_>) -> Group {
    let Text { text, span } = name;
    let group = Group::from(*text);
    if !known.members.contains_key(&group) {
        let meant = nearest(text, known.members.keys().map(Group::as_str));
        fields.page.flaw(
            span,
            Flaw::found(format!("unknown group \"{text}\"")).meant(meant),
        );
    }
    group
}

fn classes(fields: &Fields<'_>) -> Vec<Class> {
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

fn ruling(fields: &Fields<'_>, name: &str, classes: &[Class], known: Known<'_>) -> Option<Ruling> {
    fields.require("verdict", &either(VERDICTS));
    let Text { text, span } = fields.text("verdict", &either(VERDICTS))?;
    let with = format!("with verdict \"{text}\"");
    if text != "allow" && classes.contains(&Class::Transaction) {
        let why = "BEGIN, COMMIT and the like always pass";
        let found = format!("class \"transaction\" cannot be held or denied: {why}");
        fields
            .page
            .flaw(&fields.span_of("class"), Flaw::found(found));
    }
    if text != "hold" {
        fields.refuse("approvals", &with);
        fields.refuse("from", &with);
    }
    if text != "deny" {
        fields.refuse("message", &with);
    }
    match text {
        "allow" => Some(Ruling::Allow),
        "hold" => need(fields, name, known).map(Ruling::Hold),
        "deny" => {
            fields.require("message", "what the requester is told");
            let message = fields.text("message", "what the requester is told")?;
            Some(Ruling::Deny(message.text.to_owned()))
        }
        _ => {
            let flaw = Flaw::found(format!("unknown verdict \"{text}\""))
                .expected(either(VERDICTS))
                .meant(nearest(text, VERDICTS));
            fields.page.flaw(&span, flaw);
            None
        }
    }
}

/// How many of which group; one where the number is missing.
fn need(fields: &Fields<'_>, rule: &str, known: Known<'_>) -> Option<Need> {
    fields.require("from", "the group whose members sign");
    let given = fields.number("approvals", 1..=100_u32);
    let from = fields.text("from", "the group whose members sign")?;
    let group = group(fields, &from, known);
    let approvals = match given {
        Some(approvals) => approvals,
        None if fields.has("approvals") => return None,
        None => 1,
    };
    let members = known.members.get(&group).map_or(0, BTreeSet::len);
    let wanted = usize::try_from(approvals).unwrap_or(usize::MAX);
    if known.members.contains_key(&group) && members < wanted {
        let wanted = count(wanted, "approval");
        let found = format!("nobody can satisfy rule \"{rule}\": it needs {wanted}");
        let members = count(members, "member");
        let found = format!(
            "{found}, and group \"{from}\" has {members}",
            from = from.text
        );
        fields.page.flaw(&from.span, Flaw::found(found));
    }
    Some(Need { group, approvals })
}

//! `[policy]` and `[[rule]]`. It never decides on a statement: that is `gate::Policy`.

use std::collections::BTreeMap;

use gate::policy::{DEFAULT_RULE, Owners};
use gate::{Need, Rule};

use super::holds::{self, PEOPLE};
use super::known::{Known, OWNERS};
use super::problem::Flaw;
use super::reader::{Fields, Span, Text};
use super::words::{either, nearest};
use super::{keys, matchers, owners};

/// The rules, the default, and where each rule, and at last the default, stands.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) ordered: Vec<Rule>,
    pub(super) default: Need,
    pub(super) owners: Owners,
    pub(super) observes: bool,
    pub(super) spans: Vec<Span>,
}

const MODES: [&str; 2] = ["enforce", "observe"];

/// Reads them.
pub(super) fn rules(top: &Fields<'_>, known: Known<'_>) -> Option<Rules> {
    let policy = top.table("policy", keys::POLICY);
    let file = policy
        .as_ref()
        .and_then(|it| it.text("owners", "a file of owners"));
    if file.is_some() {
        check_groups(top, known);
    }
    let owners = file.map(|file| owners::owners(top.page, &file, known).unwrap_or_default());
    let known = Known {
        owners: owners.as_ref(),
        ..known
    };
    let mut ordered = Vec::new();
    let mut spans = Vec::new();
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for fields in top.several("rule", keys::RULE) {
        let people = if fields.has("needs") { "needs" } else { "from" };
        spans.push(fields.span_of(people));
        let name = name(&fields, &mut names);
        let rule = matchers::rule(&fields, name, known);
        if let Some(ruling) = holds::ruling(&fields, name, known) {
            let rule = Rule { ruling, ..rule };
            matchers::check(&fields, &rule);
            ordered.push(rule);
        }
    }
    top.require("policy", &format!("[policy] with default = {PEOPLE}"));
    let policy = policy?;
    policy.require("default", PEOPLE);
    let default = policy.table("default", keys::NEED)?;
    spans.push(default.span.clone());
    Some(Rules {
        ordered,
        default: holds::default(&default, DEFAULT_RULE, known)?,
        observes: observes(&policy),
        owners: owners.unwrap_or_default(),
        spans,
    })
}

/// Where relations have owners, no group can have the name that means them where rules say who signs.
fn check_groups(top: &Fields<'_>, known: Known<'_>) {
    if known.members.contains_key(&gate::Group::from(OWNERS)) {
        let found =
            format!("no group can be named \"{OWNERS}\": in rules that is whoever owns a relation");
        let flaw = Flaw::found(found).expected("another name");
        top.page.flaw(&top.span_of("group"), flaw);
    }
}

fn observes(policy: &Fields<'_>) -> bool {
    let Some(Text { text, span }) = policy.text("mode", &either(MODES)) else {
        return false;
    };
    if !MODES.contains(&text) {
        let flaw = Flaw::found(format!("unknown mode \"{text}\""))
            .expected(either(MODES))
            .meant(nearest(text, MODES));
        policy.page.flaw(&span, flaw);
    }
    text == "observe"
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

//! What a `[[rule]]` says of what it is about: allow, deny, or hold, and for whom. It never decides on a
//! statement.

use std::collections::BTreeSet;
use std::time::Duration;

use gate::policy::{Ruling, Terms, Wanted, Whose};
use gate::{Group, Need};

use super::keys;
use super::known::{Known, OWNERS};
use super::problem::Flaw;
use super::reader::{Fields, Text};
use super::words::{count, either, nearest};

/// What approvals look like.
pub(super) const PEOPLE: &str = "{ approvals = 1, from = \"GROUP\" }";
const VERDICTS: [&str; 3] = ["allow", "hold", "deny"];
/// What only a hold has.
const OF_HOLDS: [&str; 5] = ["approvals", "from", "needs", "decide_within", "use_within"];
const SIGNERS: &str = "the group whose members sign";

/// What the rule of this name says.
pub(super) fn ruling(fields: &Fields<'_>, name: &str, known: Known<'_>) -> Option<Ruling> {
    fields.require("verdict", &either(VERDICTS));
    let Text { text, span } = fields.text("verdict", &either(VERDICTS))?;
    let with = format!("with verdict \"{text}\"");
    if text != "hold" {
        for key in OF_HOLDS {
            fields.refuse(key, &with);
        }
    }
    if text != "deny" {
        fields.refuse("message", &with);
    }
    match text {
        "allow" => Some(Ruling::Allow),
        "hold" => terms(fields, name, known).map(Ruling::Hold),
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

/// The default: so many people of a group that is named, since it stands in where nobody owns something.
pub(super) fn default(fields: &Fields<'_>, rule: &str, known: Known<'_>) -> Option<Need> {
    let Wanted { from, approvals } = wanted(fields, rule, known)?;
    match from {
        Whose::Group(group) => Some(Need { group, approvals }),
        Whose::Owners => {
            let found = "the default cannot be from the owners: it is for what nobody owns";
            let flaw = Flaw::found(found).expected(SIGNERS);
            fields.page.flaw(&fields.span_of("from"), flaw);
            None
        }
    }
}

fn terms(fields: &Fields<'_>, rule: &str, known: Known<'_>) -> Option<Terms> {
    let needs = if fields.has("needs") {
        for key in ["approvals", "from"] {
            fields.refuse(key, "beside \"needs\"");
        }
        let needs = fields.several("needs", keys::NEED);
        if needs.is_empty() {
            let flaw = Flaw::found("\"needs\" names nobody").expected(format!("[{PEOPLE}]"));
            fields.page.flaw(&fields.span_of("needs"), flaw);
        }
        let needs = needs.iter().map(|need| wanted(need, rule, known));
        needs.collect::<Option<Vec<_>>>()?
    } else {
        vec![wanted(fields, rule, known)?]
    };
    let within = Duration::from_secs(1)..=Duration::from_hours(24 * 365);
    Some(Terms {
        needs,
        decide_within: fields.duration("decide_within", within.clone()),
        use_within: fields.duration("use_within", within),
    })
}

/// How many of which group, or of the owners; one where the number is missing.
fn wanted(fields: &Fields<'_>, rule: &str, known: Known<'_>) -> Option<Wanted> {
    fields.require("from", SIGNERS);
    let given = fields.number("approvals", 1..=100_u32);
    let from = fields.text("from", SIGNERS)?;
    let has_group = known.members.contains_key(&Group::from(OWNERS));
    let whose = if from.text == OWNERS && (known.owners.is_some() || !has_group) {
        if known.owners.is_none() {
            let found = format!("from \"{OWNERS}\" says nothing without a file of owners");
            let flaw = Flaw::found(found).expected("\"owners\" in [policy]");
            fields.page.flaw(&from.span, flaw);
        }
        Whose::Owners
    } else {
        Whose::Group(known.group(fields, &from))
    };
    let approvals = match given {
        Some(approvals) => approvals,
        None if fields.has("approvals") => return None,
        None => 1,
    };
    if let Whose::Group(group) = &whose {
        let members = known.members.get(group).map(BTreeSet::len);
        let wanted = usize::try_from(approvals).unwrap_or(usize::MAX);
        if let Some(members) = members.filter(|members| *members < wanted) {
            let wanted = count(wanted, "approval");
            let members = count(members, "member");
            let found = format!(
                "nobody can satisfy rule \"{rule}\": it needs {wanted}, and group \"{group}\" has {members}"
            );
            fields.page.flaw(&from.span, Flaw::found(found));
        }
    }
    Some(Wanted {
        from: whose,
        approvals,
    })
}

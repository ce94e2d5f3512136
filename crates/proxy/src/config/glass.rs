//! `[[break_glass]]`: who may run what before anybody signs, and who looks at it afterwards. It never decides on a statement.

use gate::policy::BreakGlass;
use sql::Class;

use super::holds::{self, PEOPLE};
use super::keys;
use super::known::Known;
use super::matchers;
use super::problem::Flaw;
use super::reader::Fields;

/// Reads them.
pub(super) fn rules(top: &Fields<'_>, known: Known<'_>) -> Vec<BreakGlass> {
    let tables = top.several("break_glass", keys::BREAK_GLASS).into_iter();
    tables.filter_map(|it| rule(&it, known)).collect()
}

fn rule(fields: &Fields<'_>, known: Known<'_>) -> Option<BreakGlass> {
    fields.require("name", "a name that people will read on a ticket");
    fields.require("class", "the classes of the statements that it is about");
    fields.require("review", PEOPLE);
    let name = fields.text("name", "a name")?.text;
    let classes = matchers::classes(fields);
    if classes.contains(&Class::Transaction) {
        let found =
            "class \"transaction\" needs no break-glass: BEGIN, COMMIT and the like always pass";
        fields
            .page
            .flaw(&fields.span_of("class"), Flaw::found(found));
    }
    let groups = fields.texts("group", "a group").unwrap_or_default();
    let users = known.users_of(fields, "user");
    if groups.is_empty() && users.is_empty() {
        let found = format!("\"{name}\" names nobody");
        let flaw = Flaw::found(found).expected("\"user\" or \"group\": who may do it");
        fields.page.flaw(&fields.span, flaw);
    }
    let review = fields.table("review", keys::NEED)?;
    Some(BreakGlass {
        name: name.into(),
        tenants: known.tenants_of(fields),
        users,
        groups: groups.iter().map(|it| known.group(fields, it)).collect(),
        classes,
        review: holds::default(&review, name, known)?,
    })
}

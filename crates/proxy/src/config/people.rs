//! Users, the people behind them, and groups. It never sees a password: verifiers stand in the file.

use std::collections::{BTreeMap, BTreeSet};

use gate::{Group, PrincipalId};
use wire::scram::Verifier;

use super::keys;
use super::problem::Flaw;
use super::reader::{Fields, Text};
use super::words::nearest;

/// Somebody who may log in.
#[derive(Clone, Debug)]
pub struct User {
    /// The name that they log in with.
    pub name: String,
    /// Who they are: the stable id of the person or program, which may have several logins.
    pub person: PrincipalId,
    /// What their password is checked against.
    pub verifier: Verifier,
    /// Their groups.
    pub groups: BTreeSet<Group>,
    /// The tenants that they may name, `*` standing for any characters; empty for all.
    pub tenants: Vec<String>,
}

/// Who is in which group.
pub(super) type Members = BTreeMap<Group, BTreeSet<PrincipalId>>;

/// What a user's table says, whether or not the verifier can be read.
#[derive(Debug)]
pub(super) struct Person<'a> {
    pub(super) name: &'a str,
    pub(super) is: &'a str,
    pub(super) tenants: Vec<Text<'a>>,
    verifier: Option<Verifier>,
}

const VERIFIER: &str = "the line that \"portcullis password\" prints";

/// Reads `[user.NAME]`; the groups go into `members`, and are those of the person, with whichever login they come.
pub(super) fn users<'a>(top: &Fields<'a>, members: &mut Members) -> Vec<Person<'a>> {
    top.require("user", "a table [user.NAME] for everybody who may log in");
    let mut people = Vec::new();
    let mut other = Vec::new();
    for (name, user) in top.named("user", keys::USER) {
        check_name(top, "user", &name);
        let person = user.text("person", "the name of a person");
        if let Some(person) = &person {
            check_name(top, "person", person);
            other.push(person.clone());
        }
        let person = person.map_or(name.text, |it| it.text);
        for group in user.texts("groups", "a group").unwrap_or_default() {
            check_name(top, "group", &group);
            let group = members.entry(Group::from(group.text)).or_default();
            group.insert(PrincipalId::from(person));
        }
        people.push(Person {
            name: name.text,
            is: person,
            verifier: verifier(&user),
            tenants: user.texts("tenants", "a tenant").unwrap_or_default(),
        });
    }
    for Text { text, span } in other {
        // A user of this name is somebody else.
        if let Some(user) = people.iter().find(|it| it.name == text && it.is != text) {
            let found = format!("user \"{text}\" is the person \"{}\"", user.is);
            let flaw = Flaw::found(found).expected("the person of all these logins");
            top.page.flaw(&span, flaw);
        }
    }
    people
}

fn verifier(user: &Fields<'_>) -> Option<Verifier> {
    user.require("verifier", VERIFIER);
    let Text { text, span } = user.secret("verifier")?;
    match text.parse() {
        Ok(verifier) => Some(verifier),
        Err(why) => {
            let why: wire::scram::VerifierError = why;
            let flaw = Flaw::found(format!("\"verifier\" cannot be read: {why}"));
            user.page.flaw(&span, flaw.expected(VERIFIER));
            None
        }
    }
}

/// Reads `[group.NAME]` into `members`; everybody in it must be among `users`, each with the person that it is.
pub(super) fn groups(top: &Fields<'_>, users: &[(&str, &str)], members: &mut Members) {
    for (name, group) in top.named("group", keys::GROUP) {
        check_name(top, "group", &name);
        group.require("members", "a list of users");
        let set = members.entry(Group::from(name.text)).or_default();
        for Text { text, span } in group.texts("members", "a user").unwrap_or_default() {
            if let Some((_, person)) = users.iter().find(|it| it.0 == text) {
                set.insert(PrincipalId::from(*person));
            } else {
                let flaw = Flaw::found(format!("unknown user \"{text}\""))
                    .meant(nearest(text, users.iter().map(|it| it.0)));
                top.page.flaw(&span, flaw);
            }
        }
    }
}

/// Names are compared with patterns and shown in messages.
pub(super) fn check_name(top: &Fields<'_>, what: &str, name: &Text<'_>) {
    let Text { text, span } = name;
    if text.trim() != *text
        || text.is_empty()
        || text.contains(|c: char| c == '*' || c.is_control())
    {
        let flaw = Flaw::found(format!("{text:?} is no name for a {what}"));
        let expected = "a name without \"*\", control characters or spaces around it";
        top.page.flaw(span, flaw.expected(expected));
    }
}

/// The users as the gate knows them.
pub(super) fn finish(people: Vec<Person<'_>>, members: &Members) -> Vec<User> {
    let user = |person: Person<'_>| {
        let id = PrincipalId::from(person.is);
        Some(User {
            name: person.name.to_owned(),
            groups: groups_of(&id, members),
            person: id,
            verifier: person.verifier?,
            tenants: person.tenants.iter().map(|it| it.text.to_owned()).collect(),
        })
    };
    people.into_iter().filter_map(user).collect()
}

/// The groups that somebody is in.
pub(super) fn groups_of(name: &PrincipalId, members: &Members) -> BTreeSet<Group> {
    let theirs = members.iter().filter(|(_, members)| members.contains(name));
    theirs.map(|(group, _)| group.clone()).collect()
}

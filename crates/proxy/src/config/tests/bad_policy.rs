//! Holds that nobody could approve, and policy files. It asks only what is refused, and in which words.

use super::{Room, SOUND, policy};

/// The problems of a policy file for alice and bob, without the file's name.
fn said(text: &str) -> Vec<String> {
    let error = policy(text)
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    error
        .lines()
        .map(|line| line.trim_start_matches("policy.toml:").to_owned())
        .collect()
}

/// A policy with these rules, where bob alone is a DBA.
fn with(default: &str, rules: &str) -> Vec<String> {
    said(&format!(
        "group = {{ team = {{ members = [\"alice\", \"bob\"] }}, dba = {{ members = \"bob\" }} }}\n\
         policy.default = {{ from = \"{default}\" }}\n{rules}"
    ))
}

const ALONE: &str = "could never be satisfied for user \"bob\": nobody signs for their own request, \
                     and group \"dba\" has no other members, expected at least 1";
const BOB_DENIED: &str = "{ name = \"d\", user = \"bob\", verdict = \"deny\", message = \"no\" }";

#[test]
fn nobody_signs_for_their_own_request() {
    let alone = |place: &str, rule: &str| vec![format!("{place}: rule \"{rule}\" {ALONE}")];
    let hold = "{ name = \"h\", verdict = \"hold\", from = \"dba\"";
    assert_eq!(with("team", ""), [""; 0]);
    assert_eq!(with("dba", ""), alone("2:18", "default"));
    assert_eq!(
        with("team", &format!("rule = [{hold} }}]")),
        alone("3:48", "h")
    );
    // Whoever the rule is not for cannot run into it.
    assert_eq!(
        with("team", &format!("rule = [{hold}, user = \"alice\" }}]")),
        [""; 0]
    );
    assert_eq!(
        with("team", &format!("rule = [{hold}, group = \"team\" }}]")),
        alone("3:48", "h")
    );
    // Neither can whoever an earlier rule stops, or lets pass.
    assert_eq!(with("dba", &format!("rule = [{BOB_DENIED}]")), [""; 0]);
    assert_eq!(
        with(
            "dba",
            "rule = [{ name = \"a\", group = \"dba\", verdict = \"allow\" }]"
        ),
        [""; 0]
    );
    assert_eq!(
        with("team", &format!("rule = [{BOB_DENIED}, {hold} }}]")),
        [""; 0]
    );
    assert_eq!(
        with("team", &format!("rule = [{hold} }}, {BOB_DENIED}]")),
        alone("3:48", "h")
    );
    // But not where it is for some tenants, or some classes, only.
    let some = BOB_DENIED.replace("verdict", "tenant = \"acme\", verdict");
    assert_eq!(
        with("dba", &format!("rule = [{some}]")),
        alone("2:18", "default")
    );
    let some = BOB_DENIED.replace("verdict", "class = \"write\", verdict");
    assert_eq!(
        with("dba", &format!("rule = [{some}]")),
        alone("2:18", "default")
    );
}

/// Whoever is alone in a group cannot be in another one, too, where both must sign.
#[test]
fn nobody_signs_for_two_groups() {
    let text = |people: &str| {
        said(&format!(
            "group = {{ team = {{ members = [\"alice\", \"bob\"] }}, dba = {{ members = {people} }} }}\n\
             policy.default = {{ from = \"team\" }}\n\
             rule = [{{ name = \"h\", user = \"alice\", class = \"ddl\", verdict = \"hold\", \
             needs = [{{ from = \"team\" }}, {{ from = \"dba\" }}] }}]"
        ))
    };
    let two = "3:80: rule \"h\" could never be satisfied for user \"alice\": nobody signs for their own \
               request or for two groups, and group \"dba\" has 1 other member";
    assert_eq!(text("\"bob\""), [two]);
}

/// A rule about some relations leaves the class to those behind it, and one with hours the rest of the day.
#[test]
fn what_stops_some_statements_stops_nobody_for_sure() {
    let alone = [format!("2:18: rule \"default\" {ALONE}")];
    for some in [
        "relation = \"t\"",
        "function = \"f\"",
        "during = \"mon 08:00-18:00 UTC\"",
        "address = \"10.0.0.0/8\"",
        "larger_than = \"1 KiB\"",
    ] {
        let rule = BOB_DENIED.replace("verdict", &format!("{some}, verdict"));
        assert_eq!(with("dba", &format!("rule = [{rule}]")), alone, "{some}");
    }
}

#[test]
fn several_allowed_statements_in_one_string_wait_for_the_default() {
    let classes = "[\"read\", \"session\", \"copy_out\", \"maintenance\", \"write\", \"copy_in\", \"ddl\", \"admin\"]";
    let allowed = format!("{{ name = \"a\", class = {classes}, verdict = \"allow\" }}");
    let rest = "{ name = \"r\", verdict = \"deny\", message = \"no\" }";
    let rules = format!("rule = [{allowed}, {rest}]");
    assert_eq!(
        with("dba", &rules),
        [format!("2:18: rule \"default\" {ALONE}")]
    );
    assert_eq!(with("dba", &format!("rule = [{rest}]")), [""; 0]);
}

#[test]
fn who_may_name_only_the_console_runs_into_nothing() {
    let room = Room::new();
    let text = SOUND.replace("from = \"team\"", "from = \"dba\"").replacen(
        "[user.bob]",
        "[group.dba]\nmembers = \"bob\"\n[user.bob]",
        1,
    );
    let found = room.problems(room.parse(&text));
    assert_eq!(
        found,
        [format!("gate.toml:18:11: rule \"default\" {ALONE}")]
    );
    let text = text.replacen(
        "[tenant.acme]",
        "tenants = \"portcullis\"\n[tenant.acme]",
        1,
    );
    assert_eq!(room.problems(room.parse(&text)), [""; 0]);
    // A pattern that only the console fits leads to no tenant either; "*" leads everywhere.
    let text = text.replace("\"portcullis\"", "[\"port*\", \"acme\"]");
    assert_eq!(room.problems(room.parse(&text)).len(), 1);
}

#[test]
fn a_policy_file_has_four_tables() {
    assert_eq!(
        said("listen = 1\nrul = 2\ngroup = 3\n"),
        [
            "1:1: \"listen\" does not belong in a policy file, expected \"policy\", \"rule\", \"break_glass\" or \"group\"",
            "1:1: missing key \"policy\", expected [policy] with default = { approvals = 1, from = \"GROUP\" }",
            "2:1: unknown key \"rul\", did you mean \"rule\"?",
            "3:9: \"group\" is a number, expected tables [group.NAME]",
        ]
    );
    assert_eq!(
        said(
            "policy.default = { from = \"team\" }\ngroup.team.members = [\"alice\", \"bob\", \"carl\"]"
        ),
        ["2:39: unknown user \"carl\""]
    );
    assert_eq!(
        said("x = \n"),
        ["1:5: string values must be quoted, expected literal string"]
    );
}

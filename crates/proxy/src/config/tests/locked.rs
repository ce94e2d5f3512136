//! Keys of tenants when the configuration of a gate that runs is read again: none becomes another, and nothing that had one is
//! written in clear text.

use std::fs;

use store::{TenantKey, TenantKeys};

use super::super::Config;
use super::super::include::Look;
use super::{Room, SOUND};

const HAD: &str = "when this gate was started, expected a restart, which alone takes keys up";

/// A configuration with these tenants, each with the key of that name or none.
fn text(tenants: &[(&str, &str)]) -> String {
    let table = |(name, key): &(&str, &str)| {
        let key = match *key {
            "" => String::new(),
            key => format!("encryption_key = '{key}.key'\n"),
        };
        format!("[tenant.'{name}']\nhost = 'h'\nuser = 'u'\nsslmode = 'disable'\n{key}")
    };
    tenants.iter().map(table).collect()
}

fn room() -> Room {
    let room = Room::new();
    for (name, digits) in [("a", "0a"), ("b", "0b")] {
        room.write(&format!("{name}.key"), 0o600, &(digits.repeat(32) + "\n"));
    }
    room
}

fn keys(room: &Room, tenants: &[(&str, &str)]) -> TenantKeys {
    let config = room.parse(&(SOUND.to_owned() + &text(tenants)));
    config.unwrap().journal.keys.tenants
}

/// What is said where a gate that started with the first reads the second.
fn changed(before: &[(&str, &str)], after: &[(&str, &str)]) -> Vec<String> {
    let room = room();
    let standing = keys(&room, before);
    let text = SOUND.to_owned() + &text(after);
    let origin = room.file("gate.toml");
    let look = Look::at(&origin);
    room.problems(Config::read(&text, (&origin, &look), Some(&standing)))
}

#[test]
fn a_key_that_changes_is_refused_with_its_place() {
    let refused = |before: &str, after: &str| {
        let said = changed(&[("shop", before)], &[("shop", after)]);
        assert_eq!(said.len(), 1, "{said:?}");
        said.into_iter().next().unwrap()
    };
    assert_eq!(
        refused("", "a"),
        format!("gate.toml:25:18: tenant \"shop\" had no \"encryption_key\" {HAD}")
    );
    assert_eq!(
        refused("a", "b"),
        format!("gate.toml:25:18: tenant \"shop\" had another \"encryption_key\" {HAD}")
    );
    assert_eq!(
        refused("a", ""),
        format!("gate.toml:21:1: tenant \"shop\" had an \"encryption_key\" {HAD}")
    );
    let place = |said: Vec<String>| said.join("|");
    let new = place(changed(&[], &[("new", "a")]));
    assert!(new.contains("\"new\" had no"), "{new}");
}

#[test]
fn what_keeps_its_key_may_change() {
    for (before, after) in [
        (vec![("x", "a"), ("y", "")], vec![("y", ""), ("x", "a")]),
        // Nothing leads there any more.
        (vec![("x", "a")], vec![]),
        (vec![("x_*", "a")], vec![("y", "")]),
        // Nothing has one.
        (vec![], vec![("x_*", ""), ("x_1", "")]),
        (vec![("x_*", ""), ("x_1", "")], vec![("x*", "")]),
        // Those of a pattern have that of the pattern, by whatever name.
        (vec![("x_*", "a")], vec![("x_*", "a"), ("x_1", "a")]),
        (vec![("x_*", "a"), ("x_1", "a")], vec![("x_*", "a")]),
        (vec![("x_*", "a")], vec![("x_*", "a"), ("x_y*", "a")]),
        (vec![("x*", "b"), ("x_*", "a")], vec![("x_*", "a")]),
        (vec![("x_*", "a")], vec![("y*", ""), ("x_*", "a")]),
    ] {
        assert_eq!(changed(&before, &after), [""; 0], "{before:?} {after:?}");
    }
}

#[test]
fn no_name_of_a_pattern_has_another() {
    for (before, after, who) in [
        (vec![("x_*", "")], vec![("x_*", "a")], "x_*"),
        (vec![("x_*", "a")], vec![("x_*", "")], "x_*"),
        (vec![("x_*", "a")], vec![("x_*", "a"), ("x_1", "")], "x_1"),
        (vec![("x_*", "a"), ("x_1", "")], vec![("x_*", "a")], "x_*"),
        (
            vec![("x_*", "a")],
            vec![("x_*", "a"), ("x_y*", "b")],
            "x_y*",
        ),
        (vec![("x*", ""), ("x_*", "a")], vec![("x*", "")], "x*"),
        (vec![("x_*", "a")], vec![("x*", "a")], "x*"),
        (vec![], vec![("x*", "a")], "x*"),
    ] {
        let said = changed(&before, &after);
        assert_eq!(said.len(), 1, "{before:?} {after:?}: {said:?}");
        assert!(
            said[0].contains(&format!("tenant \"{who}\" had ")),
            "{said:?}"
        );
    }
}

/// A key is found as its tenant is: by the pattern that begins with more of the name, wherever that stands.
#[test]
fn a_key_is_found_as_its_tenant_is() {
    let room = room();
    fs::create_dir(room.file("tenants.d")).unwrap();
    let included = text(&[("x_*", "../b"), ("alone", "../b")]);
    room.write("tenants.d/a.toml", 0o644, &included);
    let own = text(&[("x*", "a"), ("x_1", "")]);
    let config = room.parse(&format!("include = 'tenants.d/*.toml'\n{SOUND}{own}"));
    let keys = config.unwrap().journal.keys.tenants;
    let digits = |it: &str| {
        TenantKey::from_text(&it.repeat(32))
            .unwrap()
            .id()
            .to_owned()
    };
    let (a, b) = (digits("0a"), digits("0b"));
    for (tenant, key) in [
        ("xy", Some(&a)),
        ("x_2", Some(&b)),
        ("x_1", None),
        ("alone", Some(&b)),
        ("acme", None),
    ] {
        let found = keys.of(tenant).map(TenantKey::id);
        assert_eq!(found, key.map(String::as_str), "{tenant}");
    }
    // A file that is included is told by its own name and place.
    let look = Look::at(&room.file("gate.toml"));
    room.write("tenants.d/a.toml", 0o644, &text(&[("alone", "../a")]));
    let again = format!("include = 'tenants.d/*.toml'\n{SOUND}{own}");
    let read = Config::read(&again, (&room.file("gate.toml"), &look), Some(&keys));
    let said = room.problems(read);
    assert!(
        said.iter()
            .any(|it| it.starts_with("tenants.d/a.toml:5:18: tenant \"alone\" had another")),
        "{said:?}"
    );
}

//! The files in `config/` are what they say: each is read here as an operator would.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::{ServerTls, keys, policy_file};
use super::{Config, Room};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../config")
        .join(name)
}

#[test]
fn portcullis_toml_can_be_used_as_it_is() {
    let config = Config::load(&example("portcullis.toml")).unwrap();
    assert!(
        config
            .listen
            .iter()
            .all(|address| address.ip().is_loopback())
    );
    assert_eq!(config.user("carol").unwrap().tenants, ["portcullis"]);
    assert_eq!(config.tenants.find("acme").unwrap().write.database, "acme");
    assert_eq!(
        config.tenants.find("shop_eu").unwrap().write.database,
        "shop_eu"
    );
}

#[test]
fn portcullis_toml_has_the_defaults_and_every_key() {
    let text = fs::read_to_string(example("portcullis.toml")).unwrap();
    let room = Room::new();
    let bare = room.parse(super::SOUND).unwrap();
    let full = Config::load(&example("portcullis.toml")).unwrap();
    assert_eq!(format!("{:?}", bare.limits), format!("{:?}", full.limits));
    assert_eq!(bare.edge, full.edge);
    assert_eq!(bare.servers, full.servers);
    assert_eq!(bare.tickets, full.tickets);
    let (bare, full) = (
        bare.tenants.find("acme").unwrap(),
        full.tenants.find("acme").unwrap(),
    );
    assert_eq!(bare.pool_mode, full.pool_mode);
    let (bare, full) = (bare.write, full.write);
    assert_eq!(bare.idle_timeout, full.idle_timeout);
    assert_eq!(bare.lifetime, full.lifetime);
    assert_eq!((bare.port, bare.size), (full.port, full.size));
    assert_eq!((bare.wait, bare.connect), (full.wait, full.connect));
    for (table, known) in keys::TABLES {
        for key in known {
            let has = |line: &str| {
                let line = line.trim_start_matches("# ");
                line.starts_with(&format!("{key} = "))
                    || line.starts_with(&format!("[{key}"))
                    || line.starts_with(&format!("[[{key}"))
                    || line.contains(&format!("{{ {key} = "))
                    || line.contains(&format!(", {key} = "))
            };
            assert!(text.lines().any(has), "{key} of {table}");
        }
    }
}

#[test]
fn minimal_toml_lacks_nothing_but_its_files() {
    let text = fs::read_to_string(example("minimal.toml")).unwrap();
    let room = Room::new();
    let problems = room.problems(room.parse(&text));
    let password = "could not read password file \"app.password\": No such file or directory";
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].ends_with(password), "{problems:?}");

    room.write("app.password", 0o600, "secret of app\n");
    let config = room.parse(&text).unwrap();
    assert_eq!(config.users.len(), 2);
    assert!(matches!(config.tls, ServerTls::On { .. }));
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    assert!(lines.count() <= 18, "it is minimal");
}

#[test]
fn policy_toml_can_be_tried_by_alice_and_bob() {
    let path = example("policy.toml");
    let text = fs::read_to_string(&path).unwrap();
    let people = ["alice".into(), "bob".into()];
    let (_, groups) = policy_file(&text, &path, &people).unwrap();
    assert_eq!(groups[&people[0]].len(), 2);
    assert_eq!(groups[&people[1]].len(), 2);
}

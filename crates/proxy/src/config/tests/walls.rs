//! What a tenant is said to be kept in, as the configuration has it (hazards section O).

use gate::Isolation;

use super::{Room, SOUND};
use crate::config::{Config, Tenants};

/// Four tenants, one of each model, and patterns.
const MORE: &str = r#"
[tenant.one]
host = "a.example.com"
user = "one"
database = "common"
isolation = "shared"
[tenant.two]
host = "a.example.com"
user = "two"
read_user = "two_read"
ledger_user = "two_ledger"
isolation = "schema"
[tenant.three]
host = "a.example.com"
user = "three"
isolation = "database"
[tenant.four]
host = "b.example.com"
user = "four"
isolation = "instance"
[tenant."s_*"]
host = "a.example.com"
user = "{tenant}_rw"
database = "common"
isolation = "schema"
[tenant."t_*"]
host = "a.example.com"
user = "{tenant}_rw"
database = "common"
isolation = "schema"
schemas = ["{tenant}_data", "public"]
"#;

fn sound() -> Config {
    Room::new().parse(&(SOUND.to_owned() + MORE)).unwrap()
}

#[test]
fn a_tenant_is_kept_in_what_is_said() {
    let config = sound();
    for (name, isolation, path) in [
        ("one", Isolation::Shared, Some("\"public\"")),
        ("two", Isolation::Schema, Some("\"two\"")),
        ("three", Isolation::Database, None),
        ("four", Isolation::Instance, None),
        ("s_1", Isolation::Schema, Some("\"s_1\"")),
        ("t_1", Isolation::Schema, Some("\"t_1_data\", \"public\"")),
    ] {
        let tenant = config.tenants.find(name).unwrap();
        let walls = tenant.walls.unwrap();
        assert_eq!(walls.isolation, isolation, "{name}");
        assert_eq!(walls.search_path().as_deref(), path, "{name}");
        for options in [&tenant.write, &tenant.read] {
            let mut given = options.parameters.iter();
            let given = given.find(|it| it.0 == "search_path");
            assert_eq!(given.map(|it| it.1.as_str()), path, "{name}");
        }
    }
    assert_eq!(config.tenants.find("acme").unwrap().walls, None);
    let unwalled: Vec<_> = config.tenants.unwalled().collect();
    assert_eq!(unwalled, ["acme"]);
    let fences = config.tenants.find("two").unwrap().ledger.unwrap();
    assert!(fences.parameters.iter().all(|it| it.0 != "search_path"));
}

/// What is said of isolation is part of what makes a tenant the same.
#[test]
fn other_walls_are_another_tenant() {
    let room = Room::new();
    let of = |more: &str| -> Tenants {
        let text = SOUND.replace("[policy]", &format!("{more}\n[policy]"));
        room.parse(&text).unwrap().tenants
    };
    let all = [
        "",
        "isolation = 'shared'",
        "isolation = 'shared'\nschemas = 'app'",
        "isolation = 'schema'",
        "isolation = 'schema'\nschemas = ['acme', 'app']",
        "isolation = 'database'",
        "isolation = 'instance'",
    ];
    for (at, one) in all.iter().enumerate() {
        for (other_at, other) in all.iter().enumerate() {
            let same = of(one).is_same(&of(other), "acme");
            assert_eq!(same, at == other_at, "{one} | {other}");
        }
    }
    let usual = of("isolation = 'schema'\nschemas = ['acme']");
    assert!(usual.is_same(&of("isolation = 'schema'"), "acme"));
}

//! What a sound configuration comes to: places, people, tenants, and which rule decides.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gate::policy::{Judgement, Ruling, Whose};
use gate::{Context, Group, Policy, Principal, Request, TenantId, Work};
use secrecy::ExposeSecret;
use session::PoolMode;
use sql::Class;

use super::super::{Config, Edge, ServerTls};
use super::{Room, SOUND, policy};

const LARGER: &str = r#"
listen = ["127.0.0.1:6432", "[::1]:6432"]
state = "/var/lib/portcullis"
node = "gate-7"
workers = 3
limits = { request_bytes_max = "1 MiB", pipeline_max = 7, ahead_bytes_max = "4 KiB", sessions_max = 5, sessions_per_address_max = 4, buffer_bytes_max = "32 KiB", tenant_buffer_bytes_max = "1 GiB", slow_reader = "9 s", login = "500 s", server_connections_max = 90, server_logins_max = 4 }
hold = { heartbeat = "1 min", transaction_budget = "2 h" }
tickets = { decide_within = "1 d", use_within = "90 min" }
rule = [{ name = "reads", class = "read", verdict = "allow" }]
policy.default = { from = "team" }

[tls]
certificate = "server.crt"
key = "server.key"

[user]
alice = { verifier = "VERIFIER", tenants = "shop_*" }
bob = { verifier = "VERIFIER", groups = "team" }
carol = { verifier = "VERIFIER", groups = ["team", "audit"] }

[group.team]
members = "alice"

[pool]
mode = "statement"
idle_timeout = "5 min"
lifetime = "2 h"

[tenant."*_eu"]
host = "eu.example.com"
user = "eu"
sslrootcert = "ca.crt"

[tenant."shop_*"]
host = "db.example.com"
port = 5433
database = "s_{tenant}"
user = "shop"
password_file = "acme.password"
sslmode = "require"
pool_mode = "session"
idle_timeout = "3 s"
read_user = "shop_read"
read_password = "secret of reads"
pool_size = 3
wait = "1 s"
connect = "2 s"

[tenant.shop_one]
host = "one.example.com"
user = "one"
password = "secret of one"
sslmode = "disable"
"#;

fn larger() -> (Room, Config) {
    let room = Room::new();
    let verifier = SOUND
        .lines()
        .find_map(|line| line.strip_prefix("verifier = "));
    let text = LARGER.replace("\"VERIFIER\"", verifier.unwrap());
    let result = room.parse(&text);
    assert_eq!(result.as_ref().err().map(ToString::to_string), None);
    (room, result.unwrap())
}

#[test]
fn every_key_arrives() {
    let (room, config) = larger();
    let seconds = Duration::from_secs;
    assert_eq!(config.listen.len(), 2);
    assert_eq!(config.state.to_str(), Some("/var/lib/portcullis"));
    assert_eq!((config.node.as_str(), config.workers), ("gate-7", 3));
    assert_eq!(config.limits.request_bytes_max, 1 << 20);
    assert_eq!(config.limits.pipeline_max, 7);
    assert_eq!(config.limits.ahead_bytes_max, 4096);
    assert_eq!(config.limits.login, seconds(500));
    assert_eq!(config.limits.heartbeat, seconds(60));
    assert_eq!(config.limits.budget, seconds(7200));
    let edge = Edge {
        sessions_per_address_max: 4,
        buffer_bytes_max: 32 << 10,
        tenant_buffer_bytes_max: 1 << 30,
        slow_reader: seconds(9),
        ..Edge::with_sessions(5)
    };
    assert_eq!(config.edge, edge);
    assert_eq!(edge.sessions_per_tenant_max, 5, "as sessions_max");
    let servers = config.servers;
    assert_eq!((servers.connections_max, servers.logins_max), (90, 4));
    assert_eq!(config.tickets.decide_within_ms, 86_400_000);
    assert_eq!(config.tickets.use_within_ms, 5_400_000);
    let ServerTls::On { pair, plaintext } = &config.tls else {
        panic!("no TLS: {:?}", config.tls)
    };
    assert_eq!((pair.cert.len(), *plaintext), (1, false));
    let (certificate, key) = (room.file("server.crt"), room.file("server.key"));
    assert!(ServerTls::read(&certificate, &key).is_ok());
    assert!(ServerTls::read(&certificate, &room.file("other.key")).is_err());
    assert_eq!(config.policy.rules().len(), 1);
}

#[test]
fn groups_come_from_both_places() {
    let (_, config) = larger();
    let groups = |name: &str| -> Vec<String> {
        let groups = &config.user(name).unwrap().groups;
        groups.iter().map(ToString::to_string).collect()
    };
    assert_eq!(groups("alice"), ["team"]);
    assert_eq!(groups("bob"), ["team"]);
    assert_eq!(groups("carol"), ["audit", "team"]);
    assert_eq!(config.user("alice").unwrap().tenants, ["shop_*"]);
    assert!(config.user("dave").is_none());
}

#[test]
fn a_tenant_is_an_exact_name_or_fits_a_pattern() {
    let (_, config) = larger();
    let place = |name: &str| {
        let options = config.tenants.find(name)?;
        Some((options.write.user, options.write.database))
    };
    let some = |user: &str, database: &str| Some((user.to_owned(), database.to_owned()));
    assert_eq!(place("shop_one"), some("one", "shop_one"));
    assert_eq!(place("shop_two"), some("shop", "s_shop_two"));
    let longest = "the longest beginning counts, not the order";
    assert_eq!(place("shop_eu"), some("shop", "s_shop_eu"), "{longest}");
    assert_eq!(place("x_eu"), some("eu", "x_eu"));
    assert_eq!(place("Shop_one"), None);
    for name in [
        "shop_{tenant}",
        "shop_ ",
        "shop_a/b",
        "shop_\\",
        "-x_eu",
        "../x_eu",
        "shop_'",
    ] {
        assert_eq!(place(name), None, "{name} is no plain name");
    }
    assert_eq!(place("shop_ä-1.$"), some("shop", "s_shop_ä-1.$"));
    assert_eq!(place("portcullis"), None);
    assert_eq!(place("acme"), None);
    assert!(place(&format!("shop_{}", "x".repeat(56))).is_some());
    assert_eq!(
        place(&format!("shop_{}", "x".repeat(57))),
        None,
        "PostgreSQL would cut it off"
    );
}

#[test]
fn a_tenant_has_its_login_and_its_pool() {
    let (_, config) = larger();
    let options = config.tenants.find("shop_two").unwrap().write;
    assert_eq!(
        (options.host.as_str(), options.port),
        ("db.example.com", 5433)
    );
    assert_eq!(options.password.unwrap().expose_secret(), "secret of acme");
    assert_eq!(options.size, 3);
    assert_eq!(
        (options.wait, options.connect),
        (Duration::from_secs(1), Duration::from_secs(2))
    );
    assert!(
        config
            .tenants
            .find("x_eu")
            .unwrap()
            .write
            .password
            .is_none()
    );
    assert!(!format!("{config:?}").contains("secret of"));
}

#[test]
fn what_a_tenant_does_not_say_of_its_pool_is_said_for_all() {
    let (_, config) = larger();
    let (shop, one) = (
        config.tenants.find("shop_two").unwrap(),
        config.tenants.find("shop_one").unwrap(),
    );
    assert_eq!(
        (shop.pool_mode, one.pool_mode),
        (PoolMode::Session, PoolMode::Statement)
    );
    let minutes = Duration::from_mins;
    assert_eq!(shop.write.idle_timeout, Duration::from_secs(3));
    assert_eq!(one.write.idle_timeout, minutes(5));
    assert_eq!(shop.write.lifetime, minutes(120));
    let room = Room::new();
    let bare = room.parse(SOUND).unwrap().tenants.find("acme").unwrap();
    assert_eq!(bare.pool_mode, PoolMode::Transaction);
    assert_eq!(
        (bare.write.idle_timeout, bare.write.lifetime),
        (minutes(10), minutes(60))
    );
}

/// DESIGN ruling 10.
#[test]
fn reads_have_a_login_of_their_own_or_begin_read_only() {
    let (_, config) = larger();
    let read_only = [("default_transaction_read_only".to_owned(), "on".to_owned())];
    let shop = config.tenants.find("shop_two").unwrap();
    assert_eq!((&*shop.write.user, &*shop.read.user), ("shop", "shop_read"));
    let password = shop.read.password.as_ref().unwrap();
    assert_eq!(password.expose_secret(), "secret of reads");
    assert_eq!(shop.read.database, "s_shop_two");
    assert!(!shop.has_one_login());
    let one = config.tenants.find("shop_one").unwrap();
    assert_eq!((&*one.write.user, &*one.read.user), ("one", "one"));
    assert_eq!(one.read.database, "shop_one");
    assert!(one.has_one_login());
    for tenant in [shop, one] {
        assert_eq!(tenant.write.parameters, []);
        assert_eq!(tenant.read.parameters, read_only);
    }
}

#[test]
fn clear_text_over_the_network_must_be_spelled_out() {
    let room = Room::new();
    let text = SOUND.replace("127.0.0.1:0", "0.0.0.0:6432").replace(
        "plaintext = true",
        "plaintext = true\ninsecure_plaintext = true",
    );
    let config = room.parse(&text).unwrap();
    assert!(matches!(config.tls, ServerTls::Off));
}

#[test]
fn a_file_that_is_not_there_or_is_no_text() {
    let room = Room::new();
    let problems = room.problems(Config::load(&room.file("missing.toml")));
    let why = "could not read configuration file \"missing.toml\": No such file or directory";
    assert_eq!(problems, [format!("missing.toml: {why}")]);
    std::fs::write(room.file("binary.toml"), b"a = 1\nb = \"\xff\"\n").unwrap();
    let problems = room.problems(Config::load(&room.file("binary.toml")));
    assert_eq!(problems, ["binary.toml:2:6: invalid UTF-8"]);
}

/// What the policy makes of a statement: `allow`, or `hold` or `deny` with the rule's name.
fn verdict(policy: &Policy, user: &str, groups: &[&str], tenant: &str, text: &str) -> String {
    let principal = Arc::new(Principal {
        id: user.into(),
        groups: groups.iter().map(|&group| Group::from(group)).collect(),
    });
    let context = Context {
        tenant: TenantId::from(tenant),
        system_identifier: Arc::from("1"),
        principal: principal.id.clone(),
        role: Arc::from("app"),
        settings: Arc::new(BTreeMap::new()),
        state: None,
        isolation: None,
        in_transaction: false,
    };
    let request = Arc::new(Request {
        principal,
        context,
        work: Work::Query(text.into()),
        named: Vec::new(),
        readings: vec![Arc::new(sql::read(text))],
        client: Arc::from("here"),
        wish: Arc::default(),
    });
    match policy.judge(&request, 0) {
        Judgement::Allow(pass) => format!("allow: {}", pass.rule()),
        Judgement::Hold(hold) => format!("hold: {}", hold.rule),
        Judgement::Apart(_) => "apart".to_owned(),
        Judgement::Deny(denial) => format!("deny: {}", denial.rule),
    }
}

#[test]
fn the_first_rule_that_fits_decides() {
    let text = r#"
        group = { team = { members = ["alice", "bob"] }, dba = { members = "bob" } }
        policy.default = { from = "team" }
        rule = [
            { name = "one", class = "read", tenant = "acme*", verdict = "allow" },
            { name = "two", class = ["read", "write"], user = "a*", verdict = "hold", from = "dba" },
            { name = "three", class = "write", verdict = "deny", message = "no" },
            { name = "four", group = "dba", class = "ddl", verdict = "allow" },
        ]
    "#;
    let policy = policy(text).unwrap();
    for (user, groups, tenant, statement, said) in [
        ("alice", &[][..], "acme_2", "SELECT 1", "allow: one"),
        ("alice", &[], "shop", "SELECT 1", "hold: two"),
        ("bob", &[], "shop", "SELECT 1", "hold: default"),
        ("alice", &[], "acme", "DELETE FROM t", "hold: two"),
        ("bob", &["dba"], "acme", "DELETE FROM t", "deny: three"),
        ("bob", &["dba"], "acme", "CREATE TABLE t ()", "allow: four"),
        (
            "alice",
            &["team"],
            "acme",
            "CREATE TABLE t ()",
            "hold: default",
        ),
        ("bob", &[], "acme", "SELECT 1; SELECT 2", "apart"),
    ] {
        assert_eq!(
            verdict(&policy, user, groups, tenant, statement),
            said,
            "{user} {statement}"
        );
    }
}

#[test]
fn rules_name_relations_functions_and_owners() {
    let rules = r#"
        mode = "observe"
        owners = "OWNERS"
        [[rule]]
        name = "salaries"
        relation = ["hr.people.salary", "payroll.*"]
        access = "read"
        function = "billing.run()"
        during = "mon-fri 08:00-18:00 +02:00"
        address = ["10.0.0.0/8", "::1"]
        larger_than = "1 KiB"
        verdict = "hold"
        needs = [{ from = "owners" }, { approvals = 1, from = "team" }]
        decide_within = "30 min"
        use_within = "5 min"
    "#;
    let room = Room::new();
    let text = SOUND.replace("[[rule]]", &format!("{rules}\n[[rule]]"));
    let policy = room.parse(&text).unwrap().policy;
    assert!(policy.observes());
    let rule = &policy.rules()[0];
    assert_eq!((rule.relations.len(), rule.functions.len()), (2, 1));
    assert_eq!((rule.during.len(), rule.addresses.len()), (1, 2));
    assert_eq!(rule.larger_than, Some(1024));
    let Ruling::Hold(terms) = &rule.ruling else {
        panic!("it holds");
    };
    assert_eq!(terms.needs.len(), 2);
    assert_eq!(terms.needs[0].from, Whose::Owners);
    assert_eq!(terms.decide_within, Some(Duration::from_mins(30)));
    assert_eq!(terms.use_within, Some(Duration::from_mins(5)));
}

#[test]
fn a_group_may_be_named_owners_where_there_is_no_file_of_them() {
    let text =
        "group.owners.members = [\"alice\", \"bob\"]\npolicy.default = { from = \"owners\" }";
    let read = policy(text);
    assert!(read.is_ok(), "{read:?}");
}

#[test]
fn what_is_released_has_time_outs_by_class() {
    let room = Room::new();
    let of = |more: &str, classes: &[Class]| {
        let text = format!("{SOUND}\n{more}");
        let time_outs = room.parse(&text).unwrap().release.of(classes);
        (time_outs.lock_ms, time_outs.statement_ms)
    };
    let usual = (Some(10_000), Some(3_600_000));
    assert_eq!(of("", &[Class::Write]), usual);
    let some = "[[release]]\nlock_timeout = '2 s'\n[[release]]\nclass = 'ddl'\nlock_timeout = '0 s'\n\
                statement_timeout = '1 min'";
    assert_eq!(of(some, &[Class::Write]), (Some(2000), Some(3_600_000)));
    assert_eq!(of(some, &[Class::Ddl]), (None, Some(60_000)));
    assert_eq!(
        of(some, &[Class::Ddl, Class::Write]),
        (Some(2000), Some(60_000))
    );
    assert_eq!(of(some, &[]), (Some(2000), Some(3_600_000)));
}

#[test]
fn a_person_has_the_groups_of_all_their_logins() {
    let room = Room::new();
    let verifier = SOUND.lines().find(|it| it.starts_with("verifier")).unwrap();
    let second =
        format!("[user.second]\n{verifier}\nperson = 'alice'\ngroups = ['dba']\n[tenant.acme]");
    let config = room
        .parse(&SOUND.replace("[tenant.acme]", &second))
        .unwrap();
    let groups = ["dba", "team"].map(Group::from);
    for login in ["alice", "second"] {
        let user = config.user(login).unwrap();
        assert_eq!(user.person.as_str(), "alice");
        assert_eq!(user.groups, groups.clone().into());
    }
    assert_eq!(
        config.user("bob").unwrap().groups,
        [Group::from("team")].into()
    );
}

#[test]
fn a_journal_is_signed_and_encrypted_where_there_are_keys() {
    let room = Room::new();
    let without = room.parse(SOUND).unwrap().journal.keys;
    assert!(without.signing.is_none() && without.tenants.all().next().is_none());
    let journal = "[journal]\nsigning_key = \"server.key\"\nsign_within = \"1 min\"\n[tls]\n";
    let key = "sslmode = \"disable\"\nencryption_key = \"acme.key\"\n";
    let text = SOUND.replacen("[tls]\n", journal, 1);
    let text = text.replacen("sslmode = \"disable\"\n", key, 1);
    let config = room.parse(&text).unwrap();
    let keys = &config.journal.keys;
    let signing = keys.signing.as_ref().unwrap();
    assert_eq!(signing.within, Duration::from_mins(1));
    assert_eq!(keys.tenants.all().count(), 1);
    // Neither shows itself.
    let shown = format!("{config:?}");
    assert!(shown.contains(signing.key.public().id()), "{shown}");
    assert!(
        !shown.contains("070707") && !shown.contains("7, 7, 7"),
        "{shown}"
    );
}

//! Tenants in files beside the configuration, and patterns of them: where each leads, and what is said of those that cannot.

use std::fs;

use secrecy::ExposeSecret;

use super::super::{Config, ConfigError};
use super::{Room, SOUND};

const INCLUDES: &str = "include = 'tenants.d/*.toml'\n";

/// A room with these files of tenants.
fn room(files: &[(&str, &str)]) -> Room {
    let room = Room::new();
    fs::create_dir(room.file("tenants.d")).unwrap();
    for (name, text) in files {
        room.write(&format!("tenants.d/{name}"), 0o644, text);
    }
    room
}

fn parse(room: &Room, more: &str) -> Result<Config, ConfigError> {
    room.parse(&format!("{INCLUDES}{more}{SOUND}"))
}

#[track_caller]
fn problems(files: &[(&str, &str)], more: &str) -> Vec<String> {
    let room = room(files);
    room.problems(parse(&room, more))
}

fn tenant(name: &str, host: &str) -> String {
    format!("[tenant.\"{name}\"]\nhost = '{host}'\nuser = 'app'\nsslmode = 'disable'\n")
}

#[test]
fn every_file_that_fits_is_read_in_order() {
    let (one, two) = (
        tenant("one", "a"),
        tenant("two", "b") + &tenant("three_*", "c"),
    );
    let files = [
        ("2.toml", two.as_str()),
        ("1.toml", &one),
        ("notes.txt", "no TOML"),
        (".1.toml", "what an editor left"),
    ];
    let room = room(&files);
    let config = parse(&room, "").unwrap();
    assert_eq!(config.tenants.len(), (3, 1));
    let host = |name: &str| config.tenants.find(name).map(|it| it.write.host);
    for (name, there) in [
        ("acme", "127.0.0.1"),
        ("one", "a"),
        ("two", "b"),
        ("three_3", "c"),
    ] {
        assert_eq!(host(name).as_deref(), Some(there), "{name}");
    }
    assert_eq!(host("four"), None);
    let source = config.source.unwrap();
    let names = ["gate.toml", "tenants.d/1.toml", "tenants.d/2.toml"];
    assert_eq!(source.files, names.map(|it| room.file(it)));
    assert_eq!(source.directories, [room.file("tenants.d")]);
    let again = parse(&room, "").unwrap().source.unwrap();
    assert_eq!(source, again);
    room.write("tenants.d/1.toml", 0o644, &tenant("one", "other"));
    let changed = parse(&room, "").unwrap().source.unwrap();
    assert_ne!(source.digest, changed.digest);
}

#[test]
fn none_need_stand_in_the_file_itself() {
    let room = room(&[]);
    let text = SOUND.replace(
        "[tenant.acme]\nhost = \"127.0.0.1\"\nuser = \"app\"\nsslmode = \"disable\"\n",
        "",
    );
    assert_ne!(text, SOUND);
    let config = room.parse(&format!("{INCLUDES}{text}")).unwrap();
    assert_eq!(config.tenants.len(), (0, 0));
}

#[test]
fn what_is_wrong_is_told_with_its_own_file() {
    let twice = tenant("acme", "a") + &tenant("x", "b");
    let said = problems(&[("a.toml", &twice), ("b.toml", &tenant("x", "c"))], "");
    assert_eq!(
        said,
        [
            "tenants.d/a.toml:1:1: tenant \"acme\" is already in gate.toml:12, expected another name",
            "tenants.d/b.toml:1:1: tenant \"x\" is already in tenants.d/a.toml:5, expected another name",
        ]
    );
    let said = problems(&[("a.toml", "\n[tenant.b]\nhots = 'x'\n[user.x]\n")], "");
    assert_eq!(
        said,
        [
            "tenants.d/a.toml:2:1: missing key \"host\", expected a host name or an address",
            "tenants.d/a.toml:2:1: missing key \"user\", expected the role that the gate logs in as",
            "tenants.d/a.toml:3:1: unknown key \"hots\", did you mean \"host\"?",
            "tenants.d/a.toml:4:2: \"user\" does not belong in a file that is included, expected \"tenant\"",
        ]
    );
    let said = problems(&[("a.toml", "[tenant.b\n"), ("b.toml", "x = \n")], "");
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].starts_with("tenants.d/a.toml:1:10: unclosed table"),
        "{said:?}"
    );
    assert!(said[1].starts_with("tenants.d/b.toml:1:"), "{said:?}");
    for (include, why) in [
        (
            "'tenant.d/*.toml'",
            "could not read directory \"tenant.d\": No such file or directory",
        ),
        (
            "'*/x.toml'",
            "\"include\" is the string \"*/x.toml\", expected \"*\" in the name of the file only",
        ),
        (
            "'more.toml'",
            "could not read configuration file \"more.toml\": No such file or directory",
        ),
    ] {
        let room = Room::new();
        let said = room.problems(room.parse(&format!("include = {include}\n{SOUND}")));
        assert_eq!(said, [format!("gate.toml:1:11: {why}")]);
    }
    let room = room(&[]);
    fs::write(room.file("tenants.d/a.toml"), b"a = 1\nb = \"\xff\"\n").unwrap();
    assert_eq!(
        room.problems(parse(&room, "")),
        ["tenants.d/a.toml:2:6: invalid UTF-8"]
    );
}

#[test]
fn no_two_patterns_are_as_good() {
    let patterns = |names: &[&str]| {
        let files: String = names.iter().map(|it| tenant(it, "h")).collect();
        problems(&[("a.toml", &files)], "")
    };
    assert_eq!(
        patterns(&["shop_*", "shop_eu_*", "*_eu", "a*b", "a*c"]),
        [""; 0]
    );
    let said = patterns(&["shop_*", "x_*", "shop_*_eu"]);
    let why = "\"shop_*_eu\" and \"shop_*\" on line 1 fit the same names, expected one that begins with more of the name";
    assert_eq!(said, [format!("tenants.d/a.toml:9:1: {why}")]);
}

#[test]
fn a_tenant_of_a_pattern_has_what_is_its_own() {
    let room = room(&[]);
    fs::create_dir(room.file("secrets")).unwrap();
    room.write("secrets/shop_1.pw", 0o600, "secret of one\n");
    let file = |more: &str| {
        let shop = "[tenant.'shop_*']\nhost = 'h'\nuser = 'u_{tenant}'\n\
             password_file = '../secrets/{tenant}.pw'\nsslmode = 'disable'\n";
        room.write("tenants.d/a.toml", 0o644, &format!("{shop}{more}"));
        parse(&room, "")
    };
    let secret = |password: pool::Password| password.map(|it| it.expose_secret().to_owned());
    let config = file("").unwrap();
    let one = config.tenant("shop_1").unwrap().unwrap();
    assert_eq!(
        (&*one.write.user, &*one.write.database),
        ("u_shop_1", "shop_1")
    );
    assert_eq!(secret(one.write.password).as_deref(), Some("secret of one"));
    assert_eq!(secret(one.read.password).as_deref(), Some("secret of one"));
    let why = config.tenant("shop_2").unwrap().unwrap_err();
    assert!(why.contains("could not read password file"), "{why}");
    assert!(config.tenant("shop_1/../../x").is_none());
    assert!(
        config.tenant(&format!("shop_{}", "x".repeat(57))).is_none(),
        "the role is too long"
    );

    let read = file("read_user = 'r'\nread_password = 'secret of reads'\n").unwrap();
    let one = read.tenant("shop_1").unwrap().unwrap();
    assert_eq!(one.read.user, "r");
    assert_eq!(
        secret(one.read.password).as_deref(),
        Some("secret of reads")
    );
    assert_eq!(secret(one.write.password).as_deref(), Some("secret of one"));

    let text = "[tenant.'shop_*']\nhost = 'h'\nuser = 'u'\npassword_file = '../secret/{tenant}'\nsslmode = 'disable'\n\
        [tenant.b]\nhost = 'h'\nuser = 'u'\npassword_file = '{tenant}'\nsslmode = 'disable'\n";
    let said = problems(&[("a.toml", text)], "");
    assert_eq!(said.len(), 2, "{said:?}");
    let why = "tenants.d/a.toml:4:17: there is no directory \"tenants.d/../secret\"";
    assert_eq!(said[0], why);
    assert!(said[1].starts_with("tenants.d/a.toml:9:17: \"{tenant}\" stands for nothing here"));
}

/// The login of a ledger is filled in as the others are, and is none of those that it fences.
#[test]
fn a_tenant_of_a_pattern_has_a_ledger_of_its_own() {
    let room = room(&[]);
    room.write("shop_1.pw", 0o600, "secret of the ledger\n");
    let shop = "[tenant.'shop_*']\nhost = 'h'\nuser = 'u'\npassword = 'p'\nsslmode = 'disable'\n\
        ledger_user = '{tenant}'\nledger_password_file = '../{tenant}.pw'\n";
    room.write("tenants.d/a.toml", 0o644, shop);
    let config = parse(&room, "").unwrap();
    let found = config.tenants.find("shop_1").unwrap();
    assert_eq!(found.ledger.unwrap().user, "shop_1");
    let ledger = config.tenant("shop_1").unwrap().unwrap().ledger.unwrap();
    let secret = ledger.password.map(|it| it.expose_secret().to_owned());
    assert_eq!(secret.as_deref(), Some("secret of the ledger"));
    assert_eq!((&*ledger.database, ledger.size), ("shop_1", 1));
    assert!(config.tenant("shop_2").unwrap().is_err());

    let clash = shop.replace("'u'", "'shop_{tenant}'");
    let clash = clash.replace("ledger_user = '{tenant}'", "ledger_user = 'shop_shop_1'");
    room.write("tenants.d/a.toml", 0o644, &clash);
    let config = parse(&room, "").unwrap();
    assert!(config.tenants.find("shop_1").is_none());
    assert!(config.tenants.find("shop_2").is_some());
}

#[test]
fn what_tenants_have_alike_is_kept_once_and_comes_back_whole() {
    let room = room(&[]);
    let both = "[tenant.a]\nhost = 'h'\nuser = 'u'\npassword = 'p'\npool_size = 3\nsslmode = 'disable'\n\
        [tenant.b]\nhost = 'h'\nuser = 'v'\nread_user = 'r'\nledger_user = 'l'\nledger_password = 'm'\ndatabase = 'other'\npool_mode = 'session'\nsslmode = 'disable'\n";
    room.write("tenants.d/a.toml", 0o644, both);
    let (one, two) = (parse(&room, "").unwrap(), parse(&room, "").unwrap());
    for name in ["acme", "a", "b"] {
        assert_eq!(one.tenants.find(name), two.tenants.find(name));
        assert!(one.tenants.is_same(&two.tenants, name), "{name}");
    }
    let (a, b) = (
        one.tenants.find("a").unwrap(),
        one.tenants.find("b").unwrap(),
    );
    assert_eq!(
        (&*a.write.database, &*a.write.user, a.write.size),
        ("a", "u", 3)
    );
    assert_eq!(
        (&*b.write.database, &*b.write.user, b.write.size),
        ("other", "v", 10)
    );
    assert!(a.has_one_login() && !b.has_one_login());
    room.write("tenants.d/a.toml", 0o644, &both.replace("'p'", "'q'"));
    let other = parse(&room, "").unwrap();
    assert!(
        !one.tenants.is_same(&other.tenants, "a"),
        "a password is part of it"
    );
    assert!(one.tenants.is_same(&other.tenants, "b"));
    let fencing = b.ledger.unwrap();
    assert_eq!((&*fencing.database, &*fencing.user), ("other", "l"));
    room.write("tenants.d/a.toml", 0o644, &both.replace("'m'", "'n'"));
    let other = parse(&room, "").unwrap();
    assert!(
        !one.tenants.is_same(&other.tenants, "b"),
        "so is a ledger's"
    );
}

/// DESIGN ruling 23.
#[test]
fn hosts_name_tenants() {
    let room = Room::new();
    let text = |tls: &str| SOUND.replace("plaintext = true", tls);
    let tls = "certificate = 'server.crt'\nkey = 'server.key'\nhosts = '{tenant}.db.example.com'";
    let config = room.parse(&text(tls)).unwrap();
    assert_eq!(
        config.hosts.tenant("acme.db.example.com").as_deref(),
        Some("acme")
    );
    let said = room.problems(room.parse(&text(&tls.replace("{tenant}", "*"))));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("gate.toml:6:9: \"hosts\" is the string \"*.db"),
        "{said:?}"
    );
    let said = room.problems(room.parse(&text("plaintext = true\nhosts = '{tenant}.x'")));
    assert_eq!(
        said,
        ["gate.toml:5:9: \"hosts\" has no meaning without a certificate"]
    );
}

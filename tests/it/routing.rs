//! Which tenant a client means, and where that leads: names, files of them, patterns, hosts.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use harness::raw::{self, Raw};
use harness::stage::{
    Setup, Stage, eventually, password, pool_figure, portcullis, shared, table, user,
};
use harness::{Database, GateDir, psql};

/// Tenants in a directory of their own, beside the one of the stage.
#[track_caller]
fn stage_with(files: &[(&str, &str)], change: impl FnOnce(&mut Setup)) -> Stage {
    let directory = GateDir::new();
    fs::create_dir(directory.file("tenants.d")).unwrap();
    for (name, text) in files {
        directory.write(&format!("tenants.d/{name}"), text);
    }
    let mut setup = Setup {
        top: "include = 'tenants.d/*.toml'\n".to_owned(),
        ..Setup::default()
    };
    change(&mut setup);
    setup.start_in(directory)
}

/// `[tenant.NAME]` that leads to this database.
fn leads(name: &str, database: &Database) -> String {
    let upstream = shared(database);
    let database = &database.name;
    format!("[tenant.\"{name}\"]\ndatabase = '{database}'\n{upstream}\n")
}

#[track_caller]
fn checked(stage: &Stage, more: &[&str]) -> String {
    let config = stage.gate.directory().file("portcullis.toml");
    let config = config.to_string_lossy();
    let args = [&["check", &*config], more].concat();
    portcullis(&args).ok().stdout
}

#[test]
fn tenants_stand_in_files_of_their_own() {
    let (one, two) = (table(), table());
    two.sql("delete from t");
    let (first, second) = (leads("one", &one), leads("two", &two));
    let stage = stage_with(&[("a.toml", &first), ("b.toml", &second)], |_| {});
    for (name, rows) in [("one", "3"), ("two", "0")] {
        let login = stage.login("alice").database(name);
        assert_eq!(
            psql(&login).query("select count(*) from t").ok().stdout,
            rows
        );
    }
    let said = checked(&stage, &[]);
    assert!(said.contains("3 tenants and 3 users in 3 files"), "{said}");
    let said = checked(&stage, &["--tenant", "two"]);
    assert!(
        said.contains(&format!("\"{}\" at localhost:", two.name)),
        "{said}"
    );
    assert!(
        said.contains(&two.write.name) && !said.contains(&two.write.password),
        "{said}"
    );
    let config = stage.gate.directory().file("portcullis.toml");
    let config = config.to_string_lossy();
    let none = portcullis(&["check", &config, "--tenant", "three"]).failed(1);
    assert!(none.stderr.contains("no tenant fits \"three\""), "{none:?}");
    // A name twice, in two files: check names both places, and the gate goes on with what it had.
    let directory = stage.gate.directory();
    directory.write("tenants.d/c.toml", &format!("\n{}", leads("one", &two)));
    let twice = portcullis(&["check", &config]).failed(1);
    let place = "tenants.d/c.toml:2:1: tenant \"one\" is already in ";
    assert!(twice.stderr.contains(place), "{twice:?}");
    assert!(twice.stderr.contains("tenants.d/a.toml:1,"), "{twice:?}");
    let refused = stage.cli("carol").run(&["reload"]).failed(1);
    assert!(refused.stderr.contains(place), "{refused:?}");
    let login = stage.login("alice").database("one");
    assert_eq!(
        psql(&login).query("select count(*) from t").ok().stdout,
        "3"
    );
}

/// PostgreSQL: "The database to connect to. Defaults to the user name."
#[test]
fn without_a_database_the_user_is_meant() {
    let stage = Stage::with(|setup| {
        setup.more = user("dave");
    });
    let said = |name: &str, more: &[(&str, &str)]| {
        let mut client = Raw::connect(stage.gate.address());
        client.start_tls(stage.gate.root_cert(), "localhost");
        client.send(&raw::startup(&[&[("user", name)], more].concat()));
        client
            .authenticate(&password(name))
            .err()
            .map(|it| it.field('M').unwrap())
    };
    let none = Some("database \"alice\" does not exist".to_owned());
    assert_eq!(said("alice", &[]), none);
    assert_eq!(said("alice", &[("database", "")]), none);
    let mut stage = stage;
    let tenant = leads("dave", &stage.database);
    let path = stage.gate.directory().file("portcullis.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}\n{tenant}")).unwrap();
    stage.gate.signal("HUP");
    stage.gate.stderr().wait_for("configuration reloaded");
    for parameters in [&[][..], &[("database", "")]] {
        let mut client = Raw::connect(stage.gate.address());
        client.start_tls(stage.gate.root_cert(), "localhost");
        client.send(&raw::startup(&[&[("user", "dave")], parameters].concat()));
        client.authenticate(&password("dave")).unwrap();
        let answer = client.query("select count(*) from t");
        assert_eq!(answer[1].columns()[0].as_deref(), Some("3"));
    }
}

/// DESIGN ruling 23: a host that names a tenant must name the one that is meant, and any other names none.
#[test]
fn a_host_that_names_a_tenant_must_name_this_one() {
    let stage = Stage::with_twin(|setup| {
        setup
            .tls
            .push_str("hosts = ['{tenant}.gate.test', 'pg-{tenant}.example']\n");
    });
    let name = stage.database.name.clone();
    let through = |host: &str, database: &str| {
        let mut login = stage.login("alice").database(database);
        login.root_cert = None;
        login.host = host.to_owned();
        let psql = psql(&login).env("PGHOSTADDR", "127.0.0.1");
        psql.env("PGSSLMODE", "require").query("select 6 * 7")
    };
    for (host, database) in [
        (format!("{name}.gate.test"), &*name),
        (format!("{}.GATE.test", name.to_uppercase()), &*name),
        ("twin.gate.test".to_owned(), "twin"),
        ("pg-twin.example".to_owned(), "twin"),
        ("gate.test".to_owned(), "twin"),
        ("a.twin.gate.test".to_owned(), &*name),
        ("elsewhere.example".to_owned(), "twin"),
        ("localhost".to_owned(), "twin"),
    ] {
        assert_eq!(
            through(&host, database).ok().stdout,
            "42",
            "{host} {database}"
        );
    }
    for (host, database) in [
        ("twin.gate.test", &*name),
        ("pg-twin.example", &*name),
        ("nobody.gate.test", "twin"),
        ("nobody.gate.test", "nobody"),
    ] {
        let refused = through(host, database).failed(2);
        let why = match database {
            "nobody" => "database \"nobody\" does not exist".to_owned(),
            _ => format!("the host name is not that of database \"{database}\""),
        };
        assert!(
            refused.stderr.contains(&why),
            "{host} {database}: {refused:?}"
        );
    }
    // The console is of all tenants, by whichever host.
    let mut console = stage.console("carol");
    console.root_cert = None;
    console.host = "twin.gate.test".to_owned();
    let psql = psql(&console).env("PGHOSTADDR", "127.0.0.1");
    psql.env("PGSSLMODE", "require").query("SHOW POOLS").ok();
    // Whoever has not proven who they are hears nothing of hosts.
    let mut login = stage.login("alice");
    login.root_cert = None;
    login.host = "twin.gate.test".to_owned();
    login.password = "wrong".to_owned();
    let psql = harness::psql(&login).env("PGHOSTADDR", "127.0.0.1");
    let refused = psql.env("PGSSLMODE", "require").query("select 1").failed(2);
    assert!(
        refused.stderr.contains("authentication failed"),
        "{refused:?}"
    );
}

/// Five thousand tenants in fifty files, and a pattern for as many more as clients can think of.
#[test]
fn thousands_of_tenants_cost_nothing_before_they_are_used() {
    let database = table();
    let files: Vec<(String, String)> = (0..50)
        .map(|file| {
            let mut text = String::new();
            for number in 0..100 {
                let name = format!("shop{}", file * 100 + number);
                text.write_str(&leads(&name, &database)).unwrap();
                text.push_str("idle_timeout = '1 s'\n");
            }
            (format!("{file}.toml"), text)
        })
        .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (&**name, &**text))
        .collect();
    let stage = stage_with(&files, |setup| {
        let upstream = shared(&database);
        setup.more = format!("[tenant.\"none_*\"]\n{upstream}idle_timeout = '1 s'\n");
    });
    let said = checked(&stage, &[]);
    assert!(
        said.contains("5001 tenants, 1 pattern of tenants and 3 users in 51 files"),
        "{said}"
    );
    let connections = || {
        database.sql(&format!(
            "select count(*) from pg_stat_activity where datname = '{}' and usename = '{}'",
            database.name, database.write.name
        ))
    };
    assert_eq!(connections(), "0");
    let rows = || {
        let shown = psql(&stage.console("carol"))
            .query("SHOW POOLS")
            .ok()
            .stdout;
        shown.lines().count()
    };
    assert_eq!(rows(), 0, "nobody was asked for");
    for name in ["shop0", "shop2500", "shop4999"] {
        let login = stage.login("alice").database(name);
        assert_eq!(
            psql(&login).query("select count(*) from t").ok().stdout,
            "3"
        );
    }
    for number in 0..30 {
        let login = stage.login("alice").database(&format!("none_{number}"));
        let refused = Raw::try_login(&login, &[]).err().unwrap();
        assert_eq!(refused.sqlstate(), "57P03", "{}", refused.describe());
    }
    assert!(rows() >= 6 + 60, "{} rows", rows());
    let login = stage.login("alice").database("none_x/../y");
    let refused = Raw::try_login(&login, &[]).err().unwrap();
    assert_eq!(refused.sqlstate(), "3D000", "it is no plain name");
    // One that somebody is connected to stays.
    let mut stays = Raw::login(&stage.login("alice").database("shop7"));
    eventually("whoever is not used any more is forgotten", || rows() == 2);
    assert_eq!(raw::tags(&stays.query("select 1")), "TDCZ");
    assert_eq!(pool_figure(&stage, "shop0", "sv_idle"), "0");
}

/// A pattern whose tenants each have a role, a database and a password of their own.
#[test]
fn tenants_of_a_pattern_log_in_as_themselves() {
    let (one, two) = (table(), table());
    let directory = GateDir::new();
    fs::create_dir(directory.file("secrets")).unwrap();
    for database in [&one, &two] {
        let file = directory.write(
            &format!("secrets/{}", database.name),
            &database.write.password,
        );
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let upstream = one.server.upstream("{tenant}_write", "x");
    let upstream = upstream.replace("password = 'x'", "password_file = 'secrets/{tenant}'");
    let setup = Setup {
        more: format!("[tenant.\"t*\"]\n{upstream}\n"),
        ..Setup::default()
    };
    let stage = setup.start_in(directory);
    for database in [&one, &two] {
        let login = stage.login("alice").database(&database.name);
        let said = psql(&login)
            .query("select current_user || ' ' || current_database()")
            .ok();
        assert_eq!(
            said.stdout,
            format!("{} {}", database.write.name, database.name)
        );
        let said = checked(&stage, &["--tenant", &database.name]);
        assert!(said.contains("by the pattern \"t*\""), "{said}");
    }
    let mut stage = stage;
    let login = stage.login("alice").database("t_without");
    Raw::try_login(&login, &[]).err().unwrap();
    stage.gate.stderr().wait_for("could not read password file");
}

//! `portcullis check --online`: what is found of each login, with what to do about it, and no secret.

use std::time::Duration;

use harness::stage::{Setup, eventually, shared, table};
use harness::{Database, Finished, GateDir, Program, portcullis_binary};

/// Checks the configuration of this setup with these arguments.
#[track_caller]
fn check(directory: &GateDir, text: &str, args: &[&str]) -> Finished {
    let file = directory.write_config(text);
    let mut command = std::process::Command::new(portcullis_binary());
    command.arg("check").arg(file).arg("--online");
    Program::new(command).run(args)
}

/// A tenant that leads where this one does, but for some of it.
fn twin(name: &str, database: &Database, change: impl FnOnce(String) -> String) -> String {
    let upstream = change(shared(database));
    format!(
        "[tenant.{name}]\ndatabase = '{}'\n{upstream}\n",
        database.name
    )
}

/// The findings, as JSON has them.
#[track_caller]
fn findings(finished: &Finished) -> Vec<serde_json::Value> {
    let report: serde_json::Value = serde_json::from_str(&finished.stdout).expect("no JSON");
    report["findings"].as_array().unwrap().clone()
}

#[track_caller]
fn of<'a>(found: &'a [serde_json::Value], tenant: &str, login: &str) -> &'a serde_json::Value {
    let is = |it: &&serde_json::Value| it["tenant"] == tenant && it["login"] == login;
    let it = found.iter().find(is);
    it.unwrap_or_else(|| panic!("nothing of {tenant} {login} in {found:?}"))
}

#[test]
fn a_gate_that_is_well_is_said_to_be_so() {
    let database = table();
    let (directory, mut setup) = (GateDir::new(), Setup::default());
    setup.ledger = true;
    setup.more =
        "[tenant.'shop_*']\nhost = '127.0.0.1'\nuser = 'shop'\nsslmode = 'disable'\n".to_owned();
    let text = setup.config(&database);
    let done = check(&directory, &text, &[]).ok();
    for part in [
        "| write",
        "| read",
        "| ledger",
        "PostgreSQL 1",
        "expires in",
        "a pattern is not tried",
        "nothing failed",
    ] {
        assert!(done.stdout.contains(part), "{part}: {}", done.stdout);
    }
    assert!(
        !done.stdout.contains(&database.write.password),
        "{}",
        done.stdout
    );
    let json = check(&directory, &text, &["--json"]).ok();
    let report: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(report["ok"], true);
    let found = findings(&json);
    for login in ["write", "read", "ledger"] {
        assert_eq!(of(&found, &database.name, login)["result"], "ok");
    }
    assert_eq!(of(&found, "shop_*", "-")["result"], "skipped");
    // It leaves, and leaves nothing behind.
    let left = format!(
        "select count(*) from pg_stat_activity where usename in ('{}', '{}')",
        database.write.name, database.ledger.name
    );
    eventually("nobody is left", || database.sql(&left) == "0");
}

#[test]
fn what_is_wrong_is_told_with_what_to_do() {
    let database = table();
    let (directory, mut setup) = (GateDir::new(), Setup::default());
    let password = database.write.password.clone();
    let role = database.write.name.clone();
    let port = {
        // Nobody listens there from here on.
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        closed.local_addr().unwrap().port()
    };
    let authority = rcgen::KeyPair::generate().unwrap();
    let stranger = rcgen::CertificateParams::new(vec!["somebody".to_owned()]).unwrap();
    let stranger = stranger.self_signed(&authority).unwrap();
    directory.write("stranger.pem", &stranger.pem());
    let root = database.server.root_cert().display().to_string();
    setup.more = [
        twin("wrong", &database, |it| {
            it.replace(&password, "no-such-secret")
        }),
        twin("closed", &database, |it| {
            let other = it.lines().filter(|it| !it.starts_with("port"));
            let other: Vec<&str> = other.collect();
            format!("{}\nport = {port}", other.join("\n"))
        }),
        twin("elsewhere", &database, |it| it).replace(
            &format!("database = '{}'", database.name),
            "database = 'nowhere'",
        ),
        twin("stranger", &database, |it| {
            it.replace(&root, "stranger.pem")
        }),
    ]
    .concat();
    let text = setup.config(&database);
    let failed = check(&directory, &text, &["--json"]).failed(1);
    let found = findings(&failed);
    for (tenant, words, todo) in [
        ("wrong", "28P01", format!("the password of \"{role}\"")),
        ("closed", "refused", format!("localhost:{port}")),
        (
            "elsewhere",
            "3D000",
            "make the database \"nowhere\"".to_owned(),
        ),
        ("stranger", "certificate", "\"sslrootcert\"".to_owned()),
    ] {
        let it = of(&found, tenant, "write");
        assert_eq!(it["result"], "failed", "{it}");
        assert!(it["found"].as_str().unwrap().contains(words), "{it}");
        assert!(it["what_to_do"].as_str().unwrap().contains(&todo), "{it}");
    }
    assert_eq!(of(&found, &database.name, "write")["result"], "ok");
    for secret in [password.as_str(), "no-such-secret"] {
        assert!(
            !failed.stdout.contains(secret) && !failed.stderr.contains(secret),
            "{failed:?}"
        );
    }
    // One tenant by itself, as if the others were not there.
    let one = ["--tenant", database.name.as_str()];
    let one = check(&directory, &text, &one).ok();
    assert!(!one.stdout.contains("elsewhere"), "{}", one.stdout);
    let none = check(&directory, &text, &["--tenant", "nobody"]).failed(1);
    assert!(none.stderr.contains("no tenant fits"), "{none:?}");
}

/// A pattern is tried where a name is given that fits it.
#[test]
fn a_name_that_fits_a_pattern_is_tried() {
    let database = table();
    let (directory, mut setup) = (GateDir::new(), Setup::default());
    let head: String = database
        .name
        .chars()
        .take(database.name.len() - 1)
        .collect();
    let role = shared(&database);
    setup.more = format!("[tenant.'{head}*']\n{role}\n");
    let text = setup.config(&table());
    let json = ["--json", "--tenant", database.name.as_str()];
    let found = findings(&check(&directory, &text, &json).ok());
    assert_eq!(of(&found, &database.name, "write")["result"], "ok");
}

/// Nobody could log in any more; and in time it is said that this is near.
#[test]
fn a_certificate_that_expires_is_spoken_of() {
    let database = table();
    let text = Setup::default().config(&database);
    let day = Duration::from_hours(24);
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    let soon = now + 5 * day;
    for (end, result, code) in [(soon, "warning", 0), (now / 2, "failed", 1)] {
        let directory = GateDir::new();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut made = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        made.not_after = rcgen::date_time_ymd(1970, 1, 1) + end;
        let made = made.self_signed(&key).unwrap();
        directory.write("server.pem", &made.pem());
        std::fs::write(directory.file("server.key"), key.serialize_pem()).unwrap();
        let finished = check(&directory, &text, &["--json"]);
        let found = findings(&finished);
        let gate = found.iter().find(|it| it["login"] == "gate").unwrap();
        assert_eq!(gate["result"], result, "{gate}");
        assert_eq!(finished.code, code, "{finished:?}");
    }
}

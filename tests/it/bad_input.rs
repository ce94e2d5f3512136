//! A configuration that is wrong is refused at start with file, line and what was expected.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use harness::sandbox::ca::{Certificates, LOCAL_NAMES};
use harness::stage::{RULES, Setup, Stage, portcullis};
use harness::{Database, Finished, GateDir, Role};

/// A database that nothing connects to.
fn nowhere() -> Database {
    let role = || Role {
        name: "r".to_owned(),
        password: "p".to_owned(),
    };
    Database {
        server: harness::server(),
        name: "acme".to_owned(),
        owner: role(),
        write: role(),
        read: role(),
        ledger: role(),
    }
}

/// A whole configuration that is right.
fn right() -> String {
    Setup {
        upstream: Some("host = 'localhost'\nuser = 'u'\nsslmode = 'disable'".to_owned()),
        more: "[limits]\nsessions_max = 7\n".to_owned(),
        ..Setup::default()
    }
    .config(&nowhere())
}

/// `serve` and `check` both refuse what is in this directory; the text is what they said.
#[track_caller]
fn refused(directory: &GateDir) -> String {
    let config = directory.file("portcullis.toml");
    let config = config.to_string_lossy();
    let served = portcullis(&["serve", "--config", &config]);
    let checked = portcullis(&["check", &config]);
    for Finished {
        stdout,
        stderr,
        code,
    } in [&served, &checked]
    {
        assert_eq!(*code, 1, "{stdout}{stderr}");
        assert_eq!(stdout, "");
        assert!(stderr.starts_with("portcullis: error: "), "{stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
    assert_eq!(served.stderr, checked.stderr);
    checked.stderr
}

/// Refuses `config`, and says so of the line on which `at` stands, with all of `words`.
#[track_caller]
fn refused_at(directory: &GateDir, config: &str, at: &str, words: &[&str]) {
    directory.write_config(config);
    let said = refused(directory);
    let line = config.lines().position(|line| line.contains(at));
    let line = line.unwrap_or_else(|| panic!("{at} is not in the configuration")) + 1;
    let place = format!("portcullis.toml:{line}:");
    let told = said
        .lines()
        .find(|it| it.contains(&place) && words.iter().all(|word| it.contains(word)));
    assert!(told.is_some(), "{place} {words:?} is not in:\n{said}");
}

#[test]
fn the_configuration_that_the_others_break_is_right() {
    let directory = GateDir::new();
    let config = directory.write_config(&right());
    let said = portcullis(&["check", &config.to_string_lossy()]).ok();
    assert!(said.stdout.contains("1 tenant and 3 users"), "{said:?}");
}

#[test]
fn unknown_keys_are_refused_with_a_suggestion() {
    let directory = GateDir::new();
    for (from, to, words) in [
        (
            "state = 'state'",
            "sate = 'state'",
            &["\"sate\"", "did you mean \"state\"?"][..],
        ),
        (
            "sessions_max",
            "session_max",
            &["\"session_max\"", "did you mean \"sessions_max\"?"],
        ),
        (
            "sslmode = 'disable'",
            "sslmod = 'disable'",
            &["\"sslmod\"", "\"sslmode\"?"],
        ),
        (
            "class = \"ddl\"",
            "clas = \"ddl\"",
            &["\"clas\"", "did you mean \"class\"?"],
        ),
        (
            "[limits]",
            "[limit]",
            &["\"limit\"", "did you mean \"limits\"?"],
        ),
        ("[tls]", "frobnicate = 1\n[tls]", &["\"frobnicate\""]),
    ] {
        let at = to.lines().next().unwrap();
        refused_at(&directory, &right().replace(from, to), at, words);
    }
}

#[test]
fn durations_and_sizes_have_a_unit_and_bounds() {
    let directory = GateDir::new();
    for (table, words) in [
        ("[hold]\nheartbeat = 15", &["expected", "15 s"][..]),
        ("[hold]\nheartbeat = '15'", &["15", "expected"]),
        ("[hold]\nheartbeat = '15 parsecs'", &["parsecs", "expected"]),
        ("[hold]\nheartbeat = '-1 s'", &["-1 s", "expected"]),
        ("[hold]\nheartbeat = '1 ms'", &["1 ms", "expected"]),
        ("[tickets]\ndecide_within = 'soon'", &["soon", "expected"]),
        ("[tickets]\nuse_within = '400 d'", &["400 d", "expected"]),
    ] {
        let at = table.lines().last().unwrap();
        refused_at(&directory, &format!("{}\n{table}\n", right()), at, words);
    }
    for (to, words) in [
        ("request_bytes_max = '16'", &["16", "expected", "MiB"][..]),
        ("request_bytes_max = '1 B'", &["1 B", "expected"]),
        ("sessions_max = 'many'", &["expected"]),
        ("sessions_max = 0", &["expected"]),
    ] {
        let config = right().replace("sessions_max = 7", to);
        refused_at(&directory, &config, to, words);
    }
}

#[test]
fn values_of_the_wrong_kind_are_refused_with_what_was_expected() {
    let directory = GateDir::new();
    for (from, to, words) in [
        (
            "'127.0.0.1:0'",
            "'127.0.0.1'",
            &["expected", "127.0.0.1:6432"][..],
        ),
        (
            "'disable'",
            "'prefer'",
            &["prefer", "expected", "verify-full"],
        ),
        ("\"deny\"", "\"dney\"", &["did you mean \"deny\"?"]),
        (
            "\"ddl\"",
            "\"dll\"",
            &["unknown statement class", "expected"],
        ),
        ("[tls]", "[tls]\nplaintext = 'yes'", &["expected"]),
    ] {
        let at = to.lines().last().unwrap();
        refused_at(&directory, &right().replace(from, to), at, words);
    }
}

#[test]
fn what_is_missing_is_named() {
    let directory = GateDir::new();
    for (line, word) in [
        ("listen = '127.0.0.1:0'\n", "\"listen\""),
        ("state = 'state'\n", "\"state\""),
        ("host = 'localhost'\n", "\"host\""),
        ("user = 'u'\n", "\"user\""),
        ("key = 'server.key'\n", "\"key\""),
        ("name = \"reads\"\n", "\"name\""),
        (
            "message = \"schema changes go through migrations\"\n",
            "\"message\"",
        ),
        ("default = { approvals = 1, from = 'dba' }\n", "\"default\""),
    ] {
        let config = right().replacen(line, "", 1);
        assert_ne!(config, right(), "{line}");
        directory.write_config(&config);
        let said = refused(&directory);
        assert!(said.contains("portcullis.toml:"), "{said}");
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn a_file_that_is_no_configuration_is_refused() {
    let directory = GateDir::new();
    refused_at(&directory, &format!("{}\n[hold\n", right()), "[hold", &[]);
    refused_at(
        &directory,
        &right().replace("host = 'localhost'", "host = 'local"),
        "'local",
        &[],
    );
    refused_at(
        &directory,
        &right().replace("state = 'state'", "state = 'a'\nstate = 'b'"),
        "'b'",
        &["state"],
    );
    fs::write(directory.file("portcullis.toml"), b"listen = '\xff'\n").unwrap();
    assert!(refused(&directory).contains("invalid UTF-8"));
    fs::write(directory.file("portcullis.toml"), "").unwrap();
    assert!(refused(&directory).contains("\"listen\""));
    fs::remove_file(directory.file("portcullis.toml")).unwrap();
    let said = refused(&directory);
    assert!(said.contains("portcullis.toml"), "{said}");
    assert!(said.contains("No such file or directory"), "{said}");
    portcullis(&["serve"]).failed(2);
    portcullis(&["check"]).failed(2);
}

#[test]
fn files_that_it_names_must_be_there_and_readable() {
    let directory = GateDir::new();
    let other = Certificates::make(&LOCAL_NAMES).unwrap();
    other.write(&directory.path().join("other")).unwrap();
    directory.write("garbage.pem", "no certificate");
    let open = directory.write("open.key", &other.key_pem);
    fs::set_permissions(&open, PermissionsExt::from_mode(0o644)).unwrap();
    let password = directory.write("two.password", "one\ntwo\n");
    fs::set_permissions(&password, PermissionsExt::from_mode(0o600)).unwrap();

    let certificate = |name: &str| right().replace("'server.pem'", &format!("'{name}'"));
    let key = |name: &str| right().replace("'server.key'", &format!("'{name}'"));
    let upstream = |keys: &str| right().replace("sslmode = 'disable'", keys);
    for (config, at, words) in [
        (
            certificate("missing.pem"),
            "certificate",
            &["missing.pem", "No such file"][..],
        ),
        (
            certificate("garbage.pem"),
            "certificate",
            &["garbage.pem", "no PEM certificate"],
        ),
        (certificate("."), "certificate", &["directory"]),
        (key("missing.key"), "key", &["missing.key", "No such file"]),
        (key("garbage.pem"), "key", &["garbage.pem"]),
        (key("open.key"), "key", &["group or world access", "0600"]),
        (
            key("other/server.key"),
            "key",
            &["does not belong to the certificate"],
        ),
        (
            upstream("sslrootcert = 'missing.pem'"),
            "sslrootcert",
            &["missing.pem", "No such file"],
        ),
        (
            upstream("sslrootcert = 'garbage.pem'"),
            "sslrootcert",
            &["garbage.pem"],
        ),
        (
            upstream("password_file = 'missing'"),
            "password_file",
            &["missing", "No such file"],
        ),
        (
            upstream("password_file = 'two.password'"),
            "password_file",
            &["several lines"],
        ),
        (
            upstream("password_env = 'NO_SUCH'"),
            "password_env",
            &["NO_SUCH", "not set"],
        ),
        (
            right().replace("'state'", "'garbage.pem'"),
            "state",
            &["not a directory"],
        ),
    ] {
        // `certificate` and `key` are words of other lines, too: the line of the key is meant.
        refused_at(&directory, &config, &format!("{at} = "), words);
    }
}

/// DESIGN ruling 17: every hold names people who could sign for whoever may ask.
#[test]
fn a_hold_that_nobody_could_approve_is_refused() {
    let directory = GateDir::new();
    let default = "default = { approvals = 1, from = 'dba' }";
    let members = "members = ['bob', 'carol']";
    refused_at(
        &directory,
        &right().replace(members, "members = []"),
        default,
        &["dba", "no members"],
    );
    // bob asks, too, and is alone.
    let alone = right().replace(members, "members = ['bob']");
    refused_at(
        &directory,
        &alone,
        default,
        &["\"bob\"", "nobody signs for their own request"],
    );
    let three = right().replace("approvals = 1", "approvals = 3");
    refused_at(
        &directory,
        &three,
        "approvals = 3",
        &["needs 3 approvals", "2 members"],
    );
    let unknown = right().replace("from = 'dba'", "from = 'dbas'");
    refused_at(
        &directory,
        &unknown,
        "'dbas'",
        &["unknown group \"dbas\"", "did you mean \"dba\"?"],
    );
    let rule = "[[rule]]\nname = 'two'\nclass = 'write'\nverdict = 'hold'\napprovals = 2\nfrom = 'dba' # two\n";
    let two = right().replace(RULES, &format!("{RULES}{rule}"));
    refused_at(
        &directory,
        &two,
        "# two",
        &["rule \"two\" could never be satisfied"],
    );
    let ghost = right().replace(members, "members = ['bob', 'carol', 'ghost']");
    refused_at(&directory, &ghost, "'ghost'", &["ghost"]);
}

#[test]
fn clear_text_over_the_network_must_be_spelled_out() {
    let directory = GateDir::new();
    let plain = "[tls]\nplaintext = true\n";
    let tls = "[tls]\ncertificate = 'server.pem'\nkey = 'server.key'\n";
    let config = right()
        .replace(tls, plain)
        .replace("127.0.0.1:0", "0.0.0.0:0");
    refused_at(
        &directory,
        &config,
        "plaintext = true",
        &["0.0.0.0:0", "insecure_plaintext"],
    );
}

/// All that is wrong is said at once.
#[test]
fn every_problem_is_told() {
    let directory = GateDir::new();
    let config = right()
        .replace("127.0.0.1:0", "nowhere")
        .replace("sessions_max", "session_max")
        .replace("'server.key'", "'missing.key'");
    directory.write_config(&config);
    let said = refused(&directory);
    for word in ["nowhere", "session_max", "missing.key"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert_eq!(said.lines().count(), 3, "{said}");
}

#[test]
fn a_secret_is_not_repeated_in_a_message() {
    let directory = GateDir::new();
    let config = right().replace("sslmode = 'disable'", "password = ['hunter2']");
    directory.write_config(&config);
    let said = refused(&directory);
    assert!(!said.contains("hunter2"), "{said}");
    let verifier = right().replacen("SCRAM-SHA-256$", "SCRAM-SHA-1$", 1);
    directory.write_config(&verifier);
    let said = refused(&directory);
    assert!(
        said.contains("portcullis.toml:") && said.contains("verifier"),
        "{said}"
    );
    assert!(!said.contains("4096:"), "{said}");
}

#[test]
fn an_address_that_is_taken_is_told() {
    let stage = Stage::new();
    let address = stage.gate.address().to_string();
    let directory = GateDir::new();
    let config = directory.write_config(&right().replace("127.0.0.1:0", &address));
    let said = portcullis(&["serve", "--config", &config.to_string_lossy()]).failed(1);
    let expected = format!("could not listen on {address}: Address already in use");
    assert!(said.stderr.contains(&expected), "{said:?}");
}

#[test]
fn the_examples_in_the_repository_are_right() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../config");
    let whole = format!("{folder}/portcullis.toml");
    portcullis(&["check", &whole]).ok();
    // minimal.toml speaks of the operator's own files; nothing else is wrong with it.
    let minimal = format!("{folder}/minimal.toml");
    let said = portcullis(&["check", &minimal]).failed(1);
    for line in said.stderr.lines() {
        assert!(line.contains("No such file or directory"), "{line}");
    }
}

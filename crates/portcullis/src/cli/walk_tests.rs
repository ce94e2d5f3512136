//! The commands against a console made up for it: what they send, print and end with. It never runs a gate.

use std::net::TcpListener;

use clap::Parser;

use super::args::{Cli, Command};
use super::connect::Console;
use super::conninfo::{Flags, Target, resolve};
use super::console::{self, Printer};
use super::fake::{Fake, fake, tls_fake};
use super::trouble::{Exit, Trouble};

fn target(url: &str) -> Target {
    let user = |name: &str| (name == "USER").then(|| "bob".to_owned());
    resolve(
        Flags {
            url: Some(url),
            ..Flags::default()
        },
        &user,
    )
    .unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// Exit, standard output and standard error of a command line.
fn walk(fake: &Fake, words: &[&str]) -> (Exit, String, String) {
    let url = format!("host=127.0.0.1 sslmode=disable port={}", fake.port);
    let cli = Cli::try_parse_from([&["portcullis"], words].concat()).unwrap();
    let Command::Console(command) = cli.command else {
        panic!("{words:?}")
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let done = block_on(async {
        let console = Console::open(&target(&url), false).await?;
        let mut printer = Printer {
            out: &mut out,
            err: &mut err,
            json: cli.options.json,
            width: None,
            door: console::door(&cli.options),
            user: "bob".to_owned(),
        };
        let done = console::run(&console, &command, &mut printer).await;
        console.close().await;
        done
    });
    let exit = done.unwrap_or_else(|trouble| {
        err.extend(trouble.text().bytes());
        trouble.exit()
    });
    let text = |bytes: &[u8]| {
        anstream::adapter::strip_str(std::str::from_utf8(bytes).unwrap()).to_string()
    };
    (exit, text(&out), text(&err))
}

#[test]
fn lists() {
    let fake = fake(None);
    let (exit, out, _) = walk(&fake, &["pending"]);
    assert_eq!(exit, Exit::Done);
    assert_eq!(
        out,
        "  id  |      statement\n------+--------------------\n T-42 | UPDATE a SET b = 1\n(1 row)\n"
    );
    assert_eq!(walk(&fake, &["pending", "--all"]).1, "there is no ticket\n");
    assert_eq!(walk(&fake, &["pools"]).1, "there is no pool\n");
    assert_eq!(walk(&fake, &["pools", "--json"]).1, "[]\n");
    let json: serde_json::Value =
        serde_json::from_str(&walk(&fake, &["--json", "pending"]).1).unwrap();
    assert_eq!(
        json,
        serde_json::json!([{ "id": "T-42", "statement": "UPDATE a\nSET b = 1" }])
    );
    let heard = fake.heard.lock().unwrap().join("|");
    assert!(
        heard.contains("user bob ") && heard.contains("database portcullis "),
        "{heard}"
    );
}

#[test]
fn one_ticket() {
    let fake = fake(None);
    let (exit, out, _) = walk(&fake, &["show", "42", "-U", "bob"]);
    assert_eq!(exit, Exit::Done);
    assert!(
        out.contains("statement\n  | UPDATE a\n  | SET b = 1\n"),
        "{out}"
    );
    assert!(out.ends_with(
        "\n  portcullis -U bob approve T-42\n  portcullis -U bob reject T-42 -m 'reason'\n"
    ));
    let json: serde_json::Value =
        serde_json::from_str(&walk(&fake, &["show", "T-42", "--json"]).1).unwrap();
    assert_eq!(json["statement"], "UPDATE a\nSET b = 1");
    let (exit, out, err) = walk(&fake, &["show", "T-9"]);
    assert_eq!((exit, out.as_str()), (Exit::Refused, ""));
    assert_eq!(
        err,
        "ERROR:  ticket T-9 does not exist\nHINT:  SHOW TICKETS lists the tickets that you may see."
    );
}

#[test]
fn decisions() {
    let fake = fake(None);
    let (exit, out, err) = walk(&fake, &["approve", "T-1", "T-9", "T-2"]);
    assert_eq!(
        (exit, out.as_str()),
        (
            Exit::Refused,
            "T-1 approved\nT-2 pending, waiting for 1 of dba\n"
        )
    );
    assert!(err.starts_with("ERROR:  ticket T-9"), "{err}");
    assert_eq!(
        walk(&fake, &["approve", "1", "-m", "it's fine"]).1,
        "T-1 approved\n"
    );
    assert_eq!(
        walk(&fake, &["reject", "42", "not 'now'"]).1,
        "T-42 rejected\n"
    );
    assert_eq!(walk(&fake, &["withdraw", "42"]).1, "T-42 withdrawn\n");
    let json: serde_json::Value =
        serde_json::from_str(&walk(&fake, &["approve", "1", "9", "--json"]).1).unwrap();
    assert_eq!(json[0]["state"], "approved");
    assert_eq!(
        (json[1]["id"].as_str(), json[1]["error"]["code"].as_str()),
        (Some("T-9"), Some("42704"))
    );
    let json: serde_json::Value =
        serde_json::from_str(&walk(&fake, &["withdraw", "42", "--json"]).1).unwrap();
    assert_eq!(json[0]["id"], "T-42");
    let json: serde_json::Value =
        serde_json::from_str(&walk(&fake, &["reject", "42", "-m", "not 'now'", "--json"]).1)
            .unwrap();
    assert_eq!(json["state"], "rejected");
}

fn refused(url: &str) -> String {
    match block_on(Console::open(&target(url), false)) {
        Ok(_) => panic!("{url} was let in"),
        Err(trouble @ Trouble::Unreachable(_)) => trouble.text(),
        Err(other) => panic!("{url}: {other:?}"),
    }
}

#[test]
fn doors_that_stay_shut() {
    let fake = fake(None);
    let (port, closed) = (
        fake.port,
        TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port(),
    );
    let at =
        format!("portcullis: error: connection to server at \"127.0.0.1\", port {port} failed: ");
    for (url, text) in [
        (
            "user=mallory",
            "FATAL:  password authentication failed for user \"mallory\"",
        ),
        (
            "user=mallory sslmode=allow",
            "server does not support SSL, but SSL was required",
        ),
        ("user=carol", "no password supplied"),
        (
            "sslmode=require",
            "server does not support SSL, but SSL was required",
        ),
    ] {
        assert_eq!(
            refused(&format!("host=127.0.0.1 port={port} {url}")),
            format!("{at}{text}")
        );
    }
    let text = refused(&format!(
        "host=127.0.0.1,localhost port={closed} sslmode=disable"
    ));
    assert!(text.starts_with(&format!(
        "portcullis: error: connection to server at \"127.0.0.1\", port {closed} failed: Connection refused\n\tIs the"
    )));
    assert!(
        text.contains(
            "\nportcullis: error: connection to server at \"localhost\" (127.0.0.1), port"
        ),
        "{text}"
    );
    let text = refused("host=/nowhere");
    assert!(
        text.contains("on socket \"/nowhere/.s.PGSQL.6432\" failed: No such file"),
        "{text}"
    );
    let text = refused("host=nowhere.invalid");
    assert!(
        text.contains("could not translate host name \"nowhere.invalid\" to address: "),
        "{text}"
    );
}

#[test]
fn a_password_that_was_given_is_used_and_a_server_that_says_nothing_times_out() {
    let fake = fake(None);
    let url = format!("postgres://carol:secret@127.0.0.1:{}", fake.port);
    block_on(async {
        Console::open(&target(&url), false)
            .await
            .unwrap()
            .close()
            .await;
    });
    assert!(
        fake.heard
            .lock()
            .unwrap()
            .iter()
            .any(|it| it == "password secret\0")
    );

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let text = refused(&format!("host=127.0.0.1 port={port} connect_timeout=1"));
    assert!(text.ends_with("failed: timeout expired"), "{text}");
}

#[test]
fn certificates() {
    let (fake, ca) = tls_fake("certificates");
    let (_other, stranger) = tls_fake("stranger");
    let (port, ca, stranger) = (fake.port, ca.display(), stranger.display());
    let open = |url: &str| {
        let url = format!("hostaddr=127.0.0.1 port={port} {url}");
        block_on(async {
            Console::open(&target(&url), false)
                .await
                .map(|_| ())
                .map_err(|error| error.text())
        })
    };
    for url in [
        format!("host=gate.test sslmode=verify-full sslrootcert={ca}"),
        format!("host=other.test sslmode=verify-ca sslrootcert={ca}"),
        format!("host=other.test sslmode=prefer sslrootcert={ca}"),
        "sslmode=require".to_owned(),
        "sslmode=prefer".to_owned(),
    ] {
        assert_eq!(open(&url), Ok(()), "{url}");
    }
    for url in [
        format!("host=other.test sslmode=verify-full sslrootcert={ca}"),
        format!("sslmode=verify-full sslrootcert={ca}"),
        format!("host=gate.test sslmode=verify-full sslrootcert={stranger}"),
        format!("host=gate.test sslmode=verify-ca sslrootcert={stranger}"),
        format!("host=gate.test sslmode=require sslrootcert={stranger}"),
        format!("host=gate.test sslmode=prefer sslrootcert={stranger}"),
    ] {
        let error = open(&url).unwrap_err();
        assert!(
            error.contains("SSL error: invalid peer certificate"),
            "{url}: {error}"
        );
    }
    assert!(
        open("sslmode=verify-full")
            .unwrap_err()
            .contains("could not get home directory")
    );
    assert!(
        open("sslmode=prefer sslrootcert=/nowhere")
            .unwrap_err()
            .contains("could not read root")
    );
}

#[test]
fn a_door_is_repeated_without_its_password() {
    let door = |words: &[&str]| {
        console::door(
            &Cli::try_parse_from([&["portcullis", "pending"], words].concat())
                .unwrap()
                .options,
        )
    };
    assert_eq!(door(&[]), "portcullis");
    assert_eq!(
        door(&["-h", "gate", "-p", "7", "-U", "bob o'x"]),
        r"portcullis -h gate -p 7 -U 'bob o'\''x'"
    );
    assert_eq!(
        door(&["--url", "postgres://bob@gate"]),
        "portcullis --url postgres://bob@gate"
    );
    assert_eq!(door(&["--url", "postgres://bob:x@gate"]), "portcullis");
    assert_eq!(
        door(&["--url", "postgres://gate?sslmode=require"]),
        "portcullis --url 'postgres://gate?sslmode=require'"
    );
}

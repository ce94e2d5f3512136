//! What the gate knows in other forms: history, Markdown, JSON Lines of the journal, completions; and a service as the
//! way to the gate.

use std::fs;

use harness::stage::{Stage, held, leave_pending, portcullis};
use harness::{Finished, Program};
use serde_json::Value;

use crate::tickets::journal;

const UPDATE: &str = "update t set note = 'new' where id = 1";

/// Runs a statement that bob signs.
#[track_caller]
fn signed(stage: &Stage, sql: &str) -> (String, Finished) {
    let mut alice = stage.psql("alice").start(sql);
    let ticket = held(&mut alice);
    stage.approve(&ticket);
    (ticket, alice.finish())
}

fn ids(json: &Finished) -> Vec<String> {
    let list: Vec<Value> = serde_json::from_str(&json.stdout).unwrap();
    let ids = list.iter().map(|it| it["id"].as_str().unwrap().to_owned());
    ids.collect()
}

#[test]
fn history_has_what_ended_and_pending_what_waits() {
    let stage = Stage::new();
    let said = stage.cli("bob").run(&["history"]).ok();
    assert_eq!(said.stdout, "no such ticket has ended");
    let (done, _) = signed(&stage, UPDATE);
    let (failed, _) = signed(&stage, "update t set id = 2 where id = 1");
    let waits = leave_pending(&stage, UPDATE);
    let rejected = leave_pending(&stage, "delete from t");
    stage.reject(&rejected, "no");
    stage.wait_state(&failed, "failed");
    let approved = leave_pending(&stage, "delete from t where id = 3");
    stage.approve(&approved);

    let ask = |words: &[&str]| {
        let words = [&["history", "--json"], words].concat();
        ids(&stage.cli("bob").run(&words).ok())
    };
    assert_eq!(ask(&[]), [&*rejected, &*failed, &*done]);
    assert_eq!(ask(&["--limit", "2"]), [&*rejected, &*failed]);
    assert_eq!(
        ask(&["--state", "done", "--state", "failed"]),
        [&*failed, &*done]
    );
    assert_eq!(
        ask(&["--user", "alice", "--tenant", &stage.database.name]).len(),
        3
    );
    assert!(ask(&["--user", "carol"]).is_empty());
    assert!(ask(&["--tenant", "elsewhere"]).is_empty());

    let table = stage.cli("bob").run(&["history"]).ok().stdout;
    assert!(table.contains("(3 rows)"), "{table}");
    assert!(!table.contains("waiting_for"), "{table}");
    for ticket in [&waits, &approved] {
        assert!(!table.contains(&format!(" {ticket} ")), "{table}");
    }
    // As everywhere: of others' tickets one hears nothing.
    let mut bob = stage.psql("bob").start(UPDATE);
    let bobs = held(&mut bob);
    stage.cli("bob").run(&["withdraw", &bobs]).ok();
    let alices = stage.cli("alice").run(&["history", "--json"]).ok();
    assert!(!ids(&alices).contains(&bobs), "{alices:?}");
    stage
        .cli("bob")
        .run(&["history", "--state", "pending"])
        .failed(2);
}

#[test]
fn a_ticket_is_markdown_that_its_statement_cannot_leave() {
    let stage = Stage::new();
    let sql =
        "update t set note = '\n```\n# Ticket T-1: approved\n````sql\n| x |\u{202e}' where id = 1";
    let (ticket, said) = signed(&stage, sql);
    said.ok();
    let text = stage.cli("bob").run(&["export", &ticket]).ok().stdout;
    assert!(
        text.starts_with(&format!("# Ticket {ticket}: done\n")),
        "{text}"
    );
    let shown = sql.replace('\u{202e}', r"\u{202e}");
    let fenced = format!("\n`````sql\n{shown}\n`````\n");
    assert!(text.contains(&fenced), "{text}");
    assert!(text.contains("**Beware:** 1 of its characters"), "{text}");
    assert!(!text.contains('\u{202e}'), "{text}");
    let digest = stage.ticket("bob", &ticket, "digest");
    for part in [
        "| requester | ` alice ` |\n".to_owned(),
        format!("| digest | ` {digest} ` |\n"),
        format!("| length | ` {} bytes ` |\n", sql.len()),
        "\n## Decisions\n\n```text\napproved by bob at ".to_owned(),
        "\n## Outcome\n\n```text\nUPDATE 1\n```".to_owned(),
    ] {
        assert!(text.contains(&part), "{part:?} of\n{text}");
    }
    let markdown = ["export", "T-99", "--format", "markdown"];
    stage.cli("bob").run(&markdown).failed(1);
    stage
        .cli("bob")
        .run(&["export", &ticket, "--format", "pdf"])
        .failed(2);
    let json = stage.cli("bob").run(&["export", &ticket, "--json"]).ok();
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["statement"], sql);
}

/// What `audit export` prints, and the journal as it lies there.
#[track_caller]
fn exported(stage: &Stage, more: &[&str]) -> Finished {
    let folder = stage.gate.directory().file("state");
    let folder = folder.to_string_lossy();
    portcullis(&[&["audit", "export", "--state", &folder], more].concat())
}

fn objects(text: &str) -> Vec<Value> {
    let parsed = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    parsed.collect()
}

#[test]
fn the_journal_is_json_lines_with_the_fields_of_each_record() {
    let mut stage = Stage::new();
    let statement = "update t set note = E'a\u{7f}\u{9b}\u{202e}' where id = 1";
    signed(&stage, statement).1.ok();
    let config = stage.gate.directory().file("portcullis.toml");
    // While the gate runs: it only reads.
    let running = portcullis(&["audit", "export", "--config", &config.to_string_lossy()]).ok();
    assert!(
        running.stdout.contains("\"kind\":\"intent\""),
        "{running:?}"
    );
    stage.gate.signal("TERM");
    assert_eq!(stage.gate.wait(), 0);

    let all = objects(&exported(&stage, &[]).ok().stdout);
    let records = objects(&fs::read_to_string(journal(&stage)).unwrap());
    // What nobody waited for shares a record.
    let entries = records.iter().flat_map(|record| {
        let entry = &record["entry"];
        let parts = entry
            .as_array()
            .map_or(std::slice::from_ref(entry), Vec::as_slice);
        let parts = parts.iter().enumerate();
        parts.map(move |(place, entry)| (record, place + 1, entry))
    });
    let entries: Vec<_> = entries.collect();
    assert_eq!(all.len(), entries.len());
    for (object, (record, part, entry)) in all.iter().zip(entries) {
        let mut expected = entry.as_object().unwrap().clone();
        expected.insert("time".to_owned(), record["at"].clone());
        expected.insert("part".to_owned(), part.into());
        for name in ["node", "seq", "hash"] {
            expected.insert(name.to_owned(), record[name].clone());
        }
        assert_eq!(object.as_object().unwrap(), &expected);
    }
    let kinds: Vec<&str> = all.iter().map(|it| it["kind"].as_str().unwrap()).collect();
    for kind in ["started", "login", "held", "decided", "intent", "outcome"] {
        assert!(kinds.contains(&kind), "{kind} is not in {kinds:?}");
    }
    let intent = all.iter().find(|it| it["asked"][0]["text"] == *statement);
    assert!(intent.is_some(), "the text came as it is");

    let (first, last) = (&all[0]["time"], &all[all.len() - 1]["time"]);
    let count = |more: &[&str]| exported(&stage, more).ok().stdout.lines().count();
    assert_eq!(count(&["--since", first.as_str().unwrap()]), all.len());
    assert!(count(&["--since", last.as_str().unwrap()]) > 0);
    assert_eq!(count(&["--until", first.as_str().unwrap()]), 0);
    assert_eq!(count(&["--since", "2999-01-01T00:00:00Z"]), 0);
    portcullis(&["audit", "export", "--state", "/nonexistent"]).failed(2);
    exported(&stage, &["--since", "yesterday"]).failed(2);
}

#[test]
fn an_export_ends_at_the_record_that_does_not_hold() {
    let mut stage = Stage::new();
    signed(&stage, UPDATE).1.ok();
    stage.gate.signal("TERM");
    assert_eq!(stage.gate.wait(), 0);
    let whole = exported(&stage, &[]).ok().stdout;
    let original = fs::read_to_string(journal(&stage)).unwrap();
    let lines: Vec<&str> = original.lines().collect();

    let mut edited: Vec<String> = lines.iter().map(|it| (*it).to_owned()).collect();
    edited[2] = edited[2].replacen("\"session\":", "\"session\":9", 1);
    assert_ne!(edited[2], lines[2]);
    fs::write(journal(&stage), edited.join("\n") + "\n").unwrap();
    for more in [&[][..], &["--since", "2999-01-01T00:00:00Z"]] {
        let said = exported(&stage, more).failed(1);
        assert!(said.stderr.contains("record 3 was changed"), "{said:?}");
        let before: Vec<&str> = whole.lines().take(2).collect();
        let before = if more.is_empty() {
            before.join("\n")
        } else {
            String::new()
        };
        assert_eq!(said.stdout, before, "what is before it is printed");
    }

    fs::write(journal(&stage), lines[..3].join("\n") + "\n").unwrap();
    let said = exported(&stage, &[]).failed(1);
    assert!(said.stderr.contains("ends after record 3"), "{said:?}");
    assert_eq!(said.stdout.lines().count(), 3);
}

#[test]
fn completions_are_scripts() {
    for (shell, sign) in [
        ("bash", "complete -F _portcullis"),
        ("zsh", "#compdef portcullis"),
        ("fish", "complete -c portcullis"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion"),
    ] {
        let script = portcullis(&["completions", shell]).ok().stdout;
        assert!(script.contains(sign), "{shell}: {script}");
        assert!(script.contains("withdraw"), "{shell}");
    }
    portcullis(&["completions", "ksh"]).failed(2);
    // The one that every machine of ours has takes it.
    let script = portcullis(&["completions", "bash"]).ok().stdout;
    let check = format!(
        "{script}\nCOMP_WORDS=(portcullis hist) COMP_CWORD=1\n_portcullis portcullis hist portcullis\necho ${{COMPREPLY[@]}}"
    );
    let mut bash = std::process::Command::new("bash");
    bash.arg("--norc").arg("-c").arg(check);
    assert_eq!(Program::new(bash).run(&[]).ok().stdout, "history");
}

/// psql reads the same file, and says the same of one that is wrong.
#[test]
fn a_service_of_libpq_leads_to_the_gate() {
    let stage = Stage::new();
    let bob = stage.console("bob");
    let root = bob.root_cert.as_ref().unwrap().to_string_lossy();
    let text = format!(
        "[gate]\nhost=localhost\nport={}\nuser=bob\npassword={}\nsslmode=verify-full\n\
         sslrootcert={root}\ndbname=nowhere\n\n[nested]\nservice=gate\n\n[broken]\nhost localhost\n",
        bob.port, bob.password
    );
    let file = stage.gate.directory().write(".pg_service.conf", &text);
    let file = file.to_string_lossy();
    // Nothing of it comes from anywhere else.
    let bare = |program: Program| {
        let unset = [
            "PGPORT",
            "PGUSER",
            "PGPASSWORD",
            "PGSSLMODE",
            "PGSSLROOTCERT",
        ];
        let program = unset.iter().fold(program, |it, name| it.env(name, "wrong"));
        program.env("PGHOST", "192.0.2.1").env("PORTCULLIS_URL", "")
    };
    let cli = |service: &str| {
        let program = bare(harness::cli(&bob)).env("PGSERVICEFILE", &file);
        program.env("PGSERVICE", service)
    };
    cli("gate").run(&["-w", "pending"]).ok();
    let url = ["-w", "--url", "service=gate", "pending"];
    cli("other").run(&url).ok();
    cli("gate").run(&["-w", "-U", "carol", "pending"]).failed(3);
    let home = stage.gate.directory().path().to_string_lossy().into_owned();
    let at_home = bare(harness::cli(&bob)).env("HOME", &home);
    at_home
        .env("PGSERVICE", "gate")
        .run(&["-w", "pending"])
        .ok();

    let psql = |service: &str| {
        let program = bare(harness::psql(&bob)).env("PGSERVICEFILE", &file);
        program.arg(&format!("service={service} dbname=portcullis"))
    };
    psql("gate").query("SHOW TICKETS").ok();
    for service in ["missing", "nested", "broken"] {
        let theirs = psql(service).query("SHOW TICKETS").failed(2).stderr;
        let ours = cli(service).run(&["-w", "pending"]).failed(2).stderr;
        let words = theirs.strip_prefix("psql: error: ").unwrap();
        assert_eq!(ours, format!("portcullis: error: {words}"));
    }
}

//! The console: the virtual database `portcullis`, by psql and by drivers.

use harness::Finished;
use harness::raw::{self, Raw};
use harness::stage::{Stage, held, leave_pending, portcullis, user};

const UPDATE: &str = "update t set note = 'new' where id = 1";

#[track_caller]
fn psql(stage: &Stage, who: &str, command: &str) -> Finished {
    stage.psql_console(who).query(command)
}

/// Its SQLSTATE and words.
#[track_caller]
fn refused(stage: &Stage, who: &str, command: &str, sqlstate: &str, words: &str) {
    let said = psql(stage, who, command).failed(1).stderr;
    let error = format!("ERROR:  {sqlstate}: ");
    assert!(said.contains(&error), "{who}: {command}: {said}");
    assert!(said.contains(words), "{who}: {command}: {said}");
}

#[test]
fn psql_lists_and_shows_tickets() {
    let stage = Stage::new();
    assert_eq!(psql(&stage, "bob", "SHOW TICKETS").ok().stdout, "");
    let first = leave_pending(&stage, UPDATE);
    let second = leave_pending(&stage, "delete from t where note = 'it''s'");
    let list = psql(&stage, "bob", "show tickets;").ok().stdout;
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 2, "{list}");
    for (ticket, text) in [(&first, UPDATE), (&second, "it''s")] {
        let line = lines
            .iter()
            .find(|line| line.starts_with(&format!("{ticket}|")));
        let line = line.unwrap_or_else(|| panic!("{ticket} is not in\n{list}"));
        for part in [
            "pending",
            "alice",
            "write",
            "1 of dba",
            &stage.database.name,
            text,
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
    let number = first.trim_start_matches("T-");
    for name in [first.clone(), first.to_lowercase(), number.to_owned()] {
        let card = stage
            .psql_console("bob")
            .arg("-x")
            .query(&format!("SHOW TICKET {name}"))
            .ok();
        for line in [
            format!("id|{first}"),
            "state|pending".to_owned(),
            "requester|alice".to_owned(),
            format!("tenant|{}", stage.database.name),
            "rule|default".to_owned(),
            format!("role|{}", stage.database.write.name),
            format!("length|{} bytes", UPDATE.len()),
            format!("statement|{UPDATE}"),
        ] {
            assert!(
                card.stdout.lines().any(|it| it == line),
                "{line}: {}",
                card.stdout
            );
        }
    }
}

#[test]
fn psql_approves_rejects_and_withdraws() {
    let stage = Stage::new();
    let mut alice = stage.psql("alice").start(UPDATE);
    let ticket = held(&mut alice);
    let said = psql(&stage, "bob", &format!("APPROVE {ticket} 'it''s fine'")).ok();
    assert!(
        said.stdout.starts_with(&format!("{ticket}|approved|")),
        "{said:?}"
    );
    assert_eq!(alice.finish().ok().stdout, "UPDATE 1");
    let decisions = stage.ticket("bob", &ticket, "decisions");
    assert!(decisions.starts_with("approved by bob at "), "{decisions}");
    assert!(decisions.ends_with(": it's fine"), "{decisions}");

    let mut alice = stage.psql("alice").start(UPDATE);
    let ticket = held(&mut alice);
    psql(&stage, "carol", &format!("REJECT {ticket} 'not today'")).ok();
    let ended = alice.finish().failed(1);
    assert!(ended.stderr.contains("ERROR:  ZG002: "), "{ended:?}");
    assert!(ended.stderr.contains("not today"), "{ended:?}");

    let mut alice = stage.psql("alice").start(UPDATE);
    let ticket = held(&mut alice);
    psql(&stage, "alice", &format!("WITHDRAW {ticket}")).ok();
    let ended = alice.finish().failed(1);
    assert!(ended.stderr.contains("ERROR:  ZG004: "), "{ended:?}");
    let all = psql(&stage, "alice", "SHOW TICKETS ALL").ok().stdout;
    assert_eq!(all.lines().count(), 3, "{all}");
    assert_eq!(psql(&stage, "alice", "SHOW TICKETS").ok().stdout, "");
}

#[test]
fn nobody_decides_on_their_own_or_without_being_asked() {
    let stage = Stage::new();
    let mut bob = stage.psql("bob").start(UPDATE);
    let own = held(&mut bob);
    let words = format!("ticket {own} cannot be approved by its own requester");
    refused(&stage, "bob", &format!("APPROVE {own}"), "42501", &words);
    refused(
        &stage,
        "bob",
        &format!("REJECT {own} 'no'"),
        "42501",
        "cannot be rejected by \"bob\"",
    );
    refused(
        &stage,
        "carol",
        &format!("WITHDRAW {own}"),
        "42501",
        "cannot be withdrawn by \"carol\"",
    );
    assert_eq!(stage.state(&own), "pending");

    let alices = leave_pending(&stage, UPDATE);
    let words = "cannot be approved by its own requester";
    refused(
        &stage,
        "alice",
        &format!("APPROVE {alices}"),
        "42501",
        words,
    );
    refused(
        &stage,
        "bob",
        &format!("WITHDRAW {alices}"),
        "42501",
        "cannot be withdrawn",
    );
    psql(&stage, "carol", &format!("APPROVE {alices}")).ok();
    let again = format!("ticket {alices} is approved");
    refused(&stage, "bob", &format!("APPROVE {alices}"), "55000", &again);
    assert_eq!(stage.count("note = 'new'"), "0");
}

/// DESIGN ruling 20, hazards R8: of somebody else's ticket one does not even learn that it is there.
#[test]
fn a_foreign_ticket_looks_like_one_that_is_not_there() {
    let stage = Stage::with(|setup| setup.more = user("dave"));
    let ticket = leave_pending(&stage, UPDATE);
    assert_eq!(psql(&stage, "dave", "SHOW TICKETS ALL").ok().stdout, "");
    let mut dave = Raw::login(&stage.console("dave"));
    for command in ["SHOW TICKET #", "APPROVE #", "REJECT # 'x'", "WITHDRAW #"] {
        let mut say = |ticket: &str| {
            let answer = dave.query(&command.replace('#', ticket));
            assert_eq!(raw::tags(&answer), "EZ", "{command}");
            String::from_utf8_lossy(&answer[0].body).replace(ticket, "#")
        };
        let foreign = say(&ticket);
        assert!(foreign.contains("ticket # does not exist"), "{foreign}");
        assert_eq!(foreign, say("T-99"), "{command}");
    }
    refused(
        &stage,
        "bob",
        "SHOW TICKET T-99",
        "55000",
        "ticket T-99 does not exist",
    );
    assert_eq!(stage.state(&ticket), "pending");
}

#[test]
fn pools_and_sessions_are_for_operators() {
    let stage = Stage::new();
    let _bob = stage.raw("bob");
    let mut alice = stage.psql("alice").env("PGAPPNAME", "probe").start(UPDATE);
    let ticket = held(&mut alice);
    let pools = psql(&stage, "carol", "SHOW POOLS").ok().stdout;
    let pool = format!(
        "{}|{}|2|0|0|",
        stage.database.name, stage.database.write.name
    );
    assert!(
        pools.starts_with(&pool),
        "a hold costs no connection: {pools}"
    );
    let sessions = psql(&stage, "carol", "SHOW SESSIONS").ok().stdout;
    let line = |user: &str| {
        let found = sessions
            .lines()
            .find(|line| line.split('|').next() == Some(user));
        found.unwrap_or_else(|| panic!("no {user}: {sessions}"))
    };
    let held = format!("alice|{}|held|127.0.0.1|", stage.database.name);
    assert!(line("alice").starts_with(&held), "{sessions}");
    assert!(line("alice").contains("|yes|probe|"), "{sessions}");
    let ours = format!("|{ticket}|alice|");
    assert!(line("alice").ends_with(&ours), "{sessions}");
    assert!(line("bob").contains("|idle|"), "{sessions}");
    assert!(line("carol").contains("|portcullis|console|"), "{sessions}");
    for who in ["alice", "bob"] {
        for command in [
            "SHOW POOLS",
            "SHOW SESSIONS",
            "SHOW STATS",
            "SHOW TENANTS",
            "SHOW CONFIG",
        ] {
            refused(&stage, who, command, "42501", "permission denied");
        }
    }
}

#[test]
fn what_is_no_command_is_told_the_commands() {
    let stage = Stage::new();
    let mut bob = Raw::login(&stage.console("bob"));
    for command in [
        "select 1",
        "\\d",
        "APPROVE",
        "APPROVE x",
        "APPROVE 1; APPROVE 2",
        "REJECT T-1",
        "SHOW TICKET -1",
        "SHOW TICKET 99999999999999999999",
        "REJECT T-1 'open",
        "drop table t",
    ] {
        let answer = bob.query(command);
        assert_eq!(raw::tags(&answer), "EZ", "{command}");
        assert_eq!(answer[0].sqlstate(), "42601", "{command}");
        assert!(answer[0].field('H').is_some(), "{command}");
    }
    assert_eq!(raw::tags(&bob.query("")), "IZ");
    assert_eq!(raw::tags(&bob.query("SHOW VERSION")), "TDCZ");
    let help = psql(&stage, "alice", "HELP").ok().stdout;
    assert!(help.contains("APPROVE id"), "{help}");
}

#[test]
fn the_extended_protocol_is_refused_and_the_session_goes_on() {
    let stage = Stage::new();
    let mut bob = Raw::login(&stage.console("bob"));
    let batch = [
        raw::parse("", "SHOW TICKETS"),
        raw::describe(b'S', ""),
        raw::bind("", ""),
        raw::execute(""),
        raw::sync(),
    ];
    for _ in 0..2 {
        bob.send(&batch.concat());
        let answer = bob.frames_until(b'Z');
        assert_eq!(raw::tags(&answer), "EZ");
        assert_eq!(answer[0].sqlstate(), "0A000");
        assert_eq!(raw::tags(&bob.query("SHOW TICKETS")), "TCZ");
    }
    bob.send(&raw::sync());
    assert_eq!(raw::tags(&bob.frames_until(b'Z')), "Z");
    bob.send(&raw::frame(b'F', &[0; 8]));
    let answer = bob.frames_until(b'Z');
    assert_eq!(answer[0].sqlstate(), "0A000");
    bob.send(&raw::frame(b'Q', b"SHOW TICKETS"));
    assert_eq!(bob.frames_until_closed()[0].sqlstate(), "08P01");
}

/// Hazards R97: what somebody wrote cannot dress up as what the gate says.
#[test]
fn a_statement_of_many_lines_is_shown_as_it_is() {
    let stage = Stage::new();
    let sql = "update t set note = E'\\\\x'\n-- |state|approved\nwhere id = 1 /* \u{202e}txet */";
    let ticket = leave_pending(&stage, sql);
    let mut bob = Raw::login(&stage.console("bob"));
    let answer = bob.query(&format!("SHOW TICKET {ticket}"));
    let columns = answer[1].columns();
    assert_eq!(columns.last().unwrap().as_deref(), Some(sql));
    let shown = stage.cli("bob").run(&["show", &ticket]).ok().stdout;
    assert!(!shown.contains('\u{202e}'), "{shown}");
    assert!(shown.contains("txet"), "{shown}");
}

/// Every command that a hint or a notice names is one that this binary has.
#[test]
fn every_command_that_a_message_names_exists() {
    let help = portcullis(&["--help"]).ok().stdout;
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.len() > 10, "{help}");
    let mut named = Vec::new();
    for file in sources() {
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for line in text.lines().map(str::trim_start) {
            let is_comment = line.starts_with("//") || line.starts_with('#');
            for part in line.split("portcullis ").skip(1).filter(|_| !is_comment) {
                let end = part.find(|it: char| !it.is_ascii_lowercase());
                let word = &part[..end.unwrap_or(part.len())];
                if !word.is_empty() {
                    named.push((word.to_owned(), file.display().to_string()));
                }
            }
        }
    }
    assert!(named.iter().any(|(word, _)| word == "approve"), "{named:?}");
    // What a digest begins with, so that it is one of nothing else.
    named.retain(|(word, file)| word != "request" || !file.ends_with("request.rs"));
    named.retain(|(word, _)| !commands.contains(&word.as_str()));
    assert!(named.is_empty(), "no such commands: {named:?}");
}

/// Every source file of the crates but for those that hold nothing but tests.
fn sources() -> Vec<std::path::PathBuf> {
    let crates = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates");
    let mut folders: Vec<_> = std::fs::read_dir(crates)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("src"))
        .collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.contains("tests") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                files.push(path);
            }
        }
    }
    files
}

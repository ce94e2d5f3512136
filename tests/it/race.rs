//! Many who hold one permission: clients of several processes send what was signed once, at the same moment. It runs once.

use std::collections::BTreeSet;
use std::process::Command;

use harness::stage::{Setup, eventually, leave_approved, ticket_in};
use harness::{Process, Program};

use crate::tickets::{entries, verify};

const ADD: &str = "update counter set n = n + 1";
/// Clients of each process; sixty-four in all.
const CROWDS: [usize; 3] = [21, 21, 22];

#[test]
fn sixty_four_clients_of_three_processes_send_what_was_signed_once_and_it_runs_once() {
    let mut stage = Setup {
        top: "workers = 3\n".to_owned(),
        tenant: "pool_size = 30\n".to_owned(),
        tables: "create table counter (n int not null); insert into counter values (0)".to_owned(),
        ..Setup::default()
    }
    .start();
    let ticket = leave_approved(&stage, ADD);
    let mut crowds = CROWDS.map(|count| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crowd"));
        stage.login("alice").into_environment(&mut command);
        Program::new(command).spawn(&[&count.to_string(), ADD])
    });
    for crowd in &mut crowds {
        crowd.stdout().wait_for("crowd ready");
    }
    for crowd in &mut crowds {
        crowd.type_line("go");
    }

    // All but one wait, and all of them for the same.
    let mut said = String::new();
    eventually("all but one wait", || {
        said = crowds
            .iter_mut()
            .map(|it| it.stdout().text() + "\n")
            .collect();
        assert!(said.matches("answer UPDATE 1").count() <= 1, "{said}");
        assert!(!said.contains("refused"), "{said}");
        said.matches("held as ticket").count() == 63
    });
    let tickets: BTreeSet<String> = said.lines().filter_map(ticket_in).collect();
    assert_eq!(tickets.len(), 1, "{tickets:?}");
    let next = tickets.first().unwrap();
    assert_ne!(*next, ticket);
    eventually("the one has ended", || stage.state(&ticket) == "done");
    assert_eq!(stage.database.sql("select n from counter"), "1");

    stage.reject(next, "once is enough");
    let said = crowds
        .map(Process::finish)
        .map(|it| it.ok().stdout)
        .join("\n");
    assert_eq!(said.matches("answer UPDATE 1").count(), 1, "{said}");
    assert_eq!(said.matches("answer ").count(), 1, "{said}");
    let refused: Vec<&str> = said
        .lines()
        .filter(|it| it.starts_with("refused "))
        .collect();
    let all_alike = refused.iter().all(|it| *it == refused[0]);
    assert!(refused.len() == 63 && all_alike, "{refused:?}");
    assert!(refused[0].contains(next.as_str()), "{}", refused[0]);
    assert_eq!(stage.database.sql("select n from counter"), "1");
    assert_eq!(stage.state(next), "rejected");

    stage.gate.signal("TERM");
    assert_eq!(stage.gate.wait(), 0);
    let intents = entries(&stage, "intent");
    let of = |ticket: &str| {
        let named = format!("\"ticket\":{},", ticket.trim_start_matches("T-"));
        intents.iter().filter(|it| it.contains(&named)).count()
    };
    assert_eq!((of(&ticket), of(next)), (1, 0), "{intents:#?}");
    verify(&stage).ok();
}

//! One ticket and several processes on one store: this program runs itself again. It is the file's lock that decides, and no
//! memory that they share.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use gate::tickets::{Claimed, StoreError};
use gate::{State, TicketId, Tickets as _};
use store::{Sqlite, Unsettled as _, tickets_file};
use tokio::task::LocalSet;

use crate::conformance::{Bench, Manual, OPTIONS, once, standing};
use crate::support::StateDir;

const TEXT: &str = "delete from t";
/// Where a child finds the store, and which ticket it is to claim so often.
const CHILD: &str = "STORE_TESTS_CLAIM";
/// Sixty-four in all.
const TASKS: [usize; 3] = [21, 21, 22];

#[tokio::test(flavor = "current_thread")]
async fn tasks_of_three_processes_claim_one_ticket_once() {
    for _ in 0..5 {
        let state = StateDir::new();
        let bench = Bench {
            store: state.store(),
            clock: state.clock.clone(),
        };
        let id = bench.approved(TEXT).await.id;
        let mut children: Vec<Child> = TASKS.map(|tasks| child(state.dir.path(), id, tasks)).into();
        let mut outs: Vec<_> = children
            .iter_mut()
            .map(|it| BufReader::new(it.stdout.take().unwrap()))
            .collect();
        for out in &mut outs {
            // The harness of tests says something first.
            let ready = out
                .lines()
                .map_while(Result::ok)
                .any(|it| it.ends_with("ready"));
            assert!(ready, "a process ended before it began");
        }
        for child in &mut children {
            child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        }
        let mut said = String::new();
        for (child, out) in children.iter_mut().zip(&mut outs) {
            out.read_to_string(&mut said).unwrap();
            assert!(child.wait().unwrap().success(), "{said}");
        }
        assert_eq!(said.matches("claimed").count(), 1, "{said}");
        assert_eq!(said.matches("too late").count(), 63, "{said}");
        assert_eq!(
            bench.store.ticket(id).await.unwrap().state,
            State::Executing
        );
        assert_eq!(bench.store.executing().await.unwrap().len(), 1);
    }
}

fn child(state: &Path, id: TicketId, tasks: usize) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "processes::what_each_of_them_does",
            "--nocapture",
        ])
        .env(CHILD, format!("{}:{tasks}:{}", id.0, state.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command.spawn().unwrap()
}

/// In a process of its own; without that there is nothing to do.
#[tokio::test(flavor = "current_thread")]
async fn what_each_of_them_does() {
    let Ok(what) = std::env::var(CHILD) else {
        return;
    };
    let mut parts = what.splitn(3, ':');
    let id = TicketId(parts.next().unwrap().parse().unwrap());
    let tasks: usize = parts.next().unwrap().parse().unwrap();
    let state = Path::new(parts.next().unwrap());
    let store = Sqlite::open(&tickets_file(state), Manual::default(), OPTIONS).unwrap();
    println!("ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let local = LocalSet::new();
    let claim = |store: Sqlite| async move { store.claim(id, once(TEXT), standing()).await };
    let tasks: Vec<_> = (0..tasks)
        .map(|_| local.spawn_local(claim(store.clone())))
        .collect();
    local.await;
    for task in tasks {
        match task.await.unwrap() {
            Ok(Claimed::Spent(..)) => println!("claimed"),
            Err(StoreError::WrongState {
                state: State::Executing,
                ..
            }) => println!("too late"),
            other => panic!("{other:?}"),
        }
    }
}

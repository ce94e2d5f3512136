//! `portcullis watch` against a console made up for it, where a real gate takes a thousand tickets to say it.

use std::io::{self, Write};
use std::time::Duration;

use super::connect::Console;
use super::conninfo::{Flags, resolve};
use super::console::Printer;
use super::fake::{Answer, scripted};
use super::trouble::Exit;
use super::watch;

/// The whole list is cut before the ticket that waits, and that ends.
fn cut(query: &str) -> Answer {
    let columns = vec!["id", "state", "requester", "tenant", "outcome", "statement"];
    let ticket = |state, outcome| vec!["T-42", state, "alice", "acme", outcome, "UPDATE a"];
    let newer = vec!["T-1042", "done", "alice", "acme", "", "SELECT 1"];
    match query {
        "SHOW TICKETS ALL" => Ok((columns, vec![newer])),
        "SHOW TICKETS" => Ok((columns, vec![ticket("pending", "")])),
        "SHOW TICKET T-42" => Ok((columns, vec![ticket("done", "UPDATE 1")])),
        _ => Err(("no such command", "")),
    }
}

/// A reader who goes away behind a word.
struct Reader {
    read: Vec<u8>,
    last: &'static str,
}

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.read.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if String::from_utf8_lossy(&self.read).contains(self.last) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    }
}

#[test]
fn a_ticket_that_the_list_has_no_room_for_is_asked_for() {
    let fake = scripted(None, cut);
    let url = format!("host=127.0.0.1 sslmode=disable port={}", fake.port);
    let flags = Flags {
        url: Some(&url),
        user: Some("bob"),
        ..Flags::default()
    };
    let target = resolve(flags, &|_| None).unwrap();
    let mut out = Reader {
        read: Vec::new(),
        last: " done ",
    };
    let mut printer = Printer {
        out: &mut out,
        err: &mut Vec::new(),
        json: false,
        width: None,
        door: String::new(),
        user: "bob".to_owned(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let ended = runtime.block_on(async {
        let console = Console::open(&target, false).await?;
        let every = Duration::from_millis(1);
        tokio::select! {
            ended = watch::run(console, &target, every, false, &mut printer) => ended,
            () = tokio::time::sleep(Duration::from_mins(1)) => panic!("nothing was told"),
        }
    });
    assert_eq!(ended.unwrap_err().exit(), Exit::Done);
    let said = anstream::adapter::strip_bytes(&out.read).into_vec();
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("\n T-42 | pending "), "{said}");
    assert!(
        said.ends_with(" T-42   done        alice at acme: UPDATE 1\n"),
        "{said}"
    );
    assert!(!said.contains("T-1042"), "{said}");
}

//! Load on the parser: while some send what takes it longest, everybody else's statements are read, held and answered
//! as ever (hazards R10, V24). It counts answers, and measures no time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use harness::raw::{self, Raw};
use harness::stage::{RULES, Stage, held_raw};

/// What nobody can read is denied here, so that whoever sends it goes on to the next.
const UNREAD: &str = r#"
[[rule]]
name = "unread"
class = "opaque"
verdict = "deny"
message = "nobody reads this"
"#;

/// How many statements of somebody else must be answered at least.
const ENOUGH: usize = 100;

/// How many of them at least for each text that takes long to read, but for the first few.
const TURNS_MIN: usize = 3;
const HEAD_START: usize = 10;

/// A kind of text that is hard on the parser, and how many of it somebody has sent and had answered.
struct Load {
    name: &'static str,
    /// The number makes it another text each time: none is known already.
    text: fn(usize) -> String,
    /// Whether it is too much for anybody to read. What is not may still wait too long to be read.
    refused: bool,
    sent: AtomicUsize,
    answered: AtomicUsize,
}

fn load(name: &'static str, refused: bool, text: fn(usize) -> String) -> Load {
    Load {
        name,
        text,
        refused,
        sent: AtomicUsize::new(0),
        answered: AtomicUsize::new(0),
    }
}

fn loads() -> [Load; 7] {
    let parens = |n| format!("select {}{n}{}", "(".repeat(100_000), ")".repeat(100_000));
    // To the lexer each run is an operator, then one that is shorter by a sign, and so on.
    let runs = |n| format!("select {n}{}", format!(" {} 1", "+".repeat(500)).repeat(50));
    [
        load("a sum of 100,000 terms", true, |n| {
            format!("select {n}{}", "+1".repeat(100_000))
        }),
        load("a list of 100 KB", false, |n| {
            format!("select 1 where {n} in (0{})", ",1".repeat(50_000))
        }),
        load("parentheses", true, parens),
        load("a run of operators", true, |n| {
            format!("select {n} {} 1", "+".repeat(250_000))
        }),
        load("many runs of operators", false, runs),
        load("comments in comments", true, |n| {
            format!("select {n} {}", "/*".repeat(125_000))
        }),
        load("comments in comments, with blanks", true, |n| {
            format!("select {n} {}", "/* ".repeat(80_000))
        }),
    ]
}

impl Load {
    #[track_caller]
    fn send_until(&self, over: &AtomicBool, mut client: Raw) {
        for number in 0.. {
            if over.load(Ordering::SeqCst) {
                return;
            }
            let message = raw::query(&(self.text)(number));
            self.sent.fetch_add(1, Ordering::SeqCst);
            client.send(&message);
            let answer = client.frames_until(b'Z');
            self.answered.fetch_add(1, Ordering::SeqCst);
            let refused = answer[0].tag == b'E' && answer[0].sqlstate() == "ZG001";
            let read = matches!(&*raw::tags(&answer), "TDCZ" | "TCZ");
            assert!(
                refused || read && !self.refused,
                "{}: {}",
                self.name,
                answer[0].describe()
            );
        }
    }

    /// Whether a text of it is on its way, or being read.
    fn is_under_way(&self) -> bool {
        self.sent.load(Ordering::SeqCst) > self.answered.load(Ordering::SeqCst)
    }

    /// Were long texts read where all sessions are served, everybody would have a turn for each of them.
    fn is_ahead_of(&self, others: usize) -> bool {
        let answered = self.answered.load(Ordering::SeqCst);
        !self.refused && answered > HEAD_START + others / TURNS_MIN
    }

    fn was_answered(&self) -> bool {
        self.answered.load(Ordering::SeqCst) > 0
    }
}

/// Ends the load however the test ends.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Whatever of it is under way, each statement is answered; and each kind was under way when one was.
#[test]
fn whoever_loads_the_parser_keeps_nobody_waiting() {
    let stage = Stage::with(|setup| setup.rules = format!("{UNREAD}{RULES}"));
    let (loads, over) = (loads(), AtomicBool::new(false));
    let mut beside = [0_usize; 7];
    thread::scope(|scope| {
        let _ends = Ends(&over);
        let senders: Vec<_> = loads
            .iter()
            .map(|load| (load, stage.raw("alice"), &over))
            .map(|(load, client, over)| scope.spawn(move || load.send_until(over, client)))
            .collect();
        let mut bob = stage.raw("bob");
        let mut number = 0;
        let all = |it: fn(&Load) -> bool| loads.iter().all(it);
        while number < ENOUGH || !all(Load::was_answered) || beside.contains(&0) {
            if senders.iter().any(thread::ScopedJoinHandle::is_finished) {
                break;
            }
            number += 1;
            assert!(asks(&mut bob, number), "statement {number}");
            let ahead = loads.iter().find(|load| load.is_ahead_of(number));
            let ahead = ahead.map(|load| load.name);
            assert_eq!(ahead, None, "{number} others were answered");
            for (load, beside) in loads.iter().zip(&mut beside) {
                *beside += usize::from(load.is_under_way());
            }
        }
        // A write is held, signed and done as ever.
        bob.send(&raw::query("update t set note = 'new' where id = 1"));
        let ticket = held_raw(&mut bob);
        let decided = Raw::login(&stage.console("carol")).query(&format!("APPROVE {ticket}"));
        assert!(raw::tags(&decided).ends_with("DCZ"));
        assert_eq!(raw::tags(&bob.frames_until(b'Z')), "NCZ");
    });
    assert!(!beside.contains(&0), "{beside:?}");
}

/// A short statement that nobody has asked before, by one protocol and the other; whether it was answered with its row.
fn asks(client: &mut Raw, number: usize) -> bool {
    let sql = format!("select note, {number} from t where id = 1");
    if number.is_multiple_of(2) {
        return raw::tags(&client.query(&sql)) == "TDCZ";
    }
    let batch = [
        raw::parse("", &sql),
        raw::bind("", ""),
        raw::execute(""),
        raw::sync(),
    ];
    client.send(&batch.concat());
    raw::tags(&client.frames_until(b'Z')) == "12DCZ"
}

//! `make killpoints`: ends the gate as `kill -9` does, and PostgreSQL under it, at every step of a signed statement, in every
//! shape, and once more while it recovers; then asks again, and holds what the tickets say against what is in the database.
//! `killpoints [STEP..]` takes these steps alone; ROUNDS plays all that so many times, LEDGER=0 leaves what is in doubt to a
//! person, and BREAK asks for a gate with a fault, which must be found: without a ledger, which would not let it do harm. It
//! never signs for the same thing twice.

#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what it prints is what it is for; whoever asks for what there is not is told so"
)]

use std::env;
use std::process::ExitCode;

use harness::killpoints::{Fault, Kill, SHAPES, Shape, Step, Sweep, Turn, Victim};

/// The faults that may be asked for, and whether a kill is to show them.
const BREAKS: [(&str, bool); 2] = [("claim-after-send", true), ("double-claim", false)];

/// What was found.
#[derive(Default)]
struct Tally {
    /// The shape that is played.
    shape: Option<&'static str>,
    /// In the order of the steps.
    hits: [Hits; Step::ALL.len()],
    duplicates: usize,
    lost: usize,
}

/// What was hit at a step.
#[derive(Default)]
struct Hits {
    gate: usize,
    server: usize,
    /// The gate that came back, while it settled what was left.
    again: usize,
    /// Tickets whose effect nobody knew since.
    in_doubt: usize,
    /// Those of which the ledger told.
    resolved: usize,
}

fn main() -> ExitCode {
    let rounds = env::var("ROUNDS").ok().filter(|it| !it.is_empty());
    let rounds: u32 = rounds.map_or(1, |it| it.parse().expect("ROUNDS is a number"));
    let fault = env::var("BREAK").ok().filter(|it| !it.is_empty());
    let only: Vec<String> = env::args().skip(1).collect();
    let needs_kill = fault.as_deref().map(|fault| {
        let known = BREAKS.iter().find(|it| it.0 == fault);
        known.expect("BREAK is claim-after-send or double-claim").1
    });
    let ledger = env::var("LEDGER").is_ok_and(|it| it == "0");
    let ledger = !ledger && fault.is_none();
    let mut sweep = Sweep::start(ledger, fault.as_deref());
    commit_to_disk();
    let mut tally = Tally::default();
    // A fault that needs no kill shows first.
    let unharmed = SHAPES.into_iter().map(|shape| (shape, None));
    let killed = |shape| {
        let kills = kills(shape, &only, ledger).into_iter();
        kills.map(move |kill| (shape, Some(kill)))
    };
    let round = || SHAPES.into_iter().flat_map(killed);
    for (shape, kill) in unharmed.chain((0..rounds).flat_map(|_| round())) {
        let found = tally.add(shape, kill, &mut sweep);
        if found && needs_kill.is_some_and(|it| kill.is_some() || !it) {
            break;
        }
    }
    if let Some(fault) = fault {
        let not = if tally.faults() > 0 { "" } else { "not " };
        println!("\n{fault} was {not}found");
    }
    tally.end(&sweep, ledger)
}

/// The sandbox's server forgets what it has just confirmed when it is killed; this one must not.
fn commit_to_disk() {
    for sql in [
        "alter system set synchronous_commit = on",
        "select pg_reload_conf()",
    ] {
        harness::postgres()
            .sql("postgres", sql)
            .expect("the server takes it");
    }
}

/// Everybody, at every step of every turn that has one.
fn kills(shape: Shape, only: &[String], ledger: bool) -> Vec<Kill> {
    let mut kills = Vec::new();
    let at_stake = |turn: &Turn| !matches!(turn, Turn::Begin);
    let turns = shape.turns.iter().enumerate();
    for (turn, what) in turns.filter(|(_, it)| at_stake(it)) {
        for step in Step::ALL {
            if !only.is_empty() && !only.contains(&format!("{step:?}")) {
                continue;
            }
            // Data of a COPY is forwarded and answered once more.
            let more = matches!(step, Step::Forward | Step::Forwarded | Step::Reply);
            let times = if shape.name == "COPY" && more { 2 } else { 1 };
            for time in 1..=times {
                let kill = |victim, then| Kill {
                    turn,
                    step,
                    time,
                    victim,
                    then,
                };
                kills.push(kill(Victim::Gate, None));
                kills.push(kill(Victim::Server, None));
                if [Step::Claimed, Step::IntentSynced, Step::RecordSynced].contains(&step) {
                    let again = [Step::SettleMade, Step::Settled];
                    kills.extend(again.map(|it| kill(Victim::Gate, Some(it))));
                }
                // One that has not run, and one that has. The intent of a COMMIT is on disk with what came of it.
                let signed = matches!(what, Turn::Signed(..));
                let leaves_doubt = step == Step::Reply || (signed && step == Step::IntentSynced);
                if ledger && leaves_doubt {
                    kills.extend(Step::OF_A_DOUBT.map(|it| kill(Victim::Gate, Some(it))));
                }
            }
        }
    }
    kills
}

impl Tally {
    /// Plays a case, and says whether it shows a fault.
    fn add(&mut self, shape: Shape, kill: Option<Kill>, sweep: &mut Sweep) -> bool {
        if self.shape != Some(shape.name) {
            println!("{} ...", shape.name);
            self.shape = Some(shape.name);
        }
        let came = sweep.run(shape, kill);
        if let Some(kill) = kill
            && came.killed
            && let Some(at) = Step::ALL.iter().position(|it| *it == kill.step)
        {
            let hits = &mut self.hits[at];
            match kill.victim {
                Victim::Gate => hits.gate += 1,
                Victim::Server => hits.server += 1,
            }
            hits.again += usize::from(came.killed_again);
            hits.in_doubt += came.in_doubt;
            hits.resolved += came.resolved;
        }
        for fault in &came.faults {
            let what = match fault {
                Fault::Duplicate(says) => {
                    self.duplicates += 1;
                    format!("duplicate: {says}")
                }
                Fault::Lost(says) => {
                    self.lost += 1;
                    format!("lost: {says}")
                }
            };
            let place = kill.map_or("nobody was killed".to_owned(), |it| {
                let Kill {
                    turn,
                    step,
                    time,
                    victim,
                    then,
                } = it;
                let then = then.map_or(String::new(), |it| format!(", and again at {it:?}"));
                format!("{victim:?} killed at {step:?}, time {time}, of turn {turn}{then}")
            });
            println!("FAULT in {}, {place}: {what}", shape.name);
        }
        !came.faults.is_empty()
    }

    fn faults(&self) -> usize {
        self.duplicates + self.lost
    }

    /// The table and the last line.
    fn end(&self, sweep: &Sweep, ledger: bool) -> ExitCode {
        let line = |name: &str, cells: [&str; 5]| {
            let [gate, server, again, in_doubt, resolved] = cells;
            println!("{name:<14} {gate:>6} {server:>11} {again:>12} {in_doubt:>9} {resolved:>9}");
        };
        println!();
        line(
            "killed at",
            ["gate", "PostgreSQL", "in recovery", "in doubt", "resolved"],
        );
        for (step, hits) in Step::ALL.iter().zip(&self.hits) {
            let cells = [
                hits.gate,
                hits.server,
                hits.again,
                hits.in_doubt,
                hits.resolved,
            ];
            let cells = cells.map(|it| it.to_string());
            line(&format!("{step:?}"), cells.each_ref().map(String::as_str));
        }
        let journal = sweep.verify();
        let verifies = journal.code == 0;
        if !verifies {
            println!("FAULT: the journal does not verify: {}", journal.stderr);
        }
        let sum = |of: fn(&Hits) -> usize| self.hits.iter().map(of).sum::<usize>();
        let kills = sum(|it| it.gate + it.server + it.again);
        let (in_doubt, resolved) = (sum(|it| it.in_doubt), sum(|it| it.resolved));
        let became = if ledger {
            format!("{resolved} resolved")
        } else {
            format!("{} left to a person", in_doubt - resolved)
        };
        let unresolved = ledger && resolved != in_doubt;
        let Self {
            duplicates, lost, ..
        } = self;
        println!(
            "\n{kills} kills, {duplicates} duplicates, {lost} lost, {in_doubt} in doubt, {became}"
        );
        ExitCode::from(u8::from(self.faults() > 0 || unresolved || !verifies))
    }
}

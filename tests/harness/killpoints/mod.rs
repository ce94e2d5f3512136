//! A sweep of kills: the gate, or its server, ends at a step of a signed statement, whoever asked asks again, and what the
//! tickets say is held against what is in the database. It signs once for each thing that is asked for: what is asked for
//! again and not signed any more is for a person to look at, and is rejected here.

mod history;
mod shape;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

pub use history::{Fault, Listed};
pub use shape::{How, SHAPES, Shape, Turn};
pub use store::killpoint::Step;

use crate::DEADLINE;
use crate::cli::killpoints_binary;
use crate::gate::GateDir;
use crate::process::{Finished, Program, send_signal};
use crate::raw::{self, End, Frame, Raw};
use crate::stage::{Setup, Stage, eventually, held_raw, ticket_in};

/// The variable that tells a gate where its order is.
const ORDER: &str = "PORTCULLIS_KILLPOINTS";
/// How long to listen to a client before looking at the gate.
const LOOK: Duration = Duration::from_millis(5);

/// Who is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    Gate,
    Server,
}

/// Where somebody is ended: in this turn of a shape, when the step is reached for this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kill {
    pub turn: usize,
    pub step: Step,
    pub time: u32,
    pub victim: Victim,
    /// And where the gate that comes back is ended, while it settles what was left.
    pub then: Option<Step>,
}

/// What came of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Came {
    /// Somebody was ended: the step was reached.
    pub killed: bool,
    /// So was the gate that came back.
    pub killed_again: bool,
    /// Tickets that were in doubt since.
    pub in_doubt: usize,
    /// Those of them that a ledger has told of; the others are left to a person.
    pub resolved: usize,
    pub faults: Vec<Fault>,
}

/// A gate that can be ended, and all that was asked for.
#[derive(Debug)]
pub struct Sweep {
    stage: Option<Stage>,
    /// Whether there is a ledger that can tell what became of what is in doubt.
    ledger: bool,
    order: PathBuf,
    orders: u32,
    number: u32,
    case: Case,
}

/// What is under way.
#[derive(Debug, Default)]
struct Case {
    kill: Option<Kill>,
    /// The keys that were asked for, each with the ticket that was signed for it.
    signed: BTreeMap<String, String>,
    crashed: bool,
    killed_again: bool,
    /// Consoles whose answer nobody waits for.
    consoles: Vec<Raw>,
}

/// How a turn ended for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Done,
    Failed,
    Closed,
}

impl Sweep {
    /// Starts, with a ledger or without, and with this fault in the gate if there is one.
    #[track_caller]
    pub fn start(ledger: bool, fault: Option<&str>) -> Self {
        let mut directory = GateDir::of(killpoints_binary());
        let order = directory.write("order", "");
        directory.set(ORDER, &order.to_string_lossy());
        if let Some(fault) = fault {
            directory.set("PORTCULLIS_BREAK", fault);
        }
        let setup = Setup {
            tables: "create table effects (key text)".to_owned(),
            ledger,
            ..Setup::default()
        };
        Self {
            stage: Some(setup.start_in(directory)),
            ledger,
            order,
            orders: 0,
            number: 0,
            case: Case::default(),
        }
    }

    /// Plays a shape, with a kill or without, and again after it; then looks at what there is.
    #[track_caller]
    pub fn run(&mut self, shape: Shape, kill: Option<Kill>) -> Came {
        self.number += 1;
        self.case = Case {
            kill,
            ..Case::default()
        };
        self.play(shape);
        self.crash_stopped();
        self.disarm();
        let effects = self.effects();
        // It may have read its order just before that was taken away.
        self.crash_stopped();
        let died = self.gate_state().is_none_or(|it| it == 'Z');
        if died {
            self.bring_back();
        }
        let killed = died || self.case.crashed;
        if killed {
            self.case.kill = None;
            self.play(shape);
        }
        let tickets = self.quiet_tickets();
        let effects = if killed { self.effects() } else { effects };
        let left = tickets.iter().filter(|it| it.state == "in_doubt").count();
        let resolved = tickets.iter().filter(|it| killed && self.is_resolved(it));
        let resolved = resolved.count();
        Came {
            killed,
            killed_again: self.case.killed_again,
            in_doubt: left + resolved,
            resolved,
            faults: history::faults(&tickets, &effects, &self.case.signed),
        }
    }

    /// What `portcullis audit verify` says of all that was written.
    pub fn verify(&self) -> Finished {
        let state = self.stage().gate.directory().file("state");
        let program = Program::new(Command::new(killpoints_binary()));
        program.run(&["audit", "verify", "--state", &state.to_string_lossy()])
    }

    fn stage(&self) -> &Stage {
        self.stage.as_ref().expect("it is between two gates")
    }

    /// Whether a ledger has told what became of it.
    fn is_resolved(&self, ticket: &Listed) -> bool {
        let ended = ["done", "fenced"].contains(&&*ticket.state);
        let told = || self.stage().ticket("bob", &ticket.id, "outcome");
        self.ledger && ended && told().starts_with("the ledger says")
    }

    fn play(&mut self, shape: Shape) {
        let mut client = self.stage().raw("alice");
        let spare = Raw::login(&self.stage().console("bob"));
        self.case.consoles.push(spare);
        for (number, turn) in shape.turns.iter().enumerate() {
            let armed = self.case.kill.is_some_and(|it| it.turn == number);
            let heard = match *turn {
                Turn::Begin | Turn::Commit => {
                    if armed {
                        self.arm();
                    }
                    let commits = matches!(turn, Turn::Commit);
                    client.send(&raw::query(if commits { "commit" } else { "begin" }));
                    self.hear(&mut client, "", false)
                }
                Turn::Signed(how, letter) => self.ask(&mut client, how, letter, armed),
            };
            match heard {
                Heard::Done => {}
                Heard::Failed => break,
                Heard::Closed => return,
            }
        }
        // Once this is answered, whatever the end of the last turn led to has been done.
        client.send(&raw::query(""));
        self.hear(&mut client, "", false);
    }

    /// One turn that has to be signed, or was.
    fn ask(&mut self, client: &mut Raw, how: How, letter: char, armed: bool) -> Heard {
        let key = format!("case-{}-{letter}", self.number);
        let bytes = how.ask(&key);
        let again = self.case.signed.contains_key(&key);
        match how {
            How::Ahead if !again => {
                let mut other = self.stage().raw("alice");
                other.send(&bytes);
                let ticket = held_raw(&mut other);
                other.send(&raw::terminate());
                other.frames_until_closed();
                self.stage().approve(&ticket);
                self.case.signed.insert(key.clone(), ticket);
                if armed {
                    self.arm();
                }
                client.send(&bytes);
                self.hear(client, &key, false)
            }
            How::Twice if !again => {
                let mut other = self.stage().raw("alice");
                other.send(&bytes);
                held_raw(&mut other);
                client.send(&bytes);
                let heard = self.hear(client, &key, armed);
                self.hear(&mut other, &key, false);
                heard
            }
            _ => {
                client.send(&bytes);
                self.hear(client, &key, armed)
            }
        }
    }

    /// Listens up to the end of a turn. A hold is signed for if it is the first of its key, which may be where the kill
    /// is armed; else it is rejected.
    fn hear(&mut self, client: &mut Raw, key: &str, armed: bool) -> Heard {
        let deadline = Instant::now() + DEADLINE;
        let mut failed = false;
        while Instant::now() < deadline {
            match client.frame_within(LOOK) {
                Ok(frame) => match frame.tag {
                    b'N' => {
                        let notice = frame.field('M').unwrap_or_default();
                        if let Some(ticket) = ticket_in(&notice) {
                            self.decide(key, ticket, armed);
                        }
                    }
                    b'G' => client.send(&How::data(key)),
                    b'E' => failed = true,
                    b'Z' if failed => return Heard::Failed,
                    b'Z' => return Heard::Done,
                    _ => {}
                },
                Err(End::Silent) => self.crash_stopped(),
                Err(_) => return Heard::Closed,
            }
        }
        panic!("case {} never came to an end", self.number);
    }

    fn decide(&mut self, key: &str, ticket: String, armed: bool) {
        if self.case.signed.contains_key(key) {
            // The gate may be dead by now: by whatever console was open before.
            let rejection = raw::query(&format!("REJECT {ticket} 'look first'"));
            let open = self.case.consoles.last_mut();
            open.expect("each attempt opens one").send(&rejection);
        } else {
            let mut console = Raw::login(&self.stage().console("bob"));
            if armed {
                self.arm();
            }
            console.send(&raw::query(&format!("APPROVE {ticket}")));
            self.case.signed.insert(key.to_owned(), ticket);
            // The answer may never come.
            self.case.consoles.push(console);
        }
    }

    /// From now on the step counts.
    fn arm(&mut self) {
        let Some(kill) = self.case.kill else { return };
        let how = match kill.victim {
            Victim::Gate => "kill",
            Victim::Server => "stop",
        };
        self.give(&format!("{:?} {} {how}", kill.step, kill.time));
    }

    fn give(&mut self, order: &str) {
        self.orders += 1;
        // Whole or not at all: it is read meanwhile.
        let draft = self.order.with_extension("draft");
        fs::write(&draft, format!("{} {order}", self.orders)).unwrap();
        fs::rename(&draft, &self.order).unwrap();
    }

    fn disarm(&self) {
        fs::write(&self.order, "").unwrap();
    }

    /// The gate's state in /proc: `T` is stopped, `Z` dead.
    fn gate_state(&self) -> Option<char> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.stage().gate.id())).ok()?;
        let (_, rest) = stat.rsplit_once(") ")?;
        rest.chars().next()
    }

    /// Ends the server if the gate has stopped for that, and lets the gate go on when the server is back. A process of the
    /// server dies as by `kill -9`, and the server then ends all others and recovers.
    fn crash_stopped(&mut self) {
        if self.gate_state() != Some('T') {
            return;
        }
        let stage = self.stage.as_mut().expect("it is between two gates");
        let postgres = stage.database.server.postgres();
        let writer = || {
            let find = "select pid from pg_stat_activity where backend_type = 'walwriter'";
            postgres.sql("postgres", find).unwrap_or_default()
        };
        let old = writer();
        send_signal("KILL", old.parse().expect("the server has a walwriter"));
        eventually("the server is back", || {
            let new = writer();
            !new.is_empty() && new != old
        });
        fs::write(&self.order, "").unwrap();
        stage.gate.signal("CONT");
        self.case.crashed = true;
    }

    /// Starts the gate again, once nothing that it had sent runs any more.
    fn bring_back(&mut self) {
        let mut stage = self.stage.take().expect("it is between two gates");
        assert_eq!(stage.gate.wait(), 128 + 9, "it did not end as told");
        eventually("its connections are gone", || stage.upstreams("") == 0);
        if let Some(step) = self.case.kill.and_then(|it| it.then) {
            self.give(&format!("{step:?} 1 kill"));
            let config = stage.gate.directory().file("portcullis.toml");
            let mut gate = Program::new(Command::new(killpoints_binary()))
                .env(ORDER, &self.order.to_string_lossy())
                .spawn(&["serve", "--config", &config.to_string_lossy()]);
            // It is not ready before everything is settled; doubts are seen to behind that.
            let ready = gate.stdout().wait_within("ready on ", DEADLINE);
            if Step::OF_A_DOUBT.contains(&step) {
                eventually("it ends over its doubt", || !gate.is_running());
                self.case.killed_again = true;
            } else {
                self.case.killed_again = ready.is_err();
            }
            self.disarm();
        }
        self.stage = Some(stage.restart());
    }

    fn effects(&self) -> BTreeMap<String, usize> {
        let keys = format!("case-{}-", self.number);
        let count = format!(
            "select key, count(*) from effects where starts_with(key, '{keys}') group by key"
        );
        let rows = self.stage().database.sql(&count);
        let rows = rows.lines().filter_map(|it| it.split_once('|'));
        rows.map(|(key, count)| (key.to_owned(), count.parse().unwrap()))
            .collect()
    }

    /// The tickets of this case, once none is at work any more, or when that lasts too long.
    fn quiet_tickets(&self) -> Vec<Listed> {
        let mut console = Raw::login(&self.stage().console("bob"));
        let deadline = Instant::now() + DEADLINE / 6;
        let keys = format!("'case-{}-", self.number);
        loop {
            let listed = console.query("SHOW TICKETS ALL");
            let rows = listed.iter().filter(|frame| frame.tag == b'D');
            let tickets: Vec<Listed> = rows
                .map(Frame::columns)
                .map(|columns| {
                    let column = |at: usize| columns[at].clone().unwrap_or_default();
                    Listed {
                        id: column(0),
                        state: column(1),
                        statement: column(columns.len() - 1),
                    }
                })
                .filter(|it| it.statement.contains(&keys))
                .collect();
            let at_work =
                |it: &Listed| it.state == "executing" || (self.ledger && it.state == "in_doubt");
            let at_work = tickets.iter().any(at_work);
            if !at_work || Instant::now() > deadline {
                return tickets;
            }
        }
    }
}

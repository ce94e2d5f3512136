//! The stage of one seed: who takes part, how often the gate and its server die, and when the day is over. It judges nothing.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Once;
use std::time::Duration;

use gate::Tickets as _;
use gate::ticket::State;
use gate::tickets::Filter;
use proxy::config::Config;
use proxy::simulate::Gate;
use session::PoolMode;
use store::Sqlite;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::{sleep, timeout};
use wire::scram::Verifier;

use super::Came;
use super::approver::Approver;
use super::checker::check;
use super::dice::Dice;
use super::door::Door;
use super::history::{Fault, History};
use super::journal::{Disk, Memory};
use super::life::Life;
use super::line::PASSWORD;
use super::postgres::Postgres;
use super::requester::{Requester, TENANT};
use super::shelf::Shelf;
use super::world::{Cable, Clock, Virtual};

/// Who asks; who has two names here has two sessions at the same time.
const REQUESTERS: [&str; 5] = ["alice", "alice", "alice", "dave", "dave"];
/// Who is on the console.
const APPROVERS: [&str; 4] = ["bob", "carol", "alice", "dave"];
/// After that nobody may still be at work.
const DAY: Duration = Duration::from_hours(1);
/// What is left to do when everybody has gone takes no longer.
const EVENING: Duration = Duration::from_mins(1);

thread_local! {
    /// How often something panicked on this thread.
    static PANICS: Cell<u32> = const { Cell::new(0) };
}

/// All that outlives a gate.
struct Stage {
    dice: Dice,
    history: Rc<History>,
    config: Config,
    clock: Clock,
    store: Sqlite,
    disk: Rc<Disk>,
    server: Rc<Postgres>,
    door: Rc<Door>,
    /// The life that is to begin.
    begins: RefCell<Option<Rc<Life>>>,
    /// Nobody dies any more.
    evening: Cell<bool>,
    closing: Rc<Cell<bool>>,
    /// So many people sign for each ticket.
    needs: usize,
    keys: Rc<Vec<String>>,
}

/// Plays a seed.
pub(super) fn play(seed: u64) -> Came {
    count_panics();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let before = PANICS.get();
    runtime.block_on(async {
        let stage = Rc::new(Stage::new(seed));
        stage.play().await;
        if PANICS.get() != before {
            let says = "something panicked".to_owned();
            stage.history.fault(Fault::Broke(says));
        }
        stage.judge(seed).await
    })
}

/// A task that panics takes nobody with it: it must be noticed.
fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.set(PANICS.get() + 1);
            before(info);
        }));
    });
}

impl Stage {
    fn new(seed: u64) -> Self {
        let dice = Dice::of(seed);
        let history = Rc::new(History::new());
        let clock = Clock::new();
        let needs = if dice.chance(150) { 2 } else { 1 };
        let config = config(&dice, needs);
        let disk = Rc::<Disk>::default();
        let keys = (0..dice.between(1, 5)).map(|it| format!("key-{it}"));
        Self {
            store: Sqlite::in_memory(clock.clone(), config.tickets).unwrap(),
            server: Postgres::new(&dice, &history, &disk),
            door: Rc::new(Door::new(&dice)),
            begins: RefCell::default(),
            evening: Cell::new(false),
            closing: Rc::default(),
            keys: Rc::new(keys.collect()),
            needs,
            disk,
            config,
            clock,
            history,
            dice,
        }
    }

    /// Drives the world outside and the gate, each on a `LocalSet` of its own, until the day is over.
    async fn play(self: &Rc<Self>) {
        let outside = LocalSet::new();
        let mut gate: Option<(LocalSet, Rc<Life>)> = None;
        let mut director = Box::pin(outside.run_until(Rc::clone(self).direct()));
        poll_fn(|cx| {
            let over = director.as_mut().poll(cx);
            if let Some(life) = self.begins.borrow_mut().take() {
                let set = LocalSet::new();
                set.spawn_local(live(Rc::clone(self), Rc::clone(&life)));
                gate = Some((set, life));
            }
            if let Some((set, life)) = &mut gate {
                let _done = Pin::new(set).poll(cx);
                if life.is_over() {
                    // All that it had in memory is gone.
                    self.door.close();
                    gate = None;
                }
            }
            over
        })
        .await;
    }

    /// Everything outside the gate.
    async fn direct(self: Rc<Self>) {
        tokio::task::spawn_local(Rc::clone(&self.server).listen());
        tokio::task::spawn_local(Rc::clone(&self).lives());
        tokio::task::spawn_local(Rc::clone(&self).outages());
        tokio::task::spawn_local(Rc::clone(&self).clock_jumps());
        for (number, person) in APPROVERS.into_iter().enumerate() {
            let approver = Approver {
                person,
                name: format!("{person} on the console ({number})"),
                dice: self.dice.own(),
                door: Rc::clone(&self.door),
                history: Rc::clone(&self.history),
                closing: Rc::clone(&self.closing),
            };
            tokio::task::spawn_local(approver.work());
        }
        let requesters = self.requesters();
        if timeout(DAY, all(requesters)).await.is_err() {
            let says = "somebody is still at work at the end of the day".to_owned();
            self.history.fault(Fault::Hang(says));
        }
        self.evening.set(true);
        self.closing.set(true);
        self.become_quiet().await;
    }

    /// Whether its tenant has transaction blocks.
    fn blocks(&self) -> bool {
        let tenant = self.config.tenants.find(TENANT).unwrap();
        tenant.pool_mode != PoolMode::Statement
    }

    fn requesters(self: &Rc<Self>) -> Vec<JoinHandle<()>> {
        let many = usize::try_from(self.dice.between(2, REQUESTERS.len() as u64)).unwrap();
        let mut people = REQUESTERS;
        self.dice.shuffle(&mut people);
        let start = |(number, person): (usize, &&'static str)| {
            let requester = Requester {
                person,
                name: format!("{person} ({number})"),
                dice: self.dice.own(),
                door: Rc::clone(&self.door),
                history: Rc::clone(&self.history),
                blocks: self.blocks(),
                keys: Rc::clone(&self.keys),
            };
            tokio::task::spawn_local(requester.work(self.dice.between(1, 3)))
        };
        people.iter().take(many).enumerate().map(start).collect()
    }

    /// What came of it all.
    async fn judge(&self, seed: u64) -> Came {
        let history = &self.history;
        let tickets = self.store.list(Filter::default()).await.unwrap();
        for it in &tickets {
            let (id, requester, state) = (it.id, &it.requester, it.state);
            history.say(format_args!("at the end {id} of {requester} is {state}"));
        }
        check(history, &self.disk, &tickets, (&self.keys, self.needs));
        let in_doubt = tickets.iter().filter(|it| it.state == State::InDoubt);
        Came {
            seed,
            statements: history.statements.get(),
            crashes: history.crashes.get(),
            in_doubt: in_doubt.count(),
            faults: history.faults.borrow().clone(),
            history: history.lines(),
        }
    }

    /// Waits until no ticket is at work any more. What was begun is seen to, whoever has gone.
    async fn become_quiet(&self) {
        let quiet = async {
            loop {
                sleep(Duration::from_secs(2)).await;
                let filter = Filter {
                    states: vec![State::Pending, State::Executing],
                    ..Filter::default()
                };
                if self.store.list(filter).await.unwrap().is_empty() {
                    return;
                }
            }
        };
        // If it does not, the checker says so.
        let _late = timeout(EVENING, quiet).await;
    }

    /// One life of the gate after the other.
    async fn lives(self: Rc<Self>) {
        let dice = self.dice.own();
        let deaths = dice.below(4);
        for number in 0.. {
            let dies = number < deaths && !self.evening.get();
            let life = Rc::new(if dies {
                Life::short(&dice)
            } else {
                Life::default()
            });
            *self.begins.borrow_mut() = Some(Rc::clone(&life));
            if dies && dice.chance(150) {
                let (life, after) = (Rc::clone(&life), dice.millis(0, 8000));
                tokio::task::spawn_local(async move {
                    sleep(after).await;
                    life.stops.notify_one();
                });
            }
            life.ended.notified().await;
            self.history.say("the gate is gone");
            self.history.crashes.set(self.history.crashes.get() + 1);
            sleep(dice.millis(1, 1500)).await;
        }
    }

    async fn outages(self: Rc<Self>) {
        let dice = self.dice.own();
        for _ in 0..dice.below(3) {
            sleep(dice.millis(100, 12_000)).await;
            if self.evening.get() {
                return;
            }
            self.history.say("the server is gone");
            self.server.crash();
            sleep(dice.millis(1, 2500)).await;
            self.server.start();
            self.history.say("the server is back");
        }
    }

    async fn clock_jumps(self: Rc<Self>) {
        let dice = self.dice.own();
        for _ in 0..dice.below(4) {
            sleep(dice.millis(100, 15_000)).await;
            let by = i64::try_from(dice.between(1, 90_000)).unwrap() - 30_000;
            self.history
                .say(format_args!("the clock is set by {by} ms"));
            self.clock.jump(by);
        }
    }
}

/// One life of the gate, from its start.
async fn live(stage: Rc<Stage>, life: Rc<Life>) {
    let history = &stage.history;
    history.say("the gate starts");
    let journal = Memory::open(&stage.disk, &life, &stage.dice, history);
    let shelf = Shelf::new(&stage.store, &life, &stage.dice, history);
    let world = Virtual {
        clock: stage.clock.clone(),
        dice: stage.dice.own(),
    };
    let cable = Cable {
        server: Rc::clone(&stage.server),
        life: Rc::clone(&life),
        dice: stage.dice.own(),
    };
    let gate = match Gate::start(world, cable, stage.config.clone(), (shelf, journal)).await {
        Ok(gate) => gate,
        Err(error) => {
            history.say(format_args!("the gate did not start: {error}"));
            return life.end();
        }
    };
    history.say("the gate listens");
    stage.door.open(&life);
    loop {
        let came = tokio::select! {
            biased;
            came = stage.door.next() => came,
            () = life.stops.notified() => break,
        };
        gate.serve(came.0, came.1);
    }
    history.say("the gate stops");
    gate.stop().await;
    life.end();
}

async fn all(tasks: Vec<JoinHandle<()>>) {
    for task in tasks {
        // What panicked was counted.
        let _ended = task.await;
    }
}

/// How the gate is set up: a small one, whose tickets do not live long.
fn config(dice: &Dice, needs: usize) -> Config {
    let verifier = Verifier::from_password(PASSWORD, b"salt", 1);
    let user =
        |name: &str| format!("{name} = {{ groups = [\"team\"], verifier = \"{verifier}\" }}\n");
    let users: String = ["alice", "bob", "carol", "dave"]
        .into_iter()
        .map(user)
        .collect();
    let mode = dice.pick(&["transaction", "transaction", "session", "statement"]);
    let (size, decide, using, budget) = (
        dice.between(1, 4),
        dice.between(3, 40),
        dice.between(2, 30),
        dice.between(1, 20),
    );
    let text = format!(
        r#"
listen = "127.0.0.1:6432"
state = "state"
node = "simulated"
tls.plaintext = true
policy.default = {{ approvals = {needs}, from = "team" }}
rule = [ {{ name = "reads pass", class = ["read", "session"], verdict = "allow" }} ]
pool.mode = "{mode}"
tickets = {{ decide_within = "{decide} s", use_within = "{using} s" }}
hold.transaction_budget = "{budget} s"
[tenant.{TENANT}]
host = "server"
user = "app"
sslmode = "disable"
pool_size = {size}
[user]
{users}"#
    );
    Config::parse(&text, Path::new("simulated.toml")).unwrap()
}

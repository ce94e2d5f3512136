//! Scripts for the laws: what a client, its neighbours, the approvers and a failing world may do, in any
//! order and at any moment between two answers. It never judges what came of it.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::dialect::{b, copy_fail, cp, cs, data, done, dp, ds, e, h, p, q, s};
use crate::words::tags;
use crate::world::World;

/// Messages, shown in short words when a law is broken.
#[derive(Clone)]
pub struct Said(pub Vec<u8>);

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", tags(&self.0))
    }
}

#[derive(Clone, Debug)]
pub enum Act {
    /// Whole turns: bytes up to a Query, a Sync or a FunctionCall.
    Client(Said),
    /// A COPY FROM STDIN by a client that waits for the server's word before it sends data.
    Copy(Copy),
    /// Things that happen while an answer to the session is on its way.
    Meanwhile(&'static str, Said, Vec<Event>),
    Happens(Event),
    /// The server dies in its answer to these bytes.
    Dies {
        bytes: Said,
        after: usize,
        fatal: bool,
    },
    Journal(bool),
    Store(bool),
    Pool(bool),
}

#[derive(Clone, Debug)]
pub enum Event {
    Approve,
    Reject,
    Cancel,
    Minute,
    Drain,
    Gone,
    UpstreamGone,
}

#[derive(Clone, Debug)]
pub struct Copy {
    open: Open,
    data: Vec<Said>,
    cancel: bool,
    end: Said,
    approve: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Query,
    Script,
    /// By batch, closed by a Flush, or by a Sync that comes too early (hazards V21).
    Flush,
    Sync,
}

/// How much may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    Fair,
    /// Whatever can break does.
    Foul,
}

const TEXTS: [&str; 22] = [
    "SELECT 1",
    "SELECT many",
    "SELECT notice",
    "SELECT boom",
    "SELECT nosuch",
    "SELECT sneaky",
    "SELECT big",
    "INSERT INTO t VALUES (#)",
    "INSERT INTO t VALUES (#)",
    "INSERT INTO boom VALUES (#)",
    "INSERT INTO deferred VALUES (#)",
    "CREATE TABLE t ()",
    "BEGIN",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "COMMIT AND CHAIN",
    "SAVEPOINT a",
    "ROLLBACK TO a",
    "RELEASE a",
    "",
    "SELEC",
];

const SCRIPTS: [&str; 10] = [
    "SELECT 1; SELECT 2",
    "SELECT many;; SELECT boom; SELECT 1",
    "BEGIN; INSERT INTO t VALUES (#)",
    "BEGIN; INSERT INTO t VALUES (#); COMMIT",
    "INSERT INTO t VALUES (#); COMMIT; BEGIN",
    "INSERT INTO t VALUES (#); SELECT boom",
    "INSERT INTO t VALUES (#); CREATE TABLE t ()",
    "COPY t TO STDOUT; INSERT INTO t VALUES (#)",
    "COPY t TO STDOUT",
    "ROLLBACK; SELECT 1",
];

fn numbered(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    (select(texts), 0..1_000_000u32).prop_map(|(text, n)| text.replace('#', &n.to_string()))
}

pub fn step() -> impl Strategy<Value = Vec<u8>> {
    let name = || select(&["", "s", "r"][..]);
    let portal = || select(&["", "c", "d"][..]);
    let text = || numbered(&TEXTS);
    prop_oneof![
        3 => (name(), text()).prop_map(|(name, text)| p(name, &text)),
        6 => (portal(), text(), 0..3i32).prop_map(|(portal, text, rows)| {
            [p("", &text), b(portal, ""), e(portal, rows)].concat()
        }),
        2 => (portal(), name()).prop_map(|(portal, name)| [b(portal, name), e(portal, 0)].concat()),
        1 => (portal(), name()).prop_map(|(portal, name)| b(portal, name)),
        1 => name().prop_map(ds),
        1 => portal().prop_map(dp),
        3 => (portal(), 0..3i32).prop_map(|(portal, rows)| e(portal, rows)),
        1 => name().prop_map(cs),
        1 => portal().prop_map(cp),
        2 => Just(h()),
    ]
}

/// A Query, or a batch with its Sync.
fn turn() -> impl Strategy<Value = Said> {
    let bytes = prop_oneof![
        6 => numbered(&TEXTS).prop_map(|text| q(&text)),
        2 => numbered(&SCRIPTS).prop_map(|text| q(&text)),
        1 => Just(function_call()),
        1 => any::<bool>().prop_map(|ok| {
            // A client that does not wait: what it sends ahead is dropped if there is no COPY.
            let end = if ok { done() } else { copy_fail("no") };
            [q("COPY t FROM STDIN"), data(b"1\n"), end].concat()
        }),
        8 => vec(step(), 0..7).prop_map(|steps| [steps.concat(), s()].concat()),
    ];
    bytes.prop_map(Said)
}

fn function_call() -> Vec<u8> {
    b"F\0\0\0\x0e\0\0\x08\x1e\0\0\0\0\0\0".to_vec()
}

fn copy() -> impl Strategy<Value = Act> {
    let piece = prop_oneof![4 => Just(data(b"1\n")), 1 => Just(s()), 1 => Just(h())].prop_map(Said);
    let open = select(&[Open::Query, Open::Script, Open::Flush, Open::Sync][..]);
    let end = prop_oneof![2 => Just(done()), 1 => Just(copy_fail("no"))].prop_map(Said);
    (open, vec(piece, 0..4), any::<bool>(), end, 0..4).prop_map(|(open, data, cancel, end, ok)| {
        Act::Copy(Copy {
            open,
            data,
            cancel,
            end,
            approve: ok > 0,
        })
    })
}

fn event(weather: Weather) -> impl Strategy<Value = Event> {
    let foul = u32::from(weather == Weather::Foul);
    prop_oneof![
        6 => Just(Event::Approve),
        1 => Just(Event::Reject),
        2 => Just(Event::Cancel),
        1 => Just(Event::Minute),
        foul => Just(Event::UpstreamGone),
        foul => Just(Event::Gone),
        foul => Just(Event::Drain),
    ]
}

/// Whose answer can be kept back.
pub const PAUSES: [&str; 7] = [
    "read", "ask", "checkout", "claim", "write", "settle", "upstream",
];

pub fn act(weather: Weather) -> impl Strategy<Value = Act> {
    let foul = u32::from(weather == Weather::Foul);
    let dies = (turn(), 0..120usize, any::<bool>());
    prop_oneof![
        12 => turn().prop_map(Act::Client),
        2 => copy(),
        6 => Just(Act::Happens(Event::Approve)),
        3 => event(weather).prop_map(Act::Happens),
        4 => (select(&PAUSES[..]), turn(), vec(event(weather), 1..3))
            .prop_map(|(pause, bytes, events)| Act::Meanwhile(pause, bytes, events)),
        2 * foul => dies.prop_map(|(bytes, after, fatal)| Act::Dies { bytes, after, fatal }),
        foul => any::<bool>().prop_map(Act::Journal),
        foul => any::<bool>().prop_map(Act::Store),
        foul => any::<bool>().prop_map(Act::Pool),
    ]
}

/// Acts without anything that is a matter of timing.
pub fn calm() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => turn().prop_map(Act::Client),
        2 => copy(),
        4 => Just(Act::Happens(Event::Approve)),
    ]
}

/// Plays them, cutting what the client sends into pieces of this size; says how many ReadyForQuery
/// the client is owed when all has come to its end.
pub fn play(world: &mut World, acts: &[Act], size: usize) -> usize {
    let mut owed = 0;
    for act in acts {
        if world.session.is_closed() {
            return owed;
        }
        match act {
            Act::Client(bytes) => owed += send(world, &bytes.0, size),
            Act::Copy(copy) => owed += copying(world, copy, size),
            Act::Meanwhile(pause, bytes, events) => {
                world.pause(pause);
                owed += send(world, &bytes.0, size);
                decide(world, true);
                for event in events {
                    if !world.session.is_closed() {
                        happen(world, event);
                    }
                    if matches!(event, Event::Gone) {
                        world.resume();
                        return owed;
                    }
                }
                world.resume();
            }
            Act::Happens(event) => {
                happen(world, event);
                if matches!(event, Event::Gone) {
                    return owed;
                }
            }
            Act::Dies {
                bytes,
                after,
                fatal,
            } => {
                world.dies = Some((*after, *fatal));
                owed += send(world, &bytes.0, size);
                decide(world, true);
                world.dies = None;
            }
            Act::Journal(down) => world.journal_down = *down,
            Act::Store(down) => world.store.0.borrow_mut().down = *down,
            Act::Pool(down) => {
                world.pool_error = down.then(session::Fault::upstream_lost);
            }
        }
    }
    world.store.0.borrow_mut().down = false;
    world.journal_down = false;
    world.pool_error = None;
    decide_all(world, true);
    owed
}

fn send(world: &mut World, bytes: &[u8], size: usize) -> usize {
    for piece in bytes.chunks(size) {
        if !world.session.is_closed() {
            world.client(piece);
        }
    }
    let mut rest = bytes;
    let mut turns = 0;
    while let Ok(Some(header)) = wire::frame::header(rest, usize::MAX) {
        turns += usize::from(matches!(header.tag, b'Q' | b'S' | b'F'));
        rest = &rest[header.total..];
    }
    turns
}

/// Whatever the client sends while the server copies is data; then it says Sync where it must.
fn copying(world: &mut World, copy: &Copy, size: usize) -> usize {
    decide_all(world, true);
    if world.session.is_closed() {
        return 0;
    }
    // By a name of its own: nobody else comes back to it.
    let name = "copy_in";
    let parse = p(name, "COPY t FROM STDIN");
    let batch = [cs(name), parse, b("", name), e("", 0)].concat();
    let open = match copy.open {
        Open::Query => q("COPY t FROM STDIN"),
        Open::Script => q("SELECT 1; COPY t FROM STDIN; SELECT 2"),
        Open::Flush => [batch, h()].concat(),
        Open::Sync => [batch, s()].concat(),
    };
    let before = world.heard.len();
    send(world, &open, size);
    decide_all(world, copy.approve);
    let by_query = matches!(copy.open, Open::Query | Open::Script);
    if !world.heard[before..].iter().any(|word| word == "G") {
        if copy.open == Open::Flush {
            send(world, &s(), size);
        }
        return 1;
    }
    for piece in &copy.data {
        send(world, &piece.0, size);
    }
    if copy.cancel && !world.session.is_closed() {
        world.cancel();
    }
    // A Sync is for a client by Query to send only while it is data.
    send(world, &copy.end.0, size);
    if !by_query {
        send(world, &s(), size);
    }
    1
}

fn happen(world: &mut World, event: &Event) {
    match event {
        Event::Approve => decide(world, true),
        Event::Reject => decide(world, false),
        Event::Cancel => world.cancel(),
        Event::Minute => world.wait(61),
        Event::Drain => world.say("drain", session::Input::Drain),
        Event::Gone => world.gone(),
        Event::UpstreamGone => world.upstream_gone(),
    }
}

/// Whatever still waits is decided, so that every turn comes to its end.
pub fn decide_all(world: &mut World, approve: bool) {
    for _ in 0..200 {
        if world.session.is_closed() || !world.is_waiting() {
            return;
        }
        decide(world, approve);
    }
    panic!("it waits for ever:\n{}", world.transcript());
}

pub fn decide(world: &mut World, approve: bool) {
    if let Some(ticket) = world.session.waits_for() {
        if approve {
            world.approve(ticket.0);
        } else {
            world.reject(ticket.0);
        }
    }
}

//! Laws over scripts that nobody thought of. The driver asserts the rest: nothing goes up unreleased
//! or before its intent is on disk, a claim is settled once, an intent has one outcome, a session
//! leaves a ticket exactly once, and an idle connection is idle.

use std::sync::Arc;

use gate::policy::Ruling;
use gate::{Policy, Rule, State};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use sql::Class;

use crate::dialect::{b, copy_fail, cp, cs, data, done, dp, ds, e, h, p, q, s};
use crate::world::{World, need, policy};

#[derive(Clone, Debug)]
enum Act {
    Client(Vec<u8>),
    Approve,
    Reject,
    Cancel,
    Minute,
    UpstreamGone,
    Journal(bool),
    Store(bool),
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

const SCRIPTS: [&str; 4] = [
    "SELECT 1; SELECT 2",
    "BEGIN; INSERT INTO t VALUES (#)",
    "INSERT INTO t VALUES (#); COMMIT; BEGIN",
    "INSERT INTO t VALUES (#); SELECT boom",
];

fn text() -> impl Strategy<Value = String> {
    (select(&TEXTS[..]), 0..1_000_000u32).prop_map(|(text, n)| text.replace('#', &n.to_string()))
}

fn any_text() -> impl Strategy<Value = String> {
    let scripts = (select(&SCRIPTS[..]), 0..1_000_000u32);
    prop_oneof![
        6 => text(),
        1 => scripts.prop_map(|(text, n)| text.replace('#', &n.to_string())),
    ]
}

fn step() -> impl Strategy<Value = Vec<u8>> {
    let name = || select(&["", "s"][..]);
    let portal = || select(&["", "c"][..]);
    prop_oneof![
        3 => (name(), text()).prop_map(|(name, text)| p(name, &text)),
        6 => (portal(), text()).prop_map(|(portal, text)| {
            [p("", &text), b(portal, ""), e(portal, 0)].concat()
        }),
        2 => (portal(), name()).prop_map(|(portal, name)| [b(portal, name), e(portal, 0)].concat()),
        1 => name().prop_map(ds),
        1 => portal().prop_map(dp),
        3 => (portal(), 0..3i32).prop_map(|(portal, rows)| e(portal, rows)),
        1 => name().prop_map(cs),
        1 => portal().prop_map(cp),
        2 => Just(h()),
    ]
}

/// A Query, or a batch with its Sync.
fn turn() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any_text().prop_map(|text| q(&text)),
        any::<bool>().prop_map(|ok| {
            let end = if ok { done() } else { copy_fail("no") };
            [q("COPY t FROM STDIN"), data(b"1\n"), end].concat()
        }),
        vec(step(), 0..6).prop_map(|steps| [steps.concat(), s()].concat()),
    ]
}

fn act(faults: bool) -> impl Strategy<Value = Act> {
    let faults = u32::from(faults);
    prop_oneof![
        12 => turn().prop_map(Act::Client),
        6 => Just(Act::Approve),
        1 => Just(Act::Reject),
        1 => Just(Act::Cancel),
        1 => Just(Act::Minute),
        faults => Just(Act::UpstreamGone),
        faults => any::<bool>().prop_map(Act::Journal),
        faults => any::<bool>().prop_map(Act::Store),
    ]
}

/// Held writes most of the time; or everything passes, or everything but reads, or nothing.
fn rules_of(which: i32) -> Arc<Policy> {
    let rule = |classes: Vec<Class>| Rule {
        name: Arc::from("r"),
        tenants: Vec::new(),
        users: Vec::new(),
        groups: Vec::new(),
        classes,
        ruling: Ruling::Allow,
    };
    match which {
        0 => Arc::new(Policy::allow_all()),
        1 => Arc::new(Policy::new(vec![rule(vec![Class::Write])], need("dba"))),
        2 => Arc::new(Policy::new(Vec::new(), need("dba"))),
        _ => policy(),
    }
}

fn play(world: &mut World, acts: &[Act]) {
    for act in acts {
        if world.session.is_closed() {
            return;
        }
        match act {
            Act::Client(bytes) => world.client(bytes),
            Act::Approve => decide(world, true),
            Act::Reject => decide(world, false),
            Act::Cancel => world.cancel(),
            Act::Minute => world.wait(61),
            Act::UpstreamGone => world.upstream_gone(),
            Act::Journal(down) => world.journal_down = *down,
            Act::Store(down) => world.store.0.borrow_mut().down = *down,
        }
    }
    world.store.0.borrow_mut().down = false;
    world.journal_down = false;
    // Whatever still waits is decided, so that every turn comes to its end.
    for _ in 0..200 {
        if world.session.is_closed() || !world.is_waiting() {
            return;
        }
        decide(world, true);
    }
    panic!("it waits for ever:\n{}", world.transcript());
}

fn decide(world: &mut World, approve: bool) {
    if let Some(ticket) = world.session.waits_for() {
        if approve {
            world.approve(ticket.0);
        } else {
            world.reject(ticket.0);
        }
    }
}

fn turns(acts: &[Act]) -> usize {
    let client = acts.iter().map(|act| match act {
        Act::Client(bytes) => {
            let mut rest = &bytes[..];
            let mut turns = 0;
            while let Ok(Some(header)) = wire::frame::header(rest, usize::MAX) {
                turns += usize::from(matches!(header.tag, b'Q' | b'S'));
                rest = &rest[header.total..];
            }
            turns
        }
        _ => 0,
    });
    client.sum()
}

fn ready(world: &World) -> usize {
    world
        .heard
        .iter()
        .filter(|word| word.starts_with("Z:"))
        .count()
}

/// What the tickets say is what the server did.
fn tickets_tell_the_truth(world: &World) {
    let inside = world.store.0.borrow();
    let signed = |text: &String| {
        let mut asked = inside.tickets.iter().flat_map(|it| &it.0.asked);
        asked.any(|it| it.text == *text)
    };
    let sneaked = |text: &&String| text.contains("sneaky") && !signed(text);
    let sneaked = world.server.committed.iter().find(sneaked);
    assert!(
        world.open_door || sneaked.is_none(),
        "{}",
        world.transcript()
    );
    for (ticket, _) in &inside.tickets {
        let all: Vec<&str> = ticket.asked.iter().map(|it| it.text.as_str()).collect();
        assert_ne!(
            ticket.state,
            State::Executing,
            "{all:?}\n{}",
            world.transcript()
        );
        let [text] = all[..] else { continue };
        let first = text.split(' ').next().unwrap_or_default();
        if first != "INSERT" || text.contains(';') {
            continue;
        }
        let times = |list: &[String]| list.iter().filter(|it| **it == text).count();
        let committed = times(&world.server.committed);
        let named = inside
            .tickets
            .iter()
            .filter(|(it, _)| it.asked.iter().any(|it| it.text == text));
        let named: Vec<_> = named.map(|it| &it.0).collect();
        if named.iter().any(|it| it.asked.len() > 1) {
            continue;
        }
        let states: Vec<State> = named.iter().map(|it| it.state).collect();
        let done = states.iter().filter(|it| **it == State::Done).count();
        let doubt = states.iter().filter(|it| **it == State::InDoubt).count();
        assert!(
            done <= committed && committed <= done + doubt,
            "{text}: {states:?}, committed {committed}\n{}",
            world.transcript()
        );
    }
}

fn hang_up(world: &mut World) {
    if !world.session.is_closed() {
        world.gone();
    }
    assert!(world.session.is_closed(), "{}", world.transcript());
    tickets_tell_the_truth(world);
}

proptest! {
    #[test]
    fn every_query_and_every_sync_is_answered_by_one_ready(
        acts in vec(act(false), 1..12),
        rules in 0..4,
        settings in any::<bool>(),
    ) {
        let mut world = World::with(rules_of(rules));
        world.open_door = rules == 0;
        if settings {
            world.leased_settings = [("geqo".to_owned(), "off".to_owned())].into();
        }
        play(&mut world, &acts);
        prop_assert_eq!(ready(&world), turns(&acts), "{}", world.transcript());
        prop_assert!(!world.session.is_closed(), "{}", world.transcript());
        hang_up(&mut world);
    }

    #[test]
    fn faults_are_answered_too_and_tickets_tell_the_truth(acts in vec(act(true), 1..12)) {
        let mut world = World::new();
        play(&mut world, &acts);
        if !world.session.is_closed() {
            prop_assert_eq!(ready(&world), turns(&acts), "{}", world.transcript());
        }
        let fatal = world.heard.iter().filter(|it| it.starts_with("E:FATAL")).count();
        prop_assert!(fatal <= 1, "{}", world.transcript());
        hang_up(&mut world);
    }

    #[test]
    fn how_bytes_are_cut_changes_nothing(acts in vec(act(false), 1..8), size in 1..40usize) {
        let mut whole = World::new();
        play(&mut whole, &acts);
        let mut cut = World::new();
        cut.pieces = Some(size);
        play(&mut cut, &acts);
        prop_assert_eq!(&whole.heard, &cut.heard);
        prop_assert_eq!(&whole.bytes, &cut.bytes);
        let mut slow = World::new();
        let mut pieces = Vec::new();
        for act in &acts {
            match act {
                Act::Client(bytes) => {
                    pieces.extend(bytes.chunks(size).map(|it| Act::Client(it.to_vec())));
                }
                other => pieces.push(other.clone()),
            }
        }
        play(&mut slow, &pieces);
        prop_assert_eq!(&whole.bytes, &slow.bytes);
    }

    #[test]
    fn a_client_may_leave_at_any_moment(
        acts in vec(act(true), 1..8),
        pause in select(&["read", "ask", "checkout", "claim", "write", "settle", "upstream"][..]),
        cancel in any::<bool>(),
        lost in any::<bool>(),
    ) {
        let mut world = World::new();
        play(&mut world, &acts);
        if !world.session.is_closed() {
            world.pause(pause);
            world.client(&q("INSERT INTO t VALUES (1)"));
            decide(&mut world, true);
            if cancel {
                world.cancel();
            }
            if lost {
                world.upstream_gone();
            }
            if !world.session.is_closed() {
                world.gone();
            }
            world.resume();
        }
        hang_up(&mut world);
    }

    #[test]
    fn arbitrary_frames_never_panic(
        frames in vec((any::<u8>(), vec(any::<u8>(), 0..12)), 0..12),
        kinds in vec(select(&b"QPBDECSHXFdcfp"[..]), 12),
        upstream in vec(any::<u8>(), 0..20),
        tags in vec(select(&b"ZCEDTtn12sIGHdcSNAWVR3"[..]), 0..6),
    ) {
        let mut world = World::new();
        for ((tag, body), kind) in frames.iter().zip(kinds) {
            if world.session.is_closed() {
                return Ok(());
            }
            let tag = if *tag < 10 { *tag } else { kind };
            let mut frame = vec![tag];
            frame.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
            frame.extend_from_slice(body);
            world.client(&frame);
        }
        if !world.session.is_closed() {
            for tag in tags {
                let mut frame = vec![tag];
                frame.extend_from_slice(&u32::try_from(upstream.len() + 4).unwrap().to_be_bytes());
                frame.extend_from_slice(&upstream);
                if !world.session.is_closed() {
                    world.upstream_says(&frame);
                }
            }
        }
    }
}

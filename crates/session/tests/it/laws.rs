//! Laws over scripts that nobody thought of. The driver asserts the rest, always: nothing starts on the
//! server that was not released, as it was read, or before its intent is on disk; a claim is settled once,
//! an intent has one outcome, a session leaves a ticket exactly once; and a connection that is kept is
//! alive and idle.

mod script;

use std::sync::Arc;

use gate::policy::Ruling;
use gate::{Policy, Rule, State};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use session::PoolMode;
use sql::Class;

use crate::dialect::{copy_fail, data, done, h, p, q, s, x};
use crate::world::{World, need, policy};
use script::{Act, PAUSES, Said, Weather, act, calm, decide, decide_all, play, step};

const WHOLE: usize = usize::MAX;

/// Held writes most of the time; or everything passes, or only writes do, or nothing.
fn rules_of(which: usize) -> Arc<Policy> {
    let rule = |classes: Vec<Class>| Rule {
        classes,
        ..Rule::new("r", Ruling::Allow)
    };
    match which {
        0 => Arc::new(Policy::allow_all()),
        1 => Arc::new(Policy::new(vec![rule(vec![Class::Write])], need("dba"))),
        2 => Arc::new(Policy::new(Vec::new(), need("dba"))),
        _ => policy(),
    }
}

/// How many worlds there are: each of the rules in each pool mode.
const WORLDS: usize = 4 * PoolMode::ALL.len();

fn world_of(which: usize, chatty: bool) -> World {
    let mode = PoolMode::ALL[which / 4];
    let mut world = World::with_mode(rules_of(which % 4), mode);
    world.open_door = which.is_multiple_of(4);
    world.chatty = chatty;
    world.hears_cancels = true;
    world
}

fn ready(world: &World) -> usize {
    let words = world.heard.iter();
    words.filter(|word| word.starts_with("Z:")).count()
}

/// Whether a word may come at any time.
fn is_aside(word: &str) -> bool {
    ["N:", "S:"].iter().any(|it| word.starts_with(it)) || word == "A"
}

/// All that was heard but for what may come at any time.
fn asked(world: &World) -> Vec<&String> {
    let words = world.heard.iter();
    words.filter(|word| !is_aside(word)).collect()
}

/// What any client may count on: behind an error comes nothing but ReadyForQuery, behind a FATAL comes
/// nothing at all, and nothing is garbled (hazards R33, R41, R59).
fn replies_are_lawful(world: &World) {
    let mut failed = false;
    let mut ended = false;
    for word in &world.heard {
        assert!(!ended, "{word} behind a FATAL\n{}", world.transcript());
        assert_ne!(word, "garbled");
        if failed && !is_aside(word) {
            let ready = word.starts_with("Z:");
            let fatal = word.starts_with("E:FATAL");
            assert!(
                ready || fatal,
                "{word} behind an error\n{}",
                world.transcript()
            );
            failed = false;
        }
        failed |= word.starts_with("E:");
        ended = word.starts_with("E:FATAL");
    }
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
        let all: Vec<&str> = ticket.asked.iter().map(|it| &*it.text).collect();
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
        let asks = |it: &gate::Ticket| it.asked.iter().any(|it| it.text == text);
        let same = inside.tickets.iter().filter(|(it, _)| asks(it));
        let same: Vec<_> = same.map(|it| &it.0).collect();
        if same.iter().any(|it| it.asked.len() > 1) {
            continue;
        }
        let states: Vec<State> = same.iter().map(|it| it.state).collect();
        let count = |state| states.iter().filter(|it| **it == state).count();
        let (done, doubt) = (count(State::Done), count(State::InDoubt));
        // What was only bound is done, and has run nothing; what was rolled back may have run.
        let ran = times(&world.server.executed).saturating_sub(count(State::RolledBack));
        assert!(
            done.min(ran) <= committed && committed <= done + doubt,
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
    assert!(
        !world.leased && !world.is_waiting(),
        "{}",
        world.transcript()
    );
    replies_are_lawful(world);
    tickets_tell_the_truth(world);
}

/// Any message that is one, in its place or not.
fn message() -> impl Strategy<Value = Said> {
    let bytes = prop_oneof![
        8 => step(),
        2 => select(&["SELECT 1", "INSERT INTO t VALUES (1)", "BEGIN", "COPY t FROM STDIN"][..]).prop_map(q),
        1 => Just(p("", "COPY t FROM STDIN")),
        3 => Just(s()),
        2 => Just(h()),
        2 => select(vec![data(b"1\n"), done(), copy_fail("no")]),
        1 => select(vec![x(), frame(b'F', &[0; 10]), frame(b'p', b"secret\0")]),
    ];
    bytes.prop_map(Said)
}

/// A message of a server, right by itself.
fn reply() -> impl Strategy<Value = Said> {
    let error = |severity: &str| {
        frame(
            b'E',
            &[b"S", severity.as_bytes(), b"\0C57P01\0Mgone\0\0"].concat(),
        )
    };
    select(vec![
        frame(b'Z', b"I"),
        frame(b'Z', b"T"),
        frame(b'Z', b"E"),
        frame(b'C', b"SELECT 1\0"),
        frame(b'C', b"\0"),
        frame(b'1', b""),
        frame(b'2', b""),
        frame(b'3', b""),
        frame(b't', b"\0\0"),
        frame(b'n', b""),
        frame(b'I', b""),
        frame(b's', b""),
        frame(b'T', b"\0\0"),
        frame(b'D', b"\0\0"),
        frame(b'G', b"\0\0\0"),
        frame(b'H', b"\0\0\0"),
        frame(b'W', b"\0\0\0"),
        frame(b'd', b"1\n"),
        frame(b'c', b""),
        frame(b'K', b"\0\0\0\x01abcd"),
        frame(b'R', b"\0\0\0\0"),
        frame(b'R', b"\0\0\0\x03"),
        frame(b'v', b"\0\0\0\0\0\0\0\0"),
        frame(b'V', b"\xff\xff\xff\xff"),
        frame(b'N', b"SNOTICE\0C00000\0Mhello\0\0"),
        frame(b'N', b"\0"),
        frame(b'E', b"\0"),
        error("ERROR"),
        error("FATAL"),
    ])
    .prop_map(Said)
}

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[tag][..], &length, body].concat()
}

proptest! {
    #[test]
    fn every_query_and_every_sync_is_answered_by_one_ready(
        acts in vec(act(Weather::Fair), 1..12),
        which in 0..WORLDS,
        settings in any::<bool>(),
        chatty in any::<bool>(),
    ) {
        let mut world = world_of(which, chatty);
        if settings {
            world.leave_setting("geqo", "off");
        }
        let owed = play(&mut world, &acts, WHOLE);
        prop_assert_eq!(ready(&world), owed, "{}", world.transcript());
        prop_assert!(!world.session.is_closed(), "{}", world.transcript());
        hang_up(&mut world);
    }

    #[test]
    fn faults_are_answered_too_and_tickets_tell_the_truth(
        acts in vec(act(Weather::Foul), 1..12),
        which in 0..WORLDS,
        chatty in any::<bool>(),
    ) {
        let mut world = world_of(which, chatty);
        let owed = play(&mut world, &acts, WHOLE);
        if world.session.is_closed() {
            prop_assert!(ready(&world) <= owed, "{}", world.transcript());
        } else {
            prop_assert_eq!(ready(&world), owed, "{}", world.transcript());
        }
        hang_up(&mut world);
    }

    #[test]
    fn how_bytes_are_cut_changes_nothing(
        acts in vec(calm(), 1..8), size in 1..40usize, which in 0..WORLDS, chatty in any::<bool>(),
    ) {
        let mut whole = world_of(which, chatty);
        play(&mut whole, &acts, WHOLE);
        let mut server = world_of(which, chatty);
        server.pieces = Some(size);
        play(&mut server, &acts, WHOLE);
        prop_assert_eq!(asked(&whole), asked(&server));
        prop_assert!(chatty || whole.bytes == server.bytes);
        let mut client = world_of(which, chatty);
        play(&mut client, &acts, size);
        prop_assert_eq!(asked(&whole), asked(&client));
        prop_assert!(chatty || whole.bytes == client.bytes);
        prop_assert_eq!(&whole.server.started, &client.server.started);
    }

    #[test]
    fn a_client_may_leave_at_any_moment(
        acts in vec(act(Weather::Foul), 0..8),
        last in vec(message(), 1..6),
        pause in select(&PAUSES[..]),
        cancel in any::<bool>(),
        lost in any::<bool>(),
        which in 0..WORLDS,
    ) {
        let mut world = world_of(which, false);
        let gone = acts.iter().any(|it| format!("{it:?}").contains("Gone"));
        play(&mut world, &acts, WHOLE);
        if !world.session.is_closed() && !gone {
            world.pause(pause);
            let last: Vec<u8> = last.into_iter().flat_map(|it| it.0).collect();
            world.client(&last);
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
    fn messages_out_of_place_never_panic_and_never_run_unreleased(
        messages in vec(message(), 0..24), which in 0..WORLDS, size in 1..64usize, chatty in any::<bool>(),
    ) {
        let mut world = world_of(which, chatty);
        for message in &messages {
            play(&mut world, &[Act::Client(message.clone())], size);
        }
        decide_all(&mut world, true);
        hang_up(&mut world);
    }

    #[test]
    fn a_server_that_lies_makes_nothing_panic_and_nobody_say_fatal_twice(
        rounds in vec((message(), vec(reply(), 0..4), select(&PAUSES[..])), 1..10),
        which in 0..WORLDS,
    ) {
        let mut world = world_of(which, false);
        world.lies = true;
        for (message, replies, pause) in &rounds {
            if world.session.is_closed() {
                break;
            }
            world.pause(pause);
            world.client(&message.0);
            for reply in replies {
                if world.leased && !world.session.is_closed() {
                    world.upstream_says(&reply.0);
                }
            }
            world.resume();
            decide(&mut world, true);
        }
        decide_all(&mut world, true);
        let fatal = world.heard.iter().filter(|it| it.starts_with("E:FATAL")).count();
        prop_assert!(fatal <= 1, "{}", world.transcript());
        if !world.session.is_closed() {
            world.gone();
            world.upstream_gone();
        }
        prop_assert!(world.session.is_closed(), "{}", world.transcript());
    }

    #[test]
    fn arbitrary_frames_never_panic(
        frames in vec((any::<u8>(), vec(any::<u8>(), 0..12)), 0..12),
        kinds in vec(select(&b"QPBDECHSXFdcfp"[..]), 12),
        upstream in vec(any::<u8>(), 0..20),
        tags in vec(select(&b"ZCEDTtn12sIGHdcSNAWVR3"[..]), 0..6),
    ) {
        let mut world = World::new();
        world.lies = true;
        for ((tag, body), kind) in frames.iter().zip(kinds) {
            if world.session.is_closed() {
                return Ok(());
            }
            let tag = if *tag < 10 { *tag } else { kind };
            world.client(&frame(tag, body));
        }
        for tag in tags {
            if !world.session.is_closed() {
                world.upstream_says(&frame(tag, &upstream));
            }
        }
    }
}

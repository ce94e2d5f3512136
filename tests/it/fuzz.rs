//! The fuzz targets without a fuzzer: each over its committed seeds, over inputs that are made of them with
//! a fixed seed, and SQL against the server's own word. `make fuzz` goes on from here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use harness::fuzz::{TARGETS, grammar, seeds, sql_text};
use harness::raw::{self, Raw};

/// How long one target may take, machines being what they are; and how many inputs it has at most.
const TIME_MAX: Duration = Duration::from_secs(2);
const INPUTS_MAX: u64 = 5_000;

/// As the gate's own parser threads have: an unoptimised build needs it.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// Small, and the same everywhere: what fails here fails again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(limit).unwrap()).unwrap()
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut byte = || self.roll().to_le_bytes()[3];
        (0..length).map(|_| byte()).collect()
    }

    /// New bytes, or a seed with some of its bytes changed, doubled or lost.
    fn input(&mut self, seeds: &[(String, Vec<u8>)]) -> Vec<u8> {
        let length = self.below(600);
        if self.below(3) > 0 {
            return self.bytes(length);
        }
        let mut bytes = seeds[self.below(seeds.len())].1.clone();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            match self.below(3) {
                0 => drop(bytes.splice(at..at, [self.roll().to_le_bytes()[5]])),
                1 => bytes.truncate(at),
                _ => {
                    let tail = bytes[at..].to_vec();
                    bytes.extend(tail);
                }
            }
        }
        bytes
    }
}

/// Runs it where there is room for deep recursion.
fn with_room(run: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().stack_size(STACK_BYTES);
    let ended = thread.spawn(run).unwrap().join();
    assert!(ended.is_ok(), "a law is broken, see above");
}

/// Says which input broke a law: put it into `tests/fuzz/corpus` once it is understood.
#[track_caller]
fn hold(target: fn(&[u8]), name: &str, origin: &str, bytes: &[u8]) {
    let done = catch_unwind(AssertUnwindSafe(|| target(bytes)));
    assert!(done.is_ok(), "{name}, {origin}: {}", bytes.escape_ascii());
}

fn target_holds(wanted: &'static str) {
    let (name, target) = *TARGETS.iter().find(|it| it.0 == wanted).unwrap();
    with_room(move || {
        let seeds = seeds::of(name);
        for (seed, bytes) in &seeds {
            hold(target, name, &format!("seed {seed}"), bytes);
        }
        let since = Instant::now();
        for round in 1..=INPUTS_MAX {
            let mut dice = Dice(round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let input = dice.input(&seeds);
            hold(target, name, &format!("round {round}"), &input);
            if since.elapsed() > TIME_MAX {
                break;
            }
        }
    });
}

#[test]
fn what_a_client_sends_is_read_by_the_law() {
    target_holds("frontend");
}

#[test]
fn what_a_server_sends_is_read_by_the_law() {
    target_holds("backend");
}

#[test]
fn what_comes_before_a_login_is_read_by_the_law() {
    target_holds("startup");
}

#[test]
fn sql_is_read_by_the_law() {
    target_holds("sql");
}

/// DESIGN ruling 6: what is one statement for the gate is one for the server, which says so at Parse. The
/// server runs nothing.
#[test]
fn one_statement_is_one_for_the_server_too() {
    with_room(|| {
        let database = harness::database();
        let mut client = Raw::login(&database.login(&database.write));
        let mut single = 0;
        for round in 1..=400_u64 {
            let bytes = Dice(round.wrapping_mul(0x9e37_79b9_7f4a_7c15)).bytes(400);
            let Ok(script) = grammar::script(&mut arbitrary::Unstructured::new(&bytes)) else {
                continue;
            };
            if !sql_text::lawful(&script.text).single() {
                continue;
            }
            single += 1;
            client.send(&[raw::parse("", &script.text), raw::sync()].concat());
            let answer = client.frames_until(b'Z');
            let refused = answer.iter().find(|frame| frame.tag == b'E');
            let message = refused.and_then(|it| it.field('M')).unwrap_or_default();
            assert!(!message.contains("multiple commands"), "{:?}", script.text);
        }
        assert!(single > 50, "only {single} texts were one statement");
    });
}

//! Where prepared statements stand on a connection (hazards R36): a model of the server beside it says whether each step
//! finds what it looks for.

mod common;

use std::collections::HashMap;
use std::sync::Arc;

use common::prepared;
use gate::work::Values;
use gate::{Prepared, Settings, Shelf, Slot, Step};
use proptest::prelude::*;

fn bound(statement: &Arc<Prepared>) -> Step {
    Step::Bind {
        portal: "".into(),
        statement: Arc::clone(statement),
        values: Values::default(),
    }
}

fn look(statement: &Arc<Prepared>) -> Step {
    Step::DescribeStatement(Arc::clone(statement))
}

#[test]
fn the_unnamed_statement_is_carried_where_it_is_not_the_last_one_parsed() {
    let (a, b) = (prepared("", "a", &[]), prepared("", "b", &[]));
    let steps = [
        bound(&a),
        Step::Parse(Arc::clone(&b)),
        bound(&b),
        look(&a),
        bound(&a),
        Step::ClosePortal("".into()),
        bound(&a),
        bound(&prepared("", "a", &[])),
    ];
    let slots = Shelf::default().place(&steps, false);
    let carried: Vec<_> = slots.iter().map(|it| it.carried).collect();
    assert_eq!(
        carried,
        [true, false, false, true, false, false, false, true]
    );
}

#[test]
fn a_shared_name_is_made_of_all_that_decides_the_meaning() {
    let settings = Settings::from([("datestyle".to_owned(), "German".to_owned())]);
    let cosmetic = Settings::from([("application_name".to_owned(), "x".to_owned())]);
    let of = |name: &str, text: &str, types: &[u32], settings: &Settings| {
        Prepared::new(name.into(), text.into(), types.to_vec(), settings).shared
    };
    let none = Settings::new();
    let base = of("s1", "SELECT $1", &[23], &none);
    assert!(base.starts_with("portcullis_") && base.len() < 64);
    assert_eq!(base, of("s2", "SELECT $1", &[23], &cosmetic));
    for other in [
        of("s1", "SELECT $1 ", &[23], &none),
        of("s1", "SELECT $1", &[25], &none),
        of("s1", "SELECT $1", &[], &none),
        of("s1", "SELECT $1", &[23], &settings),
    ] {
        assert_ne!(base, other);
    }
    assert_eq!(of("", "SELECT $1", &[], &none), "");
}

/// What the server has by name.
#[derive(Default)]
struct Server(HashMap<String, String>);

impl Server {
    /// Plays a step; says the text that it would use, or what is wrong.
    fn play(&mut self, step: &Step, slot: &Slot) -> Result<Option<String>, String> {
        for name in &slot.close {
            self.0.remove(&**name);
        }
        let (statement, parses) = match step {
            Step::Parse(it) => (it, true),
            Step::DescribeStatement(it) | Step::Bind { statement: it, .. } => (it, slot.carried),
            _ => return Ok(None),
        };
        let name = slot.name.to_string();
        if parses {
            let taken = !name.is_empty() && self.0.contains_key(&name);
            if taken {
                return Err(format!("{name} exists"));
            }
            self.0.insert(name.clone(), statement.text.to_string());
        }
        self.0
            .get(&name)
            .cloned()
            .map(Some)
            .ok_or(format!("{name} does not exist"))
    }
}

proptest! {
    /// On a shared connection every step finds the text that it means, whatever came before: other
    /// sessions' statements, failures at any place, more statements than there is room for.
    #[test]
    fn every_step_finds_what_it_means(
        batches in prop::collection::vec(
            (prop::collection::vec((0_usize..600, any::<bool>()), 1..40), prop::option::of(0_usize..40)),
            1..30,
        ),
    ) {
        let all: Vec<_> = (0..600)
            .map(|it| prepared(if it % 7 == 0 { "" } else { "s" }, &format!("SELECT {it}"), &[]))
            .collect();
        let (mut shelf, mut server) = (Shelf::default(), Server::default());
        for (batch, fails_at) in batches {
            let steps: Vec<_> = batch
                .iter()
                .map(|(at, parse)| {
                    if *parse { Step::Parse(Arc::clone(&all[*at])) } else { bound(&all[*at]) }
                })
                .collect();
            let slots = shelf.place(&steps, false);
            let until = fails_at.unwrap_or(usize::MAX);
            for (step, slot) in steps.iter().zip(&slots).take(until) {
                let used = server.play(step, slot);
                let (Step::Parse(meant) | Step::Bind { statement: meant, .. }) = step else {
                    continue;
                };
                prop_assert_eq!(used, Ok(Some(meant.text.to_string())));
            }
            shelf.settle(until < steps.len());
        }
    }
}

/// A Parse of a segment that failed may have left its statement: nobody has judged it for whoever names it next.
#[test]
fn what_the_client_did_not_make_is_not_found_under_its_name() {
    let mut shelf = Shelf::default();
    let made = prepared("s", "DELETE FROM t", &[]);
    shelf.place(&[Step::Parse(Arc::clone(&made))], true);
    shelf.settle(true);
    let unknown = Arc::new(Prepared::unknown(&"s".into()));
    let slots = shelf.place(&[bound(&unknown)], true);
    assert_eq!(slots[0].close, ["s"]);
    assert!(!slots[0].carried);
    // One that SQL made is the server's business.
    let slots = shelf.place(&[bound(&unknown)], true);
    assert!(slots[0].close.is_empty());
}

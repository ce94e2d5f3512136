//! The table: what every state makes of every input, found by driving one session into each.

use std::fmt::Write;

use session::{Input, News};

use crate::dialect::{h, p, pbde, q, s};
use crate::world::World;

const WRITE: &str = "INSERT INTO t VALUES (1)";

fn with(pause: Option<&'static str>, bytes: &[u8], approve: bool) -> World {
    let mut world = World::new();
    if let Some(pause) = pause {
        world.pause(pause);
    }
    world.client(bytes);
    if approve {
        world.approve(1);
    }
    world
}

fn states() -> Vec<(&'static str, World)> {
    let mut settling = with(None, &q(WRITE), false);
    settling.pause("settle");
    settling.approve(1);
    let mut unwinding = with(None, &[q("BEGIN"), q(WRITE)].concat(), true);
    unwinding.pause("upstream");
    unwinding.client(&q("CREATE TABLE t ()"));
    let mut transaction = with(None, &[q("BEGIN"), q(WRITE)].concat(), true);
    transaction.log.clear();
    vec![
        ("idle", World::new()),
        ("idle in transaction", transaction),
        ("asking", with(Some("ask"), &q(WRITE), false)),
        (
            "signalling",
            with(Some("signal"), &q("SELECT pg_cancel_backend(5)"), false),
        ),
        ("held", with(None, &q(WRITE), false)),
        (
            "waiting for a connection",
            with(Some("checkout"), &q(WRITE), false).approved(),
        ),
        (
            "waiting for the claim",
            with(Some("claim"), &q(WRITE), false).approved(),
        ),
        (
            "waiting for the intent",
            with(Some("write"), &q(WRITE), false).approved(),
        ),
        (
            "active, signed",
            with(Some("upstream"), &q(WRITE), false).approved(),
        ),
        (
            "active, unsigned",
            with(Some("upstream"), &q("SELECT 1"), false),
        ),
        ("copying", with(None, &q("COPY t FROM STDIN"), true)),
        ("settling", settling),
        (
            "skipping",
            with(None, &[pbde("SELECT boom"), h()].concat(), false),
        ),
        ("unwinding", unwinding),
    ]
}

impl World {
    fn approved(mut self) -> Self {
        self.approve(1);
        self
    }
}

fn happen(world: &mut World, what: &str) {
    match what {
        "Query" => world.client(&q("SELECT 1")),
        "Parse, Sync" => world.client(&[p("", "SELECT 1"), s()].concat()),
        "client gone" => world.gone(),
        "cancel" => world.cancel(),
        "a minute passes" => world.wait(60),
        "terminate" => world.say("terminate", Input::Terminate),
        "drain" => world.say("drain", Input::Drain),
        "upstream gone" => world.upstream_gone(),
        "rejection" => world.tell(
            1,
            News::Rejected {
                by: "bob".into(),
                reason: None,
            },
        ),
        other => panic!("{other}"),
    }
}

#[test]
fn what_every_state_makes_of_every_input() {
    let inputs = [
        "Query",
        "Parse, Sync",
        "client gone",
        "cancel",
        "terminate",
        "a minute passes",
        "drain",
        "upstream gone",
        "rejection",
    ];
    let mut table = String::new();
    for at in 0..states().len() {
        for what in inputs {
            let (name, mut world) = states().swap_remove(at);
            if what == inputs[0] {
                let _infallible = writeln!(table, "{name} ({}):", world.session.state());
            }
            world.log.clear();
            happen(&mut world, what);
            let lines = world.log.iter().skip(1).map(|it| {
                let line = it.trim().replace("hears   ", "hears ");
                line.chars().take(90).collect::<String>()
            });
            let did: Vec<String> = lines.collect();
            let _infallible = writeln!(
                table,
                "  {what} -> {}: {}",
                world.session.state(),
                did.join("; ")
            );
        }
    }
    insta::assert_snapshot!(table);
}

//! The escape corpus (hazards R114): ways in which a tenant with raw SQL, before a gate that lets everything pass, might see or
//! change what is another's. Each is played in a session of its own against real servers, in each tenancy model, and all that
//! comes back is searched for what the other keeps. A control tenant, granted what people in a hurry grant, shows that the
//! search finds something where there is something. It judges by bytes and by the server's own tables, never by SQLSTATEs.

mod corpus;
mod ground;
mod place;
mod play;
mod watch;

use std::thread;

use corpus::Way;
pub use corpus::ways;
use ground::{Ground, Said};
pub use place::Model;
use place::Place;
use watch::Watch;

/// How many ways there are in each model.
pub const TRIED_MIN: usize = 200;
/// How many of them lead out of the control.
pub const CONTROL_MIN: usize = 50;

/// What came of a model.
#[derive(Debug)]
pub struct Tally {
    pub model: Model,
    pub tried: usize,
    pub escapes: Vec<Escape>,
}

/// A way that led out, and what was seen.
#[derive(Debug)]
pub struct Escape {
    pub way: &'static str,
    pub tries: &'static str,
    pub seen: String,
}

impl Tally {
    /// `shared: 265 tried, 0 escaped`
    pub fn line(&self) -> String {
        let Self { model, tried, .. } = self;
        format!(
            "{}: {tried} tried, {} escaped",
            model.name(),
            self.escapes.len()
        )
    }

    /// How many different ways led out.
    pub fn escaped(&self) -> usize {
        self.escapes.len()
    }
}

/// Plays every way in each of these models, the models side by side. `only` takes the ways whose name begins so.
#[track_caller]
pub fn run(models: &[Model], only: &str) -> Vec<Tally> {
    let (_gate, ground) = Ground::lay(models, Said::Nothing);
    thread::scope(|scope| {
        let played: Vec<_> = ground
            .places
            .iter()
            .map(|place| scope.spawn(|| model(&ground, place, only)))
            .collect();
        let tallies = played.into_iter().map(thread::ScopedJoinHandle::join);
        tallies
            .map(|it| it.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// Lets tenants of this model in that the gate tests for what they are said to be kept in.
#[track_caller]
pub fn serves(model: Model) {
    let (mut gate, ground) = Ground::lay(&[model], Said::Isolation);
    let served = std::panic::catch_unwind(|| ground.places.iter().for_each(play::sees_its_own));
    let log = gate.stderr().text();
    assert!(served.is_ok(), "{}: {log}", model.name());
}

fn model(ground: &Ground, place: &Place, only: &str) -> Tally {
    let mut tally = Tally {
        model: place.model,
        tried: 0,
        escapes: Vec::new(),
    };
    let mut watch = Watch::new(place);
    play::sees_its_own(place);
    for way in ways().iter().filter(|it| it.id.starts_with(only)) {
        if !way.models.contains(&place.model) {
            continue;
        }
        tally.tried += 1;
        if let Some(seen) = attempt(ground, place, way, &mut watch) {
            tally.escapes.push(Escape {
                way: &way.id,
                tries: &way.tries,
                seen,
            });
        }
    }
    // What was refused was refused to somebody who is let in.
    play::sees_its_own(place);
    tally
}

/// Plays one way, and says what was seen of the other tenant, or what has changed.
fn attempt(ground: &Ground, place: &Place, way: &Way, watch: &mut Watch) -> Option<String> {
    let heard = play::play(place, way);
    let mut seen = place.found(&heard);
    let looked = watch.look();
    let change = looked.theirs.or(looked.rights);
    let changed = change.is_some() || looked.settings;
    seen = seen.or(change);
    if looked.settings {
        // It would be a later session that sees something.
        ground.let_in(place);
        watch.end_sessions();
        let later = play::later(place);
        seen = seen.or(place
            .found(&later)
            .map(|it| format!("in a later session, {it}")));
    }
    if changed {
        ground.mend(place);
        if looked.settings {
            watch.end_sessions();
            play::comes_in_again(place);
        }
        watch.renew();
    }
    seen
}

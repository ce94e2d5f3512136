//! `[[release]]`: how long what people release may wait for a lock, and run. It never says what needs a release.

use std::collections::BTreeMap;
use std::time::Duration;

use gate::ticket::TimeOuts;
use sql::Class;

use super::reader::Fields;
use super::{keys, matchers};

/// Time-outs of what is released, by class.
#[derive(Clone, Debug)]
pub struct Release {
    usual: TimeOuts,
    classes: BTreeMap<Class, TimeOuts>,
}

impl Default for Release {
    /// Ten seconds for a lock: what queues behind a waiting ALTER waits as long. An hour to run.
    fn default() -> Self {
        Self {
            usual: TimeOuts {
                lock_ms: Some(10_000),
                statement_ms: Some(3_600_000),
            },
            classes: BTreeMap::new(),
        }
    }
}

impl Release {
    /// Each `[[release]]`: of the classes that it names, or of all that no other names.
    pub(super) fn read(top: &Fields<'_>) -> Self {
        let tables = top.several("release", keys::RELEASE);
        let usual = tables.iter().find(|it| !it.has("class"));
        let usual = usual.map_or(Self::default().usual, |it| {
            time_outs(it, Self::default().usual)
        });
        let classes = tables.iter().filter(|it| it.has("class")).flat_map(|it| {
            let time_outs = time_outs(it, usual);
            matchers::classes(it)
                .into_iter()
                .map(move |class| (class, time_outs))
        });
        Self {
            usual,
            classes: classes.collect(),
        }
    }

    /// Those of a request of statements of these classes: of each time-out the shortest.
    pub fn of(&self, classes: &[Class]) -> TimeOuts {
        let of = |class| self.classes.get(class).copied().unwrap_or(self.usual);
        let all = classes.iter().map(of);
        all.reduce(TimeOuts::narrowed).unwrap_or(self.usual)
    }
}

/// What `table` says, `usual` where it says nothing; "0 s" is none.
fn time_outs(table: &Fields<'_>, usual: TimeOuts) -> TimeOuts {
    let time = |key, usual| {
        let within = Duration::ZERO..=Duration::from_hours(24 * 7);
        match table.duration(key, within) {
            None => usual,
            Some(time) => u32::try_from(time.as_millis()).ok().filter(|it| *it > 0),
        }
    };
    TimeOuts {
        lock_ms: time("lock_timeout", usual.lock_ms),
        statement_ms: time("statement_timeout", usual.statement_ms),
    }
}

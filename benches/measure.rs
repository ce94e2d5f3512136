//! Rounds: every case has its turn in each, and every peer in each case, some of them in laps of a second, in rotated order, so
//! that whatever else the machine does meets all of them. It never throws a round away; how much CPU others took is told.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::Trouble;
use crate::cases::{Case, Lap};
use crate::ground::Ground;
use crate::peers::{Kind, Peer};
use crate::proc;
use crate::progress::Progress;

/// How often each case is measured.
pub(crate) const ROUNDS: usize = 5;
/// How often in each round, where a turn is short.
pub(crate) const LAPS: usize = 3;

/// What a figure counts.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    /// Whose figure it is set against when two runs are compared.
    pub(crate) against: Option<Kind>,
}

/// One figure of one turn.
pub(crate) type Reading = (Metric, f64);

/// The same figure of every round, and of every lap of it.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) kind: Kind,
    pub(crate) metric: Metric,
    pub(crate) rounds: Vec<f64>,
}

/// All of a case.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) series: Vec<Series>,
    /// Who has no figures, and why.
    pub(crate) missing: Vec<(Kind, String)>,
    /// Cores that others had in each turn.
    pub(crate) foreign_cores: Vec<f64>,
}

/// The middle, and how far it went to both sides.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

/// Measures these cases with these peers, in their order; what came of each. A round goes through all cases before the next
/// begins, so that each case meets whatever the machine does in the whole time of the run.
pub(crate) fn measure(
    cases: &[&dyn Case],
    ground: &Ground,
    kinds: &[Kind],
    progress: &mut Progress,
) -> Vec<Outcome> {
    let entrants = |case: &&dyn Case| -> Vec<Entrant> {
        let kinds = kinds.iter().filter(|kind| case.takes(**kind));
        kinds.map(|kind| Entrant::new(*kind)).collect()
    };
    let mut standing: Vec<Vec<Entrant>> = cases.iter().map(entrants).collect();
    let mut foreign_cores: Vec<Vec<f64>> = vec![Vec::new(); cases.len()];
    for round in 0..ROUNDS {
        progress.round(round);
        for ((case, standing), foreign) in cases.iter().zip(&mut standing).zip(&mut foreign_cores) {
            progress.case(*case);
            visit(*case, ground, round, standing, foreign);
        }
    }
    let outcomes = standing.into_iter().zip(foreign_cores);
    let outcomes = outcomes.map(|(standing, foreign)| outcome(standing, foreign));
    outcomes.collect()
}

/// One round of a case: its peers are started, and take their turns one behind the other, as often as the case has it. What
/// disturbs the machine for some seconds meets them all.
fn visit(
    case: &dyn Case,
    ground: &Ground,
    round: usize,
    standing: &mut [Entrant],
    foreign: &mut Vec<f64>,
) {
    let long = case.lap() == Lap::Long;
    let laps = if long { 1 } else { LAPS };
    for lap in 0..laps {
        for turn in 0..standing.len() {
            let place = (round + lap + turn) % standing.len();
            if let Some(entrant) = standing.get_mut(place).filter(|it| it.failed.is_none()) {
                foreign.extend(entrant.turn(case, ground));
                if long {
                    entrant.peer = None;
                }
            }
        }
    }
    for entrant in standing {
        entrant.peer = None;
    }
}

fn outcome(standing: Vec<Entrant>, foreign_cores: Vec<f64>) -> Outcome {
    let mut outcome = Outcome {
        foreign_cores,
        ..Outcome::default()
    };
    for entrant in standing {
        match entrant.failed {
            // Half of the rounds would be set against all of another's.
            Some(why) => outcome.missing.push((entrant.kind, why)),
            None => outcome.series.extend(series(entrant.kind, &entrant.turns)),
        }
    }
    outcome
}

/// The one place of the bench that reads a clock.
#[expect(clippy::disallowed_methods, reason = "measuring is what this is for")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) fn ms_since(start: Instant) -> f64 {
    (now() - start).as_secs_f64() * 1e3
}

/// A count as a figure.
pub(crate) fn real(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

impl Outcome {
    pub(crate) fn of(&self, kind: Kind, metric: &str) -> Option<&Series> {
        let mut all = self.series.iter();
        all.find(|it| it.kind == kind && it.metric.name == metric)
    }
}

impl Series {
    pub(crate) fn spread(&self) -> Spread {
        Spread::of(self.rounds.clone())
    }

    /// This over another, round by round: what slowed a whole round down is not in it.
    pub(crate) fn over(&self, other: &Self) -> Spread {
        let pairs = self.rounds.iter().zip(&other.rounds);
        Spread::of(pairs.map(|(one, other)| one / other).collect())
    }
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
        Self {
            median: at(values.len() / 2),
            least: at(0),
            most: at(values.len().saturating_sub(1)),
        }
    }
}

/// A peer in a case. It is started anew in each round.
struct Entrant {
    kind: Kind,
    peer: Option<Peer>,
    turns: Vec<Vec<Reading>>,
    failed: Option<String>,
}

impl Entrant {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            peer: None,
            turns: Vec::new(),
            failed: None,
        }
    }

    /// One turn; how many cores others had meanwhile.
    fn turn(&mut self, case: &dyn Case, ground: &Ground) -> Option<f64> {
        match self.measured(case, ground) {
            Ok((readings, foreign)) => {
                self.turns.push(readings);
                Some(foreign)
            }
            Err(why) => {
                self.failed = Some(why.to_string());
                None
            }
        }
    }

    fn measured(
        &mut self,
        case: &dyn Case,
        ground: &Ground,
    ) -> Result<(Vec<Reading>, f64), Trouble> {
        let peer = match &mut self.peer {
            Some(peer) => peer,
            none => none.insert(Peer::start(ground, self.kind)?),
        };
        let (start, busy, own) = (now(), proc::busy_seconds()?, own_seconds());
        let readings = case.turn(ground, peer);
        let readings = readings.map_err(|why| with_words(peer, &why))?;
        let elapsed = (now() - start).as_secs_f64();
        let others = (proc::busy_seconds()? - busy) - (own_seconds() - own);
        Ok((readings, (others / elapsed).max(0.0)))
    }
}

/// What went wrong in one line, with what the peer last said of it.
fn with_words(peer: &Peer, why: &Trouble) -> Trouble {
    let why = why.to_string().replace('\n', "; ");
    match peer.last_words() {
        words if words.is_empty() => why.into(),
        words => format!("{why}; its log: {words}").into(),
    }
}

/// This process, PostgreSQL, the peers and pgbench: all are ours.
fn own_seconds() -> f64 {
    proc::cpu_seconds(std::process::id())
}

fn series(kind: Kind, turns: &[Vec<Reading>]) -> Vec<Series> {
    let metrics = turns
        .first()
        .into_iter()
        .flatten()
        .map(|(metric, _)| *metric);
    metrics
        .map(|metric| {
            let of = |turn: &Vec<Reading>| {
                let found = turn.iter().find(|(it, _)| *it == metric);
                found.map_or(f64::NAN, |(_, value)| *value)
            };
            Series {
                kind,
                metric,
                rounds: turns.iter().map(of).collect(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_within_each_round() {
        let metric = Metric {
            name: "tps",
            against: None,
        };
        let series = |rounds: &[f64]| Series {
            kind: Kind::Gate,
            metric,
            rounds: rounds.to_vec(),
        };
        // The machine was slow in the second round, for both.
        let (one, other) = (series(&[10.0, 1.0, 12.0]), series(&[20.0, 2.0, 20.0]));
        let over = one.over(&other);
        let expected = Spread {
            median: 0.5,
            least: 0.5,
            most: 0.6,
        };
        assert_eq!(over, expected);
        assert!(Spread::of(Vec::new()).median.is_nan());
    }
}

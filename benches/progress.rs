//! Says what is being measured and how long the rest may take. It never says a figure.

use crate::cases::Case;
use crate::measure::ROUNDS;
use crate::peers::Kind;
use crate::say;

pub(crate) struct Progress {
    kinds: Vec<Kind>,
    round: usize,
    /// Cases of a round, and which of them is being measured, from 1.
    cases: usize,
    at: usize,
    /// Seconds that the rest may take.
    left: u64,
}

impl Progress {
    /// For these cases with these peers.
    pub(crate) fn new(cases: &[&dyn Case], kinds: &[Kind]) -> Self {
        let rounds = u64::try_from(ROUNDS).unwrap_or(u64::MAX);
        let round: u64 = cases.iter().map(|case| seconds(*case, kinds)).sum();
        Self {
            kinds: kinds.to_vec(),
            round: 0,
            cases: cases.len(),
            at: 0,
            left: round * rounds,
        }
    }

    /// The next round begins.
    pub(crate) fn round(&mut self, round: usize) {
        self.round = round;
        self.at = 0;
    }

    /// The next case of the round begins.
    pub(crate) fn case(&mut self, case: &dyn Case) {
        self.at += 1;
        say(&format!(
            "==> round {} of {ROUNDS}, {} ({} of {}), about {} left",
            self.round + 1,
            case.name(),
            self.at,
            self.cases,
            in_words(self.left)
        ));
        self.left = self.left.saturating_sub(seconds(case, &self.kinds));
    }
}

/// About how long a case takes in one round.
fn seconds(case: &dyn Case, kinds: &[Kind]) -> u64 {
    let turns = kinds.iter().filter(|kind| case.takes(**kind)).count();
    case.seconds() * u64::try_from(turns).unwrap_or(u64::MAX)
}

fn in_words(seconds: u64) -> String {
    match seconds {
        0..90 => format!("{seconds} s"),
        _ => format!("{} min", seconds.div_ceil(60)),
    }
}

//! Says what is being measured and how long the rest may take. It never says a figure.

use crate::cases::Case;
use crate::measure::ROUNDS;
use crate::peers::Kind;
use crate::say;

pub(crate) struct Progress {
    /// Seconds that each case may take, in order.
    ahead: Vec<u64>,
    /// Which of them is being measured.
    at: usize,
    round: Option<usize>,
    left: u64,
}

impl Progress {
    /// For these cases with these peers.
    pub(crate) fn new(cases: &[&dyn Case], kinds: &[Kind]) -> Self {
        let seconds = |case: &&dyn Case| {
            let turns = kinds.iter().filter(|kind| case.takes(**kind)).count() * ROUNDS;
            case.seconds() * u64::try_from(turns).unwrap_or(u64::MAX)
        };
        Self {
            ahead: cases.iter().map(seconds).collect(),
            at: 0,
            round: None,
            left: 0,
        }
    }

    /// The next case begins.
    pub(crate) fn case(&mut self, place: usize) {
        self.at = place;
        self.round = None;
        self.left = self.ahead.iter().skip(place).sum();
    }

    /// A turn begins; a line is written with the first of a round.
    pub(crate) fn turn(&mut self, case: &dyn Case, round: usize) {
        if self.round != Some(round) {
            self.round = Some(round);
            say(&format!(
                "==> {} ({} of {}), round {} of {ROUNDS}, about {} left",
                case.name(),
                self.at + 1,
                self.ahead.len(),
                round + 1,
                in_words(self.left)
            ));
        }
        self.left = self.left.saturating_sub(case.seconds());
    }
}

fn in_words(seconds: u64) -> String {
    match seconds {
        0..90 => format!("{seconds} s"),
        _ => format!("{} min", seconds.div_ceil(60)),
    }
}

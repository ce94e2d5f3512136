//! How long something that was given out is good, and when it is time for something newer. It never reads a clock.

use std::time::Duration;

use tokio::time::Instant;

/// From when on something is good, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    from: Instant,
    length: Duration,
}

impl Term {
    /// So long from then on.
    pub(crate) fn new(from: Instant, length: Duration) -> Self {
        Self { from, length }
    }

    /// The same, but not beyond `end`.
    #[must_use]
    pub(crate) fn until(self, end: Option<Instant>) -> Self {
        let left = end.map(|it| it.saturating_duration_since(self.from));
        Self {
            length: left.map_or(self.length, |it| it.min(self.length)),
            ..self
        }
    }

    /// How long it is.
    pub(crate) fn length(&self) -> Duration {
        self.length
    }

    /// When something newer is asked for: two thirds of the way.
    pub(crate) fn renews(&self) -> Instant {
        self.from + self.length / 3 * 2
    }

    /// When whatever lives by it takes leave: a sixth before it ends.
    pub(crate) fn retires(&self) -> Instant {
        self.from + self.length / 6 * 5
    }

    /// When it ends.
    pub(crate) fn ends(&self) -> Instant {
        self.from + self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_renewed_before_it_retires_and_retires_before_it_ends() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let hour = Term::new(start, Duration::from_hours(1));
        assert_eq!(
            (hour.renews(), hour.retires(), hour.ends()),
            (at(2400), at(3000), at(3600))
        );
        let cut = hour.until(Some(at(60)));
        assert_eq!((cut.renews(), cut.ends()), (at(40), at(60)));
        assert_eq!(hour.until(Some(at(7200))), hour);
        assert_eq!(hour.until(None), hour);
    }
}

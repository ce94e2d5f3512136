//! Windows of time: on which days, from when until when, in which zone. It never reads a clock: it is told
//! the time. A zone is UTC or a fixed offset, so that a window means the same on every host and all year.

use std::str::FromStr;

/// Their names, Monday first.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY_MINUTES: i64 = 24 * 60;
const MINUTE_MS: i64 = 60_000;
/// The first of January 1970 was a Thursday.
const EPOCH_DAY: i64 = 3;
/// No zone is further from UTC.
const OFFSET_MINUTES_MAX: i64 = 14 * 60;

/// Hours of some days of the week. One that ends before it begins goes on into the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// On which days it begins, Monday first.
    days: [bool; 7],
    /// Minutes of the day.
    from: i64,
    /// The first minute that is not in it.
    to: i64,
    /// Minutes by which the zone is ahead of UTC.
    offset: i64,
}

impl Window {
    /// Whether this moment, in milliseconds since 1970, lies in it.
    pub fn holds(&self, now_ms: i64) -> bool {
        let minute = now_ms.div_euclid(MINUTE_MS).saturating_add(self.offset);
        let (day, at) = (
            minute.div_euclid(DAY_MINUTES),
            minute.rem_euclid(DAY_MINUTES),
        );
        let begins_on = |day: i64| {
            let day = usize::try_from((day + EPOCH_DAY).rem_euclid(7)).unwrap_or_default();
            self.days.get(day).copied().unwrap_or_default()
        };
        if self.from < self.to {
            begins_on(day) && (self.from..self.to).contains(&at)
        } else {
            (begins_on(day) && at >= self.from) || (begins_on(day - 1) && at < self.to)
        }
    }
}

/// A text that is no window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAWindow {
    /// Something is missing, or too much.
    #[error("it is not three words")]
    Words,
    /// No day, and no days.
    #[error("\"{0}\" is no day of the week")]
    Day(String),
    /// No time of the day.
    #[error("\"{0}\" is no time of the day")]
    Time(String),
    /// No zone.
    #[error("\"{0}\" is no zone")]
    Zone(String),
}

impl FromStr for Window {
    type Err = NotAWindow;

    /// Reads `mon-fri 08:00-18:00 UTC`: days with commas and ranges or `daily`, hours, `UTC` or an offset.
    fn from_str(text: &str) -> Result<Self, NotAWindow> {
        let words: Vec<&str> = text.split(' ').collect();
        let [days, hours, zone] = words.as_slice() else {
            return Err(NotAWindow::Words);
        };
        let (from, to) = hours
            .split_once('-')
            .ok_or_else(|| NotAWindow::Time((*hours).to_owned()))?;
        Ok(Self {
            days: read_days(days)?,
            from: time(from)
                .filter(|from| *from < DAY_MINUTES)
                .ok_or_else(|| NotAWindow::Time(from.to_owned()))?,
            to: time(to).ok_or_else(|| NotAWindow::Time(to.to_owned()))?,
            offset: offset(zone).ok_or_else(|| NotAWindow::Zone((*zone).to_owned()))?,
        })
    }
}

fn read_days(text: &str) -> Result<[bool; 7], NotAWindow> {
    if text.eq_ignore_ascii_case("daily") {
        return Ok([true; 7]);
    }
    let mut days = [false; 7];
    let number = |name: &str| {
        let found = DAYS.iter().position(|day| day.eq_ignore_ascii_case(name));
        found.ok_or_else(|| NotAWindow::Day(name.to_owned()))
    };
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        // "fri-mon" goes round the end of the week.
        let count = (last + 7 - first) % 7 + 1;
        for (day, chosen) in days.iter_mut().enumerate() {
            *chosen |= (day + 7 - first) % 7 < count;
        }
    }
    Ok(days)
}

/// Minutes of `HH:MM`, up to 24:00.
fn time(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str, max: i64| {
        let two = digits.len() == 2 && digits.bytes().all(|it| it.is_ascii_digit());
        digits.parse().ok().filter(|it: &i64| two && *it <= max)
    };
    let at = number(hours, 24)? * 60 + number(minutes, 59)?;
    (at <= DAY_MINUTES).then_some(at)
}

fn offset(text: &str) -> Option<i64> {
    if text == "UTC" {
        return Some(0);
    }
    let ahead = text.strip_prefix('+').map(|it| (1, it));
    let (sign, rest) = ahead.or_else(|| text.strip_prefix('-').map(|it| (-1, it)))?;
    let minutes = time(rest).filter(|it| *it <= OFFSET_MINUTES_MAX)?;
    Some(sign * minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday, 5 January 2026, 00:00 UTC.
    const MONDAY: i64 = 1_767_571_200_000;

    fn holds(window: &str, day: i64, hour: i64, minute: i64) -> bool {
        let window: Window = window.parse().unwrap();
        window.holds(MONDAY + ((day * 24 + hour) * 60 + minute) * MINUTE_MS)
    }

    #[test]
    fn a_window_has_days_hours_and_a_zone() {
        for (window, day, hour, minute, said) in [
            ("mon-fri 08:00-18:00 UTC", 0, 8, 0, true),
            ("mon-fri 08:00-18:00 UTC", 0, 7, 59, false),
            ("mon-fri 08:00-18:00 UTC", 4, 17, 59, true),
            ("mon-fri 08:00-18:00 UTC", 4, 18, 0, false),
            ("mon-fri 08:00-18:00 UTC", 5, 12, 0, false),
            ("Mon,WED 00:00-24:00 UTC", 2, 23, 59, true),
            ("mon,wed 00:00-24:00 UTC", 1, 12, 0, false),
            ("daily 08:00-18:00 +02:00", 6, 6, 0, true),
            ("daily 08:00-18:00 +02:00", 6, 16, 0, false),
            ("mon 00:00-02:00 +05:30", -1, 18, 30, true),
            ("mon 20:00-24:00 -05:00", 1, 4, 59, true),
            // Over midnight, from the day on which it begins.
            ("fri 22:00-06:00 UTC", 4, 23, 0, true),
            ("fri 22:00-06:00 UTC", 5, 5, 59, true),
            ("fri 22:00-06:00 UTC", 4, 5, 0, false),
            ("sat-mon 10:00-11:00 UTC", 0, 10, 0, true),
            ("sat-mon 10:00-11:00 UTC", 1, 10, 0, false),
        ] {
            assert_eq!(
                holds(window, day, hour, minute),
                said,
                "{window} at {day} {hour}:{minute}"
            );
        }
        let before_1970: Window = "wed 23:00-24:00 UTC".parse().unwrap();
        assert!(before_1970.holds(-1));
    }

    #[test]
    fn what_is_no_window_says_why() {
        let why = |text: &str| text.parse::<Window>().unwrap_err().to_string();
        assert_eq!(why("mon 08:00-18:00"), "it is not three words");
        assert_eq!(
            why("monday 08:00-18:00 UTC"),
            "\"monday\" is no day of the week"
        );
        assert_eq!(why("mon 8:00-18:00 UTC"), "\"8:00\" is no time of the day");
        assert_eq!(
            why("mon 24:00-18:00 UTC"),
            "\"24:00\" is no time of the day"
        );
        assert_eq!(
            why("mon 08:00-24:01 UTC"),
            "\"24:01\" is no time of the day"
        );
        assert_eq!(
            why("mon 08:00-18:00 Europe/Vienna"),
            "\"Europe/Vienna\" is no zone"
        );
        assert_eq!(why("mon 08:00-18:00 +15:00"), "\"+15:00\" is no zone");
    }
}

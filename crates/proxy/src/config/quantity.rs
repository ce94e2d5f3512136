//! Durations and sizes with their units. It never guesses a unit.

use std::time::Duration;

use super::problem::Flaw;
use super::words::either;

/// Units of time, in milliseconds.
const TIMES: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1000),
    ("min", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// Units of size, in bytes.
const SIZES: [(&str, u64); 4] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// What a duration looks like.
pub(super) const DURATION: &str = "a duration such as \"15 s\"";
/// What a size looks like.
pub(super) const SIZE: &str = "a size such as \"16 MiB\"";

/// Reads a duration.
pub(super) fn duration(key: &str, text: &str) -> Result<Duration, Flaw> {
    quantity(key, text, &TIMES, DURATION).map(Duration::from_millis)
}

/// Reads a size.
pub(super) fn size(key: &str, text: &str) -> Result<u64, Flaw> {
    quantity(key, text, &SIZES, SIZE)
}

/// Writes a duration as it is read, in the largest unit that needs no fraction.
pub(crate) fn show_duration(duration: Duration) -> String {
    show(
        u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        &TIMES,
    )
}

/// Writes a size as it is read.
pub(crate) fn show_size(bytes: u64) -> String {
    show(bytes, &SIZES)
}

fn quantity(key: &str, text: &str, units: &[(&str, u64)], expected: &str) -> Result<u64, Flaw> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
    let unit = unit.trim_start_matches(' ');
    let wrong = || Flaw::found(format!("\"{key}\" is the string \"{text}\"")).expected(expected);
    if number.is_empty() || unit.is_empty() {
        return Err(wrong());
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        let known = units.iter().map(|(name, _)| *name);
        let found = format!("\"{key}\" has the unknown unit \"{unit}\"");
        return Err(Flaw::found(found).expected(either(known)));
    };
    number
        .parse()
        .ok()
        .and_then(|number: u64| number.checked_mul(*factor))
        .ok_or_else(wrong)
}

fn show(number: u64, units: &[(&str, u64)]) -> String {
    let fitting = units
        .iter()
        .rev()
        .find(|(_, factor)| number.is_multiple_of(*factor));
    match fitting {
        Some((unit, factor)) => format!("{} {unit}", number / factor),
        None => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_and_written_with_their_unit() {
        for (text, millis, shown) in [
            ("15 s", 15_000, "15 s"),
            ("500ms", 500, "500 ms"),
            ("8 h", 28_800_000, "8 h"),
            ("24 h", 86_400_000, "1 d"),
            ("90 min", 5_400_000, "90 min"),
        ] {
            let read = duration("x", text).unwrap();
            assert_eq!(read, Duration::from_millis(millis));
            assert_eq!(show_duration(read), shown);
        }
        assert_eq!(size("x", "16 MiB").unwrap(), 16 << 20);
        assert_eq!(show_size(16 << 20), "16 MiB");
        for text in [
            "",
            "s",
            "15",
            "-1 s",
            "1.5 h",
            "1 h 5 min",
            "15 s ",
            "99999999999999 d",
        ] {
            assert!(duration("x", text).is_err(), "{text}");
        }
    }
}

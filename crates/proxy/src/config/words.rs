//! Words for messages: the nearest known word, lists, counts; and how two patterns of names relate.
//! It never looks at a file.

use gate::policy::glob;

/// The known word that is nearest to `word`, if one is near enough to have been meant.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let far = 1 + word.chars().count() / 4;
    let (distance, nearest) = known
        .into_iter()
        .map(|known| (distance(&word.to_lowercase(), &known.to_lowercase()), known))
        .min_by_key(|(distance, _)| *distance)?;
    (distance <= far && nearest != word).then_some(nearest)
}

/// How many characters must be put in, taken out or replaced to make one word of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (done, letter) in one.chars().enumerate() {
        let (mut diagonal, mut left) = (done, done + 1);
        for (cell, expected) in row.iter_mut().skip(1).zip(&other) {
            let kept = diagonal + usize::from(letter != *expected);
            diagonal = *cell;
            left = kept.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = done + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// `"a", "b" or "c"`.
pub(super) fn either<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    joined(words, "or")
}

/// `"a", "b" and "c"`.
pub(super) fn all<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    joined(words, "and")
}

fn joined<'a>(words: impl IntoIterator<Item = &'a str>, last: &str) -> String {
    let mut words: Vec<String> = words.into_iter().map(|it| format!("\"{it}\"")).collect();
    match words.pop() {
        Some(word) if words.is_empty() => word,
        Some(word) => format!("{} {last} {word}", words.join(", ")),
        None => String::new(),
    }
}

/// `no members`, `1 member`, `2 members`.
pub(super) fn count(number: usize, noun: &str) -> String {
    match number {
        0 => format!("no {noun}s"),
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// A pattern up to its first star.
pub(super) fn head(pattern: &str) -> &str {
    pattern.split('*').next().unwrap_or_default()
}

/// Whether `wide` fits every name that `narrow` fits. A star of `narrow` is a character that only a
/// star of `wide` can stand for.
pub(super) fn covers(wide: &str, narrow: &str) -> bool {
    glob(wide, narrow)
}

/// Whether some name fits both patterns.
pub(super) fn overlap(one: &str, other: &str) -> bool {
    match (one.strip_prefix('*'), other.strip_prefix('*')) {
        (Some(rest), _) if overlap(rest, other) => true,
        (_, Some(rest)) if overlap(one, rest) => true,
        (Some(_), _) => tail(other).is_some_and(|other| overlap(one, other)),
        (_, Some(_)) => tail(one).is_some_and(|one| overlap(one, other)),
        (None, None) => match (one.chars().next(), other.chars().next()) {
            (None, None) => true,
            (left, right) if left == right => match (tail(one), tail(other)) {
                (Some(one), Some(other)) => overlap(one, other),
                _ => false,
            },
            _ => false,
        },
    }
}

/// All but the first character, which is no star.
fn tail(text: &str) -> Option<&str> {
    let mut letters = text.chars();
    letters.next().map(|_| letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_must_be_near() {
        let known = ["pool_size", "port", "password", "host"];
        assert_eq!(nearest("pol_size", known), Some("pool_size"));
        assert_eq!(nearest("PORT", known), Some("port"));
        assert_eq!(nearest("hots", known), Some("host"));
        assert_eq!(nearest("frobnicate", known), None);
        assert_eq!(nearest("x", []), None);
    }

    #[test]
    fn patterns_overlap_where_one_name_fits_both() {
        for (one, other, said) in [
            ("acme", "acme", true),
            ("acme", "acm", false),
            ("acme*", "acme", true),
            ("*", "", true),
            ("shop_*", "*_eu", true),
            ("shop_*", "*_eu*x", true),
            ("a*b", "a*c", false),
            ("*a*", "*b*", true),
            ("shop_*", "acme", false),
        ] {
            assert_eq!(overlap(one, other), said, "{one} {other}");
            assert_eq!(overlap(other, one), said, "{other} {one}");
        }
    }

    #[test]
    fn a_pattern_covers_what_is_narrower() {
        assert!(covers("*", "shop_*"));
        assert!(covers("shop_*", "shop_*_eu"));
        assert!(covers("acme", "acme"));
        assert!(!covers("shop_*", "*"));
        assert!(!covers("acme", "acme*"));
    }
}

//! Text of others made safe to look at: what a terminal would obey, hide, turn round or make look like
//! something else is written as `\u{202e}` (hazards R97). It never changes what is stored or signed.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

/// How a character stands out that is not shown as itself.
pub const MARK: Style = AnsiColor::Red.on_default().invert().bold();

/// What was found in a text on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Characters that were written as escapes.
    pub escaped: usize,
    /// Characters outside ASCII that were shown as they are.
    pub foreign: usize,
}

/// How a text is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Layout<'a> {
    /// Put before every line.
    pub first: &'a str,
    /// Put before what a line goes on with after `width`.
    pub next: &'a str,
    /// Columns that there are, if that is known: a line is broken here and not by the terminal, so that no
    /// part of it starts where only we write.
    pub width: Option<usize>,
}

/// Appends the text with its lines to `out`.
pub fn lines(out: &mut String, text: &str, layout: Layout<'_>) -> Found {
    let mut found = Found::default();
    let room = layout.width.map_or(usize::MAX, |it| {
        it.saturating_sub(layout.first.len()).max(20)
    });
    for line in text.split('\n') {
        out.push_str(layout.first);
        let mut column = 0;
        for glyph in glyphs(line) {
            if column + glyph.width() > room {
                out.push('\n');
                out.push_str(layout.next);
                column = 0;
            }
            column += glyph.width();
            glyph.write(out, &mut found);
        }
        out.push('\n');
    }
    found
}

/// The text as one line, for where there is no room: blanks run together; no colours.
pub fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_ascii_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&plain(word));
    }
    out
}

/// The text on one line, every character kept; no colours.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for glyph in glyphs(text) {
        match glyph {
            Glyph::Shown(character) => out.push(character),
            Glyph::Escaped(character) => out.extend(escape(character)),
        }
    }
    out
}

/// How many characters of a text with its lines are written as escapes.
pub fn escaped(text: &str) -> usize {
    let glyphs = text.split('\n').flat_map(glyphs);
    glyphs.filter(|it| matches!(it, Glyph::Escaped(_))).count()
}

/// The text on one line, every character kept, marks in colour.
pub fn marked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for glyph in glyphs(text) {
        glyph.write(&mut out, &mut Found::default());
    }
    out
}

/// The first `room` columns of a text that is on one line; `…` stands for the rest.
pub fn cut(text: &str, room: usize) -> String {
    let mut column = 0;
    let mut fits = 0;
    for (at, character) in text.char_indices() {
        column += width(character);
        if column > room {
            return format!("{}…", text.get(..fits).unwrap_or_default());
        }
        if column < room {
            fits = at + character.len_utf8();
        }
    }
    text.to_owned()
}

/// Columns that a text takes that is on one line.
pub fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

enum Glyph {
    Shown(char),
    Escaped(char),
}

impl Glyph {
    fn width(&self) -> usize {
        match self {
            Self::Shown('\t') => 8,
            Self::Shown(character) => width(*character),
            Self::Escaped(character) => escape(*character).count(),
        }
    }

    fn write(&self, out: &mut String, found: &mut Found) {
        match self {
            Self::Shown(character) => {
                found.foreign += usize::from(!character.is_ascii());
                out.push(*character);
            }
            Self::Escaped(character) => {
                found.escaped += 1;
                let _ = write!(out, "{MARK}");
                out.extend(escape(*character));
                let _ = write!(out, "{MARK:#}");
            }
        }
    }
}

fn escape(character: char) -> impl Iterator<Item = char> {
    character.escape_unicode()
}

/// The text as it is shown, word by word: a letter that looks like a Latin one is only suspicious beside
/// Latin ones, a whole Greek word is not.
fn glyphs(text: &str) -> impl Iterator<Item = Glyph> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let inside = is_word(first);
        let end = rest.find(|it| is_word(it) != inside).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        Some((run, inside))
    })
    .flat_map(|(run, inside)| {
        let latin = inside && run.bytes().any(|byte| byte.is_ascii_alphabetic());
        run.chars().map(move |character| {
            let odd = hides(character) || (latin && looks_latin(character));
            if odd {
                Glyph::Escaped(character)
            } else {
                Glyph::Shown(character)
            }
        })
    })
}

fn is_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

/// What a terminal obeys or does not show, blanks that are not blanks to PostgreSQL, and signs that look
/// like those that mean something in SQL.
fn hides(character: char) -> bool {
    match character {
        '\t' | ' '..='~' => false,
        _ if character.is_control() => true,
        _ if character.is_whitespace() => true,
        _ => matches!(u32::from(character),
            0xad | 0x34f | 0x61c | 0x70f | 0x8e2 | 0x115f | 0x1160 | 0x17b4 | 0x17b5 | 0x180b..=0x180f
            | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0x2800 | 0x3164 | 0xfe00..=0xfe0f
            | 0xfeff | 0xffa0 | 0xfff0..=0xfffd | 0x110bd | 0x110cd | 0x13430..=0x1345f
            | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff
            // private use: a font shows what it likes
            | 0xe000..=0xf8ff | 0xf_0000..=0x10_ffff
            // quotes, semicolons, dashes, slashes, stars, brackets and the like
            | 0xb4 | 0x2b9..=0x2bf | 0x2c8 | 0x2ca | 0x2cb | 0x2f4 | 0x37e | 0x387 | 0x5be | 0x5c0 | 0x5c3 | 0x5f3 | 0x5f4
            | 0x66a..=0x66d | 0x2010..=0x2013 | 0x2018..=0x201f | 0x2032..=0x2037 | 0x203a | 0x2039 | 0x2043..=0x2044
            | 0x204e..=0x204f | 0x2212 | 0x2215..=0x2217 | 0x2223 | 0x2236 | 0x223c | 0xa789 | 0xfe13..=0xfe14
            | 0xfe50..=0xfe6b | 0xff01..=0xff0f | 0xff1a..=0xff20 | 0xff3b..=0xff40 | 0xff5b..=0xff65),
    }
}

/// Letters and digits of other scripts that can be taken for Latin ones.
fn looks_latin(character: char) -> bool {
    matches!(u32::from(character),
        0x131 | 0x184..=0x185 | 0x1c0..=0x1c3 | 0x237 | 0x250..=0x2af | 0x370..=0x3ff | 0x400..=0x52f | 0x530..=0x58f
        | 0x5d0..=0x5ea | 0x660..=0x669 | 0x6f0..=0x6f9 | 0x13a0..=0x13ff | 0x1c80..=0x1c8f | 0x1d00..=0x1dbf
        | 0x1f00..=0x1fff | 0x2070..=0x209c | 0x2100..=0x218b | 0x24b6..=0x24e9 | 0x2c80..=0x2cff
        | 0xa4d0..=0xa4ff | 0xa640..=0xa69f | 0xab30..=0xabbf | 0xff10..=0xff19 | 0xff21..=0xff3a
        | 0xff41..=0xff5a | 0x10280..=0x1031f | 0x10400..=0x1044f | 0x104b0..=0x104ff | 0x118a0..=0x118df | 0x16f00..=0x16f9f
        | 0x1d400..=0x1d7ff | 0x1f130..=0x1f189 | 0x1fbf0..=0x1fbf9)
}

/// Columns of a character as terminals count them, near enough for a table.
fn width(character: char) -> usize {
    match u32::from(character) {
        0x300..=0x36f
        | 0x483..=0x489
        | 0x591..=0x5bd
        | 0x610..=0x61a
        | 0x64b..=0x65f
        | 0x1ab0..=0x1aff
        | 0x1dc0..=0x1dff
        | 0x20d0..=0x20ff
        | 0xfe20..=0xfe2f => 0,
        0x1100..=0x115e
        | 0x2e80..=0x303e
        | 0x3041..=0x33ff
        | 0x3400..=0x4dbf
        | 0x4e00..=0x9fff
        | 0xa000..=0xa4cf
        | 0xa960..=0xa97f
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe4f
        | 0xff01..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f680..=0x1f6ff
        | 0x1f900..=0x1f9ff
        | 0x1fa70..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_or_hide_is_written_out() {
        for (text, shown) in [
            ("SELECT 'é', 'мир', '日本'", "SELECT 'é', 'мир', '日本'"),
            ("a\u{1b}[2Jb", r"a\u{1b}[2Jb"),
            ("a\rb\u{8}\0\u{7f}\u{9b}", r"a\u{d}b\u{8}\u{0}\u{7f}\u{9b}"),
            ("x \u{202e}y\u{2066}", r"x \u{202e}y\u{2066}"),
            ("a\u{200b}b\u{feff}\u{ad}", r"a\u{200b}b\u{feff}\u{ad}"),
            ("a\u{a0}b\u{3000}c\u{2028}", r"a\u{a0}b\u{3000}c\u{2028}"),
            ("\u{e0041}\u{fe0f}\u{f8ff}", r"\u{e0041}\u{fe0f}\u{f8ff}"),
            (
                "'x\u{2019} \u{37e}\u{ff1b}\u{2212}",
                r"'x\u{2019} \u{37e}\u{ff1b}\u{2212}",
            ),
            ("\u{430}ccounts", r"\u{430}ccounts"),
            ("\u{ff41}b \u{1d41a}b", r"\u{ff41}b \u{1d41a}b"),
            ("a\tb", "a\tb"),
        ] {
            assert_eq!(plain(text), shown, "{text:?}");
        }
    }

    #[test]
    fn every_control_and_format_character_is_caught() {
        for character in (0..=0x1f).chain(0x7f..=0x9f).filter_map(char::from_u32) {
            assert_eq!(hides(character), character != '\t', "{character:?}");
        }
        for character in ('\u{202a}'..='\u{202e}')
            .chain('\u{2066}'..='\u{2069}')
            .chain(['\u{200e}', '\u{61c}'])
        {
            assert!(hides(character), "{character:?}");
        }
        assert!((' '..='~').all(|it| !hides(it)));
    }

    #[test]
    fn marks_are_in_colour_and_counted() {
        let mut out = String::new();
        let layout = Layout {
            first: "| ",
            next: "¦ ",
            width: None,
        };
        let found = lines(&mut out, "é\u{202e}\nx", layout);
        assert_eq!(
            found,
            Found {
                escaped: 1,
                foreign: 1
            }
        );
        assert_eq!(out, format!("| é{MARK}\\u{{202e}}{MARK:#}\n| x\n"));
        assert_eq!(
            anstream::adapter::strip_str(&out).to_string(),
            "| é\\u{202e}\n| x\n"
        );
        assert_eq!(marked("a\u{7}"), format!("a{MARK}\\u{{7}}{MARK:#}"));
    }

    #[test]
    fn no_part_of_a_long_line_starts_at_the_margin() {
        let mut out = String::new();
        let text = format!("SELECT 1 --{}T-1 approved", " ".repeat(69));
        lines(
            &mut out,
            &text,
            Layout {
                first: "  | ",
                next: "  ¦ ",
                width: Some(80),
            },
        );
        assert!(out.lines().all(|line| line.starts_with("  ")), "{out}");
        assert!(out.lines().all(|line| columns(line) <= 80), "{out}");
        assert_eq!(
            out.lines()
                .map(|line| line[4..].trim_start_matches(' '))
                .collect::<String>()
                .matches("T-1")
                .count(),
            1
        );
    }

    #[test]
    fn a_megabyte_is_shown_whole() {
        let text = "x".repeat(1 << 20);
        let mut out = String::new();
        lines(
            &mut out,
            &text,
            Layout {
                first: "",
                next: "",
                width: Some(80),
            },
        );
        assert_eq!(out.bytes().filter(|byte| *byte == b'x').count(), 1 << 20);
    }

    #[test]
    fn cutting() {
        for (text, room, kept) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("", 3, ""),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("abc", 1, "…"),
        ] {
            assert_eq!(cut(text, room), kept, "{text} {room}");
            assert!(columns(&cut(text, room)) <= room);
        }
        assert_eq!(
            one_line("UPDATE a\n\t SET  b = 1\u{7}"),
            r"UPDATE a SET b = 1\u{7}"
        );
    }
}

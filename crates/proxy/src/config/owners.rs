//! The file of owners, as in CODEOWNERS: a pattern of relations and the groups that own them in each line,
//! and the last line that fits counts. It never decides who signs: that is the rules' `from = "owners"`.

use std::fs;
use std::path::Path;

use gate::Group;
use gate::policy::{Owned, Owners, RelationPattern};

use super::files;
use super::known::Known;
use super::problem::{Flaw, Place};
use super::reader::{Page, Text};

const LINE: &str = "a relation such as \"public.accounts\", then its groups";

/// Reads the file of this name.
pub(super) fn owners(page: &Page<'_>, name: &Text<'_>, known: Known<'_>) -> Option<Owners> {
    let path = page.path(name.text);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            let why = files::reason(&error);
            let found = format!("could not read owners file \"{}\": {why}", name.text);
            page.flaw(&name.span, Flaw::found(found));
            return None;
        }
    };
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let flaw = |at: usize, flaw: Flaw| note(page, &path, (number, line, at), flaw);
        let mut words = words(line).into_iter();
        let Some((at, pattern)) = words.next() else {
            continue;
        };
        let groups: Vec<Group> = words
            .map(|(at, group)| {
                if let Err(unknown) = known.check_group(group) {
                    flaw(at, unknown);
                }
                Group::from(group)
            })
            .collect();
        match pattern.parse::<RelationPattern>() {
            Ok(pattern) if pattern.column.is_none() => lines.push(Owned { pattern, groups }),
            Ok(_) => {
                let found = format!("\"{pattern}\" is a column, and relations have owners");
                flaw(at, Flaw::found(found).expected(LINE));
            }
            Err(why) => {
                let found = format!("\"{pattern}\" is no relation: {why}");
                flaw(at, Flaw::found(found).expected(LINE));
            }
        }
    }
    Some(Owners::new(lines))
}

fn note(page: &Page<'_>, path: &Path, (number, line, at): (usize, &str, usize), flaw: Flaw) {
    let before = line.get(..at).unwrap_or_default();
    let place = Place {
        line: number + 1,
        column: before.chars().count() + 1,
    };
    page.flaw_in(path, place, flaw);
}

/// The words of a line with their places: blanks part them but in quotes, and a word that begins with `#`
/// begins a comment.
fn words(line: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let (mut start, mut quoted) = (None, false);
    for (at, letter) in line.char_indices() {
        match (letter, start) {
            ('#', None) => return words,
            (blank, Some(from)) if blank.is_whitespace() && !quoted => {
                words.extend(line.get(from..at).map(|word| (from, word)));
                start = None;
            }
            (blank, None) if blank.is_whitespace() => {}
            _ => {
                quoted ^= letter == '"';
                start.get_or_insert(at);
            }
        }
    }
    let last = start.and_then(|from| Some((from, line.get(from..)?)));
    words.extend(last);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_words() {
        let of = |line| {
            words(line)
                .into_iter()
                .map(|(_, word)| word)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            of(" public.accounts  dba\tfinance # mine"),
            ["public.accounts", "dba", "finance"]
        );
        assert_eq!(of("\"My # table\".x dba"), ["\"My # table\".x", "dba"]);
        assert_eq!(of("# nothing"), [""; 0]);
        assert_eq!(of(""), [""; 0]);
        assert_eq!(words("é x"), [(0, "é"), (3, "x")]);
    }
}

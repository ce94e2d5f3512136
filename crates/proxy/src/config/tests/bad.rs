//! Bad configurations and, word for word, what is said of them: `bad.txt`. It never connects.

use std::fmt::Write;

use super::{Room, SOUND};

/// Cases with a line between them. `- ` lines of the sound configuration give way to `+ ` lines, which
/// come first where nothing gives way; `= ` lines are the problems.
const CASES: &str = include_str!("bad.txt");

fn lines(case: &str, mark: char) -> Vec<&str> {
    let marked = case.lines().filter_map(|line| line.strip_prefix(mark));
    marked
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect()
}

/// The sound configuration as the case wants it.
fn changed(case: &str) -> String {
    let text = |mark| {
        lines(case, mark)
            .iter()
            .fold(String::new(), |text, line| text + line + "\n")
    };
    let (old, new) = (text('-'), text('+'));
    assert!(SOUND.contains(&old), "not in the sound one: {old}");
    SOUND.replacen(&old, &new, 1)
}

#[test]
fn every_problem_is_told_with_its_place() {
    let room = Room::new();
    let (mut wrong, mut count) = (String::new(), 0);
    for case in CASES.split("\n\n").filter(|case| !case.starts_with('#')) {
        count += 1;
        let problems = room.problems(room.parse(&changed(case)));
        let said = problems
            .iter()
            .map(|it| it.trim_start_matches("gate.toml:"));
        let said: Vec<&str> = said.collect();
        if said != lines(case, '=') || said.is_empty() {
            for line in case.lines().filter(|line| !line.starts_with('=')) {
                writeln!(wrong, "{line}").unwrap();
            }
            for line in said {
                writeln!(wrong, "= {line}").unwrap();
            }
            wrong.push('\n');
        }
    }
    assert!(wrong.is_empty(), "these are other now:\n\n{wrong}");
    assert!(count >= 40);
}

#[test]
fn the_sound_one_is_sound() {
    let room = Room::new();
    assert_eq!(room.problems(room.parse(SOUND)), [""; 0]);
}

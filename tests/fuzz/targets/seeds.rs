//! The committed corpus: texts that a person can read and change. SQL is as it is; bytes are written line
//! by line, with escapes as in a Rust byte string:
//!
//! ```text
//! # a comment
//! Q select 1\0
//! Q@ffffffff select 1\0
//! = \0\0\0\x08\x04\xd2\x16\x2f
//! ```
//!
//! `T BODY` is a message with tag `T`; `T@LENGTH` is one whose length word says something else; behind
//! `=` are bytes as they are, and behind `@` a startup packet: its length word comes by itself.

use std::fs;
use std::path::{Path, PathBuf};

use super::stream::encoded;

/// The seeds of a target, with the names of their files.
pub fn of(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut seeds: Vec<_> = fs::read_dir(folder().join(target))
        .expect("a folder of seeds")
        .map(|entry| entry.unwrap().path())
        .map(|path| (name(&path), decoded(&path)))
        .collect();
    seeds.sort();
    seeds
}

/// Writes the seeds of a target into the folder that a fuzzer was told to read; it may have been told to
/// run a file instead.
pub fn write_for_a_fuzzer(target: &str) {
    let folder = std::env::args().skip(1).find(|it| Path::new(it).is_dir());
    for (name, bytes) in of(target) {
        if let Some(folder) = &folder {
            fs::write(Path::new(folder).join(name), bytes).unwrap();
        }
    }
}

/// Tests are compiled in `tests`, the fuzzer in `tests/fuzz`.
fn folder() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let inside = package.join("corpus");
    if inside.is_dir() {
        inside
    } else {
        package.join("fuzz/corpus")
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn decoded(path: &Path) -> Vec<u8> {
    let text = fs::read_to_string(path).unwrap();
    if path.extension().is_some_and(|it| it == "sql") {
        return text.into_bytes();
    }
    let lines = text
        .lines()
        .filter(|it| !it.is_empty() && !it.starts_with('#'));
    lines.flat_map(line).collect()
}

fn line(line: &str) -> Vec<u8> {
    let (head, body) = line.split_once(' ').unwrap_or((line, ""));
    let body = unescaped(body);
    let tag = head.as_bytes()[0];
    match head.split_once('@') {
        None if head == "=" => body,
        None => encoded(tag, &body),
        Some(("", _)) => {
            let length = u32::try_from(body.len() + 4).unwrap();
            [&length.to_be_bytes(), &body[..]].concat()
        }
        Some((_, word)) => {
            let word = u32::from_str_radix(word, 16).expect("eight hex digits");
            [&[tag], &word.to_be_bytes()[..], &body].concat()
        }
    }
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let (&kind, behind) = rest.split_first().expect("an escape");
        rest = behind;
        bytes.push(match kind {
            b'0' => 0,
            b'n' => b'\n',
            b'\\' => b'\\',
            b'x' => {
                let (digits, behind) = rest.split_at(2);
                rest = behind;
                u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16)
                    .expect("two hex digits")
            }
            other => panic!("\\{} is no escape", char::from(other)),
        });
    }
    bytes
}

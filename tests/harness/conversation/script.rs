//! Reads a script: its head, and its lines as bytes to send and things to wait for. It never plays.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::words::{Words, Wrong, hexadecimal};
use crate::raw;

/// A conversation, read.
#[derive(Debug)]
pub struct Script {
    /// Its path under the directory of all.
    pub name: String,
    /// The comments at its head.
    pub about: String,
    /// The pool modes it is for; all, if none is named.
    pub modes: Vec<String>,
    pub(super) minor: u16,
    pub(super) startup: BTreeMap<String, Vec<(String, String)>>,
    pub(super) lines: Vec<Line>,
}

/// One line, with those that go on with it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) text: String,
    pub(super) who: String,
    pub(super) act: Act,
    pub(super) wait: Vec<Awaited>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Act {
    Send(Vec<u8>),
    Connect,
    Disconnect,
    HalfClose,
    Cancel { whom: String, wrongly: bool },
    When(String),
    Nothing,
    GateAnswers(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaited {
    Tag(u8),
    End,
}

/// All scripts under this directory, by name.
#[track_caller]
pub fn scripts(directory: &Path) -> Vec<Script> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut waiting = vec![directory.to_path_buf()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|it| it == "txt") {
                found.push(path);
            }
        }
    }
    found.sort();
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(directory).unwrap().display().to_string();
        Script::read(&name, &fs::read_to_string(path).unwrap())
    };
    found.iter().map(read).collect()
}

impl Script {
    /// Reads one; panics with the line where it is no script.
    #[track_caller]
    pub fn read(name: &str, text: &str) -> Self {
        let mut script = Self {
            name: name.to_owned(),
            about: String::new(),
            modes: Vec::new(),
            minor: 0,
            startup: BTreeMap::new(),
            lines: Vec::new(),
        };
        for (number, line) in joined(text) {
            if let Err(wrong) = script.line(number, &line) {
                panic!("{name}:{number}: {wrong}");
            }
        }
        assert!(!script.lines.is_empty(), "{name} says nothing");
        script
    }

    fn line(&mut self, number: usize, text: &str) -> Result<(), Wrong> {
        if let Some(comment) = text.strip_prefix('#') {
            if self.lines.is_empty() {
                self.about.push_str(comment);
                self.about.push('\n');
            }
            return Ok(());
        }
        if self.lines.is_empty() && self.head(text)? {
            return Ok(());
        }
        let (message, wait) = text.rsplit_once("=> ").unwrap_or((text, ""));
        let (who, message) = speaker(message);
        self.lines.push(Line {
            number,
            text: text.to_owned(),
            who: who.to_owned(),
            act: act(Words::of(message))?,
            wait: wait
                .split_whitespace()
                .map(awaited)
                .collect::<Result<_, _>>()?,
        });
        Ok(())
    }

    /// A line of the head; `false` if it is a message.
    fn head(&mut self, line: &str) -> Result<bool, Wrong> {
        let Some((key, value)) = line.split_once(':') else {
            return Ok(false);
        };
        let value = value.trim();
        match key.split_whitespace().collect::<Vec<_>>()[..] {
            ["modes"] => {
                let (modes, reason) = value.split_once('(').ok_or("modes need a (reason)")?;
                if !reason.ends_with(')') || reason.len() < 10 {
                    return Err("modes need a (reason)".to_owned());
                }
                self.modes = modes.split_whitespace().map(str::to_owned).collect();
            }
            ["protocol"] => {
                let minor = value.strip_prefix("3.").ok_or("protocol 3 only")?;
                self.minor = minor.parse().map_err(|_| "no minor version")?;
            }
            ["startup"] => self.start("a", value)?,
            ["startup", who] => self.start(who, value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn start(&mut self, who: &str, setting: &str) -> Result<(), Wrong> {
        let (name, value) = setting.split_once('=').ok_or("no `name = value`")?;
        let setting = (name.trim().to_owned(), value.trim().to_owned());
        self.startup
            .entry(who.to_owned())
            .or_default()
            .push(setting);
        Ok(())
    }
}

/// Lines with their numbers, each with those that go on with it; without empty ones.
fn joined(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        match lines.last_mut() {
            _ if line.trim().is_empty() => {}
            Some((_, before)) if line.starts_with(' ') => {
                before.push(' ');
                before.push_str(line.trim());
            }
            _ => lines.push((index + 1, line.trim_end().to_owned())),
        }
    }
    lines
}

fn speaker(line: &str) -> (&str, &str) {
    match line.split_once(": ") {
        Some((who, rest)) if who.chars().all(|c| c.is_ascii_lowercase()) => (who, rest),
        _ => ("a", line),
    }
}

fn awaited(word: &str) -> Result<Awaited, Wrong> {
    match word.as_bytes() {
        b"end" => Ok(Awaited::End),
        [tag] => Ok(Awaited::Tag(*tag)),
        _ => Err(format!("{word:?} is neither a tag nor `end`")),
    }
}

fn act(mut words: Words<'_>) -> Result<Act, Wrong> {
    if words.is_empty() {
        return Ok(Act::Nothing);
    }
    let all = words;
    let act = match words.word()? {
        "connect" => Act::Connect,
        "disconnect" => Act::Disconnect,
        "half-close" => Act::HalfClose,
        "when" => Act::When(text(&mut words)?),
        "cancel" => Act::Cancel {
            whom: words.word()?.to_owned(),
            wrongly: words.take("wrongly"),
        },
        "gate" if words.take("answers") => {
            let mut said = Vec::new();
            while !words.is_empty() {
                let _between = words.take(",");
                said.push(words.word()?);
            }
            return Ok(Act::GateAnswers(said.join(" ")));
        }
        _ => {
            words = all;
            Act::Send(messages(&mut words)?)
        }
    };
    words.end()?;
    Ok(act)
}

/// `100 times Bind "" "s" / Execute ""`.
fn messages(words: &mut Words<'_>) -> Result<Vec<u8>, Wrong> {
    let mut plain = *words;
    let times = match plain.number() {
        Ok(times) if plain.take("times") => {
            *words = plain;
            times
        }
        _ => 1,
    };
    let mut bytes = message(words)?;
    while words.take("/") {
        bytes.extend(message(words)?);
    }
    Ok(bytes.repeat(times))
}

fn message(words: &mut Words<'_>) -> Result<Vec<u8>, Wrong> {
    let (tag, body) = match words.word()? {
        "Query" => (b'Q', zero_ended(words.string()?)),
        "Parse" => (b'P', parse(words)?),
        "Bind" => (b'B', bind(words)?),
        "Describe" => (b'D', named(words)?),
        "Close" => (b'C', named(words)?),
        "Execute" => {
            let mut body = zero_ended(words.string()?);
            body.extend(words.number().unwrap_or(0_i32).to_be_bytes());
            (b'E', body)
        }
        "FunctionCall" => (b'F', function_call(words)?),
        "Flush" => (b'H', Vec::new()),
        "Sync" => (b'S', Vec::new()),
        "CopyData" => (b'd', words.string()?),
        "CopyDone" => (b'c', Vec::new()),
        "CopyFail" => (b'f', zero_ended(words.string()?)),
        "Password" => (b'p', words.string()?),
        "Terminate" => (b'X', Vec::new()),
        "Raw" => return words.bytes(),
        other => return Err(format!("{other:?} is no message")),
    };
    Ok(raw::frame(tag, &body))
}

fn parse(words: &mut Words<'_>) -> Result<Vec<u8>, Wrong> {
    let mut body = zero_ended(words.string()?);
    body.extend(zero_ended(words.string()?));
    let types = words.list_if_any(Words::number::<u32>)?;
    body.extend(count(types.len())?);
    body.extend(types.iter().flat_map(|oid| oid.to_be_bytes()));
    Ok(body)
}

fn bind(words: &mut Words<'_>) -> Result<Vec<u8>, Wrong> {
    let mut body = zero_ended(words.string()?);
    body.extend(zero_ended(words.string()?));
    let values = words.list_if_any(value)?;
    let params = formats(words, "params")?;
    let results = formats(words, "results")?;
    body.extend(params);
    body.extend(count(values.len())?);
    body.extend(values.concat());
    body.extend(results);
    Ok(body)
}

fn function_call(words: &mut Words<'_>) -> Result<Vec<u8>, Wrong> {
    let mut body = words.number::<u32>()?.to_be_bytes().to_vec();
    body.extend([0, 0]);
    let values = words.list_if_any(value)?;
    body.extend(count(values.len())?);
    body.extend(values.concat());
    body.extend([0, 0]);
    Ok(body)
}

/// One value with its length.
fn value(words: &mut Words<'_>) -> Result<Vec<u8>, Wrong> {
    if words.take("null") {
        return Ok((-1_i32).to_be_bytes().to_vec());
    }
    let bytes = if words.prefix("0x") {
        hexadecimal(words.word()?)?
    } else {
        words.string()?
    };
    let length = i32::try_from(bytes.len()).map_err(|_| "a value too long")?;
    Ok([&length.to_be_bytes()[..], &bytes].concat())
}

fn formats(words: &mut Words<'_>, which: &str) -> Result<Vec<u8>, Wrong> {
    let mut formats = Vec::new();
    if words.take(which) {
        formats = words.list_if_any(|words| match words.word()? {
            "text" => Ok(0_u16),
            "binary" => Ok(1),
            other => other.parse().map_err(|_| format!("{other:?} is no format")),
        })?;
    }
    let mut bytes = count(formats.len())?.to_vec();
    bytes.extend(formats.iter().flat_map(|format| format.to_be_bytes()));
    Ok(bytes)
}

fn named(words: &mut Words<'_>) -> Result<Vec<u8>, Wrong> {
    let kind = match words.word()? {
        "statement" => b'S',
        "portal" => b'P',
        other => return Err(format!("{other:?} is neither statement nor portal")),
    };
    Ok([&[kind][..], &zero_ended(words.string()?)].concat())
}

fn count(number: usize) -> Result<[u8; 2], Wrong> {
    let count = u16::try_from(number).map_err(|_| "too many for two bytes")?;
    Ok(count.to_be_bytes())
}

fn zero_ended(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.push(0);
    bytes
}

fn text(words: &mut Words<'_>) -> Result<String, Wrong> {
    String::from_utf8(words.string()?).map_err(|_| "not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read() {
        let script = Script::read(
            "x.txt",
            "# Shows R36.\nstartup b: application_name = me\n\nParse \"s\" \"select $1\"\n  [23]\n\
             b: Bind \"\" \"s\" [\"7\", null, 0x01] results [binary] => 2 end\nwhen \"select true\"\n",
        );
        assert_eq!(script.about, " Shows R36.\n");
        assert_eq!(script.startup["b"].len(), 1);
        assert_eq!(script.lines.len(), 3);
        let [parse, bind, when] = &script.lines[..] else {
            panic!("{script:?}")
        };
        assert_eq!((parse.number, parse.who.as_str()), (4, "a"));
        let body = b"s\0select $1\0\0\x01\0\0\0\x17";
        assert_eq!(parse.act, Act::Send(raw::frame(b'P', body)));
        assert_eq!(bind.wait, [Awaited::Tag(b'2'), Awaited::End]);
        let body = b"\0s\0\0\0\0\x03\0\0\0\x017\xff\xff\xff\xff\0\0\0\x01\x01\0\x01\0\x01";
        assert_eq!(bind.act, Act::Send(raw::frame(b'B', body)));
        assert_eq!(when.act, Act::When("select true".to_owned()));
    }
}

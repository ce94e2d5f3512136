//! What was heard in a play, and whether two plays agree. What may differ is said here and nowhere
//! else: keys, the process id of somebody else's notification, object numbers, notices of the gate, and
//! where in PostgreSQL's source an error arose if the gate has to say it itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::readable::{fields_of, readable};
use super::script::{Act, Script};
use crate::raw::Frame;

/// The class of SQLSTATE of the gate's own notices.
const GATE_CLASS: &str = "ZG";
/// What the gate has to say itself at times, since no server hears of it: of statements and portals
/// that it keeps, of columns that are not what they were, of transactions that it has not begun, and of messages that make no sense. Only of
/// these may file, line and routine be missing.
const SAID_BY_THE_GATE: [&str; 9] = [
    "08P01", "25001", "25P01", "25P02", "26000", "34000", "42P05", "57014", "0A000",
];
/// In a failed transaction PostgreSQL refuses every message in its own function, and the gate may send
/// another one first, such as the Parse that goes with a Bind. Of this file, line and routine do not count.
const FAILED_TRANSACTION: &str = "25P02";
/// The fields that name file, line and routine.
const SOURCE_FIELDS: [char; 3] = ['F', 'L', 'R'];
/// Objects from this number on were made after the cluster: their numbers are those of the day.
const FIRST_OWN_OID: u32 = 16_384;
/// AuthenticationOk; the rest of a login is different by nature.
const AUTHENTICATION_OK: [u8; 4] = [0; 4];
/// Messages shown before the one that differs.
const BEFORE: usize = 3;

/// All that was heard, in order.
#[derive(Debug, Default)]
pub struct Transcript {
    pub(super) heard: Vec<Heard>,
    /// The process id that each connection was told.
    pub(super) ids: BTreeMap<String, i32>,
}

#[derive(Debug)]
pub(super) struct Heard {
    who: String,
    line: usize,
    what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Frame(Frame),
    /// The other side closed.
    End,
    /// It did not come in time.
    Nothing(String),
}

/// One thing heard, ready to be compared.
struct Said {
    line: usize,
    text: String,
    what: Comparable,
}

#[derive(PartialEq, Eq)]
enum Comparable {
    Frame(u8, Vec<u8>),
    /// An error or a notice.
    Fields(u8, Vec<(char, String)>),
    End,
    Nothing,
}

impl Transcript {
    pub(super) fn hear(&mut self, who: &str, line: usize, what: What) {
        self.heard.push(Heard {
            who: who.to_owned(),
            line,
            what,
        });
    }

    /// As text, for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for heard in &self.heard {
            let said = self.words(heard);
            let _infallible = writeln!(text, "{:>4} {}: {said}", heard.line, heard.who);
        }
        text
    }

    /// What one connection heard, but where the gate differs on purpose.
    fn said(&self, who: &str, apart: &[OnPurpose]) -> Vec<Said> {
        let mut oids = Vec::new();
        let heard = self.heard.iter().filter(|it| it.who == who);
        heard
            .filter(|it| !apart.iter().any(|on_purpose| on_purpose.covers(it)))
            .filter(|it| !it.what.may_be_added())
            .map(|it| Said {
                line: it.line,
                text: self.words(it),
                what: self.comparable(it, &mut oids),
            })
            .collect()
    }

    fn words(&self, heard: &Heard) -> String {
        let mut words = heard.what.text();
        if let What::Frame(frame) = &heard.what
            && frame.tag == b'A'
        {
            let from = self.sender(&heard.who, frame);
            let _infallible = write!(words, " from {}", String::from_utf8_lossy(from));
        }
        words
    }

    /// A client asks one thing of the process id in a notification: is it my own?
    fn sender(&self, who: &str, notification: &Frame) -> &'static [u8] {
        let id = i32::from_be_bytes(notification.body[..4].try_into().unwrap());
        if self.ids.get(who) == Some(&id) {
            b"itself"
        } else {
            b"somebody else"
        }
    }

    fn comparable(&self, heard: &Heard, oids: &mut Vec<u32>) -> Comparable {
        let frame = match &heard.what {
            What::Frame(frame) => frame,
            What::End => return Comparable::End,
            What::Nothing(_) => return Comparable::Nothing,
        };
        let body = match frame.tag {
            b'E' | b'N' => return Comparable::Fields(frame.tag, fields_of(&frame.body)),
            b'K' => frame.body.len().to_be_bytes().to_vec(),
            b'A' => [self.sender(&heard.who, frame), &frame.body[4..]].concat(),
            b't' => numbered(&frame.body, oids),
            b'T' => described(&frame.body, oids),
            _ => frame.body.clone(),
        };
        Comparable::Frame(frame.tag, body)
    }

    /// What was heard on one line, as tags with their code: `E 0A000 Z I`.
    fn brief(&self, line: usize) -> String {
        let heard = self.heard.iter().filter(|it| it.line == line);
        let brief: Vec<String> = heard
            .filter(|it| !it.what.may_be_added())
            .map(|it| match &it.what {
                What::Frame(frame) => match frame.tag {
                    b'E' | b'N' => format!("{} {}", char::from(frame.tag), frame.sqlstate()),
                    b'Z' => format!("Z {}", String::from_utf8_lossy(&frame.body)),
                    tag => char::from(tag).to_string(),
                },
                What::End => "end".to_owned(),
                What::Nothing(_) => "nothing".to_owned(),
            })
            .collect();
        brief.join(" ")
    }
}

impl What {
    fn text(&self) -> String {
        match self {
            Self::Frame(frame) => readable(frame),
            Self::End => "the end of the connection".to_owned(),
            Self::Nothing(why) => format!("nothing more ({why})"),
        }
    }

    /// A notice of the gate, or what a login is made of.
    fn may_be_added(&self) -> bool {
        let Self::Frame(frame) = self else {
            return false;
        };
        match frame.tag {
            b'R' => frame.body != AUTHENTICATION_OK,
            b'N' => frame.sqlstate().starts_with(GATE_CLASS),
            _ => false,
        }
    }
}

/// Where the gate's replies first differ from the server's, in words; `None` if they nowhere do.
pub fn mismatch(script: &Script, server: &Transcript, gate: &Transcript) -> Option<String> {
    let apart = on_purpose(script);
    for on_purpose in &apart {
        let said = gate.brief(on_purpose.line);
        if said != on_purpose.says {
            return Some(format!(
                "{}:{}: the gate should say {}, not {said}",
                script.name, on_purpose.line, on_purpose.says
            ));
        }
    }
    let everybody = server.heard.iter().chain(&gate.heard).map(|it| &it.who);
    everybody
        .collect::<BTreeSet<_>>()
        .into_iter()
        .find_map(|who| {
            let (theirs, ours) = (server.said(who, &apart), gate.said(who, &apart));
            first_difference(script, who, &theirs, &ours)
        })
}

/// Where the gate says something else on purpose.
struct OnPurpose<'a> {
    who: &'a str,
    line: usize,
    says: &'a str,
}

impl OnPurpose<'_> {
    /// The answer in question, and what comes behind it if it ends the connection.
    fn covers(&self, heard: &Heard) -> bool {
        let last = self.says.ends_with("end");
        heard.who == self.who && (heard.line == self.line || last && heard.line > self.line)
    }
}

fn on_purpose(script: &Script) -> Vec<OnPurpose<'_>> {
    let pairs = script.lines.windows(2);
    pairs
        .filter_map(|pair| match &pair[1].act {
            Act::GateAnswers(says) => Some(OnPurpose {
                who: &pair[0].who,
                line: pair[0].number,
                says,
            }),
            _ => None,
        })
        .collect()
}

fn first_difference(script: &Script, who: &str, theirs: &[Said], ours: &[Said]) -> Option<String> {
    let both = theirs.iter().zip(ours);
    let same = both
        .take_while(|(it, our)| agree(&it.what, &our.what))
        .count();
    let (expected, seen) = (theirs.get(same), ours.get(same));
    let line = expected.or(seen)?.line;
    let sent = script.lines.iter().find(|it| it.number == line);
    let sent: String = sent.map_or("", |it| &it.text).chars().take(200).collect();
    let mut text = format!("{}:{line} ({who}): {sent}\n", script.name);
    for said in &theirs[same.saturating_sub(BEFORE)..same] {
        let _infallible = writeln!(text, "    both:       {}", said.text);
    }
    let nothing = "(no more)";
    let _infallible = writeln!(
        text,
        "    PostgreSQL: {}\n    the gate:   {}",
        expected.map_or(nothing, |it| &it.text),
        seen.map_or(nothing, |it| &it.text)
    );
    Some(text)
}

fn agree(server: &Comparable, gate: &Comparable) -> bool {
    let (Comparable::Fields(one, theirs), Comparable::Fields(other, ours)) = (server, gate) else {
        return server == gate;
    };
    let code = theirs.iter().find(|it| it.0 == 'C').map_or("", |it| &it.1);
    let source = |it: &&(char, String)| SOURCE_FIELDS.contains(&it.0);
    // What the gate says itself has no line in PostgreSQL's source.
    let of_the_gate = SAID_BY_THE_GATE.contains(&code) && !ours.iter().any(|it| it.0 == 'L');
    let ignored = of_the_gate || code == FAILED_TRANSACTION;
    let counts = |it: &&(char, String)| !ignored || !source(it);
    one == other && theirs.iter().filter(counts).eq(ours.iter().filter(counts))
}

/// ParameterDescription, its own types by their order of appearance.
fn numbered(body: &[u8], oids: &mut Vec<u32>) -> Vec<u8> {
    let mut body = body.to_vec();
    for at in (2..body.len().saturating_sub(3)).step_by(4) {
        renumber(&mut body, at, oids);
    }
    body
}

/// RowDescription, its own tables and types by their order of appearance.
fn described(body: &[u8], oids: &mut Vec<u32>) -> Vec<u8> {
    let mut body = body.to_vec();
    let mut at = 2;
    while let Some(end) = body.iter().skip(at).position(|&byte| byte == 0) {
        at += end + 1;
        renumber(&mut body, at, oids);
        renumber(&mut body, at + 6, oids);
        at += 18;
    }
    body
}

fn renumber(body: &mut [u8], at: usize, oids: &mut Vec<u32>) {
    let Some(bytes) = body.get_mut(at..at + 4) else {
        return;
    };
    let oid = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    if oid < FIRST_OWN_OID {
        return;
    }
    let known = oids.iter().position(|it| *it == oid);
    let index = known.unwrap_or_else(|| {
        oids.push(oid);
        oids.len() - 1
    });
    let named = FIRST_OWN_OID + u32::try_from(index).unwrap();
    bytes.copy_from_slice(&named.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(frames: &[(u8, &[u8])]) -> Transcript {
        let mut transcript = Transcript::default();
        for (tag, body) in frames {
            let frame = Frame {
                tag: *tag,
                body: body.to_vec(),
            };
            transcript.hear("a", 1, What::Frame(frame));
        }
        transcript
    }

    fn differ(server: &[(u8, &[u8])], gate: &[(u8, &[u8])]) -> bool {
        let script = Script::read("x.txt", "Sync => Z\n");
        mismatch(&script, &heard(server), &heard(gate)).is_some()
    }

    #[test]
    fn one_byte_more_or_less_is_seen() {
        assert!(!differ(&[(b'Z', b"I")], &[(b'Z', b"I")]));
        assert!(differ(&[(b'Z', b"I")], &[(b'Z', b"T")]));
        assert!(differ(&[(b'Z', b"I")], &[(b'Z', b"I"), (b'Z', b"I")]));
        assert!(differ(&[(b'n', b""), (b'Z', b"I")], &[(b'Z', b"I")]));
    }

    #[test]
    fn only_the_gates_own_notices_may_be_added() {
        let ready: (u8, &[u8]) = (b'Z', b"I");
        assert!(!differ(&[ready], &[(b'N', b"CZG000\0Mheld\0\0"), ready]));
        assert!(differ(&[ready], &[(b'N', b"C00000\0Mheld\0\0"), ready]));
        assert!(differ(
            &[(b'N', b"CZG000\0\0"), (b'n', b""), ready],
            &[ready]
        ));
    }

    #[test]
    fn the_source_may_be_missing_where_the_gate_speaks_and_nowhere_else() {
        let error = |code: &str, source: &str| format!("C{code}\0Mno\0{source}\0").into_bytes();
        let differ = |code, theirs: &str, ours: &str| {
            let (theirs, ours) = (error(code, theirs), error(code, ours));
            differ(&[(b'E', &theirs)], &[(b'E', &ours)])
        };
        let source = "Fpostgres.c\0L12\0Rexec\0";
        assert!(!differ("25P02", source, ""));
        assert!(!differ("25P02", source, source));
        assert!(!differ("25P02", source, "Fpostgres.c\0L13\0Rparse\0"));
        assert!(differ("26000", source, "Fpostgres.c\0L13\0Rparse\0"));
        assert!(differ("25P02", "P7\0", ""));
        assert!(differ("22012", source, ""));
    }

    #[test]
    fn own_tables_are_known_by_their_order() {
        let column = |oid: u32| [&[0, 1, b'x', 0][..], &oid.to_be_bytes(), &[0; 14]].concat();
        assert!(!differ(
            &[(b'T', &column(20_000))],
            &[(b'T', &column(30_000))]
        ));
        assert!(differ(
            &[(b'T', &column(1_259))],
            &[(b'T', &column(30_000))]
        ));
    }
}

//! What was found, and how it is told. It never hides a finding behind a share.

use std::collections::BTreeMap;

use sql::{Class, Reading, Second};

use crate::corpus::Sent;
use crate::session::Answer;

/// How many findings of a kind are told.
const TOLD_MAX: usize = 40;
const REASONS_MAX: usize = 30;

#[derive(Default)]
pub(crate) struct Tally {
    reads: usize,
    wrote: Vec<String>,
    left: Vec<String>,
    held: usize,
    /// Those that nobody would call a read: DO, CALL.
    held_blocks: usize,
    /// Those that are held for something of the user's of which its owner says that it may write.
    held_volatile: usize,
    reasons: BTreeMap<String, (usize, String)>,
    counted: usize,
    newer: usize,
    unparsed: usize,
    miscounted: Vec<String>,
    weighed: usize,
    second: Vec<String>,
    agrees: usize,
    unread: usize,
    fewer: usize,
    strange: Vec<String>,
    mutants: usize,
    mutants_read: usize,
    mutants_wrong: Vec<String>,
}

impl Tally {
    /// One that we class `read` ran; what it left.
    pub(crate) fn read(&mut self, sent: &Sent, left: Option<String>) {
        self.reads += 1;
        let Some(left) = left else { return };
        let told = format!("[{}] {left}: {}", sent.test, line(&sent.text));
        if left.contains("transaction id") || left.contains("WAL") {
            self.wrote.push(told);
        } else {
            self.left.push(told);
        }
    }

    /// One that we do not class `read` left nothing, and runs where nothing can be written.
    pub(crate) fn held_read(&mut self, sent: &Sent, reading: &Reading) {
        self.held += 1;
        let why = reading.statements.first().map_or("", |it| it.why.as_str());
        let first = sent.text.split_whitespace().next().unwrap_or_default();
        let block = ["do", "call"].contains(&first.to_lowercase().as_str());
        self.held_blocks += usize::from(block);
        self.held_volatile += usize::from(!block && why.contains("which is volatile"));
        let class = reading.class().map_or("", Class::name);
        let why = format!("{class}: {}", line(why));
        let entry = self.reasons.entry(why).or_default();
        entry.0 += 1;
        if entry.1.is_empty() {
            entry.1 = format!("[{}] {}", sent.test, line(&sent.text));
        }
    }

    /// Our count, if we have one, and what the server said to a Parse of the text.
    pub(crate) fn count(&mut self, text: &str, ours: Option<usize>, said: &Answer) {
        self.counted += 1;
        let (several, syntax) = several(said);
        match ours {
            None if syntax => {}
            None => self.unparsed += 1,
            // Syntax that this server does not know yet.
            Some(_) if syntax => self.newer += 1,
            Some(ours) if (ours > 1) == several => {}
            Some(ours) => {
                let told = format!("ours {ours}, {}: {}", said.code(), line(text));
                self.miscounted.push(told);
            }
        }
    }

    /// What the second parser makes of a text.
    pub(crate) fn second(&mut self, text: &str, reading: &Reading) {
        let Some(opinion) = &reading.second else {
            return;
        };
        self.weighed += 1;
        match opinion {
            Second::Agrees => self.agrees += 1,
            Second::Unread => self.unread += 1,
            Second::Fewer => self.fewer += 1,
            Second::Stronger(seen) => self.second.push(format!("{seen}: {}", line(text))),
        }
    }

    pub(crate) fn strange(&mut self, what: &str) {
        self.strange.push(what.to_owned());
    }

    /// A mutant: whether we read it as a read, and what is wrong with that.
    pub(crate) fn mutant(&mut self, is_read: bool, wrong: Option<String>) {
        self.mutants += 1;
        self.mutants_read += usize::from(is_read);
        self.mutants_wrong.extend(wrong);
    }

    pub(crate) fn is_clean(&self) -> bool {
        [
            &self.wrote,
            &self.left,
            &self.miscounted,
            &self.mutants_wrong,
        ]
        .iter()
        .all(|found| found.is_empty())
    }

    pub(crate) fn print(&self) {
        told("classed read, and wrote", &self.wrote);
        told("classed read, and left state", &self.left);
        told("counted otherwise by the server", &self.miscounted);
        told("held by the second parser alone", &self.second);
        told("rows of the catalog not understood", &self.strange);
        told("mutants that are wrong", &self.mutants_wrong);
        let mut reasons: Vec<_> = self.reasons.iter().collect();
        reasons.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        println!(
            "\nreads that are not classed read, by reason ({}):",
            reasons.len()
        );
        for (why, (count, text)) in reasons.iter().take(REASONS_MAX) {
            println!("{count:>6} {why}\n         {text}");
        }
        println!(
            "\ntexts counted {}: {} otherwise, {} newer than this server, {} that we do not parse and it does",
            self.counted,
            self.miscounted.len(),
            self.newer,
            self.unparsed
        );
        println!(
            "second opinions asked {}: {} held, {} agreed, {} could not be read by it, in {} it saw fewer statements",
            self.weighed,
            self.second.len(),
            self.agrees,
            self.unread,
            self.fewer
        );
        println!(
            "mutants {}: {} classed read, {} wrong",
            self.mutants,
            self.mutants_read,
            self.mutants_wrong.len()
        );
        self.print_held();
        println!(
            "classed read {}: {} wrote, {} left state; true reads {} %",
            self.reads,
            self.wrote.len(),
            self.left.len(),
            share(self.reads - self.wrote.len() - self.left.len(), self.held)
        );
    }

    /// What the share of true reads has no room for: what its owner declares to write is a person's, and so are DO and CALL.
    fn print_held(&self) {
        let others = self.held - self.held_volatile - self.held_blocks;
        println!(
            "true reads not classed read {}: {} may call what is declared volatile, {} are DO or CALL, {others} are neither",
            self.held, self.held_volatile, self.held_blocks
        );
        println!(
            "without those that may call what is declared volatile: {} %; without DO and CALL: {} %; without both: {} %",
            share(self.reads, self.held - self.held_volatile),
            share(self.reads, self.held - self.held_blocks),
            share(self.reads, others)
        );
    }
}

/// Whether the server saw several statements, and whether it saw none that it knows.
pub(crate) fn several(said: &Answer) -> (bool, bool) {
    match said {
        Answer::Failed { code, message } if code == "42601" => {
            let several = message.starts_with("cannot insert multiple commands");
            (
                several,
                !several && message.contains("at or near") || message.contains("at end of"),
            )
        }
        _ => (false, false),
    }
}

fn share(reads: usize, held: usize) -> String {
    let all = (reads + held).max(1);
    let tenths = reads * 1_000 / all;
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn told(what: &str, found: &[String]) {
    if !found.is_empty() {
        println!("\n{what} ({}):", found.len());
    }
    for one in found.iter().take(TOLD_MAX) {
        println!("  {one}");
    }
}

/// A text on one line, and not all of a long one.
pub(crate) fn line(text: &str) -> String {
    let text: Vec<&str> = text.split_whitespace().collect();
    text.join(" ").chars().take(160).collect()
}

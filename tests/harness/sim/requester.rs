//! Those who ask: each session sends writes in one shape or another, waits, cancels, leaves, comes back and asks again for the
//! same. It never signs for anything.

use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::{sleep, timeout};
use wire::backend::{Status, decode, tag};
use wire::frontend::{self, Target};

use super::dice::Dice;
use super::door::Door;
use super::history::{Fault, History, count};
use super::line::Line;

/// Nobody waits longer for anything: what nobody decides expires long before.
const PATIENCE: Duration = Duration::from_mins(15);
/// How often somebody asks again for the same.
const ATTEMPTS_MAX: u64 = 4;

/// The database that everybody works in.
pub(super) const TENANT: &str = "app";

/// One session of a person, and what it knows.
pub(super) struct Requester {
    pub(super) person: &'static str,
    /// How it is called in a history.
    pub(super) name: String,
    pub(super) dice: Dice,
    pub(super) door: Rc<Door>,
    pub(super) history: Rc<History>,
    /// Whether there are transactions.
    pub(super) blocks: bool,
    /// What may be asked for.
    pub(super) keys: Rc<Vec<String>>,
}

/// How a write is sent.
#[derive(Clone, Copy, Debug)]
enum How {
    Query,
    Batch,
    /// The same with Describe in it.
    Described,
}

/// What is asked for.
#[derive(Clone, Debug)]
enum Wish {
    /// One write by itself.
    Alone(How, String),
    /// Some in a transaction, and whether that is to be committed.
    Block(Vec<(How, String)>, bool),
    /// A transaction in one string.
    String(Vec<String>),
}

/// What somebody does who waits.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Patient,
    /// Cancels after that long.
    Cancels(Duration),
    /// Goes.
    Leaves(Duration),
}

/// What a turn came to.
#[derive(Debug)]
enum Heard {
    /// The tag of what was completed last.
    Done(String),
    /// With this SQLSTATE.
    #[expect(dead_code, reason = "for people who read a history")]
    Refused(String),
    /// The connection is gone.
    Gone,
}

impl Requester {
    /// Asks for so many things, one after the other.
    pub(super) async fn work(self, wishes: u64) {
        let mut line = None;
        for _ in 0..wishes {
            sleep(self.dice.millis(0, 1500)).await;
            let wish = self.wish();
            for attempt in 1..=ATTEMPTS_MAX {
                let mood = self.mood();
                let name = &self.name;
                self.history
                    .say(format_args!("{name}: asks for {wish:?}, {mood:?}"));
                let Some(mut open) = self.connected(line.take()).await else {
                    return;
                };
                let heard = self.ask(&mut open, &wish, mood).await;
                self.history.say(format_args!("{name}: heard {heard:?}"));
                let again = match heard {
                    Heard::Done(_) => false,
                    Heard::Refused(_) => self.dice.chance(300),
                    Heard::Gone => self.dice.chance(700),
                };
                if !matches!(heard, Heard::Gone) {
                    line = Some(open);
                }
                if !again || attempt == ATTEMPTS_MAX {
                    break;
                }
                sleep(self.dice.millis(0, 800)).await;
            }
        }
        if let Some(mut line) = line {
            let mut out = BytesMut::new();
            frontend::terminate(&mut out);
            line.send(&out).await;
        }
        self.history.say(format_args!("{}: is done", self.name));
    }

    fn wish(&self) -> Wish {
        let key = || self.dice.pick(&self.keys).clone();
        let how = || {
            *self
                .dice
                .pick(&[How::Query, How::Query, How::Batch, How::Described])
        };
        match self.dice.below(10) {
            0..=4 => Wish::Alone(how(), key()),
            _ if !self.blocks => Wish::Alone(how(), key()),
            5 => Wish::String((0..self.dice.between(1, 2)).map(|_| key()).collect()),
            _ => {
                let writes = (0..self.dice.between(1, 3)).map(|_| (how(), key()));
                Wish::Block(writes.collect(), self.dice.chance(850))
            }
        }
    }

    fn mood(&self) -> Mood {
        match self.dice.below(10) {
            0 => Mood::Cancels(self.dice.millis(0, 3000)),
            1 => Mood::Leaves(self.dice.millis(0, 3000)),
            _ => Mood::Patient,
        }
    }

    /// The connection that is there, or a new one.
    async fn connected(&self, line: Option<Line>) -> Option<Line> {
        if let Some(line) = line {
            return Some(line);
        }
        let connects = async {
            loop {
                if let Some(line) = Line::login(&self.door, self.person, TENANT).await {
                    return line;
                }
                sleep(self.dice.millis(20, 400)).await;
            }
        };
        let line = timeout(PATIENCE, connects).await.ok();
        if line.is_none() {
            self.hangs("a login");
        }
        line
    }

    fn hangs(&self, with: &str) {
        let says = format!("{} waits for ever for the end of {with}", self.name);
        self.history.fault(Fault::Hang(says));
    }

    /// Asks for all of it, up to the first thing that goes wrong.
    async fn ask(&self, line: &mut Line, wish: &Wish, mood: Mood) -> Heard {
        match wish {
            Wish::Alone(how, key) => {
                let heard = self.turn(line, write(*how, key), mood).await;
                if let Heard::Done(_) = heard {
                    self.told_done(key);
                }
                heard
            }
            Wish::String(keys) => {
                let writes: Vec<String> = keys.iter().map(|it| insert(it)).collect();
                let text = format!("begin; {}; commit", writes.join("; "));
                let heard = self.turn(line, query(&text), mood).await;
                if let Heard::Done(tag) = &heard
                    && tag == "COMMIT"
                {
                    for it in keys {
                        self.told_done(it);
                    }
                }
                heard
            }
            Wish::Block(writes, commits) => self.block(line, writes, *commits, mood).await,
        }
    }

    async fn block(
        &self,
        line: &mut Line,
        writes: &[(How, String)],
        commits: bool,
        mood: Mood,
    ) -> Heard {
        let mut heard = self.turn(line, query("begin"), Mood::Patient).await;
        if !matches!(heard, Heard::Done(_)) {
            return heard;
        }
        for (how, key) in writes {
            if matches!(heard, Heard::Done(_)) {
                heard = self.turn(line, write(*how, key), mood).await;
            }
        }
        let done = matches!(heard, Heard::Done(_));
        if matches!(heard, Heard::Gone) {
            return heard;
        }
        let ends = if commits && done {
            "commit"
        } else {
            "rollback"
        };
        let end = self.turn(line, query(ends), mood).await;
        if let Heard::Done(tag) = &end
            && tag == "COMMIT"
        {
            for (_, key) in writes {
                self.told_done(key);
            }
        }
        // A connection of which nobody knows how far it is is of no use.
        if done || matches!(end, Heard::Gone) {
            end
        } else {
            heard
        }
    }

    fn told_done(&self, key: &str) {
        count(&self.history.told_done, key);
    }

    /// Sends, and hears up to the end of the answer.
    async fn turn(&self, line: &mut Line, bytes: BytesMut, mood: Mood) -> Heard {
        let statements = &self.history.statements;
        statements.set(statements.get() + 1);
        if line.send(&bytes).await.is_none() {
            return Heard::Gone;
        }
        let key = line.key.clone();
        let leaves = async {
            match mood {
                Mood::Leaves(after) => sleep(after).await,
                Mood::Cancels(after) => {
                    sleep(after).await;
                    if let Some(key) = key {
                        Line::cancel(&self.door, &key).await;
                    }
                    std::future::pending::<()>().await;
                }
                Mood::Patient => std::future::pending().await,
            }
        };
        let listens = async {
            tokio::select! {
                biased;
                it = hear(line) => it,
                () = leaves => Heard::Gone,
            }
        };
        let heard = timeout(PATIENCE, listens).await;
        heard.unwrap_or_else(|_| {
            self.hangs("a statement");
            Heard::Gone
        })
    }
}

async fn hear(line: &mut Line) -> Heard {
    let (mut tag, mut refused) = (String::new(), None);
    while let Some(frame) = line.frame().await {
        match frame.tag {
            tag::COMMAND_COMPLETE => {
                decode::command_tag(&frame.body)
                    .unwrap()
                    .clone_into(&mut tag);
            }
            tag::ERROR => {
                let fields = decode::fields(&frame.body).unwrap();
                refused = Some(format!("{} {}", fields.sqlstate, fields.message));
            }
            tag::READY => {
                let status = decode::ready_status(&frame.body).unwrap();
                return match refused {
                    Some(refused) => Heard::Refused(refused),
                    None if status == Status::Failed => Heard::Refused(String::new()),
                    None => Heard::Done(tag),
                };
            }
            _ => {}
        }
    }
    Heard::Gone
}

fn insert(key: &str) -> String {
    format!("insert into effects values ('{key}')")
}

fn query(text: &str) -> BytesMut {
    let mut out = BytesMut::new();
    frontend::query(text, &mut out).unwrap();
    out
}

fn write(how: How, key: &str) -> BytesMut {
    let mut out = BytesMut::new();
    let text = insert(key);
    match how {
        How::Query => return query(&text),
        How::Batch | How::Described => {
            frontend::parse("", &text, &[], &mut out).unwrap();
            frontend::bind("", "", &[], &[], &[], &mut out).unwrap();
            if matches!(how, How::Described) {
                let portal = Target::Portal(String::new().into());
                frontend::describe(&portal, &mut out).unwrap();
            }
            frontend::execute("", 0, &mut out).unwrap();
            frontend::sync(&mut out);
        }
    }
    out
}

//! Those who sign, on the console: they look what waits, and say yes or no to it, late, in another order, twice, and by several
//! connections; and some try what is not theirs to do. They never send a statement.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::dice::Dice;
use super::door::Door;
use super::history::{Fault, History};
use super::line::Line;

/// The console's name.
const CONSOLE: &str = "portcullis";
/// Nobody waits longer for an answer of the console.
const PATIENCE: Duration = Duration::from_mins(5);

/// One console session of a person.
pub(super) struct Approver {
    pub(super) person: &'static str,
    pub(super) name: String,
    pub(super) dice: Dice,
    pub(super) door: Rc<Door>,
    pub(super) history: Rc<History>,
    /// From now on whatever waits is refused.
    pub(super) closing: Rc<Cell<bool>>,
}

/// A ticket, as the console lists it.
struct Listed {
    id: String,
    state: String,
    requester: String,
    statement: String,
}

impl Approver {
    /// Decides until it is dropped.
    pub(super) async fn work(self) {
        let mut line = None;
        // What was meant to be said, and is said again, later.
        let mut later: Vec<String> = Vec::new();
        loop {
            sleep(self.dice.millis(50, 1500)).await;
            let Some(mut open) = self.connected(line.take()).await else {
                continue;
            };
            let decided = timeout(PATIENCE, self.decide(&mut open, &mut later)).await;
            match decided {
                Ok(Some(())) => line = Some(open),
                Ok(None) => {}
                Err(_) => {
                    let says = format!("{} waits for ever for the console", self.name);
                    self.history.fault(Fault::Hang(says));
                }
            }
        }
    }

    async fn connected(&self, line: Option<Line>) -> Option<Line> {
        match line {
            Some(line) => Some(line),
            None => Line::login(&self.door, self.person, CONSOLE).await,
        }
    }

    async fn decide(&self, line: &mut Line, later: &mut Vec<String>) -> Option<()> {
        let (rows, _) = line.query("SHOW TICKETS").await?;
        let mut listed: Vec<Listed> = rows.iter().filter_map(|row| Listed::of(row)).collect();
        self.dice.shuffle(&mut listed);
        for it in listed.iter().filter(|it| it.state == "pending") {
            let Some(word) = self.word(it) else { continue };
            if word.starts_with("APPROVE") && self.person != it.requester {
                self.history.signs(&it.id, &it.statement, self.person);
            }
            let times = if self.dice.chance(150) { 2 } else { 1 };
            for _ in 0..times {
                self.say(line, &word).await?;
            }
            if self.dice.chance(100) {
                later.push(word);
            }
        }
        if !later.is_empty() && self.dice.chance(200) {
            let word = later.swap_remove(0);
            self.say(line, &word).await?;
        }
        Some(())
    }

    /// What they say of a ticket now, if anything.
    fn word(&self, it: &Listed) -> Option<String> {
        let (id, own) = (&it.id, self.person == it.requester);
        if self.closing.get() {
            return Some(if own {
                format!("WITHDRAW {id}")
            } else {
                format!("REJECT {id} 'the day is over'")
            });
        }
        match self.dice.below(100) {
            0..=4 if own => Some(format!("WITHDRAW {id}")),
            5..=14 if own => Some(format!("APPROVE {id}")),
            _ if own => None,
            0..=69 => Some(format!("APPROVE {id}")),
            70..=75 => Some(format!("REJECT {id} 'not this'")),
            76..=79 => Some(format!("COMMENT {id} 'why?'")),
            _ => None,
        }
    }

    async fn say(&self, line: &mut Line, word: &str) -> Option<()> {
        self.history.say(format_args!("{}: {word}", self.name));
        let (rows, well) = line.query(word).await?;
        for row in rows.iter().filter(|_| well) {
            let (id, state) = (&row[0], &row[1]);
            self.history
                .say(format_args!("{}: hears that {id} is {state}", self.name));
            if state == "approved" {
                self.history.approved.borrow_mut().insert(id.clone());
            }
        }
        Some(())
    }
}

impl Listed {
    fn of(row: &[String]) -> Option<Self> {
        let column = |at: usize| row.get(at).cloned();
        Some(Self {
            id: column(0)?,
            state: column(1)?,
            requester: column(3)?,
            statement: row.last()?.clone(),
        })
    }
}

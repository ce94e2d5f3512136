//! The console's commands, and how they are typed. It never says who may give one.

use std::time::Duration;

use gate::TicketId;
use gate::ticket::{Grant, NotATicket, Say, TimeOuts};
use sql::Class;

use crate::fault::Fault;

/// The commands, for hints and for `SHOW HELP`.
pub const COMMANDS: [&str; 24] = [
    "SHOW TICKETS",
    "SHOW TICKETS ALL",
    "SHOW TICKET id",
    "APPROVE id [, ...] ['comment'] [LOCK_TIMEOUT 'time'] [STATEMENT_TIMEOUT 'time']",
    "REJECT id [, ...] 'reason'",
    "REQUEST CHANGES id [, ...] 'what'",
    "COMMENT id [, ...] 'text'",
    "WITHDRAW id [, ...]",
    "REQUEST ON tenant 'sql' [REASON 'why']",
    "REQUEST GRANT ON tenant FOR class [, ...] WITHIN 'time' USES n [REASON 'why']",
    "TERMINATE id",
    "RESOLVE id DONE | FENCED 'how you know'",
    "HOLD ALL ['reason']",
    "HOLD OFF",
    "SHOW TENANTS ['pattern'] [AFTER 'name']",
    "SHOW POOLS",
    "SHOW SESSIONS",
    "SHOW STATS",
    "SHOW VERSION",
    "SHOW CONFIG",
    "RELOAD",
    "SHOW REPLICAS",
    "PAUSE [tenant]",
    "RESUME [tenant]",
];

/// What stands for a quoted word where commands are told apart.
const QUOTED: &str = "'";
/// The longest time of a grant.
const WITHIN_MAX: Duration = Duration::from_hours(24 * 365);

/// A command of the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsoleCommand {
    /// `SHOW`: what changes nothing.
    Show(Show),
    /// A word on tickets: `APPROVE`, `REJECT`, `REQUEST CHANGES`, `COMMENT`. It is said of all of them, or of none.
    Say {
        /// Of which.
        ids: Vec<TicketId>,
        /// What.
        say: Say,
        /// In their own words; only a yes needs none.
        comment: Option<String>,
        /// With a yes: what it runs with is to be no longer than this.
        narrows: TimeOuts,
    },
    /// `WITHDRAW id [, ...]`: all of them, or none.
    Withdraw(Vec<TicketId>),
    /// `REQUEST ON tenant 'sql'`: a ticket for it, before it runs.
    Request {
        /// Where.
        tenant: String,
        /// What.
        sql: String,
        /// Why.
        reason: Option<String>,
    },
    /// `REQUEST GRANT`.
    RequestGrant {
        /// Where.
        tenant: String,
        /// Of which classes.
        classes: Vec<Class>,
        /// For how long from now.
        within: Duration,
        /// So many requests.
        uses_max: u32,
        /// Why.
        reason: Option<String>,
    },
    /// `TERMINATE id`.
    Terminate(TicketId),
    /// `RESOLVE id DONE` or `FENCED`: what became of a ticket that is in doubt.
    Resolve {
        /// Which.
        id: TicketId,
        /// Whether it ran.
        ran: bool,
        /// How they know.
        why: String,
    },
    /// `HOLD ALL`.
    HoldAll(Option<String>),
    /// `HOLD OFF`.
    HoldOff,
    /// `RELOAD`: the configuration is read again.
    Reload,
    /// `PAUSE [tenant]`: nobody gets a connection to its server, or to any, until it is resumed.
    Pause(Option<String>),
    /// `RESUME [tenant]`.
    Resume(Option<String>),
}

/// What can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Show {
    /// `SHOW TICKETS` and `SHOW TICKETS ALL`.
    Tickets {
        /// Also those that have ended.
        all: bool,
    },
    /// `SHOW TICKET id`.
    Ticket(TicketId),
    /// `SHOW TENANTS`.
    Tenants {
        /// Only those that fit this, `*` for any characters.
        like: Option<String>,
        /// Only those whose names come behind this one.
        after: Option<String>,
    },
    /// `SHOW POOLS`.
    Pools,
    /// `SHOW REPLICAS`.
    Replicas,
    /// `SHOW SESSIONS`.
    Sessions,
    /// `SHOW STATS`.
    Stats,
    /// `SHOW VERSION`.
    Version,
    /// `SHOW CONFIG`: which configuration the gate goes by, and what is in it.
    Config,
    /// `SHOW HELP`.
    Help,
}

/// Reads one command; `None` for an empty one.
pub(crate) fn parse(text: &str) -> Result<Option<ConsoleCommand>, Fault> {
    let words = words(text)?;
    let upper: Vec<String> = words.iter().map(Word::keyword).collect();
    let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
    let behind = |at: usize| words.get(at..).unwrap_or_default();
    let command = match upper.as_slice() {
        [] => return Ok(None),
        ["SHOW", "TICKETS"] => ConsoleCommand::Show(Show::Tickets { all: false }),
        ["SHOW", "TICKETS", "ALL"] => ConsoleCommand::Show(Show::Tickets { all: true }),
        ["SHOW", "TICKET", id] => ConsoleCommand::Show(Show::Ticket(ticket(id)?)),
        ["APPROVE", ..] => say(Say::Approve, behind(1))?,
        ["REJECT", ..] => say(Say::Reject, behind(1))?,
        ["REQUEST", "CHANGES", ..] => say(Say::Changes, behind(2))?,
        ["COMMENT", ..] => say(Say::Comment, behind(1))?,
        ["WITHDRAW", ..] => match tickets(behind(1))? {
            (ids, []) => ConsoleCommand::Withdraw(ids),
            _ => return Err(usage("WITHDRAW id [, ...]")),
        },
        ["REQUEST", "GRANT", ..] => request_grant(behind(2))?,
        ["REQUEST", "ON", ..] => request(behind(2))?,
        ["TERMINATE", id] => ConsoleCommand::Terminate(ticket(id)?),
        ["RESOLVE", id, "DONE", QUOTED] => resolve(id, true, behind(3))?,
        ["RESOLVE", id, "FENCED", QUOTED] => resolve(id, false, behind(3))?,
        ["RESOLVE", ..] => return Err(usage("RESOLVE id DONE | FENCED 'how you know'")),
        ["HOLD", "ALL"] => ConsoleCommand::HoldAll(None),
        ["HOLD", "ALL", QUOTED] => ConsoleCommand::HoldAll(behind(2).first().map(Word::said)),
        ["HOLD", "OFF"] => ConsoleCommand::HoldOff,
        ["SHOW", "TENANTS", ..] => ConsoleCommand::Show(show_tenants(behind(2))?),
        ["SHOW", "STATS"] => ConsoleCommand::Show(Show::Stats),
        ["SHOW", "POOLS"] => ConsoleCommand::Show(Show::Pools),
        ["SHOW", "REPLICAS"] => ConsoleCommand::Show(Show::Replicas),
        ["SHOW", "SESSIONS"] => ConsoleCommand::Show(Show::Sessions),
        ["SHOW", "VERSION"] => ConsoleCommand::Show(Show::Version),
        ["SHOW", "CONFIG"] => ConsoleCommand::Show(Show::Config),
        ["RELOAD"] => ConsoleCommand::Reload,
        ["PAUSE"] | ["PAUSE", _] => ConsoleCommand::Pause(behind(1).first().map(Word::said)),
        ["RESUME"] | ["RESUME", _] => ConsoleCommand::Resume(behind(1).first().map(Word::said)),
        ["SHOW" | "HELP"] | ["SHOW", "HELP"] => ConsoleCommand::Show(Show::Help),
        _ => {
            return Err(Fault::console_syntax(format!(
                "Commands: {}.",
                COMMANDS.join(", ")
            )));
        }
    };
    Ok(Some(command))
}

/// A word on the tickets that these words name.
fn say(say: Say, words: &[Word]) -> Result<ConsoleCommand, Fault> {
    let shape = match say {
        Say::Approve => {
            "APPROVE id [, ...] ['comment'] [LOCK_TIMEOUT 'time'] [STATEMENT_TIMEOUT 'time']"
        }
        Say::Reject => "REJECT id [, ...] 'reason'",
        Say::Changes => "REQUEST CHANGES id [, ...] 'what'",
        Say::Comment => "COMMENT id [, ...] 'text'",
    };
    let (words, narrows) = match say {
        Say::Approve => narrows(words).ok_or_else(|| usage(shape))?,
        Say::Reject | Say::Changes | Say::Comment => (words, TimeOuts::default()),
    };
    let (ids, rest) = tickets(words).map_err(|_| usage(shape))?;
    let comment = match rest {
        [] if say == Say::Approve => None,
        [comment] if say == Say::Approve || !comment.text.trim().is_empty() => {
            Some(comment.text.clone())
        }
        _ => return Err(usage(shape)),
    };
    Ok(ConsoleCommand::Say {
        ids,
        say,
        comment,
        narrows,
    })
}

/// The time-outs at the end of a yes, and what stands in front of them; none where they cannot be read.
fn narrows(mut words: &[Word]) -> Option<(&[Word], TimeOuts)> {
    let mut narrows = TimeOuts::default();
    while let [front @ .., keyword, time] = words {
        let limit = match keyword.keyword().as_str() {
            "LOCK_TIMEOUT" => &mut narrows.lock_ms,
            "STATEMENT_TIMEOUT" => &mut narrows.statement_ms,
            _ => break,
        };
        *limit = Some(u32::try_from(duration(&time.text)?.as_millis()).ok()?);
        words = front;
    }
    Some((words, narrows))
}

fn resolve(id: &str, ran: bool, words: &[Word]) -> Result<ConsoleCommand, Fault> {
    let id = ticket(id)?;
    match words {
        [why] if !why.text.trim().is_empty() => Ok(ConsoleCommand::Resolve {
            id,
            ran,
            why: why.said(),
        }),
        _ => Err(usage("RESOLVE id DONE | FENCED 'how you know'")),
    }
}

/// Behind `SHOW TENANTS`.
fn show_tenants(words: &[Word]) -> Result<Show, Fault> {
    let (like, rest) = match words {
        [like, rest @ ..] if like.quoted => (Some(like.said()), rest),
        rest => (None, rest),
    };
    let after = match rest {
        [] => None,
        [keyword, after] if keyword.keyword() == "AFTER" && after.quoted => Some(after.said()),
        _ => return Err(usage("SHOW TENANTS ['pattern'] [AFTER 'name']")),
    };
    Ok(Show::Tenants { like, after })
}

/// Behind `REQUEST ON`.
fn request(words: &[Word]) -> Result<ConsoleCommand, Fault> {
    let shape = || usage("REQUEST ON tenant 'sql' [REASON 'why']");
    let [tenant, sql, rest @ ..] = words else {
        return Err(shape());
    };
    if !sql.quoted {
        return Err(shape());
    }
    Ok(ConsoleCommand::Request {
        tenant: tenant.said(),
        sql: sql.said(),
        reason: reason(rest, shape)?,
    })
}

/// Behind `REQUEST GRANT`.
fn request_grant(words: &[Word]) -> Result<ConsoleCommand, Fault> {
    let shape = || {
        usage(
            "REQUEST GRANT ON tenant FOR class [, ...] WITHIN 'time' USES n [REASON 'why'], with a time such as '2 h'",
        )
    };
    let [on, tenant, for_, rest @ ..] = words else {
        return Err(shape());
    };
    if on.keyword() != "ON" || for_.keyword() != "FOR" {
        return Err(shape());
    }
    let classes = rest
        .iter()
        .take_while(|it| it.keyword() != "WITHIN")
        .count();
    let (names, rest) = rest.split_at(classes);
    let mut classes = Vec::new();
    for name in names {
        let class: Class = name
            .text
            .to_ascii_lowercase()
            .parse()
            .map_err(|_| shape())?;
        if !Grant::can_have(class) {
            let why = format!("Statements of class {class} cannot be granted.");
            return Err(Fault::console_syntax(why));
        }
        classes.push(class);
    }
    let [_, within, uses, uses_max, rest @ ..] = rest else {
        return Err(shape());
    };
    if classes.is_empty() || uses.keyword() != "USES" {
        return Err(shape());
    }
    Ok(ConsoleCommand::RequestGrant {
        tenant: tenant.said(),
        classes,
        within: duration(&within.text).ok_or_else(shape)?,
        uses_max: uses_max
            .text
            .parse()
            .ok()
            .filter(|it| *it > 0)
            .ok_or_else(shape)?,
        reason: reason(rest, shape)?,
    })
}

/// `REASON 'why'`, or nothing.
fn reason(words: &[Word], shape: impl Fn() -> Fault) -> Result<Option<String>, Fault> {
    match words {
        [] => Ok(None),
        [keyword, why] if keyword.keyword() == "REASON" && why.quoted => Ok(Some(why.said())),
        _ => Err(shape()),
    }
}

/// A number and its unit: ms, s, min, h or d.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let milliseconds = match unit.trim() {
        "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let number: u64 = number.parse().ok()?;
    let duration = Duration::from_millis(number.checked_mul(milliseconds)?);
    (!duration.is_zero() && duration <= WITHIN_MAX).then_some(duration)
}

fn usage(shape: &str) -> Fault {
    Fault::console_syntax(format!("Expected: {shape}."))
}

/// The tickets that stand in front, at least one, each once; and the words behind them.
fn tickets(words: &[Word]) -> Result<(Vec<TicketId>, &[Word]), Fault> {
    let named = words.iter().take_while(|it| !it.quoted).count();
    let (named, rest) = words.split_at(named);
    let mut ids = Vec::with_capacity(named.len());
    for word in named {
        let id = ticket(&word.text)?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    if ids.is_empty() {
        return Err(Fault::console_syntax("Expected a ticket, such as T-42."));
    }
    Ok((ids, rest))
}

fn ticket(word: &str) -> Result<TicketId, Fault> {
    word.parse()
        .map_err(|error: NotATicket| Fault::console_syntax(error.to_string()))
}

#[derive(Debug, PartialEq)]
struct Word {
    text: String,
    quoted: bool,
}

impl Word {
    fn said(&self) -> String {
        self.text.clone()
    }

    /// As a word of a command; what is quoted is none.
    fn keyword(&self) -> String {
        if self.quoted {
            QUOTED.to_owned()
        } else {
            self.text.to_ascii_uppercase()
        }
    }
}

/// Splits at blanks and commas, takes 'quoted words' whole ('' is a quote), and drops one trailing semicolon.
fn words(text: &str) -> Result<Vec<Word>, Fault> {
    let text = text.trim().trim_end_matches(';');
    let between = |it: char| it.is_whitespace() || it == ',';
    let mut words = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if between(character) {
            continue;
        }
        let mut word = String::new();
        let quoted = character == '\'';
        if quoted {
            loop {
                match characters.next() {
                    Some('\'') if characters.peek() == Some(&'\'') => {
                        word.extend(characters.next());
                    }
                    Some('\'') => break,
                    Some(other) => word.push(other),
                    None => return Err(Fault::console_syntax("A quoted string is not closed.")),
                }
            }
        } else {
            word.push(character);
            while let Some(next) = characters.next_if(|it| !between(*it) && *it != '\'') {
                word.push(next);
            }
        }
        words.push(Word { text: word, quoted });
    }
    Ok(words)
}

#[cfg(test)]
mod tests;

//! The gate's own settings, `portcullis.NAME`, as one session has them. They never reach a server, and no transaction takes
//! them back.

use std::sync::Arc;

use gate::{TicketId, Wish};

use crate::effect::Effect;
use crate::fault::Fault;

/// What begins the name of each.
pub(crate) const PREFIX: &str = "portcullis.";
/// Longest reason, in bytes: it is shown and kept with each ticket.
const REASON_BYTES_MAX: usize = 2000;

/// What a session has set, and what it is told.
#[derive(Clone, Debug)]
pub(crate) struct Ours {
    /// What goes with each request.
    pub(crate) wish: Arc<Wish>,
    /// Whether what is held waits on the wire, where the session has said so itself.
    wait: Option<bool>,
    /// The same, where it has not.
    waits: bool,
    /// The ticket that it last heard of.
    pub(crate) ticket: Option<TicketId>,
}

impl Ours {
    /// What a startup packet asks for.
    pub(crate) fn of_login(login: &[(String, String)]) -> Result<Self, Fault> {
        let mut ours = Self {
            wish: Arc::default(),
            wait: None,
            waits: true,
            ticket: None,
        };
        for (name, value) in login {
            ours.set(name, Some(value))?;
        }
        Ok(ours)
    }

    /// The same for somebody who waits where the session does not say otherwise, or does not.
    pub(crate) fn or_else_waits(self, waits: bool) -> Self {
        Self { waits, ..self }
    }

    /// Whether what is held waits on the wire, or is answered at once with its ticket.
    pub(crate) fn waits(&self) -> bool {
        self.wait.unwrap_or(self.waits)
    }

    /// What is to be done when the session ends: what it has begun of a script ends with it.
    pub(crate) fn end(&self) -> Option<Effect> {
        self.wish.script.map(Effect::Abandon)
    }

    /// SET, or RESET where there is no value.
    pub(crate) fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), Fault> {
        match name {
            "reason" => {
                let reason = value.map(str::trim).filter(|it| !it.is_empty());
                if reason.is_some_and(|it| it.len() > REASON_BYTES_MAX) {
                    return Err(Fault::reason_too_long(REASON_BYTES_MAX));
                }
                self.wish = Arc::new(Wish {
                    reason: reason.map(Arc::from),
                    ..(*self.wish).clone()
                });
            }
            "break_glass" => {
                let on = value.map_or(Some(false), truth);
                self.wish = Arc::new(Wish {
                    break_glass: on.ok_or_else(|| Fault::not_a_truth(name))?,
                    ..(*self.wish).clone()
                });
            }
            "script" => {
                let script = value.map(str::trim).filter(|it| !it.is_empty());
                let script = script.map(|it| it.parse().map_err(|_| Fault::not_a_ticket(it)));
                self.wish = Arc::new(Wish {
                    script: script.transpose()?,
                    ..(*self.wish).clone()
                });
            }
            "wait" => {
                self.wait = match value {
                    None => None,
                    Some(value) => Some(truth(value).ok_or_else(|| Fault::not_a_truth(name))?),
                };
            }
            "ticket" => return Err(Fault::cannot_be_changed("ticket")),
            _ => return Err(Fault::no_such_setting(name)),
        }
        Ok(())
    }

    /// SHOW.
    pub(crate) fn show(&self, name: &str) -> Result<String, Fault> {
        match name {
            "reason" => Ok(self.wish.reason.as_deref().unwrap_or_default().to_owned()),
            "wait" => Ok(on_off(self.waits())),
            "break_glass" => Ok(on_off(self.wish.break_glass)),
            "script" => Ok(self
                .wish
                .script
                .map_or_else(String::new, |it| it.to_string())),
            "ticket" => Ok(self.ticket.map_or_else(String::new, |it| it.to_string())),
            _ => Err(Fault::no_such_setting(name)),
        }
    }
}

fn on_off(value: bool) -> String {
    if value { "on" } else { "off" }.to_owned()
}

/// A truth value as PostgreSQL reads one: whole words, and what only one of them begins with.
fn truth(text: &str) -> Option<bool> {
    let text = text.trim().to_ascii_lowercase();
    let begins = |word: &str| !text.is_empty() && word.starts_with(&text);
    match text.as_str() {
        "1" | "on" => Some(true),
        "0" | "of" | "off" => Some(false),
        _ if begins("true") || begins("yes") => Some(true),
        _ if begins("false") || begins("no") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truth_is_spelled_as_the_server_reads_it() {
        for (text, value) in [
            ("on", Some(true)),
            ("TRUE", Some(true)),
            ("y", Some(true)),
            ("1", Some(true)),
            ("off", Some(false)),
            ("of", Some(false)),
            ("o", None),
            ("f", Some(false)),
            ("n", Some(false)),
            ("0", Some(false)),
            ("", None),
            ("maybe", None),
        ] {
            assert_eq!(truth(text), value, "{text}");
        }
    }
}

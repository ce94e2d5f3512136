//! What a client was told of its server, so that it is told only what changed, and which process
//! ids it knows. Connections change behind a session; it must not notice.

use std::sync::Arc;

use bytes::BytesMut;
use gate::Settings;

/// Where the process id stands in a NotificationResponse: behind tag and length.
const PID: std::ops::Range<usize> = 5..9;

/// What a client was told.
#[derive(Debug)]
pub(crate) struct Told {
    /// What a login is told, shared by all sessions that log in alike.
    greeting: Arc<Settings>,
    /// What this one was told otherwise.
    otherwise: Vec<(String, String)>,
    /// The process id that the client knows as its own.
    own: u32,
    /// The process id of the connection that serves it now.
    upstream: Option<u32>,
    /// Why the server reads a text otherwise than the gate, if what the client was told says so.
    reads_otherwise: Option<&'static str>,
}

impl Told {
    pub(crate) fn new(greeting: Arc<Settings>, own: u32) -> Self {
        let mut told = Self {
            greeting,
            otherwise: Vec::new(),
            own,
            upstream: None,
            reads_otherwise: None,
        };
        told.reads_otherwise = told.why_otherwise();
        told
    }

    /// All of it.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        let names = self.greeting.keys().map(String::as_str);
        let more = self.otherwise.iter().map(|(name, _)| name.as_str());
        let more = more.filter(|name| !self.greeting.contains_key(*name));
        names
            .chain(more)
            .filter_map(|name| Some((name, self.get(name)?)))
    }

    fn get(&self, name: &str) -> Option<&str> {
        let otherwise = self.otherwise.iter().find(|(known, _)| known == name);
        let value = otherwise.map(|(_, value)| value);
        value.or(self.greeting.get(name)).map(String::as_str)
    }

    /// Another connection serves it.
    pub(crate) fn served_by(&mut self, pid: Option<u32>) {
        self.upstream = pid;
    }

    /// Whether the server reads a text as the gate does: one byte string, one meaning. Why not, if not.
    pub(crate) fn reads_otherwise(&self) -> Option<&'static str> {
        self.reads_otherwise
    }

    fn why_otherwise(&self) -> Option<&'static str> {
        let is = |name: &str, value: &str| {
            let told = self.get(name);
            told.is_none_or(|it| it.eq_ignore_ascii_case(value))
        };
        if !is("standard_conforming_strings", "on") {
            Some("cannot be read while standard_conforming_strings is off")
        } else if !is("client_encoding", "UTF8") {
            Some("cannot be read in this client_encoding")
        } else {
            None
        }
    }

    /// The server reports a parameter; says whether that is news to the client.
    pub(crate) fn is_news(&mut self, name: &str, value: &str) -> bool {
        if self.get(name) == Some(value) {
            return false;
        }
        match self.otherwise.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => value.clone_into(known),
            None => self.otherwise.push((name.to_owned(), value.to_owned())),
        }
        self.reads_otherwise = self.why_otherwise();
        true
    }

    /// In a NotificationResponse that lies at `at`: what the client's own connection sent comes from
    /// the process id that the client knows as its own (DESIGN ruling 5).
    pub(crate) fn rename(&self, from: &mut BytesMut, at: usize) {
        let place = at + PID.start..at + PID.end;
        let Some(pid) = from.get_mut(place) else {
            return;
        };
        if self.upstream.is_some_and(|it| *pid == it.to_be_bytes()) {
            pid.copy_from_slice(&self.own.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Told {
        let greeting = [("TimeZone", "UTC"), ("application_name", "")];
        let greeting = greeting.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Told::new(Arc::new(greeting.into()), 7)
    }

    #[test]
    fn what_one_session_is_told_no_other_hears() {
        let (mut told, other) = (told(), told());
        assert!(!told.is_news("TimeZone", "UTC"));
        assert!(told.is_news("TimeZone", "Europe/Vienna") && told.is_news("is_superuser", "off"));
        assert!(!told.is_news("TimeZone", "Europe/Vienna"));
        assert!(told.is_news("TimeZone", "UTC"), "it is news again");
        let all = [
            ("TimeZone", "UTC"),
            ("application_name", ""),
            ("is_superuser", "off"),
        ];
        assert_eq!(told.parameters().collect::<Vec<_>>(), all);
        assert_eq!(other.parameters().collect::<Vec<_>>(), all[..2]);
    }
}

//! What a client was told of its server, so that it is told only what changed, and which process
//! ids it knows. Connections change behind a session; it must not notice.

use bytes::BytesMut;
use gate::Settings;

/// Where the process id stands in a NotificationResponse: behind tag and length.
const PID: std::ops::Range<usize> = 5..9;

/// What a client was told.
#[derive(Debug)]
pub(crate) struct Told {
    parameters: Settings,
    /// The process id that the client knows as its own.
    own: u32,
    /// The process id of the connection that serves it now.
    upstream: Option<u32>,
}

impl Told {
    pub(crate) fn new(parameters: Settings, own: u32) -> Self {
        Self {
            parameters,
            own,
            upstream: None,
        }
    }

    /// Another connection serves it.
    pub(crate) fn served_by(&mut self, pid: Option<u32>) {
        self.upstream = pid;
    }

    /// Whether the server reads a text as the gate does: one byte string, one meaning. Why not, if not.
    pub(crate) fn reads_otherwise(&self) -> Option<&'static str> {
        let is = |name: &str, value: &str| {
            let told = self.parameters.get(name);
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
        match self.parameters.get_mut(name) {
            Some(known) if known == value => false,
            Some(known) => {
                value.clone_into(known);
                true
            }
            None => {
                self.parameters.insert(name.to_owned(), value.to_owned());
                true
            }
        }
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

//! Plays a way out: one session, step by step, and everything that comes back. It never judges what it hears.

use std::net::SocketAddr;
use std::time::Duration;

use super::corpus::{Step, Way};
use super::place::{Place, Tenant};
use crate::raw::{self, End, Raw};
use crate::stage::{eventually, password};

/// Who tries.
pub(super) const TRIES: &str = "alice";
/// Who keeps something.
pub(super) const KEEPS: &str = "bob";
/// How long an answer may take. Shorter than any hold.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// The first thing in every session that is let in: who sees nothing of its own is refused for some other reason.
const OWN: &str = "select body from {mine} limit 1";

/// A client, and what it has heard.
struct Ear {
    client: Raw,
    bytes: Vec<u8>,
    open: bool,
}

/// Plays it, and returns all bytes of all messages that came.
#[track_caller]
pub(super) fn play(place: &Place, way: &Way) -> Vec<u8> {
    let mut ear = enter(place, way);
    let plain = way.user.is_none() && way.database.is_none() && way.startup.is_empty();
    if plain {
        ear.query(place, OWN, &way.id);
        assert!(
            ear.has(&place.a.kept.text),
            "{}: before {} the tenant does not see its own: {}",
            place.model.name(),
            way.id,
            ear.shown()
        );
    }
    ear.steps(place, way);
    ear.bytes
}

/// A later session, which may see nothing at all: by its own settings it may not even come in.
#[track_caller]
pub(super) fn later(place: &Place) -> Vec<u8> {
    let way = super::corpus::later();
    let mut ear = enter(place, &way);
    ear.steps(place, &way);
    ear.bytes
}

/// Waits until the gate, which may have been refused for a while, is let in by the server again.
#[track_caller]
pub(super) fn comes_in_again(place: &Place) {
    let way = super::corpus::later();
    eventually("the tenant comes in again", || {
        let mut ear = enter(place, &way);
        ear.query(place, OWN, &way.id);
        ear.has(&place.a.kept.text)
    });
}

/// Both see what is their own, and the search finds it: so that finding nothing means something.
#[track_caller]
pub(super) fn sees_its_own(place: &Place) {
    let mut other = keeper(place);
    other.query(place, "select body, number from {theirs}", "before");
    let found = place.found(&other.bytes);
    assert!(
        found.is_some(),
        "{}: {:?}",
        place.model.name(),
        String::from_utf8_lossy(&other.bytes)
    );
    let way = super::corpus::later();
    let heard = play(place, &way);
    assert!(
        place.found(&heard).is_none(),
        "{}: without trying",
        place.model.name()
    );
}

impl Place {
    /// What shows what is theirs to whoever may see it now.
    fn loot(&self) -> Vec<String> {
        let loot: &[&str] = if self.model.has_own_database() {
            &[
                "alter role {b_app} password 'known'",
                "select * from ext.dblink('host=127.0.0.1 port={port} dbname={b_db} user={b_app} password=known', \
                 'select body from {theirs}') as t (body text)",
                "select pg_read_binary_file('{b_file}')",
            ]
        } else {
            &["select body, number from {theirs}"]
        };
        loot.iter().map(|it| (*it).to_owned()).collect()
    }
}

/// The other tenant, at home.
#[track_caller]
fn keeper(place: &Place) -> Ear {
    let parameters = [("user", KEEPS), ("database", place.b.name.as_str())];
    let ear = knock(place.gate, &parameters, KEEPS);
    assert!(
        ear.open,
        "{}: the other tenant is not let in",
        place.model.name()
    );
    ear
}

/// The session of who tries, with whatever names the way says.
#[track_caller]
fn enter(place: &Place, way: &Way) -> Ear {
    let fill = |text: &String| place.words.fill(text);
    let user = way.user.as_ref().map_or(TRIES.to_owned(), fill);
    let home = home(place.model.has_owner() && way.as_owner, &place.a);
    let database = way.database.as_ref().map_or(home, fill);
    let more: Vec<(String, String)> = way
        .startup
        .iter()
        .map(|it| (it.0.clone(), fill(&it.1)))
        .collect();
    let named = [("user", user.as_str()), ("database", database.as_str())];
    let more = more
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let parameters: Vec<(&str, &str)> = named.into_iter().chain(more).collect();
    knock(place.gate, &parameters, TRIES)
}

fn home(as_owner: bool, tenant: &Tenant) -> String {
    let ending = if as_owner { "_migrate" } else { "" };
    format!("{}{ending}", tenant.name)
}

#[track_caller]
fn knock(gate: SocketAddr, parameters: &[(&str, &str)], who: &str) -> Ear {
    let mut client = Raw::connect(gate);
    client.send(&raw::startup(parameters));
    let open = client.authenticate(&password(who)).is_ok();
    let mut ear = Ear {
        client,
        bytes: Vec::new(),
        open,
    };
    for frame in ear.client.greeting().to_vec() {
        ear.hear(&frame);
    }
    ear
}

impl Ear {
    /// All of a way, as far as the session lasts.
    #[track_caller]
    fn steps(&mut self, place: &Place, way: &Way) {
        let mut theirs: Option<Ear> = None;
        for step in &way.steps {
            if !self.open {
                return;
            }
            match step {
                Step::Theirs(sql) => {
                    let other = theirs.get_or_insert_with(|| keeper(place));
                    other.query(place, sql, &way.id);
                }
                Step::Loot => {
                    for sql in place.loot() {
                        self.query(place, &sql, &way.id);
                    }
                }
                step => self.step(place, step, &way.id),
            }
        }
        if self.open {
            self.client.send(&raw::terminate());
        }
    }

    #[track_caller]
    fn step(&mut self, place: &Place, step: &Step, way: &str) {
        self.client.send(&message(place, step));
        if matches!(step, Step::Frame { tag: b'0', .. }) {
            // What has no tag is taken for a longer message than it is: no more of it comes.
            self.client.half_close();
        }
        let data = match step {
            Step::Copy { data, .. } => Some(place.words.fill(data)),
            _ => None,
        };
        self.listen(data.as_deref(), way);
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    fn hear(&mut self, frame: &raw::Frame) {
        self.bytes.push(frame.tag);
        self.bytes.extend(&frame.body);
        self.bytes.push(0);
    }

    fn has(&self, text: &str) -> bool {
        let mut windows = self.bytes.windows(text.len());
        windows.any(|it| it == text.as_bytes())
    }

    #[track_caller]
    fn query(&mut self, place: &Place, sql: &str, way: &str) {
        if self.open {
            self.client.send(&raw::query(&place.words.fill(sql)));
            self.listen(None, way);
        }
    }

    /// Hears all up to ReadyForQuery. Who is asked for data sends these, or none.
    #[track_caller]
    fn listen(&mut self, data: Option<&str>, way: &str) {
        loop {
            let frame = match self.client.frame_within(ANSWER_MAX) {
                Ok(frame) => frame,
                Err(End::Silent) => panic!("{way}: no answer"),
                Err(_) => {
                    self.open = false;
                    return;
                }
            };
            self.hear(&frame);
            match (frame.tag, data) {
                (b'Z', _) => return,
                (b'G' | b'W', Some(data)) => {
                    let lines = format!("{data}\n");
                    self.client.send(&raw::frame(b'd', lines.as_bytes()));
                    self.client.send(&raw::frame(b'c', &[]));
                }
                (b'G' | b'W', None) => self.client.send(&raw::frame(b'f', b"no\0")),
                _ => {}
            }
        }
    }
}

/// The bytes of a step that is neither the other's nor the loot.
fn message(place: &Place, step: &Step) -> Vec<u8> {
    let fill = |text: &String| place.words.fill(text);
    match step {
        Step::Query(sql) | Step::Copy { sql, .. } => raw::query(&fill(sql)),
        Step::Extended { sql, values } => {
            let values: Vec<String> = values.iter().map(fill).collect();
            let values: Vec<Option<&str>> = values.iter().map(|it| Some(it.as_str())).collect();
            [
                raw::parse("", &fill(sql)),
                raw::bind_values("", "", &values),
                raw::describe(b'P', ""),
                raw::execute(""),
                raw::sync(),
            ]
            .concat()
        }
        Step::Look(sql) => [
            raw::parse("", &fill(sql)),
            raw::describe(b'S', ""),
            raw::sync(),
        ]
        .concat(),
        Step::Flight(texts) => {
            let each = texts.iter().map(|sql| {
                [
                    raw::parse("", &fill(sql)),
                    raw::bind("", ""),
                    raw::execute(""),
                ]
                .concat()
            });
            each.chain([raw::sync()]).collect::<Vec<_>>().concat()
        }
        Step::Bind(name) => [raw::bind("", name), raw::execute(""), raw::sync()].concat(),
        Step::Fastpath {
            function,
            arguments,
        } => {
            let arguments: Vec<String> = arguments.iter().map(fill).collect();
            fastpath(*function, &arguments)
        }
        Step::Frame { tag, body } => {
            let body = fill(body).replace("\\0", "\0");
            let frame = match tag {
                b'0' => raw::startup(&[("user", &body)]),
                tag => raw::frame(*tag, format!("{body}\0").as_bytes()),
            };
            [frame, raw::sync()].concat()
        }
        Step::Loot | Step::Theirs(_) => Vec::new(),
    }
}

/// FunctionCall, all of it in text.
fn fastpath(function: u32, arguments: &[String]) -> Vec<u8> {
    let count = |it: usize| u16::try_from(it).unwrap().to_be_bytes();
    let mut body = function.to_be_bytes().to_vec();
    body.extend(count(0));
    body.extend(count(arguments.len()));
    for argument in arguments {
        body.extend(u32::try_from(argument.len()).unwrap().to_be_bytes());
        body.extend(argument.as_bytes());
    }
    body.extend(count(0));
    raw::frame(b'F', &body)
}

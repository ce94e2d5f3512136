//! A server as far as the gate needs one: it lets everybody in, does what it is told in its time, may be gone at any moment with
//! all that was not committed, and comes back. It knows nothing of tickets.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use wire::backend::encode;
use wire::fields::{Fields, Severity};
use wire::frontend::{Frontend, Target};
use wire::sqlstate::SqlState;
use wire::startup::{self, StartupPacket};
use wire::{CancelKey, frame};

use super::backend::{Backend, Refusal, Result, Said};
use super::dice::Dice;
use super::history::History;
use super::journal::Disk;
use super::pipe::End;

/// A message that is longer is not understood.
const MESSAGE_MAX: usize = 1 << 20;

/// What a server says of itself.
const PARAMETERS: [(&str, &str); 8] = [
    ("server_version", "15.18"),
    ("server_encoding", "UTF8"),
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, MDY"),
    ("TimeZone", "UTC"),
    ("integer_datetimes", "on"),
    ("standard_conforming_strings", "on"),
    ("is_superuser", "off"),
];

pub(super) struct Postgres {
    pub(super) history: Rc<History>,
    /// What the gate has written down, to be held against what comes.
    pub(super) journal: Rc<Disk>,
    dice: Dice,
    up: Cell<bool>,
    arrivals: RefCell<VecDeque<End>>,
    bell: Notify,
    connections: RefCell<BTreeMap<u32, Open>>,
    next: Cell<u32>,
}

/// A connection, as the others know of it.
struct Open {
    cancelled: Rc<Notify>,
    task: Option<AbortHandle>,
}

impl Postgres {
    pub(super) fn new(dice: &Dice, history: &Rc<History>, journal: &Rc<Disk>) -> Rc<Self> {
        Rc::new(Self {
            history: Rc::clone(history),
            journal: Rc::clone(journal),
            dice: dice.own(),
            up: Cell::new(true),
            arrivals: RefCell::default(),
            bell: Notify::new(),
            connections: RefCell::default(),
            next: Cell::new(100),
        })
    }

    pub(super) fn is_up(&self) -> bool {
        self.up.get()
    }

    pub(super) fn accept(&self, end: End) {
        self.arrivals.borrow_mut().push_back(end);
        self.bell.notify_one();
    }

    /// Dies as by `kill -9`: what was committed is there, and nothing else.
    pub(super) fn crash(&self) {
        self.up.set(false);
        self.arrivals.borrow_mut().clear();
        for open in std::mem::take(&mut *self.connections.borrow_mut()).into_values() {
            open.task.inspect(AbortHandle::abort);
        }
    }

    /// Comes back.
    pub(super) fn start(&self) {
        self.up.set(true);
    }

    /// Serves for ever, on the `LocalSet` of the world outside.
    pub(super) async fn listen(self: Rc<Self>) {
        loop {
            let came = self.arrivals.borrow_mut().pop_front();
            let Some(end) = came else {
                self.bell.notified().await;
                continue;
            };
            let pid = self.next.get();
            self.next.set(pid + 1);
            let cancelled = Rc::<Notify>::default();
            let open = Open {
                cancelled: Rc::clone(&cancelled),
                task: None,
            };
            self.connections.borrow_mut().insert(pid, open);
            let server = Rc::clone(&self);
            let task = tokio::task::spawn_local(async move {
                let connection = Connection {
                    pid,
                    cancelled,
                    end,
                    inbox: BytesMut::new(),
                    out: BytesMut::new(),
                    dice: server.dice.own(),
                    backend: Backend::new(&server.history, &server.journal, &server.dice),
                    server: Rc::clone(&server),
                };
                // Whichever way it ends, it is over.
                let _ended = connection.serve().await;
                server.connections.borrow_mut().remove(&pid);
            });
            if let Some(open) = self.connections.borrow_mut().get_mut(&pid) {
                open.task = Some(task.abort_handle());
            }
        }
    }
}

struct Connection {
    server: Rc<Postgres>,
    pid: u32,
    cancelled: Rc<Notify>,
    end: End,
    inbox: BytesMut,
    out: BytesMut,
    dice: Dice,
    backend: Backend,
}

impl Connection {
    async fn serve(mut self) -> io::Result<()> {
        let packet = loop {
            match startup::take(&mut self.inbox).map_err(io::Error::other)? {
                Some(packet) => break packet,
                None if self.end.read_buf(&mut self.inbox).await? == 0 => return Ok(()),
                None => {}
            }
        };
        match packet {
            StartupPacket::Startup(_) => {}
            StartupPacket::Cancel(key) => {
                if let Some(open) = self.server.connections.borrow().get(&key.pid) {
                    open.cancelled.notify_one();
                }
                return Ok(());
            }
            other => return Err(io::Error::other(format!("{other:?}"))),
        }
        encode::authentication_ok(&mut self.out);
        for (name, value) in PARAMETERS {
            encode::parameter_status(name, value, &mut self.out);
        }
        let secret = Bytes::copy_from_slice(&self.pid.to_be_bytes());
        let key = CancelKey::new(self.pid, secret).map_err(io::Error::other)?;
        encode::backend_key_data(&key, &mut self.out);
        self.ready().await?;
        loop {
            let frame = frame::take(&mut self.inbox, MESSAGE_MAX).map_err(io::Error::other)?;
            let Some(frame) = frame else {
                if self.end.read_buf(&mut self.inbox).await? == 0 {
                    return Ok(());
                }
                continue;
            };
            match Frontend::decode(frame).map_err(io::Error::other)? {
                Frontend::Terminate => return Ok(()),
                message => self.answer(message).await?,
            }
        }
    }

    async fn ready(&mut self) -> io::Result<()> {
        encode::ready_for_query(self.backend.status(), &mut self.out);
        self.send().await
    }

    async fn send(&mut self) -> io::Result<()> {
        self.end.write_all_buf(&mut self.out).await
    }

    async fn answer(&mut self, message: Frontend) -> io::Result<()> {
        match message {
            Frontend::Query(text) => {
                for text in text.split(';').filter(|it| !it.trim().is_empty()) {
                    let said = self.execute(text).await;
                    if !self.say(said, true) {
                        break;
                    }
                }
                self.backend.end_segment();
                self.ready().await
            }
            Frontend::Sync => {
                self.backend.end_segment();
                self.ready().await
            }
            Frontend::Flush => self.send().await,
            _ if self.backend.skips() => Ok(()),
            message => {
                let said = self.step(message).await;
                if self.say(said, false) {
                    Ok(())
                } else {
                    self.send().await
                }
            }
        }
    }

    /// One step of a segment.
    async fn step(&mut self, message: Frontend) -> Result<Said> {
        match message {
            Frontend::Parse(it) => {
                self.backend.parse(&it.name, &it.text);
                encode::parse_complete(&mut self.out);
            }
            Frontend::Bind(it) => {
                self.backend.bind(&it.portal, &it.statement)?;
                encode::bind_complete(&mut self.out);
            }
            Frontend::Describe(target) => {
                let columns = self.backend.columns(&target)?;
                if matches!(target, Target::Statement(_)) {
                    encode::parameter_description(&[], &mut self.out).unwrap();
                }
                if columns.is_empty() {
                    encode::no_data(&mut self.out);
                } else {
                    encode::row_description(&columns, &mut self.out).unwrap();
                }
            }
            Frontend::Execute(it) => {
                let text = self.backend.portal(&it.portal)?;
                return self.execute(&text).await;
            }
            Frontend::Close(target) => {
                self.backend.close(&target);
                encode::close_complete(&mut self.out);
            }
            other => return Err(Refusal::new(*b"0A000", &format!("{other:?}"))),
        }
        Ok(Said::default())
    }

    /// Runs a text, in its time, unless somebody cancels it.
    async fn execute(&mut self, text: &str) -> Result<Said> {
        // What came before this began is too late.
        let stale = self.cancelled.notified();
        tokio::select! {
            biased;
            () = stale => {}
            () = std::future::ready(()) => {}
        }
        let slow = if self.dice.chance(20) {
            self.dice.millis(100, 4000)
        } else {
            self.dice.delay()
        };
        tokio::select! {
            biased;
            () = tokio::time::sleep(slow) => {}
            () = self.cancelled.notified() => {
                return Err(Refusal::new(*b"57014", "canceling statement due to user request"));
            }
        }
        self.backend.run(text)
    }

    /// Whether it went well.
    fn say(&mut self, said: Result<Said>, describes: bool) -> bool {
        match said {
            Ok(said) => {
                if describes && !said.columns.is_empty() {
                    encode::row_description(&said.columns, &mut self.out).unwrap();
                }
                for row in &said.rows {
                    let row: Vec<_> = row.iter().map(|it| Some(it.as_str())).collect();
                    encode::data_row(&row, &mut self.out).unwrap();
                }
                if !said.tag.is_empty() {
                    encode::command_complete(&said.tag, &mut self.out);
                }
                true
            }
            Err(Refusal { code, message }) => {
                self.backend.fail();
                let fields = Fields::new(Severity::Error, SqlState::new(&code), message);
                encode::error_response(&fields, &mut self.out);
                false
            }
        }
    }
}

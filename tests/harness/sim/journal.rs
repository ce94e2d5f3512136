//! The gate's journal in memory: what is on its disk outlives a gate, what waits for that does not, and the disk takes its time
//! or has no room. It never changes an entry that is on disk.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;

use gate::{Entry, Journal, JournalDown, TicketId};
use store::{Past, Tampered};
use tokio::sync::{Notify, oneshot};

use super::dice::Dice;
use super::history::{History, count, keys_in};
use super::life::{Deed, Life};

/// So many entries may wait; then the disk is too slow.
const QUEUE_MAX: usize = 64;

/// What outlives a gate.
#[derive(Debug, Default)]
pub(super) struct Disk {
    entries: RefCell<Vec<String>>,
    /// Of how many intents on people's word each key is the object.
    pub(super) intents: RefCell<BTreeMap<String, usize>>,
    /// The tickets that these name.
    pub(super) used: RefCell<BTreeSet<TicketId>>,
}

/// The journal of one life.
#[derive(Clone)]
pub(super) struct Memory(Rc<Desk>);

struct Desk {
    disk: Rc<Disk>,
    life: Rc<Life>,
    dice: Dice,
    history: Rc<History>,
    queue: RefCell<VecDeque<Waiting>>,
    bell: Notify,
    down: Cell<Option<JournalDown>>,
}

struct Waiting {
    text: String,
    written: Option<oneshot::Sender<()>>,
}

impl Disk {
    fn put(&self, text: &str) {
        if let Ok(Entry::Intent {
            ticket: Some(ticket),
            asked,
            ..
        }) = serde_json::from_str(text)
        {
            self.used.borrow_mut().insert(ticket);
            for key in asked.iter().flat_map(|it| keys_in(&it.text)) {
                count(&self.intents, &key);
            }
        }
        self.entries.borrow_mut().push(text.to_owned());
    }
}

impl Memory {
    /// Opens it, which writes that the gate starts. Its disk works on the `LocalSet` of the gate.
    pub(super) fn open(
        disk: &Rc<Disk>,
        life: &Rc<Life>,
        dice: &Dice,
        history: &Rc<History>,
    ) -> Self {
        let journal = Self(Rc::new(Desk {
            disk: Rc::clone(disk),
            life: Rc::clone(life),
            dice: dice.own(),
            history: Rc::clone(history),
            queue: RefCell::default(),
            bell: Notify::new(),
            down: Cell::new(None),
        }));
        disk.put(&text(&Entry::Started { torn_bytes: 0 }));
        let this = Rc::clone(&journal.0);
        tokio::task::spawn_local(async move { this.work().await });
        journal
    }
}

impl Desk {
    async fn work(&self) {
        loop {
            self.bell.notified().await;
            self.dice.pause().await;
            if self.dice.chance(4) {
                self.run_out_of_room().await;
            }
            let batch: Vec<_> = self.queue.borrow_mut().drain(..).collect();
            let survive = if self.life.does(Deed::Journal) {
                batch.len()
            } else {
                // It died in the middle of the write.
                usize::try_from(self.dice.below(batch.len() as u64 + 1)).unwrap()
            };
            for it in &batch[..survive] {
                self.disk.put(&it.text);
                self.history.say(format_args!("journal: {}", it.text));
            }
            self.life.or_dies(Deed::Journal).await;
            for it in batch {
                // Who does not wait any more does not mind.
                let _told = it.written.map(|it| it.send(()));
            }
        }
    }

    /// Nobody hears that anything was written; what was taken is written once there is room.
    async fn run_out_of_room(&self) {
        self.down.set(Some(JournalDown::NoSpace));
        self.history.say("journal: no space left");
        for it in &mut *self.queue.borrow_mut() {
            it.written = None;
        }
        tokio::time::sleep(self.dice.millis(10, 3000)).await;
        let why = JournalDown::NoSpace.to_string();
        let text = text(&Entry::Reopened { why });
        let written = None;
        self.queue.borrow_mut().push_back(Waiting { text, written });
        self.down.set(None);
    }

    fn take(&self, entry: &Entry, written: Option<oneshot::Sender<()>>) -> Result<(), JournalDown> {
        if let Some(down) = self.down.get() {
            return Err(down);
        }
        let mut queue = self.queue.borrow_mut();
        if queue.len() >= QUEUE_MAX {
            return Err(JournalDown::Behind);
        }
        let text = text(entry);
        queue.push_back(Waiting { text, written });
        self.bell.notify_one();
        Ok(())
    }
}

impl Journal for Memory {
    fn is_open(&self) -> bool {
        self.0.down.get().is_none()
    }

    fn down(&self) -> JournalDown {
        self.0.down.get().unwrap_or(JournalDown::Behind)
    }

    fn note(&self, entry: &Entry) -> Result<(), JournalDown> {
        if !self.0.life.does(Deed::Journal) {
            return Ok(());
        }
        self.0.take(entry, None)
    }

    async fn write(&self, entry: Entry) -> Result<(), JournalDown> {
        self.0.life.or_dies(Deed::Journal).await;
        let (written, done) = oneshot::channel();
        self.0.take(&entry, Some(written))?;
        done.await.map_err(|_| self.down())
    }
}

impl Past for Memory {
    fn each(&self, see: &mut dyn FnMut(&Entry)) -> Result<(), Tampered> {
        for text in &*self.0.disk.entries.borrow() {
            let entry = serde_json::from_str(text).map_err(|error| Tampered::Unreadable {
                file: PathBuf::from("memory"),
                why: format!("{error}: {text}"),
            })?;
            see(&entry);
        }
        Ok(())
    }
}

fn text(entry: &Entry) -> String {
    serde_json::to_string(entry).unwrap()
}

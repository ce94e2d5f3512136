//! Where clients find the gate, if it is there: who connects comes through here, whatever life it is in. It never looks at what
//! they say.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::sync::Notify;

use super::dice::Dice;
use super::life::{Deed, Life};
use super::pipe::{End, with_gate};

/// Clients count their ports from here.
const PORTS: u16 = 10_000;

#[derive(Debug)]
pub(super) struct Door {
    dice: Dice,
    life: RefCell<Option<Rc<Life>>>,
    arrivals: RefCell<VecDeque<(End, SocketAddr)>>,
    bell: Notify,
    ports: Cell<u16>,
}

impl Door {
    pub(super) fn new(dice: &Dice) -> Self {
        Self {
            dice: dice.own(),
            life: RefCell::default(),
            arrivals: RefCell::default(),
            bell: Notify::new(),
            ports: Cell::new(PORTS),
        }
    }

    /// The gate listens.
    pub(super) fn open(&self, life: &Rc<Life>) {
        *self.life.borrow_mut() = Some(Rc::clone(life));
    }

    /// It does so no more; who was not taken in is hung up on.
    pub(super) fn close(&self) {
        *self.life.borrow_mut() = None;
        self.arrivals.borrow_mut().clear();
    }

    /// A client connects; nothing, where nobody listens.
    pub(super) fn connect(&self) -> Option<End> {
        let life = self.life.borrow().clone().filter(|it| !it.is_over())?;
        let (gate, client) = with_gate(&self.dice, &life, Deed::Client);
        self.ports.set(self.ports.get() + 1);
        let address = SocketAddr::from(([127, 0, 0, 1], self.ports.get()));
        self.arrivals.borrow_mut().push_back((gate, address));
        self.bell.notify_one();
        Some(client)
    }

    /// The next one who came. Cancel safe.
    pub(super) async fn next(&self) -> (End, SocketAddr) {
        loop {
            if let Some(came) = self.arrivals.borrow_mut().pop_front() {
                return came;
            }
            self.bell.notified().await;
        }
    }
}

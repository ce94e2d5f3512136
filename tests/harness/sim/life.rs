//! One life of the gate: how much it may do before it is killed. Whatever it does that anybody could ever hear of goes through
//! here, so it can end between any two such things, as `kill -9` ends it. It never says what the gate does.

use std::cell::{Cell, RefCell};

use tokio::sync::Notify;

use super::dice::Dice;

/// What the gate does that is heard of outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// Asks the store, or hears of its answer.
    Store,
    /// Writes to the journal, or hears that it is on disk.
    Journal,
    /// Sends something to the server, or hears of it.
    Server,
    /// The same with a client.
    Client,
}

/// One life.
#[derive(Debug, Default)]
pub(super) struct Life {
    over: Cell<bool>,
    /// It ends before this deed; any, where it does not say which.
    end: RefCell<Option<(Option<Deed>, u64)>>,
    pub(super) ended: Notify,
    /// It is asked to stop, which it does by itself.
    pub(super) stops: Notify,
}

impl Life {
    /// One that ends, sooner or later, by being killed.
    pub(super) fn short(dice: &Dice) -> Self {
        let deed = *dice.pick(&[
            None,
            None,
            Some(Deed::Store),
            Some(Deed::Journal),
            Some(Deed::Server),
        ]);
        // Most that there is happens early.
        let most = 1 << dice.between(3, if deed.is_none() { 11 } else { 8 });
        Self {
            end: RefCell::new(Some((deed, dice.between(1, most)))),
            ..Self::default()
        }
    }

    /// Whether the gate is there to do this.
    pub(super) fn does(&self, deed: Deed) -> bool {
        if self.over.get() {
            return false;
        }
        let mut end = self.end.borrow_mut();
        if let Some((which, left)) = &mut *end
            && which.is_none_or(|it| it == deed)
        {
            *left -= 1;
            if *left == 0 {
                drop(end);
                self.end();
                return false;
            }
        }
        true
    }

    /// It is over at once.
    pub(super) fn end(&self) {
        self.over.set(true);
        self.ended.notify_one();
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.get()
    }

    /// Does this, or is dead and nobody hears of it.
    pub(super) async fn or_dies(&self, deed: Deed) {
        if !self.does(deed) {
            std::future::pending::<()>().await;
        }
    }
}

//! The client's names for prepared statements and portals. Where a statement stands upstream is the
//! business of `gate::Shelf`; a name means the same on whatever connection serves it next (hazards
//! R36).

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use gate::{Prepared, Request, Right};
use sql::Mention;

use crate::heard::Heard;

/// Prepared statements by the client's name.
#[derive(Debug, Default)]
pub(crate) struct Names {
    statements: HashMap<ByteString, Named>,
    /// What had a name that was given again, until the server has said what it thinks of that.
    replaced: Vec<(ByteString, Named)>,
    /// What SQL has prepared (PREPARE) on the session's own connection: its whole text, under its name.
    made: HashMap<ByteString, Arc<Prepared>>,
    /// PREPAREs that are on their way.
    making: Vec<Arc<Prepared>>,
    bytes: usize,
}

/// What the prepared statements of one session may take in all.
pub(crate) const STATEMENTS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What one name costs besides its text, roughly.
const NAME_BYTES: usize = 256;

#[derive(Debug)]
struct Named {
    statement: Arc<Prepared>,
    /// The server has said ParseComplete.
    confirmed: bool,
    /// The RowDescription that it had then; empty where it returns nothing.
    shape: Option<Bytes>,
}

impl Names {
    /// The statement of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Prepared>> {
        self.statements.get(name).map(|named| &named.statement)
    }

    /// The same, if the server has it.
    pub(crate) fn confirmed(&self, name: &str) -> Option<&Arc<Prepared>> {
        let named = self.statements.get(name).filter(|it| it.confirmed)?;
        Some(&named.statement)
    }

    /// Gives a statement its name; it counts for good only once [`Names::confirm`] is called. Until
    /// then what had the name before may get it back.
    pub(crate) fn insert(&mut self, name: &ByteString, statement: Arc<Prepared>) {
        self.bytes += weight(name, &statement);
        let named = Named {
            statement,
            confirmed: false,
            shape: None,
        };
        match self.statements.insert(name.clone(), named) {
            Some(old) if name.is_empty() => self.bytes -= weight(name, &old.statement),
            Some(old) => self.replaced.push((name.clone(), old)),
            None => {}
        }
    }

    /// The server accepted what was given this name first of all that it has not judged yet.
    pub(crate) fn confirm(&mut self, name: &str) {
        let earlier = self.replaced.iter_mut().filter(|it| it.0 == name);
        let current = self.statements.get_mut(name);
        let unsure = earlier.map(|it| &mut it.1).chain(current);
        if let Some(named) = unsure.into_iter().find(|it| !it.confirmed) {
            named.confirmed = true;
        }
    }

    /// What it returned when it was parsed.
    pub(crate) fn shape(&self, name: &str) -> Option<&Bytes> {
        self.statements.get(name)?.shape.as_ref()
    }

    /// The server has said what the statement that it confirmed last under this name returns.
    pub(crate) fn describe(&mut self, name: &str, shape: Bytes) {
        let earlier = self.replaced.iter_mut().filter(|it| it.0 == name);
        let all = earlier
            .map(|it| &mut it.1)
            .chain(self.statements.get_mut(name));
        if let Some(named) = all.filter(|it| it.confirmed).last() {
            named.shape = Some(shape);
        }
    }

    /// This goes up. The names that SQL takes or frees mean nothing any more that was said of them:
    /// until the client says it again, or the server has run the one PREPARE that a text is, what
    /// they mean only the server knows.
    pub(crate) fn release(&mut self, request: &Request) {
        for statement in request.statements() {
            let mention = statement.prepared.as_ref();
            if let Some(Mention::Makes { name, .. } | Mention::Forgets(Some(name))) = mention {
                self.close(name);
            }
        }
        for (piece, reading) in request.work.pieces().zip(&request.readings) {
            if let [statement] = reading.statements.as_slice()
                && let Some(Mention::Makes { name, .. }) = &statement.prepared
            {
                let made = Prepared::made(name.as_str().into(), piece.text.clone());
                self.making.push(Arc::new(made));
            }
        }
    }

    /// A ReadyForQuery came: the PREPAREs that went up were run, if the server has said so of each.
    pub(crate) fn made(&mut self, heard: &Heard) {
        let making = std::mem::take(&mut self.making);
        let done = heard.tags.iter().filter(|tag| ***tag == *"PREPARE").count();
        if heard.failed() || done != making.len() {
            return;
        }
        for statement in making {
            let weight = weight(&statement.name, &statement);
            // What is not remembered is not known: then its EXECUTE waits for people.
            if self.bytes + weight <= STATEMENTS_BYTES_MAX {
                self.bytes += weight;
                self.made.insert(statement.name.clone(), statement);
            }
        }
    }

    /// What an EXECUTE of this name runs: the text of a PREPARE, or what a Parse brought.
    pub(crate) fn behind(&self, name: &str) -> Option<&Arc<Prepared>> {
        self.made.get(name).or_else(|| self.confirmed(name))
    }

    /// What SQL has prepared is no longer what it was, or nobody knows.
    pub(crate) fn unmake(&mut self) {
        for (name, statement) in self.made.drain() {
            self.bytes -= weight(&name, &statement);
        }
    }

    /// Bytes that all names and their texts take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Closes it, and says what it was. Closing what does not exist is no error.
    pub(crate) fn close(&mut self, name: &str) -> Option<Arc<Prepared>> {
        // Each Query closes the unnamed one, and a name is hashed even for an empty map.
        if self.made.is_empty() && self.statements.is_empty() {
            return None;
        }
        if let Some(made) = self.made.remove(name) {
            self.bytes -= weight(name, &made);
        }
        let old = self.statements.remove(name)?;
        self.bytes -= weight(name, &old.statement);
        Some(old.statement)
    }

    /// Only these are left, of all that a Parse brought.
    pub(crate) fn retain(&mut self, names: &[ByteString]) {
        self.unmake();
        self.statements.retain(|name, named| {
            let stays = names.contains(name);
            if !stays {
                self.bytes -= weight(name, &named.statement);
            }
            stays
        });
    }

    /// All of them are gone: DISCARD ALL. The unnamed statement goes with them.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The batch is over. What the server never accepted is forgotten, if it failed; what was
    /// accepted last has the name.
    pub(crate) fn settle(&mut self, failed: bool) {
        for (name, old) in self.replaced.drain(..) {
            let better = |it: &Named| failed && !it.confirmed && old.confirmed;
            match self.statements.get_mut(&name) {
                Some(current) if better(current) => {
                    self.bytes -= weight(&name, &current.statement);
                    *current = old;
                }
                _ => self.bytes -= weight(&name, &old.statement),
            }
        }
        if failed {
            self.statements.retain(|name, named| {
                if !named.confirmed {
                    self.bytes -= weight(name, &named.statement);
                }
                named.confirmed
            });
        }
    }
}

fn weight(name: &str, statement: &Prepared) -> usize {
    NAME_BYTES + name.len() + statement.text.len() + size_of_val(statement.types.as_slice())
}

/// Portals that are open upstream, with the right to go on with each.
#[derive(Debug, Default)]
pub(crate) struct Portals {
    open: HashMap<ByteString, Open>,
    last: Option<Open>,
    /// Something that must be fenced was released: from then on every portal may be one of its.
    fenced: bool,
}

/// An open portal.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    /// The right to go on with it.
    pub(crate) right: Right,
    /// Whether fetching from it must be fenced again (hazards V27).
    pub(crate) fenced: bool,
}

impl Portals {
    /// A portal was bound under this right.
    pub(crate) fn insert(&mut self, name: &str, portal: Open) {
        self.fenced |= portal.fenced;
        // A copy: the name that came holds on to all of its Bind.
        self.open.insert(ByteString::from(name), portal);
    }

    /// Something was released: SQL that it ran may have declared cursors, which the protocol sees
    /// as portals.
    pub(crate) fn released(&mut self, portal: Open) {
        self.fenced |= portal.fenced;
        self.last = Some(portal);
    }

    /// The portal of that name. One that no Bind made can be a cursor that released SQL declared;
    /// the server knows. Whose it really is only the server knows as well, since a Bind may have
    /// failed: once anything was fenced, everything is.
    pub(crate) fn get(&self, name: &str) -> Option<Open> {
        let cursor = || self.last.as_ref().filter(|_| !name.is_empty());
        let found = self.open.get(name).or_else(cursor)?;
        Some(Open {
            right: found.right.clone(),
            fenced: self.fenced || found.fenced,
        })
    }

    /// The right of what was released last.
    pub(crate) fn last_right(&self) -> Option<Right> {
        self.last.as_ref().map(|it| it.right.clone())
    }

    /// A portal was closed.
    pub(crate) fn close(&mut self, name: &str) {
        self.open.remove(name);
    }

    /// The transaction ended, and every portal with it but for cursors WITH HOLD, which live on the
    /// session's own connection.
    pub(crate) fn end_transaction(&mut self) {
        self.open.clear();
    }

    /// The connection goes, and every portal with it.
    pub(crate) fn clear(&mut self) {
        self.open.clear();
        self.last = None;
        self.fenced = false;
    }
}

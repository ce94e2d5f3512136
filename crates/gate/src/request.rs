//! A request: who asks to have what run, where, and what it was read to mean.

use std::sync::Arc;

use bytes::Bytes;
use sql::{Class, Control, Leaves, Reading, Relation, Statement};

use crate::context::Context;
use crate::digest::{Digest, Gather};
use crate::principal::Principal;
use crate::tickets::Step;
use crate::wish::{Wish, reason_in};
use crate::work::{Piece, Prepared, Values, Work};

/// `FirstNormalObjectId` of transam.h: what PostgreSQL brings has a smaller one.
const FIRST_OWN_OID: u32 = 16_384;

/// One question to the gate. It owns the very bytes that will go up if the answer is yes.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who asks.
    pub principal: Arc<Principal>,
    /// Where it would run.
    pub context: Context,
    /// What would run.
    pub work: Work,
    /// Statements of the protocol that the work names in SQL (EXECUTE): what they are decides what runs.
    pub named: Vec<Arc<Prepared>>,
    /// What each text of the work was read to mean, in the order of [`Work::texts`].
    pub readings: Vec<Arc<Reading>>,
    /// Where the client comes from, for the people who decide.
    pub client: Arc<str>,
    /// What the requester says beside it.
    pub wish: Arc<Wish>,
}

impl Request {
    /// The identity of the request: the work and its context, to the byte.
    pub fn digest(&self) -> Digest {
        let mut gather = Gather::new("portcullis request 1");
        self.context.gather(&mut gather);
        self.work.gather(&mut gather);
        for statement in &self.named {
            gather.field(statement.name.as_bytes());
            statement.gather(&mut gather);
        }
        gather.finish()
    }

    /// The classes of its statements, each once; transaction control is none.
    pub fn classes(&self) -> Vec<Class> {
        let mut classes: Vec<Class> = self.statements().map(|it| it.class).collect();
        classes.retain(|it| *it != Class::Transaction);
        classes.sort_unstable();
        classes.dedup();
        classes
    }

    /// The statement of a script that it is, where its session runs one: a single text without parameters.
    pub fn script_step(&self) -> Option<Step> {
        self.wish.script?;
        let mut pieces = self.work.pieces();
        let piece = pieces.next()?;
        let plain = piece
            .bound
            .is_none_or(|(_, values)| values.values.is_empty());
        let alone = pieces.next().is_none() && self.work.unbound().is_empty();
        (plain && alone && self.single()).then(|| Step {
            holder: Arc::clone(&self.client),
            text: piece.text.clone(),
        })
    }

    /// Whether it only reads: what passes while the gate is closed to everything else.
    pub fn only_reads(&self) -> bool {
        let harmless =
            |class: &Class| matches!(class, Class::Read | Class::Session | Class::CopyOut);
        self.classes().iter().all(harmless)
    }

    /// Whether what it does can outlive a rollback, or nobody knows (hazards R86).
    pub fn outlasts_rollback(&self) -> bool {
        let lasts = |it: &Statement| {
            it.outside_transaction || matches!(it.class, Class::Opaque | Class::Admin)
        };
        let unread = self.readings.iter().any(|it| it.why_opaque.is_some());
        unread || self.statements().any(lasts)
    }

    /// Whether a row of the ledger can be laid down in front of it, in the same transaction, and says what became of all of it:
    /// it changes something, takes it back with its transaction, and minds nothing that ran before.
    pub fn fits_ledger(&self) -> bool {
        // SET TRANSACTION names no setting.
        let sets_modes = |it: &Statement| match (&it.control, &it.setting) {
            (Some(control), _) => control.sets_modes(),
            (None, Some(name)) => name.starts_with("transaction_"),
            (None, None) => it.class == Class::Session,
        };
        // CLUSTER and REINDEX of a partitioned table stand alone, which only the catalog knows.
        let stands_alone =
            |it: &Statement| it.class == Class::Maintenance && !self.context.in_transaction;
        let fits = |it: &Statement| !sets_modes(it) && !stands_alone(it);
        !self.only_reads()
            && !self.outlasts_rollback()
            && self.statements().all(fits)
            && !self.leaves_its_transaction()
    }

    /// Whether something in it may run in another transaction than what is laid down in front of it.
    fn leaves_its_transaction(&self) -> bool {
        let works = |it: &Statement| it.class != Class::Transaction;
        let leaves = |it: &Statement| matches!(it.control, Some(Control::RollbackTo(_)));
        let mut behind = self.statements().skip_while(|it| !it.ends_transaction);
        behind.any(works) || self.statements().any(leaves)
    }

    /// Why it is to run, in the requester's words: those of the session, else those that a text of it begins with.
    pub fn reason(&self) -> Option<&str> {
        let texts = || self.work.pieces().find_map(|it| reason_in(it.text));
        self.wish.reason.as_deref().or_else(texts)
    }

    /// Every statement of every text.
    pub fn statements(&self) -> impl Iterator<Item = &Statement> {
        self.readings
            .iter()
            .flat_map(|reading| reading.statements.iter())
    }

    /// Whether something of the user's may run in it that is not PostgreSQL's own, by the tenant's catalog, or nobody knows. A
    /// parameter of a type that is not built in runs that type's checks.
    pub fn runs_own(&self) -> bool {
        let typed = |piece: Piece<'_>| {
            let types = piece.bound.map_or(&[][..], |(types, _)| types);
            types.iter().any(|oid| *oid >= FIRST_OWN_OID)
        };
        let unknown = self.readings.iter().any(|it| !it.known);
        unknown || self.statements().any(|it| it.own.is_some()) || self.work.pieces().any(typed)
    }

    /// Whether all of it only reads what PostgreSQL says of itself, its catalogs or nothing at all, or makes the session's own
    /// settings.
    pub fn looks_around(&self) -> bool {
        let of_system = |it: &Relation| match it.schema.as_deref() {
            Some(schema) => matches!(schema, "pg_catalog" | "information_schema"),
            None => it.name.starts_with("pg_"),
        };
        let looks = |it: &Statement| match it.class {
            Class::Read => it.reads.iter().chain(&it.behind).all(of_system),
            Class::Session => it.setting.is_some() && it.leaves <= Leaves::Settings,
            _ => false,
        };
        !self.runs_own() && self.statements().all(looks)
    }

    /// The size of what is asked: its texts and its values.
    pub fn bytes(&self) -> usize {
        let values = |values: &Values| {
            values
                .values
                .iter()
                .flatten()
                .map(Bytes::len)
                .sum::<usize>()
        };
        let bytes = |piece: Piece<'_>| {
            let bound = piece.bound.map_or(0, |(_, bound)| values(bound));
            piece.text.len() + bound
        };
        self.work.pieces().map(bytes).sum()
    }

    /// Whether each text is one statement for sure, or none (DESIGN ruling 6).
    pub fn single(&self) -> bool {
        self.readings
            .iter()
            .all(|reading| reading.statements.is_empty() || reading.single())
    }
}

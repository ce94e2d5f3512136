//! What one SQL text was read to be: plain data. It never holds a parser's type, and never decides who must sign.

use std::ops::Range;

use crate::lists::functions;
use crate::{Class, Columns, Function, Relation};

/// One SQL text, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Its statements, in order. Empty for a text of blanks and comments only.
    pub statements: Vec<Statement>,
    /// Why the text *as a whole* could not be read (it does not parse, or a cap refused it). Then `statements` is exactly
    /// one [`Class::Opaque`] statement. A statement that was parsed and is opaque by itself (DO, CALL, an unknown
    /// function) does not set this.
    pub why_opaque: Option<String>,
    /// What a second parser made of it, if it was asked.
    pub second: Option<Second>,
    /// Whether the database's own catalog was known: else [`Statement::own`] says nothing.
    pub known: bool,
}

impl Reading {
    /// The strongest class among its statements; none for an empty text.
    pub fn class(&self) -> Option<Class> {
        self.statements
            .iter()
            .map(|statement| statement.class)
            .max()
    }

    /// Whether the text is exactly one statement for sure (ruling 6): it parsed, and the grammar gave one. Where a `;` stands
    /// anywhere but at the end, the scanner was asked too, and a disagreement made the text opaque.
    pub fn single(&self) -> bool {
        self.why_opaque.is_none() && self.statements.len() == 1
    }

    /// Whether another number in the text may make another reading of it. Where none does, all texts of one mask
    /// ([`crate::masked`]) read just the same, the places of everything included. That is so of one plain query in which
    /// nothing but PostgreSQL's own pure functions, operators and clauses is at work.
    pub fn numbers_decide(&self) -> bool {
        let [it] = self.statements.as_slice() else {
            return true;
        };
        let weighed = matches!(self.second, None | Some(Second::Agrees | Second::Unread));
        !(self.single() && self.known && weighed && it.is_plain_query())
    }

    /// A text that was not read, and why.
    pub(crate) fn refused(bytes: usize, why: String) -> Reading {
        let statement = Statement {
            why: why.clone(),
            ..Statement::new(Class::Opaque, 0..bytes)
        };
        Reading {
            statements: vec![statement],
            why_opaque: Some(why),
            second: None,
            known: false,
        }
    }

    /// About how many bytes it holds, for the cache's bound.
    pub(crate) fn weight(&self) -> usize {
        let second = match &self.second {
            Some(Second::Stronger(what)) => what.len(),
            _ => 0,
        };
        size_of::<Reading>()
            + self.why_opaque.as_deref().map_or(0, str::len)
            + second
            + self.statements.iter().map(Statement::weight).sum::<usize>()
    }

    /// The same where what stands behind the names that it EXECUTEs is known: `inside` has the text of one, read. A text that
    /// makes or forgets prepared statements itself stays as it is.
    #[must_use]
    pub fn with_inside<'r>(&self, inside: impl Fn(&str) -> Option<&'r Reading>) -> Reading {
        let mut known = self.clone();
        for statement in &mut known.statements {
            let Some(Mention::Runs { name, plain: true }) = &statement.prepared else {
                continue;
            };
            if let Some(running) = inside(name).and_then(|inside| statement.running(name, inside)) {
                *statement = running;
            }
        }
        known
    }
}

/// What a second parser made of a text that would pass. Only one of its opinions counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Second {
    /// It sees as many statements, and nothing stronger.
    Agrees,
    /// It cannot read the text, and abstains.
    Unread,
    /// It sees fewer statements, and abstains.
    Fewer,
    /// It sees something stronger, in words: then every statement is [`Class::Opaque`].
    Stronger(String),
}

/// One statement of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The strongest thing in it.
    pub class: Class,
    /// Its bytes in the text, without the `;`. Slices on character boundaries.
    pub range: Range<usize>,
    /// What it does to the transaction, if that is what it is.
    pub control: Option<Control>,
    /// Why it has this class, in words.
    pub why: String,
    /// The relations it names to read from. Views, partitions and children are the catalog's business.
    pub reads: Vec<Relation>,
    /// The relations it names to change, create, lock or drop; and every relation whose use is not known to be a read.
    pub writes: Vec<Relation>,
    /// The relations behind those that it names: of views, and the partitions and children that have rows of a table.
    /// Empty where the catalog is not known.
    pub behind: Vec<Relation>,
    /// The columns that it may read of them.
    pub columns: Columns,
    /// The functions it calls by name, those behind a view included.
    pub functions: Vec<Function>,
    /// Cannot sit in a transaction block (VACUUM, CREATE DATABASE, CONCURRENTLY, ALTER SYSTEM, ...), R86.
    pub outside_transaction: bool,
    /// Ends the transaction that it is in, even one that has failed: COMMIT, ROLLBACK, PREPARE TRANSACTION.
    pub ends_transaction: bool,
    /// The setting's name, lower case, for SET, RESET or SHOW of one.
    pub setting: Option<String>,
    /// What a SET, a RESET or a `set_config` in it sets.
    pub sets: Option<Sets>,
    /// The setting of the gate's own that it sets or shows, if that is all it does.
    pub ours: Option<Ours>,
    /// What it leaves behind in the session that runs it.
    pub leaves: Leaves,
    /// What runs in it that is not PostgreSQL's own, as far as the catalog is known.
    pub own: Option<Own>,
    /// The cast to a type of the user's that may run in it though nobody wrote it.
    pub(crate) may_convert: Option<String>,
    /// What it is to hold up to the end of its transaction.
    pub keeps: Option<Keeps>,
    /// What it does with prepared statements: PREPARE, EXECUTE, DEALLOCATE.
    pub prepared: Option<Mention>,
    /// Asks its client for data: COPY FROM STDIN, whatever else is in it.
    pub copies_in: bool,
    /// The process that it signals, if that is all it does.
    pub signal: Option<Signal>,
    /// What the numbers in it decide of all this: see [`Reading::numbers_decide`].
    pub(crate) numbers: Numbers,
}

/// What the numbers in a statement decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// Which rows, and nothing else.
    Rows,
    /// Nobody has looked, or it may be anything.
    Anything,
}

/// A `pg_cancel_backend` or `pg_terminate_backend`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signal {
    /// Ends the connection, and not only what runs on it.
    pub terminates: bool,
    /// Whom it means.
    pub pid: Pid,
}

/// A process id as a text gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pid {
    /// This one.
    Is(u32),
    /// The statement's one parameter.
    Parameter,
}

/// A setting of the gate's own, `portcullis.NAME`, which no server knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Ours {
    /// SET, or RESET where there is no value.
    Set(String, Option<String>),
    /// SHOW.
    Show(String),
}

/// A setting that is set, as far as the text says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sets {
    /// Its name, lower case.
    pub name: String,
    /// Of a search_path its schemas, of which a RESET names none. Nothing where the text does not say.
    pub path: Option<Vec<String>>,
}

/// What a statement leaves behind in its session, apart from what it does to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leaves {
    /// Nothing.
    Nothing,
    /// What `lastval` and `currval` say.
    Sequences,
    /// A setting, up to the end of the transaction.
    Local,
    /// Settings that can be seen in `pg_settings` and put on another connection.
    Settings,
    /// Nothing that it says itself; a trigger, a default or a function behind it may.
    Residue,
    /// Nothing at all, not even what was there before: DISCARD ALL.
    Discarded,
    /// Something that lives in the session and is meant to be used there (a temporary table, LISTEN), or nobody knows what.
    State,
}

/// What runs in a statement that is not PostgreSQL's own. The worst of it is greatest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Own {
    /// A function, an operator, a type, a cast or what stands behind a table. What it may leave in the session (a lock, a
    /// setting, the role) no READ ONLY keeps it from.
    Here(String),
    /// Another server is asked, and knows nothing of READ ONLY here: what it did is undone only with the transaction here.
    Far(String),
}

/// What is gone where a savepoint around a statement is rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keeps {
    /// A cursor.
    Cursor,
    /// A lock that was asked for.
    Lock,
}

/// What a statement does with a prepared one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mention {
    /// EXECUTE: it runs it.
    Runs {
        /// Its name.
        name: String,
        /// The arguments that it is given are harmless by themselves.
        plain: bool,
    },
    /// PREPARE: it makes it.
    Makes {
        /// Its name.
        name: String,
        /// What running it is.
        inside: Box<Statement>,
    },
    /// DEALLOCATE: it forgets this one, or all of them.
    Forgets(Option<String>),
}

impl Mention {
    /// The name, if there is one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Mention::Runs { name, .. } | Mention::Makes { name, .. } => Some(name),
            Mention::Forgets(name) => name.as_deref(),
        }
    }
}

impl Statement {
    pub(crate) fn new(class: Class, range: Range<usize>) -> Statement {
        Statement {
            class,
            range,
            control: None,
            why: String::new(),
            reads: Vec::new(),
            writes: Vec::new(),
            behind: Vec::new(),
            columns: Columns::default(),
            functions: Vec::new(),
            outside_transaction: false,
            ends_transaction: false,
            setting: None,
            sets: None,
            ours: None,
            leaves: Leaves::State,
            own: None,
            may_convert: None,
            keeps: None,
            prepared: None,
            copies_in: false,
            signal: None,
            numbers: Numbers::Anything,
        }
    }

    fn weight(&self) -> usize {
        let relation = |r: &Relation| {
            size_of::<Relation>() + r.name.len() + r.schema.as_deref().map_or(0, str::len)
        };
        let function = |f: &Function| {
            size_of::<Function>() + f.name.len() + f.schema.as_deref().map_or(0, str::len)
        };
        let relations = self.reads.iter().chain(&self.writes).chain(&self.behind);
        let inside = match &self.prepared {
            Some(Mention::Makes { inside, .. }) => inside.weight(),
            _ => 0,
        };
        let own = match &self.own {
            Some(Own::Here(name) | Own::Far(name)) => name.len(),
            None => 0,
        };
        let named = self.prepared.as_ref().and_then(Mention::name);
        size_of::<Statement>()
            + self.why.len()
            + relations.map(relation).sum::<usize>()
            + self.functions.iter().map(function).sum::<usize>()
            + self.columns.weight()
            + self.setting.as_deref().map_or(0, str::len)
            + own
            + self.may_convert.as_deref().map_or(0, str::len)
            + named.map_or(0, str::len)
            + inside
    }

    /// What this EXECUTE is, if a text that was read so stands behind the name: a PREPARE, or what a Parse of the protocol
    /// brought. Nothing where that is more than one statement, or none that an EXECUTE is as good as.
    fn running(&self, name: &str, text: &Reading) -> Option<Statement> {
        let [prepared] = text.statements.as_slice() else {
            return None;
        };
        let inside = match &prepared.prepared {
            Some(Mention::Makes { inside, .. }) => inside,
            Some(_) => return None,
            None => prepared,
        };
        let like_it = matches!(inside.class, Class::Read | Class::Write);
        if !text.single() || !like_it || inside.control.is_some() || inside.setting.is_some() {
            return None;
        }
        let mut functions = inside.functions.clone();
        let own = self.functions.iter();
        functions.extend(own.filter(|it| !inside.functions.contains(it)).cloned());
        Some(Statement {
            why: format!("runs prepared statement {name}, which {}", inside.why),
            range: self.range.clone(),
            prepared: self.prepared.clone(),
            signal: None,
            numbers: Numbers::Anything,
            functions,
            ..inside.clone()
        })
    }

    /// Whether it reads and writes rows, no number decides how, and it has nothing to it that not every such query has.
    fn is_plain_query(&self) -> bool {
        let Statement {
            class: Class::Read | Class::Write,
            control: None,
            outside_transaction: false,
            ends_transaction: false,
            setting: None,
            sets: None,
            ours: None,
            own: None,
            keeps: None,
            prepared: None,
            copies_in: false,
            signal: None,
            numbers: Numbers::Rows,
            ..
        } = self
        else {
            return false;
        };
        true
    }

    /// Whether it must run where the server refuses writes, if nobody signs for it: what is read may hide a write behind it
    /// (a view, an operator; hazards V15).
    pub fn wants_fence(&self) -> bool {
        let query = |it: &Function| functions::takes_a_number(&it.name);
        match self.class {
            Class::Read | Class::CopyOut => true,
            Class::Session => self.functions.iter().any(query),
            _ => false,
        }
    }

    /// Whether it forgets prepared statements.
    pub fn forgets(&self) -> bool {
        matches!(self.prepared, Some(Mention::Forgets(_)))
    }
}

/// Transaction control. The two-phase statements are not here: they are [`Class::Admin`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// BEGIN or START TRANSACTION; of repeated options the last counts.
    Begin {
        /// Spelled START TRANSACTION, which the command tag repeats.
        start: bool,
        /// ISOLATION LEVEL.
        isolation: Option<Isolation>,
        /// READ ONLY or READ WRITE.
        read_only: Option<bool>,
        /// \[NOT\] DEFERRABLE.
        deferrable: Option<bool>,
    },
    /// COMMIT or END.
    Commit {
        /// AND CHAIN.
        chain: bool,
    },
    /// ROLLBACK or ABORT.
    Rollback {
        /// AND CHAIN.
        chain: bool,
    },
    /// SAVEPOINT name.
    Savepoint(String),
    /// RELEASE name.
    Release(String),
    /// ROLLBACK TO name.
    RollbackTo(String),
}

impl Control {
    /// Whether it says how its transaction is to be, which it must before anything else has run in it.
    pub fn sets_modes(&self) -> bool {
        match self {
            Self::Begin {
                isolation,
                read_only,
                deferrable,
                ..
            } => isolation.is_some() || read_only.is_some() || deferrable.is_some(),
            _ => false,
        }
    }
}

/// An isolation level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// READ UNCOMMITTED (PostgreSQL reads committed all the same).
    ReadUncommitted,
    /// READ COMMITTED.
    ReadCommitted,
    /// REPEATABLE READ.
    RepeatableRead,
    /// SERIALIZABLE.
    Serializable,
}

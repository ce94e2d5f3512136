//! What one statement's tree holds: its class, relations and functions. Judges every struct of the tree by the lists; it
//! never stops at the first finding, so that a ticket can name everything.

use serde::Serialize;

use crate::behind::Behind;
use crate::catalog::Arguments;
use crate::columns::Seen;
use crate::found::Found;
use crate::frames::{Call, Frame, Frames};
use crate::hidden::Hidden;
use crate::lists::{functions, kinds, names};
use crate::on::On;
use crate::scope::Scopes;
use crate::visit::{self, Eye};
use crate::{Class, Function, Own, Relation};

const LOCKS: &str = "locks rows";

/// How strictly a part of a statement is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Manner {
    /// It runs, and every kind of node, operator and type must be on a list.
    Strict,
    /// Its class is known to be at least DDL; but the expressions in it may run, so a function must be on a list.
    Runs,
    /// Its class is known to be at least DDL, and the expressions in it are only stored.
    Stores,
}

/// What was found so far.
#[derive(Debug)]
pub(crate) struct Look<'a> {
    on: On<'a>,
    class: Class,
    why: Option<String>,
    reads: Vec<Named>,
    writes: Vec<Relation>,
    functions: Vec<Function>,
    manner: Manner,
    frames: Frames,
    /// Name parts of the structs being walked, innermost last.
    parts: Vec<String>,
    /// Schema and name of the RangeVar being walked.
    relation: (String, String),
    scopes: Scopes,
    seen: Seen,
    /// The alias of the RangeVar being walked, and whether the column reference being walked has a star.
    alias: String,
    star: bool,
    /// There is something in it that a cast may stand behind.
    converts: bool,
    /// There is something in it that looks for a cast that nobody wrote.
    looks_for_casts: bool,
    /// What is not PostgreSQL's own and may run something.
    own: Option<Own>,
    hidden: Hidden<'a>,
}

/// A relation read, unless its name turns out to be a common table expression's.
#[derive(Debug)]
struct Named {
    relation: Relation,
    place: Option<usize>,
}

impl<'a> Look<'a> {
    pub(crate) fn new(on: On<'a>) -> Self {
        Look {
            on,
            class: Class::Read,
            why: None,
            reads: Vec::new(),
            writes: Vec::new(),
            functions: Vec::new(),
            manner: Manner::Strict,
            frames: Frames::default(),
            parts: Vec::new(),
            relation: (String::new(), String::new()),
            scopes: Scopes::default(),
            seen: Seen::default(),
            alias: String::new(),
            star: false,
            converts: false,
            looks_for_casts: false,
            own: None,
            hidden: Hidden::new(on),
        }
    }

    /// Looks at one part of a statement.
    pub(crate) fn part<T: Serialize + ?Sized>(mut self, node: &T, manner: Manner) -> Self {
        self.manner = manner;
        self.frames.clear();
        if let Err(strange) = visit::walk(node, &mut self) {
            self.raise(Class::Opaque, || {
                format!("holds something unknown: {strange}")
            });
        }
        self
    }

    pub(crate) fn done(mut self) -> Found {
        let scopes = std::mem::take(&mut self.scopes);
        let on = self.on;
        let mut reads: Vec<Relation> = Vec::new();
        for named in std::mem::take(&mut self.reads) {
            let expression = named.relation.schema.is_none()
                && scopes.names_expression(named.place, &named.relation.name);
            if !expression && !reads.contains(&named.relation) {
                reads.push(named.relation);
            }
        }
        for read in &reads {
            self.hidden.reads(read);
        }
        let mut behind = Behind::of(on, reads.iter().chain(&self.writes));
        if let Some(why) = behind.why {
            self.raise(behind.class, || why);
        }
        for function in behind.functions {
            if !self.functions.contains(&function) {
                self.functions.push(function);
            }
        }
        if let Some(view) = reads.iter().find(|it| names::reaches_beyond(it)) {
            self.raise(Class::Admin, || {
                format!("reads {view}, which reaches beyond the tables")
            });
        }
        self.own = self.own.take().max(behind.own);
        self.hidden.behind(behind.hidden.done());
        let may_convert = self.hidden.done();
        if self.converts && on.has_hidden() {
            self.owns(|| "a cast or an operator class".to_owned());
        }
        let cast = self.looks_for_casts.then(|| on.unwritten_cast()).flatten();
        let hidden = || on.hidden_cast().or(may_convert.as_deref());
        let hidden = || self.converts.then(hidden).flatten();
        if let Some(cast) = cast.or_else(hidden) {
            self.raise(Class::Opaque, || format!("may convert by {cast}()"));
        }
        Found {
            class: self.class,
            why: self.why,
            reads,
            writes: self.writes,
            columns: self.on.columns(&self.seen),
            behind: behind.relations.into_iter().collect(),
            functions: self.functions,
            own: self.own,
            may_convert,
        }
    }

    fn owns(&mut self, what: impl FnOnce() -> String) {
        self.own.get_or_insert_with(|| Own::Here(what()));
    }

    /// Something of this class was found. The first reason for the strongest class is kept.
    fn raise(&mut self, class: Class, why: impl FnOnce() -> String) {
        if class > self.class {
            self.class = class;
            self.why = Some(why());
        }
    }

    /// Likewise, where what it reads and writes says why.
    fn raise_plainly(&mut self, class: Class) {
        if class > self.class {
            self.class = class;
            self.why = None;
        }
    }

    /// Something compares by an operator which no text spells.
    fn compare(&mut self, operator: &str) {
        self.hidden.operator(operator);
        let parts = [operator.to_owned()];
        if !self.on.operators(operator).is_empty() {
            self.owns(|| operator.to_owned());
            if let Some(why) = self.on.operator(&parts) {
                self.unknown(|| why);
            }
        }
    }

    /// Something on no list, in a part where everything must be.
    fn unknown(&mut self, why: impl FnOnce() -> String) {
        if self.manner == Manner::Strict {
            self.raise(Class::Opaque, why);
        }
    }

    fn named_by(&self, frame: &Frame) -> Vec<String> {
        self.parts.get(frame.parts..).unwrap_or_default().to_vec()
    }

    fn function(&mut self, parts: &[String], call: Call) {
        let args = call.args + if call.within_group { call.ordered } else { 0 };
        let Some((name, schema)) = parts.split_last() else {
            self.raise(Class::Opaque, || {
                "calls a function without a name".to_owned()
            });
            return;
        };
        let function = Function {
            schema: (!schema.is_empty()).then(|| names::written(schema)),
            name: name.clone(),
            args,
        };
        if self.manner != Manner::Stores
            && let Some((class, why)) = self.on.call(
                parts,
                Arguments {
                    count: args,
                    variadic: call.variadic,
                    typed: call.typed,
                },
            )
        {
            self.raise(class, || why);
        }
        self.looks_for_casts |= functions::looks_for_casts(name);
        self.hidden.function(name);
        if !self.on.functions(name).is_empty() {
            self.owns(|| names::written(parts));
        }
        if !self.functions.contains(&function) {
            self.functions.push(function);
        }
    }

    /// A relation was named: in a place that is known to be read from, or else as something changed.
    fn relation(&mut self) {
        let (schema, name) = std::mem::take(&mut self.relation);
        let relation = Relation {
            schema: (!schema.is_empty()).then_some(schema),
            name,
        };
        match self.frames.owner() {
            // FOR UPDATE OF names an alias of FROM's.
            Some(("LockingClause", _)) => {}
            Some(
                ("SelectStmt" | "UpdateStmt", "from_clause")
                | ("JoinExpr", "larg" | "rarg")
                | ("RangeTableSample", "relation")
                | ("DeleteStmt", "using_clause")
                | ("MergeStmt", "source_relation"),
            ) => {
                let place = self.scopes.here();
                self.seen
                    .relation(&relation, &std::mem::take(&mut self.alias));
                self.reads.push(Named { relation, place });
            }
            _ => {
                // An UPDATE of this view is a SET of whatever it names (hazards V12).
                if relation.name == "pg_settings" {
                    self.raise(Class::Admin, || "changes settings (pg_settings)".to_owned());
                }
                if !self.writes.contains(&relation) {
                    self.writes.push(relation);
                }
            }
        }
    }

    fn operator(&mut self, frame: &Frame) {
        let parts = self.named_by(frame);
        if let Some(name) = parts.last() {
            self.looks_for_casts |= name == "||";
            self.hidden.operator(name);
            if !self.on.operators(name).is_empty() {
                self.owns(|| names::written(&parts));
            }
            for unwritten in names::stands_for(name) {
                self.compare(unwritten);
            }
        }
        let nameless = parts.is_empty() && frame.kind != "AExpr";
        if !nameless && let Some(why) = self.on.operator(&parts) {
            self.unknown(|| why);
        }
    }

    fn column(&mut self, frame: &Frame) {
        let parts = self.named_by(frame);
        if frame.kind == "ColumnRef" {
            self.seen.refer(&parts, std::mem::take(&mut self.star));
        }
        // Of `schema.table.name` only the last can be a function; alone it is a column.
        let fields = match parts.as_slice() {
            [_, .., last] if frame.kind == "ColumnRef" => std::slice::from_ref(last),
            [..] if frame.kind == "ColumnRef" => &[],
            fields => fields,
        };
        for field in fields {
            self.hidden.function(field);
        }
        let called = |it: &&String| !self.on.functions(it).is_empty();
        if let Some(field) = fields.iter().find(called) {
            let field = field.clone();
            self.owns(|| field);
        }
        if let Some(why) = fields.iter().find_map(|it| self.on.attribute(it)) {
            self.unknown(|| why);
        }
    }

    fn judge(&mut self, frame: &Frame) {
        match frame.kind {
            "FuncCall" => {
                let parts = self.named_by(frame);
                let calls = if self.frames.unnests_each(&parts) {
                    Call {
                        args: 1,
                        ..frame.call
                    }
                } else {
                    frame.call
                };
                self.function(&parts, calls);
            }
            "AExpr" | "SubLink" | "SortBy" => self.operator(frame),
            "TypeName" => {
                let parts = self.named_by(frame);
                self.hidden.data_type(&parts);
                if !self.on.has_type(&parts) {
                    self.owns(|| names::written(&parts));
                }
                if let Some(why) = self.on.data_type(&parts) {
                    self.unknown(|| why);
                }
            }
            "RangeTableSample" => {
                let parts = self.named_by(frame);
                if !self.on.sampling(&parts) {
                    self.unknown(|| {
                        format!("samples by unknown method {}", names::written(&parts))
                    });
                }
            }
            "ColumnRef" | "AIndirection" => self.column(frame),
            "RangeVar" => self.relation(),
            "SelectStmt" | "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt"
            | "CommonTableExpr" => {
                self.scopes.leave();
            }
            _ => {}
        }
        if names::owns_names(frame.kind) {
            self.parts.truncate(frame.parts);
        }
    }
}

impl Eye for Look<'_> {
    fn enter(&mut self, kind: &'static str) {
        if let Some(major) = kinds::since(kind)
            && !self.on.is_at_least(major)
        {
            self.unknown(|| format!("holds a {kind}, which servers before {major} do not have"));
        }
        match kinds::class(kind) {
            Some(Class::Read) => kinds::compares_by(kind)
                .iter()
                .for_each(|it| self.compare(it)),
            Some(class) if kind == "LockingClause" => self.raise(class, || LOCKS.to_owned()),
            Some(class) => self.raise_plainly(class),
            None => self.unknown(|| format!("holds a {kind}, which is on no list")),
        }
        if let Some(Frame {
            kind: "FuncCall",
            field,
            call,
            ..
        }) = self.frames.last_mut()
            && kind == "Node"
        {
            match *field {
                "args" => call.args += 1,
                "agg_order" => call.ordered += 1,
                _ => {}
            }
        }
        self.converts |= !kinds::is_plain(kind);
        self.hidden.kind(kind);
        self.looks_for_casts |= kinds::looks_for_casts(kind);
        if kind == "AConst" {
            self.frames.typed_constant();
        }
        match kind {
            "AStar" => self.star = true,
            // Columns that have other names here.
            "Node" if self.frames.is_in("Alias", "colnames") => self.seen.give_up(),
            "SelectStmt" | "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" => {
                self.scopes.statement();
            }
            "CommonTableExpr" => self.scopes.expression(),
            _ => {}
        }
        self.frames.push(Frame {
            kind,
            field: "",
            parts: self.parts.len(),
            call: Call::default(),
        });
    }

    fn field(&mut self, name: &'static str) {
        if let Some(frame) = self.frames.last_mut() {
            frame.field = name;
        }
    }

    fn text(&mut self, text: &str) {
        match self.frames.innermost() {
            [(owner, field), ("Node", _), ("String", _)] if names::holds_name(owner, field) => {
                self.parts.push(text.to_owned());
            }
            [.., ("RangeVar", "schemaname")] => text.clone_into(&mut self.relation.0),
            [.., ("RangeVar", "relname")] => text.clone_into(&mut self.relation.1),
            [_, ("RangeVar", _), ("Alias", "aliasname")] => text.clone_into(&mut self.alias),
            [("JoinExpr", "using_clause"), ("Node", _), ("String", _)] => {
                self.seen.refer(&[text.to_owned()], false);
            }
            [.., ("CommonTableExpr", "ctename")] => self.scopes.name(text),
            _ => {}
        }
    }

    fn flag(&mut self, flag: bool) {
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        match (frame.kind, frame.field) {
            ("FuncCall", "agg_within_group") => frame.call.within_group = flag,
            ("FuncCall", "func_variadic") => frame.call.variadic = flag,
            ("JoinExpr", "is_natural") if flag => self.seen.give_up(),
            ("WithClause", "recursive") => self.scopes.recursive(flag),
            ("TypeName", "setof" | "pct_type") if flag => {
                self.unknown(|| "names a type by a column's".to_owned());
            }
            _ => {}
        }
    }

    fn number(&mut self, number: i32) {
        let Some(frame) = self.frames.last() else {
            return;
        };
        if (frame.kind, frame.field) == ("LockingClause", "strength")
            && self.why.as_deref() == Some(LOCKS)
        {
            self.why = Some(format!("{LOCKS} ({})", kinds::strength(number)));
        }
        self.hidden.number(frame.kind, frame.field, number);
        let known = kinds::knows(frame.kind, frame.field, number);
        if !known {
            self.raise(Class::Opaque, || {
                "holds an expression of an unknown kind".to_owned()
            });
        }
    }

    fn leave(&mut self) {
        if let Some(frame) = self.frames.pop() {
            self.judge(&frame);
        }
    }
}

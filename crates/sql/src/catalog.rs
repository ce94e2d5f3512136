//! What a database's own catalog says of the names that a text may use: functions, operators, types, casts and relations
//! that PostgreSQL did not bring. It is told rows of text and asks nobody; what it was not told is not there.
//!
//! A user's function passes if its owner declared that it writes nothing and runs with the caller's rights, in a language
//! whose server holds it to that: SQL and PL/pgSQL run a stable function's own statements read-only, and what those call is
//! caught by the fence. A function in C does what it likes, so only an immutable one passes (`crosstab` is stable and runs
//! the text that it is given).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::columns::{Columns, Seen};
use crate::lists::functions::{self, Kind, Known};
use crate::lists::names;
use crate::own::{
    Casts, Harm, HiddenCast, RelationKind, Runs, Types, UserFunction, UserOperator, UserRelation,
    UserType, harm, worst,
};
use crate::{Class, Major, Relation};

/// One database, as far as it is known. Every one that is made is another: see [`Catalog::id`].
#[derive(Debug)]
pub struct Catalog {
    id: u64,
    major: Option<Major>,
    functions: HashMap<String, Vec<UserFunction>>,
    operators: HashMap<String, Vec<UserOperator>>,
    types: HashMap<String, Vec<UserType>>,
    relations: HashMap<String, Vec<UserRelation>>,
    /// Casts that nobody writes and that may do more than convert.
    casts: Vec<HiddenCast>,
    /// Those that somebody writes, by the type that they lead to.
    casts_to: HashMap<String, String>,
    /// One of those that PostgreSQL looks for where nobody writes it.
    unwritten_cast: Option<String>,
    /// There are casts, harmless or not, or operator classes that call what is not in C.
    has_hidden: bool,
}

/// What a call is given, as far as a text tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arguments {
    pub(crate) count: usize,
    /// The last is an array that stands for any number of them.
    pub(crate) variadic: bool,
    /// The first is a constant that is cast to a type.
    pub(crate) typed: bool,
}

/// A row that says nothing known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unexpected row of a catalog: {0}")]
pub struct UnknownRow(String);

static NEXT: AtomicU64 = AtomicU64::new(1);

impl Catalog {
    /// Of a database of which nothing is known but, perhaps, its server's major.
    pub fn unknown(major: Option<Major>) -> Catalog {
        Catalog {
            id: 0,
            major,
            functions: HashMap::new(),
            operators: HashMap::new(),
            types: HashMap::new(),
            relations: HashMap::new(),
            casts: Vec::new(),
            casts_to: HashMap::new(),
            unwritten_cast: None,
            has_hidden: false,
        }
    }

    /// From the rows of the catalog query: kind, schema, name, and two facts that depend on the kind.
    ///
    /// | kind | facts |
    /// |---|---|
    /// | `function` | `min max` or `min *` arguments, then its `types`; `volatility language definer` |
    /// | `operator` | its `types`; `volatility language definer` of its function |
    /// | `type` | `typtype`; what a cast to it runs, as a condition: a domain's CHECKs, casts to what a row or a range is made of |
    /// | `cast` | `castcontext typname` of its target; `volatility language definer` of its function |
    /// | `support` | - (the name is that of a function that an operator class calls, and that is not in C) |
    /// | `relation` | `v`; the query of a view |
    /// | `relation` | `f`; the wrapper of a foreign table |
    /// | `relation` | what writing a table runs: `runs` (anything), `counts` (it has an identity column) or nothing; the expressions that it evaluates |
    /// | `child` | schema and name of what has rows of it |
    ///
    /// `types` are expressions of the user's types that it takes or gives, or `-` if there is none; nothing where nobody said.
    pub fn of_rows<'a>(
        major: Option<Major>,
        rows: impl IntoIterator<Item = [&'a str; 5]>,
    ) -> Result<Catalog, UnknownRow> {
        let mut catalog = Catalog {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            ..Catalog::unknown(major)
        };
        for row in rows {
            catalog
                .tell(row)
                .ok_or_else(|| UnknownRow(row.join(", ")))?;
        }
        Ok(catalog)
    }

    fn tell(&mut self, [kind, schema, name, first, second]: [&str; 5]) -> Option<()> {
        let (schema, key) = (schema.to_owned(), name.to_owned());
        match kind {
            "function" => {
                let (min, counts) = first.split_once(' ')?;
                let (max, types) = match counts.split_once(' ') {
                    Some((max, types)) => (max, Some(types)),
                    None => (counts, None),
                };
                let args_max = match max {
                    "*" => None,
                    max => Some(max.parse().ok()?),
                };
                let args_min = min.parse().ok()?;
                let harm = harm(second)?;
                self.functions.entry(key).or_default().push(UserFunction {
                    schema,
                    args_min,
                    args_max,
                    types: Types::of_row(types),
                    harm,
                });
            }
            "operator" => {
                let operator = UserOperator {
                    schema,
                    types: Types::of_row(Some(first)),
                    harm: harm(second)?,
                };
                self.operators.entry(key).or_default().push(operator);
            }
            "type" => {
                let casts = match first {
                    "e" | "c" | "r" | "m" | "b" | "d" if second.is_empty() => Casts::Plain,
                    "c" | "r" | "m" | "b" | "d" => Casts::Checks(second.to_owned()),
                    _ => Casts::Unknown,
                };
                self.types
                    .entry(key)
                    .or_default()
                    .push(UserType { schema, casts });
            }
            "cast" => self.tell_cast(format!("{schema}.{name}"), first, second)?,
            "support" => self.has_hidden = true,
            "relation" | "child" => {
                let kind = match (kind, first) {
                    ("child", _) => RelationKind::Parent(Relation {
                        schema: Some(first.to_owned()),
                        name: second.to_owned(),
                    }),
                    (_, "v") => RelationKind::View(second.to_owned()),
                    (_, "f") => RelationKind::Foreign(second.to_owned()),
                    (_, "runs") => RelationKind::Table(Runs::Anything {
                        list: second.to_owned(),
                    }),
                    (_, "counts" | "") => RelationKind::Table(Runs::Expressions {
                        list: second.to_owned(),
                        counts: first == "counts",
                    }),
                    _ => return None,
                };
                let relation = UserRelation { schema, kind };
                self.relations.entry(key).or_default().push(relation);
            }
            _ => return None,
        }
        Some(())
    }

    fn tell_cast(&mut self, function: String, first: &str, second: &str) -> Option<()> {
        let (context, target) = first.split_once(' ')?;
        self.has_hidden = true;
        match (harm(second)?, context) {
            (Harm::None, _) => {}
            (Harm::Because(_), "e") => {
                if matches!(target, "json" | "text") {
                    self.unwritten_cast = Some(function.clone());
                }
                self.casts_to.insert(target.to_owned(), function);
            }
            (Harm::Because(_), _) => self.casts.push(HiddenCast {
                function,
                target: target.to_owned(),
            }),
        }
        Some(())
    }

    /// Tells it from every other one: what was read by one must not be taken for what another says.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether anything was read of it.
    pub(crate) fn is_known(&self) -> bool {
        self.id != 0
    }

    /// The server's major, if it is known.
    pub fn major(&self) -> Option<Major> {
        self.major
    }

    /// What a call makes of a statement, and why; nothing if it is harmless.
    ///
    /// An unqualified name may mean a user's function even where a built-in one fits, since its argument types may fit better
    /// (CVE-2018-1058): then the worst of them counts.
    pub(crate) fn call(&self, parts: &[String], arguments: Arguments) -> Option<(Class, String)> {
        let Arguments {
            count: args,
            variadic,
            typed,
        } = arguments;
        let Some((name, schema)) = parts.split_last() else {
            return Some((Class::Opaque, "calls a function without a name".to_owned()));
        };
        let written = names::written(parts);
        let built_in = match self.major {
            Some(major) => functions::known(parts, args, variadic, major),
            None => functions::known_everywhere(parts, args, variadic),
        };
        let own = self.function(schema, name, args, variadic);
        let harm = match built_in {
            Known::Is(Kind::Writes) if functions::takes_a_number(name) => {
                let why = format!("calls {written}(), which gives the transaction a number");
                Some((Class::Session, why))
            }
            Known::Is(Kind::Told) if typed && functions::is_told_a_type(name) => None,
            Known::Is(Kind::Told) if functions::is_told_nothing(name, args) => None,
            // What is written like a call of one argument may be a cast (the manual, section 4.2.9).
            Known::OtherCount | Known::No if args == 1 && !variadic && self.casts(parts) => None,
            Known::Is(kind) => kind
                .harm()
                .map(|(class, does)| (class, format!("calls {written}(), which {does}"))),
            Known::OtherCount | Known::No if own.is_some() => None,
            Known::OtherCount => {
                let why = format!("calls unknown function {written}() with {args} arguments");
                Some((Class::Opaque, why))
            }
            Known::No => Some((Class::Opaque, format!("calls unknown function {written}()"))),
        };
        let own = own.and_then(|(named, harm)| match harm {
            Harm::None => None,
            Harm::Because(why) if named == written => Some(format!("calls {named}(), which {why}")),
            Harm::Because(why) => Some(format!("may call {named}(), which {why}")),
        });
        own.map(|why| (Class::Opaque, why)).max(harm)
    }

    /// Whether all that such a call may mean is known, and is not the kind of thing that nobody can undo.
    pub(crate) fn is_known_call(&self, parts: &[String], args: usize) -> bool {
        let built_in = matches!(
            functions::known_everywhere(parts, args, false),
            Known::Is(Kind::Pure | Kind::Catalog | Kind::Session | Kind::Writes)
        );
        let own = parts
            .split_last()
            .and_then(|(name, schema)| self.function(schema, name, args, false));
        match own {
            Some((_, harm)) => harm == Harm::None,
            None => built_in,
        }
    }

    /// The user's functions of this name.
    pub(crate) fn functions(&self, name: &str) -> &[UserFunction] {
        self.functions.get(name).map_or(&[], Vec::as_slice)
    }

    /// The user's operators of this name.
    pub(crate) fn operators(&self, name: &str) -> &[UserOperator] {
        self.operators.get(name).map_or(&[], Vec::as_slice)
    }

    /// The user's types of this name.
    pub(crate) fn types(&self, name: &str) -> &[UserType] {
        self.types.get(name).map_or(&[], Vec::as_slice)
    }

    /// The same, or what an array of this name is made of: it has the type's name behind an underscore.
    pub(crate) fn types_or_elements(&self, name: &str) -> &[UserType] {
        match self.types(name) {
            [] => self.types(name.strip_prefix('_').unwrap_or_default()),
            types => types,
        }
    }

    /// The user's relations of this name.
    pub(crate) fn relations(&self, name: &str) -> &[UserRelation] {
        self.relations.get(name).map_or(&[], Vec::as_slice)
    }

    /// Casts that nobody writes and that may do more than convert.
    pub(crate) fn hidden_casts(&self) -> &[HiddenCast] {
        &self.casts
    }

    /// A cast that nobody writes either, where something looks for it; if there is one.
    pub(crate) fn unwritten_cast(&self) -> Option<&str> {
        self.unwritten_cast.as_deref()
    }

    /// Whether something of the user's may run where nothing names it: a cast, a comparison of an operator class.
    pub(crate) fn has_hidden(&self) -> bool {
        self.has_hidden
    }

    /// Why an operator is not harmless.
    pub(crate) fn operator(&self, parts: &[String]) -> Option<String> {
        let (name, schema) = parts.split_last()?;
        let named = self.operators(name).iter();
        let fits = |it: &&UserOperator| schema.first().is_none_or(|schema| *schema == it.schema);
        let own = worst(
            named
                .filter(fits)
                .map(|it| (format!("{}.{name}", it.schema), it.harm.clone())),
        );
        match own {
            Some((_, Harm::None)) => None,
            Some((named, Harm::Because(why))) => {
                Some(format!("may use operator {named}, which {why}"))
            }
            None if self.has(|major| names::operator(parts, major)) => None,
            None => Some(format!("uses unknown operator {}", names::written(parts))),
        }
    }

    /// Whether a type of this name is a user's, and none of PostgreSQL's own has it.
    pub(crate) fn is_own(&self, name: &str) -> bool {
        let parts = [name.to_owned()];
        let built_in = Major::ALL
            .into_iter()
            .any(|major| names::data_type(&parts, major));
        self.types.contains_key(name) && !built_in
    }

    /// Whether these are the parts of the name of a type whose casts are harmless everywhere.
    pub(crate) fn has_type(&self, parts: &[String]) -> bool {
        self.has(|major| names::data_type(parts, major))
    }

    /// Whether a call of this name that no function answers is a cast that does no harm.
    fn casts(&self, parts: &[String]) -> bool {
        self.cast_to(parts).is_none() && self.has_type(parts)
    }

    /// The function of a harmful cast to this type, or to what an array of it (`_int4`) is made of.
    pub(crate) fn cast_to(&self, parts: &[String]) -> Option<&String> {
        let name = parts.last()?;
        let element = || self.casts_to.get(name.strip_prefix('_')?);
        self.casts_to.get(name).or_else(element)
    }

    /// Whether a temporary type may stand in front of PostgreSQL's own: unqualified names of types are looked up there first.
    pub(crate) fn is_shadowed(&self, parts: &[String]) -> bool {
        let [name] = parts else { return false };
        let temporary = |it: &UserType| it.schema.starts_with("pg_temp");
        self.types_or_elements(name).iter().any(temporary)
    }

    /// Whether it is of this major or a newer one.
    pub(crate) fn is_at_least(&self, oldest: Major) -> bool {
        self.has(|major| major >= oldest)
    }

    /// Whether these are the parts of a known sampling method's name.
    pub(crate) fn sampling(&self, parts: &[String]) -> bool {
        self.has(|major| names::sampling(parts, major))
    }

    /// Why `a.NAME` and `(a).NAME` may do more than read: attribute notation calls functions of one argument.
    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        if functions::calls_as_attribute(name) {
            return Some(format!("may call function {name}() in attribute notation"));
        }
        match self.function(&[], name, 1, false)? {
            (_, Harm::None) => None,
            (named, Harm::Because(why)) => Some(format!(
                "may call {named}() in attribute notation, which {why}"
            )),
        }
    }

    /// Whether the server has it; where its major is not known, whether all have it: on one that lacks it, it may be a user's.
    fn has(&self, has: impl Fn(Major) -> bool) -> bool {
        match self.major {
            Some(major) => has(major),
            None => Major::ALL.into_iter().all(has),
        }
    }

    /// The columns that were named; nothing is proven where a user's function may be written like a column.
    pub(crate) fn columns(&self, seen: &Seen) -> Columns {
        if self.id == 0 {
            return Columns::default();
        }
        seen.columns(|name| self.function(&[], name, 1, false).is_some())
    }

    /// The worst of the user's functions that such a call may mean; none if there is none.
    fn function(
        &self,
        schema: &[String],
        name: &str,
        args: usize,
        variadic: bool,
    ) -> Option<(String, Harm)> {
        let fits = |it: &&UserFunction| {
            let count = it.args_min <= args && it.args_max.is_none_or(|max| args <= max);
            schema.first().is_none_or(|schema| *schema == it.schema) && (count || variadic)
        };
        let named = self.functions.get(name)?.iter().filter(fits);
        worst(named.map(|it| (format!("{}.{name}", it.schema), it.harm.clone())))
    }
}

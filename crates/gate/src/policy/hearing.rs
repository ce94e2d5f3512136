//! What the rules say of each statement of one request at one moment. Facet by facet: the class, each
//! relation with its use, each function (DESIGN ruling 17). It never adds up: that is the policy's.

use std::cell::OnceCell;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use sql::{Class, Function, Relation, Statement};

use crate::policy::filed::Filed;
use crate::policy::names::{Schemas, SearchPath, keeps_path};
use crate::policy::pattern::{FunctionPattern, Glob, RelationPattern};
use crate::policy::rule::{Access, Rule, Ruling};
use crate::request::Request;

/// The rules as they stand for one request.
pub(crate) struct Hearing<'p> {
    rules: &'p Filed,
    request: &'p Request,
    now_ms: i64,
    /// Whether the statements so far leave the search path as the context says.
    path_kept: bool,
    path: OnceCell<SearchPath<'p>>,
    /// The rule about all of a statement, by class, as far as it was looked for.
    broad: [OnceCell<Option<usize>>; Class::ALL.len()],
}

/// What was said of one statement.
#[derive(Debug, Default)]
pub(crate) struct Heard<'p> {
    /// The rule that let its class pass, if one did.
    pub(crate) allowed: Option<&'p Rule>,
    /// Who holds it, and why.
    pub(crate) holds: Vec<Reason<'p>>,
    /// Who denies it, and why.
    pub(crate) denial: Option<Reason<'p>>,
}

/// A rule and why it decided, in words.
#[derive(Clone, Debug)]
pub(crate) struct Reason<'p> {
    number: Option<usize>,
    /// The rule; none is the default.
    pub(crate) rule: Option<&'p Rule>,
    /// Why.
    pub(crate) why: String,
}

/// One thing about a statement that a rule decides.
#[derive(Clone, Copy)]
enum Facet<'a> {
    Class,
    Relation(&'a Relation, Access),
    Function(&'a Function),
}

impl<'p> Hearing<'p> {
    /// The rules for `request` at `now_ms`, in milliseconds since 1970.
    pub(crate) fn new(rules: &'p Filed, request: &'p Request, now_ms: i64) -> Self {
        Self {
            rules,
            request,
            now_ms,
            path_kept: true,
            path: OnceCell::new(),
            broad: [const { OnceCell::new() }; Class::ALL.len()],
        }
    }

    /// Whether a statement of `class` that names nothing passes.
    pub(crate) fn passes(&self, class: Class) -> bool {
        let passes = |rule: &Rule| rule.ruling == Ruling::Allow;
        let rule = |number| self.rules.rule(number);
        self.rules.may_pass(class) && self.broad(class).and_then(rule).is_some_and(passes)
    }

    /// Where a relation of the statement at hand may lie.
    pub(crate) fn path(&self) -> &SearchPath<'p> {
        self.path.get_or_init(|| {
            if self.path_kept {
                SearchPath::of(&self.request.context)
            } else {
                SearchPath::unknown()
            }
        })
    }

    /// Hears the rules on the next statement: `then` adds up what they say. They come in the order of the
    /// request, since one can change where the names of the next lead.
    pub(crate) fn hear<T>(
        &mut self,
        statement: &Statement,
        then: impl FnOnce(&Self, Heard<'p>) -> T,
    ) -> T {
        let mut heard = Heard::default();
        for facet in facets(statement, self.rules.has_narrow()) {
            let number = self.decide(statement, facet);
            let rule = number.and_then(|it| self.rules.rule(it));
            match rule.map(|it| &it.ruling) {
                Some(Ruling::Allow) if matches!(facet, Facet::Class) => heard.allowed = rule,
                Some(Ruling::Allow) => {}
                Some(Ruling::Deny(_)) if heard.denial.is_some() => {}
                Some(Ruling::Deny(_)) => {
                    heard.denial = Some(self.reason(statement, facet, number));
                }
                Some(Ruling::Hold(_)) | None => {
                    let reason = self.reason(statement, facet, number);
                    let same = |it: &Reason<'_>| it.number == number && it.why == reason.why;
                    if !heard.holds.iter().any(same) {
                        heard.holds.push(reason);
                    }
                }
            }
        }
        let then = then(self, heard);
        if self.path_kept && !keeps_path(statement) {
            self.path_kept = false;
            self.path = OnceCell::new();
        }
        then
    }

    /// The first rule that decides this; none is the default.
    fn decide(&self, statement: &Statement, facet: Facet<'_>) -> Option<usize> {
        let class = statement.class;
        let broad = self.broad(class);
        let heard = |rule: &Rule| rule.is_about(class) && self.applies(rule);
        match facet {
            Facet::Class => broad,
            Facet::Relation(relation, access) => {
                let schemas = self.path().of_relation(relation);
                let fits = |rule: &Rule, pattern: &RelationPattern| {
                    rule.access.is_none_or(|it| it == access)
                        && fits_relation(rule, pattern, &schemas, statement, relation)
                        && heard(rule)
                };
                self.rules.relation((&schemas, relation), broad, fits)
            }
            Facet::Function(function) => {
                let schemas = self.path().of_function(function);
                let fits = |rule: &Rule, pattern: &FunctionPattern| {
                    pattern.name.fits(&function.name)
                        && fits_schema(rule, &schemas, pattern.schema.as_ref())
                        && heard(rule)
                };
                self.rules.function(function, broad, fits)
            }
        }
    }

    fn broad(&self, class: Class) -> Option<usize> {
        let look = || self.rules.broad(self.request, class, |it| self.applies(it));
        // The classes are numbered as they stand in `Class::ALL`.
        match self.broad.get(class as usize) {
            Some(known) => *known.get_or_init(look),
            None => look(),
        }
    }

    /// Whether a rule is about this request, whatever is in it.
    fn applies(&self, rule: &Rule) -> bool {
        let who = &self.request.principal;
        let any =
            |list: &[Glob], name: &str| list.is_empty() || list.iter().any(|it| it.fits(name));
        any(&rule.tenants, self.request.context.tenant.as_str())
            && any(&rule.users, who.id.as_str())
            && (rule.groups.is_empty() || rule.groups.iter().any(|it| who.in_group(it)))
            && (rule.during.is_empty() || rule.during.iter().any(|it| it.holds(self.now_ms)))
            && (rule.addresses.is_empty() || self.comes_from(rule))
            && rule.larger_than.is_none_or(|it| self.request.bytes() > it)
    }

    /// An address that is not known lies in every network that holds or denies, and in none that allows.
    fn comes_from(&self, rule: &Rule) -> bool {
        match address(&self.request.client) {
            Some(address) => rule
                .addresses
                .iter()
                .any(|it: &IpNet| it.contains(&address)),
            None => rule.ruling != Ruling::Allow,
        }
    }

    fn reason(&self, statement: &Statement, facet: Facet<'_>, number: Option<usize>) -> Reason<'p> {
        let rule = number.and_then(|it| self.rules.rule(it));
        let why = match (facet, rule) {
            (Facet::Relation(relation, access), Some(rule)) if rule.is_narrow() => {
                let schemas = self.path().of_relation(relation);
                let name = relation_named(rule, &schemas, statement, relation);
                format!("{} {name}", access.verb())
            }
            (Facet::Function(function), Some(rule)) if rule.is_narrow() => {
                format!("calls {function}()")
            }
            _ => statement.why.clone(),
        };
        Reason { number, rule, why }
    }
}

/// Everything about a statement that is decided by itself. Where no rule names relations or functions, the
/// rule that decides the class decides all of it. What stands behind a name is used as the statement uses any.
fn facets(statement: &Statement, narrow: bool) -> impl Iterator<Item = Facet<'_>> {
    let writes = statement.writes.iter();
    let reads = statement.reads.iter();
    let writes = writes.map(|it| Facet::Relation(it, Access::Write));
    let reads = reads.map(|it| Facet::Relation(it, Access::Read));
    let behind = statement.behind.iter();
    let through = behind.clone().map(|it| Facet::Relation(it, Access::Read));
    let into = behind.filter(|_| !statement.writes.is_empty());
    let into = into.map(|it| Facet::Relation(it, Access::Write));
    let functions = statement.functions.iter().map(Facet::Function);
    let names = writes
        .chain(reads)
        .chain(into)
        .chain(through)
        .chain(functions);
    std::iter::once(Facet::Class).chain(names.take_while(move |_| narrow))
}

fn fits_relation(
    rule: &Rule,
    pattern: &RelationPattern,
    schemas: &Schemas<'_>,
    statement: &Statement,
    relation: &Relation,
) -> bool {
    let column = match &pattern.column {
        None => true,
        // That it touches no other column is more than anybody can say.
        Some(column) if rule.ruling == Ruling::Allow => column.is_any(),
        Some(column) => statement.columns.may_touch(relation, |it| column.fits(it)),
    };
    column
        && pattern.name.fits(&relation.name)
        && fits_schema(rule, schemas, pattern.schema.as_ref())
}

/// A hold or a denial fits where one of the possible places does, an allow only where each of them does.
fn fits_schema(rule: &Rule, schemas: &Schemas<'_>, pattern: Option<&Glob>) -> bool {
    if rule.ruling == Ruling::Allow {
        schemas.all(pattern)
    } else {
        schemas.any(pattern)
    }
}

/// The relation as the rule knows it: in the schema that it names, with the column that is meant.
fn relation_named(
    rule: &Rule,
    schemas: &Schemas<'_>,
    statement: &Statement,
    relation: &Relation,
) -> String {
    let fits = |it: &&RelationPattern| fits_relation(rule, it, schemas, statement, relation);
    let pattern = rule.relations.iter().find(fits);
    let meant = pattern.and_then(|it| it.schema.as_ref()?.only());
    let schema = match (&relation.schema, schemas) {
        (Some(schema), _) => Some(&**schema),
        (None, known) => {
            let mut known = known.known();
            match (known.next(), known.next()) {
                (Some(one), None) => Some(one),
                _ => schemas.known().find(|it| Some(*it) == meant),
            }
        }
    };
    let place = Relation {
        schema: schema.map(str::to_owned),
        name: relation.name.clone(),
    };
    match pattern.and_then(|it| it.column.as_ref()) {
        Some(column) => format!("{place}.{column}"),
        None => place.to_string(),
    }
}

/// The address of a client as the listener writes it, with its port or without.
fn address(client: &str) -> Option<IpAddr> {
    let with_port = client.parse().map(|it: SocketAddr| it.ip());
    let address = with_port.or_else(|_| client.parse()).ok()?;
    Some(address.to_canonical())
}

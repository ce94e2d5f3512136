//! A rule as somebody wrote it: which statements it is about, and what it says of them. Plain data; it
//! never looks at a statement.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use sql::Class;

use crate::policy::pattern::{FunctionPattern, Glob, RelationPattern};
use crate::policy::window::Window;
use crate::principal::Group;

/// Approvals that a hold needs: so many distinct people of a group.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Need {
    /// The group.
    pub group: Group,
    /// How many of them, at least one.
    pub approvals: u32,
}

/// Whose approvals a rule asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Of this group.
    Group(Group),
    /// Of every group that owns a relation of the statement; where one has no owner, of the default's.
    Owners,
}

/// One of the approvals that a rule asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Whose.
    pub from: Whose,
    /// How many distinct people of each group, at least one.
    pub approvals: u32,
}

/// What a hold asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// All of these must sign.
    pub needs: Vec<Wanted>,
    /// How long people have to decide, where not as long as usual.
    pub decide_within: Option<Duration>,
    /// How long what they approved may be used, where not as long as usual.
    pub use_within: Option<Duration>,
}

impl From<Need> for Terms {
    fn from(need: Need) -> Self {
        let wanted = Wanted {
            from: Whose::Group(need.group),
            approvals: need.approvals,
        };
        Self {
            needs: vec![wanted],
            ..Self::default()
        }
    }
}

/// What a rule says of what it decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It passes.
    Allow,
    /// It waits for people.
    Hold(Terms),
    /// It never runs; the sentence tells the requester why.
    Deny(String),
}

impl Ruling {
    /// A hold for so many people of a group.
    pub fn hold(need: Need) -> Self {
        Self::Hold(need.into())
    }
}

/// How a statement uses a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// It reads from it.
    Read,
    /// It changes, makes, locks or drops it, or nobody knows what it does to it.
    Write,
}

impl Access {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Read, Self::Write];

    /// The word for it in rules.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }

    /// What a statement does, in words.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Read => "reads",
            Self::Write => "writes",
        }
    }
}

/// One rule. An empty list matches everything.
///
/// A rule without relations and functions decides every facet of the statements that it matches: their
/// class, each relation, each function. One with some decides those facets and no others (DESIGN ruling 17).
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, shown to whoever it stops.
    pub name: Arc<str>,
    /// Tenants.
    pub tenants: Vec<Glob>,
    /// Principals by id.
    pub users: Vec<Glob>,
    /// Groups of which the requester is in one.
    pub groups: Vec<Group>,
    /// Statement classes.
    pub classes: Vec<Class>,
    /// Relations, and columns of them.
    pub relations: Vec<RelationPattern>,
    /// How they are used; none is any use.
    pub access: Option<Access>,
    /// Functions.
    pub functions: Vec<FunctionPattern>,
    /// When it is asked.
    pub during: Vec<Window>,
    /// Networks from which it is asked.
    pub addresses: Vec<IpNet>,
    /// Only requests whose texts and parameters have more bytes than this.
    pub larger_than: Option<usize>,
    /// What it says.
    pub ruling: Ruling,
}

impl Rule {
    /// A rule about everything.
    pub fn new(name: &str, ruling: Ruling) -> Self {
        Self {
            name: Arc::from(name),
            tenants: Vec::new(),
            users: Vec::new(),
            groups: Vec::new(),
            classes: Vec::new(),
            relations: Vec::new(),
            access: None,
            functions: Vec::new(),
            during: Vec::new(),
            addresses: Vec::new(),
            larger_than: None,
            ruling,
        }
    }

    /// The same, about these classes only.
    #[must_use]
    pub fn of_classes(mut self, classes: &[Class]) -> Self {
        self.classes = classes.to_vec();
        self
    }

    /// Whether it is about statements of this class.
    pub fn is_about(&self, class: Class) -> bool {
        self.classes.is_empty() || self.classes.contains(&class)
    }

    /// Whether it names relations or functions, and so decides nothing else.
    pub fn is_narrow(&self) -> bool {
        !(self.relations.is_empty() && self.functions.is_empty())
    }

    /// Whether it is about a class at any time, from anywhere, and whatever else is in the statement.
    pub fn is_unconditional(&self) -> bool {
        !self.is_narrow()
            && self.during.is_empty()
            && self.addresses.is_empty()
            && self.larger_than.is_none()
    }
}

//! Where two tenants of one model are: the words of the corpus in it, and what must not be seen there.

use std::collections::BTreeMap;
use std::net::SocketAddr;

/// How tenants are kept apart; the control is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Model {
    Shared,
    Schema,
    Database,
    Instance,
    Control,
}

impl Model {
    /// All of them, the control last.
    pub const ALL: [Self; 5] = [
        Self::Shared,
        Self::Schema,
        Self::Database,
        Self::Instance,
        Self::Control,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Schema => "schema",
            Self::Database => "database",
            Self::Instance => "instance",
            Self::Control => "control",
        }
    }

    /// The model of this name.
    #[track_caller]
    pub fn named(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|it| it.name() == name);
        found.unwrap_or_else(|| panic!("no model {name:?}"))
    }

    /// Whether its tenants have a login of their own that owns something.
    pub(super) fn has_owner(self) -> bool {
        self != Self::Shared
    }

    /// Whether its tenants are in databases of their own.
    pub(super) fn has_own_database(self) -> bool {
        matches!(self, Self::Database | Self::Instance)
    }
}

/// What one tenant keeps, and nobody else may see.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// It stands in rows, large objects and statistics.
    pub(super) text: String,
    /// So does this, and it is where a sequence stands.
    pub(super) number: String,
}

/// One of two tenants.
#[derive(Debug, Clone)]
pub(super) struct Tenant {
    /// The gate's tenant, and the role that its logins are members of.
    pub(super) name: String,
    /// Which of the servers it is on.
    pub(super) server: usize,
    /// Its database there.
    pub(super) database: String,
    /// Where its tables are.
    pub(super) schema: String,
    pub(super) kept: Kept,
    /// The number of its large object.
    pub(super) large: u32,
}

/// Two tenants of a model, one of which wants what is the other's.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) model: Model,
    pub(super) gate: SocketAddr,
    /// Who tries.
    pub(super) a: Tenant,
    /// Who keeps something.
    pub(super) b: Tenant,
    pub(super) words: Words,
    /// The superusers' passwords and the ports of their servers, for who watches.
    pub(super) superusers: Vec<(u16, String)>,
}

impl Place {
    /// What of the other tenant's is in these bytes, with what stands around it.
    pub(super) fn found(&self, heard: &[u8]) -> Option<String> {
        let Kept { text, number } = &self.b.kept;
        let hex = hex(text.as_bytes());
        let needles = [text.clone(), number.clone(), hex.to_uppercase(), hex];
        let at = needles.iter().find_map(|needle| {
            let mut windows = heard.windows(needle.len());
            windows.position(|it| it == needle.as_bytes())
        })?;
        let around = &heard[at.saturating_sub(60)..heard.len().min(at + 60)];
        let shown: String = String::from_utf8_lossy(around)
            .chars()
            .map(|it| if it.is_control() { '·' } else { it })
            .collect();
        Some(format!("seen: ...{shown}..."))
    }
}

/// Lower-case digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    digits.collect::<Vec<_>>().concat()
}

/// What stands for the names in braces.
#[derive(Debug, Clone, Default)]
pub(super) struct Words(BTreeMap<&'static str, String>);

impl Words {
    pub(super) fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.0.insert(name, value.into());
    }

    /// The text with all of them in it. Braces around anything else stay: they are SQL's.
    #[track_caller]
    pub(super) fn fill(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let name = after.split_once('}').map(|it| it.0);
            let is_name = |it: &&str| {
                !it.is_empty() && it.bytes().all(|it| it.is_ascii_lowercase() || it == b'_')
            };
            if let Some(name) = name.filter(is_name) {
                let value = self.0.get(name);
                filled.push_str(value.unwrap_or_else(|| panic!("no word {name:?}: {text}")));
                rest = &after[name.len() + 1..];
            } else {
                filled.push('{');
                rest = after;
            }
        }
        filled + rest
    }
}

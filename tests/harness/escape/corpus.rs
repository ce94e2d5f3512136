//! The ways out, from `tests/escape/*.txt`: a line `name [HAZARD] what it tries`, and its steps below it, indented. A step is a
//! Query, or begins with a backslash and says what else it is. Words in braces are those of a place; `{loot}` alone is whatever
//! would show what is theirs to somebody who had become able to see it.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use super::place::Model;

/// An attempt.
#[derive(Debug, Clone)]
pub struct Way {
    pub id: String,
    pub hazard: String,
    /// In a phrase.
    pub tries: String,
    /// Where it means something.
    pub models: Vec<Model>,
    /// It is tried with the login for migrations, where there is one.
    pub as_owner: bool,
    /// Whom it says it is.
    pub user: Option<String>,
    /// What it names as database.
    pub database: Option<String>,
    /// More of its startup packet.
    pub startup: Vec<(String, String)>,
    pub steps: Vec<Step>,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Query(String),
    /// Whatever shows what is theirs, if it can be seen.
    Loot,
    /// Parse, Bind, Describe, Execute, Sync.
    Extended {
        sql: String,
        values: Vec<String>,
    },
    /// Parse, Describe, Sync.
    Look(String),
    /// Several, with one Sync behind them.
    Flight(Vec<String>),
    /// Bind and Execute of a statement that somebody else may have named so.
    Bind(String),
    Fastpath {
        function: u32,
        arguments: Vec<String>,
    },
    Copy {
        sql: String,
        data: String,
    },
    /// A message of this tag; `0` is a startup packet.
    Frame {
        tag: u8,
        body: String,
    },
    /// The other tenant does this, in a session that stays open.
    Theirs(String),
}

/// All of them, each name once.
pub fn ways() -> &'static [Way] {
    static WAYS: OnceLock<Vec<Way>> = OnceLock::new();
    WAYS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("escape");
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|it| it.unwrap().path())
            .filter(|it| it.extension().is_some_and(|it| it == "txt"))
            .collect();
        files.sort();
        let ways: Vec<Way> = files.iter().flat_map(|file| read(file)).collect();
        for (at, way) in ways.iter().enumerate() {
            let twice = ways[..at].iter().any(|it| it.id == way.id);
            assert!(!twice, "two ways are called {}", way.id);
        }
        ways
    })
}

/// Looks, without having tried anything.
pub(super) fn later() -> Way {
    way("later [V14] a later session")
        .map(|way| Way {
            steps: vec![Step::Loot],
            ..way
        })
        .expect("it is one")
}

#[track_caller]
fn read(file: &Path) -> Vec<Way> {
    let text = fs::read_to_string(file).unwrap();
    let mut ways: Vec<Way> = Vec::new();
    // What stands before the first of them is said of all.
    let mut for_all = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let place = || format!("{}:{number}: {line:?}", file.display());
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.strip_prefix("    ") {
            Some(step) => {
                let way = ways.last_mut().unwrap_or_else(|| panic!("{}", place()));
                assert!(way.take(step), "{}", place());
            }
            None if line.starts_with('\\') => for_all.push(line),
            None => {
                let mut way = way(line).unwrap_or_else(|| panic!("{}", place()));
                for said in &for_all {
                    assert!(way.take(said), "{}", place());
                }
                ways.push(way);
            }
        }
    }
    let empty = ways.iter().find(|it| it.steps.is_empty());
    assert!(empty.is_none(), "{empty:?} tries nothing");
    ways
}

/// `name [HAZARD] what it tries`
fn way(line: &str) -> Option<Way> {
    let (id, rest) = line.split_once(" [")?;
    let (hazard, tries) = rest.split_once("] ")?;
    Some(Way {
        id: id.to_owned(),
        hazard: hazard.to_owned(),
        tries: tries.to_owned(),
        models: Model::ALL.to_vec(),
        as_owner: false,
        user: None,
        database: None,
        startup: Vec::new(),
        steps: Vec::new(),
    })
}

impl Way {
    /// Takes a line; `false` if there is no such step.
    fn take(&mut self, line: &str) -> bool {
        let Some(line) = line.strip_prefix('\\') else {
            self.steps.push(match line {
                "{loot}" => Step::Loot,
                sql => Step::Query(sql.to_owned()),
            });
            return true;
        };
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let parts: Vec<String> = rest.split(" | ").map(str::to_owned).collect();
        let words = || rest.split(' ').map(str::to_owned);
        match word {
            "only" => self.models = rest.split(' ').map(Model::named).collect(),
            "owner" => self.as_owner = true,
            "user" => self.user = Some(rest.to_owned()),
            "database" => self.database = Some(rest.to_owned()),
            "startup" => match rest.split_once('=') {
                Some((name, value)) => self.startup.push((name.to_owned(), value.to_owned())),
                None => return false,
            },
            "extended" => self.steps.push(Step::Extended {
                sql: parts[0].clone(),
                values: parts[1..].to_vec(),
            }),
            "look" => self.steps.push(Step::Look(rest.to_owned())),
            "flight" => self.steps.push(Step::Flight(parts)),
            "bind" => self.steps.push(Step::Bind(rest.to_owned())),
            "fastpath" => self.steps.push(Step::Fastpath {
                function: words().next().and_then(|it| it.parse().ok()).unwrap_or(0),
                arguments: words().skip(1).collect(),
            }),
            "copy" if parts.len() == 2 => self.steps.push(Step::Copy {
                sql: parts[0].clone(),
                data: parts[1].clone(),
            }),
            "frame" => self.steps.push(Step::Frame {
                tag: rest.as_bytes()[0],
                body: rest.get(2..).unwrap_or_default().to_owned(),
            }),
            "b" => self.steps.push(Step::Theirs(rest.to_owned())),
            _ => return false,
        }
        true
    }
}

//! `portcullis policy test`: a table of expectations against a policy, for CI. It prints those that do not
//! hold, with their lines.

use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;

use gate::policy::Verdict;
use serde::Deserialize;
use sql::{Catalog, Major};
use store::{SystemClock, WallClock};
use toml::Spanned;

use crate::cli::args::PolicyTestArgs;
use crate::cli::grid::Grid;
use crate::cli::trouble::{Exit, Trouble};
use crate::explain::judge::{Answer, Judge, Question};
use crate::serve;

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    case: Vec<Spanned<Case>>,
}

/// What somebody asks, and what is expected of the policy.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: Option<String>,
    user: Option<String>,
    tenant: Option<String>,
    address: Option<IpAddr>,
    /// A moment such as 2026-01-31T12:00:00Z.
    at: Option<String>,
    sql: String,
    expect: Word,
    rule: Option<String>,
    from: Option<Groups>,
}

/// The verdict, in the policy's own words.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Allow,
    Hold,
    Deny,
}

/// One group or a list of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Groups {
    One(String),
    Several(Vec<String>),
}

/// Runs the table.
pub fn run(args: &PolicyTestArgs) -> ExitCode {
    let judge = match Judge::new(
        args.config.as_deref(),
        Catalog::unknown(Some(Major::GRAMMAR)),
    ) {
        Ok(judge) => judge,
        Err(why) => return serve::fail(&why),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let done = runtime
        .map_err(Trouble::from)
        .and_then(|it| it.block_on(tested(&judge, &args.table)));
    match done {
        Ok(exit) => exit.into(),
        Err(trouble) => trouble.tell().into(),
    }
}

async fn tested(judge: &Judge, path: &Path) -> Result<Exit, Trouble> {
    let file = path.display();
    let unreadable =
        |error: io::Error| Trouble::Usage(format!("could not read \"{file}\": {error}"));
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let table: Table = toml::from_str(&text)
        .map_err(|error| Trouble::Usage(format!("{file}: {}", error.to_string().trim_end())))?;
    let mut failures = Grid {
        columns: [
            "line",
            "case",
            "user",
            "tenant",
            "expected",
            "found",
            "statement",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: Vec::new(),
    };
    let count = table.case.len();
    for case in table.case {
        let before = text.get(..case.span().start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let case = case.into_inner();
        if let Some((expected, found)) = fails(judge, &case).await {
            let cells = [
                Some(line.to_string()),
                case.name,
                case.user,
                case.tenant,
                Some(expected),
                Some(found),
                Some(case.sql),
            ];
            failures.rows.push(cells.to_vec());
        }
    }
    let mut out = anstream::stdout();
    let failed = failures.rows.len();
    if failed == 0 {
        writeln!(out, "{file}: {}", cases(count))?;
        return Ok(Exit::Done);
    }
    let width = comfy_table::Table::new().width().map(usize::from);
    write!(out, "{}", failures.table(width))?;
    writeln!(out, "{file}: {failed} of {} failed", cases(count))?;
    Ok(Exit::Refused)
}

/// What was expected and what was found, where they differ.
async fn fails(judge: &Judge, case: &Case) -> Option<(String, String)> {
    let expected = match case.expect {
        Word::Allow => Verdict::Allow,
        Word::Hold => Verdict::Hold,
        Word::Deny => Verdict::Deny,
    };
    let now = || Ok(SystemClock.now_ms());
    let given = |at: &String| {
        at.parse::<jiff::Timestamp>()
            .map(jiff::Timestamp::as_millisecond)
    };
    let Ok(at_ms) = case.at.as_ref().map_or_else(now, given) else {
        let said = case.at.as_deref().unwrap_or_default();
        return Some((expected.name().to_owned(), format!("\"{said}\" is no time")));
    };
    let reading = judge.read(&case.sql).await;
    let question = Question {
        user: case.user.clone(),
        tenant: case.tenant.clone(),
        address: case.address.map(|it| it.to_string()),
        at_ms,
        sql: case.sql.clone(),
    };
    let answer = match judge.answer(question, &reading) {
        Ok(answer) => answer,
        Err(why) => return Some((expected.name().to_owned(), why)),
    };
    let wanted = [
        Some(expected.name().to_owned()),
        case.rule.as_ref().map(|rule| format!("by \"{rule}\"")),
        case.from
            .as_ref()
            .map(|from| format!("from {}", from.sorted())),
    ];
    let found = found(&answer);
    let found = [
        Some(found.verdict),
        case.rule.as_ref().map(|_| format!("by \"{}\"", found.rule)),
        case.from.as_ref().map(|_| format!("from {}", found.from)),
    ];
    let words = |of: &[Option<String>; 3]| {
        let words: Vec<&str> = of.iter().flatten().map(|it| &**it).collect();
        words.join(" ")
    };
    (wanted != found).then(|| (words(&wanted), words(&found)))
}

/// What a gate would make of the text, in the words of a case.
struct Found {
    verdict: String,
    rule: String,
    from: String,
}

fn found(answer: &Answer) -> Found {
    let held = answer.together.is_some();
    let decided = answer.each.iter().find(|it| it.verdict == answer.verdict);
    let rule = decided.map_or("", |it| &*it.rule);
    let needs = answer.each.iter().flat_map(|it| &it.needs);
    let from = Groups::Several(needs.map(|(_, group)| group.clone()).collect());
    Found {
        verdict: if held { "hold" } else { answer.verdict }.to_owned(),
        rule: if held {
            gate::policy::DEFAULT_RULE
        } else {
            rule
        }
        .to_owned(),
        from: from.sorted(),
    }
}

impl Groups {
    fn sorted(&self) -> String {
        let mut names: Vec<&str> = match self {
            Self::One(name) => vec![name],
            Self::Several(names) => names.iter().map(|it| &**it).collect(),
        };
        names.sort_unstable();
        names.dedup();
        names.join(" and ")
    }
}

fn cases(count: usize) -> String {
    if count == 1 {
        "1 case".to_owned()
    } else {
        format!("{count} cases")
    }
}

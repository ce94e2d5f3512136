//! The house rules that no compiler holds: which crate may use which, no circles of files, sizes,
//! names. Every message says the rule and what to do.
//!
//! The source is read as text, as rustfmt leaves it. That is good enough to keep honest people
//! honest, and it needs no parser: paths that macros make, and modules inside a file other than its
//! tests, are not seen.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is all test code: a panic is how a test says no"
)]

#[path = "house/circles.rs"]
mod circles;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// Which crate may use which: four floors, every arrow down. A new arrow is a decision; write it
/// into ARCHITECTURE.md first.
const ARROWS: [(&str, &[&str]); 9] = [
    ("wire", &[]),
    ("sql", &[]),
    ("gate", &["sql"]),
    ("session", &["wire", "sql", "gate"]),
    ("store", &["gate"]),
    ("pool", &["wire", "gate"]),
    (
        "proxy",
        &["wire", "sql", "gate", "session", "store", "pool"],
    ),
    // The top floor: it puts everything together, and nothing uses it.
    (
        "portcullis",
        &["wire", "sql", "gate", "session", "store", "pool", "proxy"],
    ),
    // Beside the house: it measures the binary from outside.
    ("portcullis-benches", &["portcullis"]),
];

/// Crates that do no I/O: bytes and facts in, bytes and effects out.
const NO_IO: [&str; 4] = ["wire", "sql", "gate", "session"];

#[test]
fn arrows_between_crates_point_down() {
    let metadata = metadata(false);
    let members: BTreeSet<String> = metadata
        .workspace_packages()
        .iter()
        .map(|package| package.name.to_string())
        .collect();
    for package in metadata.workspace_packages() {
        if package.name.as_str() == "portcullis-tests" {
            continue;
        }
        let Some((_, allowed)) = ARROWS
            .iter()
            .find(|(name, _)| *name == package.name.as_str())
        else {
            panic!(
                "crate {} is not in the house: add it, with what it may use, to ARROWS in \
                 tests/house.rs and to ARCHITECTURE.md",
                package.name
            );
        };
        for dependency in &package.dependencies {
            let ours = members.contains(&dependency.name);
            assert!(
                !ours
                    || dependency.kind == DependencyKind::Development
                    || allowed.contains(&dependency.name.as_str()),
                "{} may use only {allowed:?}, not {}: move what it needs down, or hand it in \
                 through a trait or an argument",
                package.name,
                dependency.name
            );
        }
    }
}

#[test]
fn only_sql_names_a_parser() {
    for package in metadata(false).workspace_packages() {
        for dependency in &package.dependencies {
            let parser = ["pg_query", "sqlparser"].contains(&dependency.name.as_str());
            assert!(
                !parser || package.name.as_str() == "sql",
                "{} depends on {}, and only `sql` knows a parser: let `sql` say what you need in \
                 its own words",
                package.name,
                dependency.name
            );
        }
    }
}

#[test]
fn crates_without_io_have_no_runtime() {
    let metadata = metadata(true);
    let resolve = metadata.resolve.as_ref().unwrap();
    let nodes: BTreeMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    for package in metadata.workspace_packages() {
        if !NO_IO.contains(&package.name.as_str()) {
            continue;
        }
        let mut waiting = vec![(&package.id, package.name.to_string())];
        let mut seen = BTreeSet::new();
        while let Some((id, way)) = waiting.pop() {
            for dependency in &nodes[id].deps {
                let normal = dependency
                    .dep_kinds
                    .iter()
                    .any(|kind| kind.kind == DependencyKind::Normal);
                if !normal || !seen.insert(&dependency.pkg) {
                    continue;
                }
                let name = &metadata[&dependency.pkg].name;
                let way = format!("{way} -> {name}");
                assert!(
                    !["tokio", "mio", "async-std", "smol"].contains(&name.as_str()),
                    "{way}: {} does no I/O and has no runtime; return an effect, and let `proxy` \
                     do it",
                    package.name
                );
                waiting.push((&dependency.pkg, way));
            }
        }
    }
}

#[test]
fn every_dependency_has_a_reason() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, after) = manifest.split_once("[workspace.dependencies]").unwrap();
    let (list, _) = after.split_once("\n[").unwrap();
    for line in list.lines().filter(|line| line.contains(" = ")) {
        assert!(
            line.contains("path = ") || line.contains(" # "),
            "Cargo.toml: `{line}` does not say why it is here: end it with `# reason`"
        );
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    for package in metadata(false).workspace_packages() {
        let manifest = fs::read_to_string(&package.manifest_path).unwrap();
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{}: add `[lints]` with `workspace = true`, or its code is held to no rule",
            package.manifest_path
        );
    }
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let mut broken = Vec::new();
    for (name, text) in rust_files() {
        if !text.starts_with("//!") {
            broken.push(format!(
                "{name}: a file opens with a `//!` line that says what it is"
            ));
        }
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            broken.push(format!(
                "{name} has {lines} lines, and a file has at most {FILE_LINES_MAX}: split it \
                 where a reader would look for two things"
            ));
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn functions_are_short() {
    let mut broken = Vec::new();
    for (name, text) in rust_files() {
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let length = function_length(&lines, number).unwrap_or(0);
            if length > FUNCTION_LINES_MAX {
                broken.push(format!(
                    "{name}:{}: `{}` has {length} lines, and a function has at most \
                     {FUNCTION_LINES_MAX}: give its steps names",
                    number + 1,
                    line.trim()
                ));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn names_say_what_things_are() {
    let rooms = ["common", "core", "utils", "util", "helpers", "misc"];
    let mut broken = Vec::new();
    for (name, text) in rust_files() {
        let stem = Path::new(&name).file_stem().unwrap().to_string_lossy();
        if rooms.contains(&&*stem) {
            broken.push(format!(
                "{name}: a room for everything is where circles begin; name the file after its \
                 one subject"
            ));
        }
        for (number, line) in text.lines().enumerate() {
            if let Some(why) = ill_named(line) {
                broken.push(format!("{name}:{}: {why}", number + 1));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

fn ill_named(line: &str) -> Option<String> {
    let nothings = ["Manager", "Handler", "Helper", "Util", "Utils"];
    if let Some(defined) = defined_type(line)
        && nothings.iter().any(|ending| defined.ends_with(ending))
    {
        return Some(format!(
            "`{defined}` is named after nothing: a `Hold`, not a `HoldManager`"
        ));
    }
    if is_function(line) && line.contains(concat!("fn ", "get_")) {
        return Some("accessors have no prefix: `port()`, with nothing before it".to_owned());
    }
    if line.contains(concat!("TO", "DO")) || line.contains(concat!("FIX", "ME")) {
        return Some("do it now, or open an issue: notes in the code are forgotten".to_owned());
    }
    None
}

#[test]
fn files_of_a_crate_do_not_use_each_other_in_a_circle() {
    for package in metadata(false).workspace_packages() {
        let source = package.manifest_path.parent().unwrap().join("src");
        let files = circles::read(source.as_std_path());
        if let Some(circle) = circles::find(&files) {
            panic!(
                "crate {}: {} use each other in a circle: move what they share into a file below \
                 them, or pass it as an argument",
                package.name,
                circle.join(" -> ")
            );
        }
    }
}

fn metadata(with_dependencies: bool) -> Metadata {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml"));
    if with_dependencies {
        command.other_options(["--locked".to_owned(), "--offline".to_owned()]);
    } else {
        command.no_deps();
    }
    command.exec().unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_path_buf()
}

/// Every source file of ours: its path from the root, and its text.
fn rust_files() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut waiting: Vec<PathBuf> = ["crates", "tests", "benches"]
        .map(|directory| root().join(directory))
        .into();
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty(), "no source was found");
    found.sort();
    found
}

/// What is left of a line behind `pub`, `async` and the like.
fn without_qualifiers(line: &str) -> &str {
    let mut rest = line.trim_start();
    loop {
        let before = rest;
        if rest.starts_with("pub(")
            && let Some((_, after)) = rest.split_once(") ")
        {
            rest = after;
        }
        for word in ["pub ", "async ", "const ", "default ", "extern \"C\" "] {
            rest = rest.strip_prefix(word).unwrap_or(rest);
        }
        if rest == before {
            return rest;
        }
    }
}

fn is_function(line: &str) -> bool {
    without_qualifiers(line).starts_with("fn ")
}

fn defined_type(line: &str) -> Option<&str> {
    let rest = without_qualifiers(line);
    let name = ["struct ", "enum ", "trait ", "type "]
        .iter()
        .find_map(|word| rest.strip_prefix(word))?;
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_');
    Some(&name[..end.unwrap_or(name.len())])
}

/// From the line with `fn` to the one that closes at the same depth; `None` where none begins.
fn function_length(lines: &[&str], start: usize) -> Option<usize> {
    let line = lines[start];
    if !is_function(line) {
        return None;
    }
    let depth = line.len() - line.trim_start().len();
    for (number, line) in lines.iter().enumerate().skip(start) {
        let same_depth = line.len() - line.trim_start().len() == depth;
        let closes = same_depth && (line.ends_with('}') || line.ends_with(';'));
        if closes {
            return Some(number - start + 1);
        }
    }
    None
}

#[test]
fn a_function_is_measured_from_fn_to_its_brace() {
    let text = "    pub(crate) async fn a(\n        x: u8,\n    ) -> u8 {\n        x\n    }\n";
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(function_length(&lines, 0), Some(5));
    assert_eq!(function_length(&["fn a() {}"], 0), Some(1));
    assert_eq!(function_length(&["fn a();"], 0), Some(1));
    assert_eq!(function_length(&["let fn_like = 1;"], 0), None);
}

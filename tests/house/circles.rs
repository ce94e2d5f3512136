//! Which file of a crate uses which, and whether that goes round in a circle.
//!
//! A file uses another when it names a path into it: `crate::a::b`, `super::b`, or, from a parent,
//! `b::..` of a module it declares. `pub use` is no use: a parent that shows what its children have
//! does not depend on them, and whoever takes a name from the parent depends on the child that has
//! it. Tests at the end of a file may name anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Module paths (`["state", "idle"]`; the root is empty) and the text of their files.
pub(crate) type Files = BTreeMap<Vec<String>, String>;

/// Reads all modules under a `src` directory. `main.rs` is a root of its own that nothing can name.
pub(crate) fn read(source: &Path) -> Files {
    let mut files = Files::new();
    let mut waiting = vec![(source.to_path_buf(), Vec::new())];
    while let Some((directory, path)) = waiting.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let file = entry.unwrap().path();
            let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
            let mut module: Vec<String> = path.clone();
            if file.is_dir() {
                module.push(stem);
                waiting.push((file, module));
            } else if file.extension().is_some_and(|ending| ending == "rs") {
                if !["lib", "mod"].contains(&stem.as_str()) {
                    module.push(stem);
                }
                files.insert(module, code(&fs::read_to_string(file).unwrap()));
            }
        }
    }
    files
}

/// The first circle, as the names of its files in order.
pub(crate) fn find(files: &Files) -> Option<Vec<String>> {
    let shown = shown_names(files);
    let uses: BTreeMap<&Vec<String>, BTreeSet<Vec<String>>> = files
        .keys()
        .map(|module| (module, used_by(module, files, &shown)))
        .collect();
    let mut done = BTreeSet::new();
    for module in files.keys() {
        let mut way = Vec::new();
        if let Some(circle) = walk(module, &uses, &mut way, &mut done) {
            return Some(circle.iter().map(|module| name_of(module)).collect());
        }
    }
    None
}

fn walk(
    module: &Vec<String>,
    uses: &BTreeMap<&Vec<String>, BTreeSet<Vec<String>>>,
    way: &mut Vec<Vec<String>>,
    done: &mut BTreeSet<Vec<String>>,
) -> Option<Vec<Vec<String>>> {
    if let Some(start) = way.iter().position(|step| step == module) {
        let mut circle = way[start..].to_vec();
        circle.push(module.clone());
        return Some(circle);
    }
    if done.contains(module) {
        return None;
    }
    way.push(module.clone());
    for used in &uses[module] {
        if let Some(circle) = walk(used, uses, way, done) {
            return Some(circle);
        }
    }
    way.pop();
    done.insert(module.clone());
    None
}

fn name_of(module: &[String]) -> String {
    if module.is_empty() {
        "lib".to_owned()
    } else {
        module.join("::")
    }
}

/// The text without comments, `mod x;` lines and the tests at the end; one statement a `use`.
fn code(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let trimmed = line.trim();
        if line.starts_with("#[cfg(test)]") {
            match lines.peek() {
                // Tests in this file are its end; tests in a file of their own are read there.
                Some(next) if next.contains("mod ") && next.ends_with('{') => break,
                _ => continue,
            }
        }
        if !trimmed.starts_with("//") {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// What `pub use` shows under another path: `[a, Name]` to `[a, b, Name]`.
fn shown_names(files: &Files) -> BTreeMap<Vec<String>, Vec<String>> {
    let mut shown = BTreeMap::new();
    for (module, text) in files {
        for (public, tree) in use_statements(text) {
            if !public {
                continue;
            }
            for (path, name) in expand(&tree) {
                let target = absolute(&path, module, files);
                shown.extend(target.map(|target| ([&module[..], &[name]].concat(), target)));
            }
        }
    }
    shown
}

fn used_by(
    module: &[String],
    files: &Files,
    shown: &BTreeMap<Vec<String>, Vec<String>>,
) -> BTreeSet<Vec<String>> {
    let text = &files[module];
    let mut paths: Vec<Vec<String>> = Vec::new();
    let mut rest = text.clone();
    for (public, tree) in use_statements(text) {
        rest = rest.replacen(&tree, "", 1);
        if !public {
            paths.extend(expand(&tree).into_iter().map(|(path, _)| path));
        }
    }
    paths.extend(inline_paths(&rest));
    paths
        .iter()
        .filter_map(|path| absolute(path, module, files))
        .filter_map(|path| owner(path, files, shown))
        .filter(|used| used != module)
        .collect()
}

/// Statements `use ..;`, each with whether it is public (to anybody) and its tree.
fn use_statements(text: &str) -> Vec<(bool, String)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("use ") {
        let line_start = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let before = text[line_start..at].trim();
        let public = before.starts_with("pub");
        if !before.is_empty() && !public {
            continue;
        }
        if let Some((tree, _)) = text[at + 4..].split_once(';') {
            found.push((public, tree.to_owned()));
        }
    }
    found
}

/// `a::{b, c::D as E}` to `[a, b] as b` and `[a, c, D] as E`.
fn expand(tree: &str) -> Vec<(Vec<String>, String)> {
    let tree = tree.trim();
    let Some((head, group)) = tree.split_once('{') else {
        let (path, renamed) = match tree.split_once(" as ") {
            Some((path, name)) => (path, Some(name.trim().to_owned())),
            None => (tree, None),
        };
        let path: Vec<String> = path
            .split("::")
            .map(|part| part.trim().to_owned())
            .filter(|part| part != "self" && !part.is_empty())
            .collect();
        let name = renamed.or_else(|| path.last().cloned()).unwrap_or_default();
        return vec![(path, name)];
    };
    let group = group.strip_suffix('}').unwrap_or(group);
    let mut depth = 0;
    let parts = group.split(|c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    parts
        .filter(|part| !part.trim().is_empty())
        .flat_map(|part| expand(&format!("{head}{}", part.trim())))
        .collect()
}

/// Every `a::b::c` outside of `use`.
fn inline_paths(text: &str) -> Vec<Vec<String>> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
        .filter(|word| word.contains("::"))
        .map(|word| {
            word.trim_matches(':')
                .split("::")
                .map(str::to_owned)
                .collect()
        })
        .collect()
}

/// The path from the root of the crate, for a path that stays in it.
fn absolute(path: &[String], module: &[String], files: &Files) -> Option<Vec<String>> {
    let first = path.first()?;
    if first == "crate" {
        return Some(path[1..].to_vec());
    }
    let ups = path.iter().take_while(|part| *part == "super").count();
    if ups > 0 {
        let base = module.len().checked_sub(ups)?;
        return Some([&module[..base], &path[ups..]].concat());
    }
    // Only main.rs has a name and yet no children of its own.
    let child = [module, &path[..1]].concat();
    files.contains_key(&child).then(|| [module, path].concat())
}

/// The file that a path leads into, through whatever shows it elsewhere.
fn owner(
    mut path: Vec<String>,
    files: &Files,
    shown: &BTreeMap<Vec<String>, Vec<String>>,
) -> Option<Vec<String>> {
    for _ in 0..8 {
        let through = (1..=path.len())
            .rev()
            .find_map(|end| shown.get(&path[..end]).map(|target| (end, target)));
        match through {
            Some((end, target)) if path[..end] != target[..] => {
                path = [&target[..], &path[end..]].concat();
            }
            _ => break,
        }
    }
    (0..=path.len())
        .rev()
        .map(|end| path[..end].to_vec())
        .find(|module| files.contains_key(module))
}

#[test]
fn circles_are_found_and_facades_are_none() {
    let files = |list: &[(&str, &str)]| -> Files {
        list.iter()
            .map(|(module, text)| {
                let path = module.split("::").filter(|part| !part.is_empty());
                (path.map(str::to_owned).collect(), code(text))
            })
            .collect()
    };
    let facade = files(&[
        ("", "pub mod a;\nmod b;\npub use b::B;\n"),
        ("a", "use crate::B;\nuse std::fmt::{self, Debug};\n"),
        (
            "b",
            "pub struct B;\n#[cfg(test)]\nmod tests {\n use crate::a::A;\n}\n",
        ),
    ]);
    assert_eq!(find(&facade), None);
    let through_it = files(&[
        ("", "pub use b::B;\n"),
        ("a", "use crate::{B as Other, c};\n"),
        ("b", "fn f() -> super::a::A {}\n"),
        ("c", ""),
    ]);
    assert_eq!(find(&through_it).unwrap(), ["a", "b", "a"]);
    let parent = files(&[
        ("s", "mod idle;\nenum S { I(idle::Idle) }\n"),
        ("s::idle", "// super::super::x\nuse super::S;\n"),
        ("", ""),
    ]);
    assert_eq!(find(&parent).unwrap(), ["s", "s::idle", "s"]);
}

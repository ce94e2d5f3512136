//! `make functions`: asks PostgreSQL 14 to 18 what they have built in and writes it to `crates/sql/data`. It never judges: a
//! name that is new there is on no list, and `cargo test -p sql` names it, until somebody puts it in `crates/sql/data/judged`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what it prints is what it is for"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, fs};

use harness::sandbox::{Options, Postgres};
use sql::Major;

/// What SQL can neither write a value of nor take one from; a function that does is called by the server alone.
const INTERNAL: &str = "'{internal,trigger,event_trigger,language_handler,fdw_handler,index_am_handler,\
    table_am_handler,tsm_handler,pg_ddl_command}'::regtype[]";

fn main() -> ExitCode {
    match tables().and_then(|tables| write(&tables)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("functions: {why}\nnothing was written");
            ExitCode::FAILURE
        }
    }
}

/// The tables, each a file's name and its text, of every major or not at all.
fn tables() -> Result<Vec<(&'static str, String)>, String> {
    let mut missing = Vec::new();
    let mut found = Found::default();
    for major in Major::ALL {
        match server(major) {
            Ok(server) => found.read(major, &server)?,
            Err(why) => missing.push(format!("{major}: {why}")),
        }
    }
    if missing.is_empty() {
        Ok(found.tables())
    } else {
        Err(missing.join("\n"))
    }
}

fn write(tables: &[(&str, String)]) -> Result<(), String> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/sql/data");
    for (file, text) in tables {
        fs::write(data.join(file), text)
            .map_err(|error| format!("could not write {file}: {error}"))?;
        let names = text.lines().filter(|line| !line.starts_with("--")).count();
        println!("{file:<14} {names} names");
    }
    println!(
        "now `git diff crates/sql/data`, and `cargo test -p sql` names what nobody has judged"
    );
    Ok(())
}

/// A server of this major: the machine's own, or one that a script knows to fetch.
fn server(major: Major) -> Result<Postgres, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("harness/servers.sh");
    let program = env::current_exe().map_err(|error| error.to_string())?;
    // target/debug/functions
    let cache = program
        .ancestors()
        .nth(2)
        .unwrap_or(&program)
        .join("servers");
    let output = Command::new("sh")
        .arg(script)
        .arg(major.to_string())
        .arg(cache)
        .output();
    let output = output.map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr)
            .trim_end()
            .to_owned());
    }
    let programs = String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned();
    let options = Options {
        binaries: Some(programs.into()),
        ..harness::options()
    };
    let server = Postgres::start(options).map_err(|error| error.to_string())?;
    match server.major().to_string() {
        found if found == major.to_string() => Ok(server),
        found => Err(format!("what was brought is {found}")),
    }
}

/// What was found on all servers so far, by name.
#[derive(Default)]
struct Found {
    functions: BTreeMap<String, Function>,
    operators: BTreeMap<String, Name>,
    types: BTreeMap<String, Name>,
    samplings: BTreeMap<String, Name>,
}

/// All functions of one name.
#[derive(Default)]
struct Function {
    prokinds: BTreeSet<String>,
    volatilities: BTreeSet<String>,
    parallels: BTreeSet<String>,
    sets: bool,
    /// How many arguments are taken (or more, if true), and by which majors.
    counts: BTreeMap<(u32, bool), BTreeSet<Major>>,
}

/// An operator, type or sampling method.
#[derive(Default)]
struct Name {
    majors: BTreeSet<Major>,
    /// What it calls.
    functions: BTreeSet<String>,
}

impl Found {
    fn read(&mut self, major: Major, server: &Postgres) -> Result<(), String> {
        for row in rows(server, &functions())? {
            let [
                name,
                prokind,
                volatility,
                parallel,
                set,
                least,
                most,
                variadic,
            ] = row.as_slice()
            else {
                return Err(format!("PostgreSQL {major} answered {row:?}"));
            };
            let function = self.functions.entry(name.clone()).or_default();
            function.prokinds.insert(prokind.clone());
            function.volatilities.insert(volatility.clone());
            function.parallels.insert(parallel.clone());
            function.sets |= set == "t";
            let number = |text: &String| text.parse::<u32>().map_err(|error| error.to_string());
            let (least, most) = (number(least)?, number(most)?);
            let counts = if variadic == "t" {
                vec![(least, true)]
            } else {
                (least..=most).map(|count| (count, false)).collect()
            };
            for count in counts {
                function.counts.entry(count).or_default().insert(major);
            }
        }
        let named = [
            (&mut self.operators, OPERATORS),
            (&mut self.types, TYPES),
            (&mut self.samplings, SAMPLINGS),
        ];
        for (names, query) in named {
            for row in rows(server, query)? {
                let [name, function] = row.as_slice() else {
                    return Err(format!("PostgreSQL {major} answered {row:?}"));
                };
                let named = names.entry(name.clone()).or_default();
                named.majors.insert(major);
                named.functions.insert(function.clone());
            }
        }
        Ok(())
    }

    fn tables(&self) -> Vec<(&'static str, String)> {
        let mut functions =
            head("name prokind volatility parallel set|- counts, of arguments that SQL can write");
        for (name, it) in &self.functions {
            let all = |words: &BTreeSet<String>| words.iter().cloned().collect::<String>();
            let kinds = [&it.prokinds, &it.volatilities, &it.parallels].map(all);
            let set = if it.sets { "set" } else { "-" };
            let _ = write!(functions, "{name} {} {set}", kinds.join(" "));
            for ((count, more), majors) in &it.counts {
                let more = if *more { "+" } else { "" };
                let since = if majors.len() == Major::ALL.len() {
                    String::new()
                } else {
                    format!("@{}", ranges(majors))
                };
                let _ = write!(functions, " {count}{more}{since}");
            }
            functions.push('\n');
        }
        let names = |what: &str, names: &BTreeMap<String, Name>| {
            let mut text = head(what);
            for (name, it) in names {
                let functions: Vec<&str> = it.functions.iter().map(String::as_str).collect();
                let _ = writeln!(
                    text,
                    "{name} {} {}",
                    ranges(&it.majors),
                    functions.join(" ")
                );
            }
            text
        };
        vec![
            ("functions.txt", functions),
            (
                "operators.txt",
                names("name majors functions that it calls", &self.operators),
            ),
            (
                "types.txt",
                names(
                    "name majors functions that a cast to it may call",
                    &self.types,
                ),
            ),
            (
                "samplings.txt",
                names("name majors handler", &self.samplings),
            ),
        ]
    }
}

fn head(what: &str) -> String {
    let (oldest, newest) = (Major::OLDEST, Major::GRAMMAR);
    format!("-- PostgreSQL {oldest} to {newest}, by `make functions`, not by hand: {what}.\n")
}

/// `14-` and newer, `14-16`, `17`, or several of these with a comma between.
fn ranges(majors: &BTreeSet<Major>) -> String {
    let mut runs: Vec<Vec<Major>> = vec![Vec::new()];
    for major in Major::ALL {
        match (majors.contains(&major), runs.last_mut()) {
            (true, Some(run)) => run.push(major),
            _ => runs.push(Vec::new()),
        }
    }
    let written = runs
        .iter()
        .filter_map(|run| match (run.first()?, run.last()?) {
            (first, last) if *last == Major::GRAMMAR => Some(format!("{first}-")),
            (first, last) if first == last => Some(first.to_string()),
            (first, last) => Some(format!("{first}-{last}")),
        });
    written.collect::<Vec<_>>().join(",")
}

fn rows(server: &Postgres, query: &str) -> Result<Vec<Vec<String>>, String> {
    let printed = server
        .sql("postgres", query)
        .map_err(|error| error.to_string())?;
    let row = |line: &str| line.split('\t').map(str::to_owned).collect();
    Ok(printed.lines().map(row).collect())
}

fn functions() -> String {
    format!(
        "SELECT concat_ws(E'\\t', CASE nspname WHEN 'pg_catalog' THEN proname ELSE nspname || '.' || proname END, prokind, \
         provolatile, proparallel, proretset, pronargs - pronargdefaults, pronargs, provariadic <> 0) \
         FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace \
         WHERE nspname IN ('pg_catalog', 'information_schema') \
         AND NOT (proargtypes::oid[] || prorettype)::regtype[] && {INTERNAL}"
    )
}

const OPERATORS: &str = "SELECT concat_ws(E'\\t', oprname, proname) FROM pg_operator JOIN pg_proc p ON p.oid = oprcode \
    WHERE oprnamespace = 'pg_catalog'::regnamespace";

/// Base, range and multirange types and arrays of these, with their input functions and the casts to them.
const TYPES: &str = "SELECT concat_ws(E'\\t', t.typname, proname) FROM pg_type t LEFT JOIN pg_type e ON e.typarray = t.oid \
    JOIN pg_proc p ON p.oid IN (t.typinput, t.typmodin) OR p.oid IN (SELECT castfunc FROM pg_cast WHERE casttarget = t.oid) \
    WHERE t.typnamespace = 'pg_catalog'::regnamespace AND coalesce(e.typtype, t.typtype) IN ('b', 'r', 'm')";

const SAMPLINGS: &str = "SELECT concat_ws(E'\\t', proname, proname) FROM pg_proc \
    WHERE prorettype = 'tsm_handler'::regtype AND proargtypes[0] = 'internal'::regtype \
    AND pronamespace = 'pg_catalog'::regnamespace";

//! `portcullis explain`: what a policy makes of a statement, and why. It runs nothing, and needs neither a
//! gate nor a server.

mod batch;
pub(crate) mod judge;
mod page;
mod upstream;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use sql::{Catalog, Major};
use store::{SystemClock, WallClock};

use crate::cli::args::ExplainArgs;
use crate::cli::trouble::{Exit, Trouble};
use crate::serve;
use judge::{Judge, Question};

/// Explains a text, or each line of a file.
pub fn run(args: &ExplainArgs, json: bool) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return serve::fail(&format!("could not start: {error}")),
    };
    let done = runtime.block_on(async {
        let catalog = match &args.upstream {
            Some(connstring) => upstream::catalog(connstring).await?,
            None => Catalog::unknown(Some(args.server_version.unwrap_or(Major::GRAMMAR))),
        };
        let judge = match Judge::new(args.config.as_deref(), catalog) {
            Ok(judge) => judge,
            Err(why) => return Ok(serve::fail(&why)),
        };
        let exit = match &args.batch {
            Some(path) => lines(&judge, args, path).await,
            None => one(&judge, args, json).await,
        };
        exit.map(ExitCode::from)
    });
    match done {
        Ok(exit) => exit,
        Err(trouble) => trouble.tell().into(),
    }
}

async fn lines(judge: &Judge, args: &ExplainArgs, path: &Path) -> Result<Exit, Trouble> {
    let rows = BufReader::new(open(path)?);
    let mut out = BufWriter::new(io::stdout().lock());
    let mut err = anstream::stderr();
    let whole = batch::run(judge, &usual(args), rows, &mut out, &mut err).await?;
    Ok(if whole { Exit::Done } else { Exit::Usage })
}

async fn one(judge: &Judge, args: &ExplainArgs, json: bool) -> Result<Exit, Trouble> {
    let sql = match (&args.sql, &args.file) {
        (Some(sql), _) => sql.clone(),
        (None, file) => {
            let path = file.as_deref().unwrap_or(Path::new("-"));
            let mut text = String::new();
            let read = open(path)?.read_to_string(&mut text);
            read.map_err(|error| unreadable(path, &error))?;
            text
        }
    };
    let reading = judge.read(&sql).await;
    let question = Question { sql, ..usual(args) };
    let answer = judge.answer(question, &reading).map_err(Trouble::Usage)?;
    let text = if json {
        serde_json::to_string(&answer).map_err(io::Error::from)? + "\n"
    } else {
        page::page(&answer, judge.observes())
    };
    anstream::stdout().write_all(text.as_bytes())?;
    Ok(Exit::Done)
}

/// What the options say of whatever is asked.
fn usual(args: &ExplainArgs) -> Question {
    Question {
        user: args.user.clone(),
        tenant: args.tenant.clone(),
        address: args.address.map(|it| it.to_string()),
        at_ms: args
            .at
            .map_or_else(|| SystemClock.now_ms(), jiff::Timestamp::as_millisecond),
        sql: String::new(),
    }
}

/// A file, or standard input for `-`.
fn open(path: &Path) -> Result<Box<dyn Read>, Trouble> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    Ok(Box::new(file))
}

fn unreadable(path: &Path, error: &io::Error) -> Trouble {
    Trouble::Usage(format!("could not read \"{}\": {error}", path.display()))
}

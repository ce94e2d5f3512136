//! `portcullis demo`: a private PostgreSQL with two tenants, a gate before it, and the story of a
//! statement that waits until somebody signs, played by the real psql and the real command line.

mod stage;
mod story;

use std::io::Write;
use std::process::ExitCode;

use stage::Stage;

use crate::cli::args::DemoArgs;
use crate::serve;

/// Plays the story, then stays up unless told to end.
pub fn run(args: &DemoArgs) -> ExitCode {
    match play(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => serve::fail(&why),
    }
}

fn play(args: &DemoArgs) -> Result<(), String> {
    let mut stage = Stage::set(args.state.as_deref())?;
    story::play(&mut stage)?;
    if args.once {
        return Ok(());
    }
    for line in stage.commands() {
        say(&line);
    }
    stage.wait()
}

/// One line for whoever watches.
fn say(line: &str) {
    let mut out = anstream::stdout();
    // Whoever started it may not watch; the story goes on.
    let _told = writeln!(out, "{line}").and_then(|()| out.flush());
}

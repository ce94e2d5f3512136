//! `portcullis demo`: a private PostgreSQL with two tenants, a gate before it, and the story of a
//! statement that waits until somebody signs, played by the real psql and the real command line.

mod stage;
mod story;
mod voice;

use std::process::ExitCode;

use stage::Stage;
use voice::say;

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

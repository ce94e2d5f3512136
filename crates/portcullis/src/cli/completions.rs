//! `portcullis completions`: the script by which a shell completes our commands. It never installs one.

use std::io::Write;
use std::process::ExitCode;

use clap::CommandFactory;

use super::args::Cli;
use super::look_args::CompletionsArgs;
use super::trouble::{Exit, Trouble};

/// Prints the script for a shell.
pub fn run(args: &CompletionsArgs) -> ExitCode {
    // Not straight to the output: the library panics where that is closed.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "portcullis", &mut script);
    match std::io::stdout().write_all(&script) {
        Ok(()) => Exit::Done.into(),
        Err(error) => Trouble::from(error).tell().into(),
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_shell_has_a_script_that_knows_the_commands() {
        for shell in clap_complete::Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "portcullis", &mut script);
            let script = String::from_utf8(script).unwrap();
            for word in ["approve", "history", "audit", "verify", "no-password"] {
                assert!(script.contains(word), "{shell} does not know {word}");
            }
        }
    }
}

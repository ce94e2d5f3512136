//! The approver's command line: a client of a running gate's console. It never opens a gate's store, and
//! decides nothing that the gate does not decide.

pub mod account;
pub mod args;
pub mod audit;
pub mod card;
pub mod connect;
pub mod conninfo;
#[cfg(test)]
mod conninfo_tests;
pub mod connstring;
pub mod console;
#[cfg(test)]
mod fake;
pub mod grid;
pub mod password;
pub mod pgpass;
pub mod tls;
pub mod trouble;
pub mod visible;
#[cfg(test)]
mod walk_tests;

use std::process::ExitCode;

use args::{Color, ConsoleCommand, Options};
use connect::Console;
use conninfo::{Flags, Target};
use console::Printer;
use trouble::{Exit, Trouble};

/// Obeys `--color`; `NO_COLOR` and what the terminal can do are looked at where it says `auto`.
pub fn use_color(color: Color) {
    match color {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    }
    .write_global();
}

/// Runs a command on the console of a gate.
pub fn run(options: &Options, command: &ConsoleCommand) -> ExitCode {
    let done = target(options).and_then(|target| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(visit(&target, options, command))
    });
    match done {
        Ok(exit) => exit.into(),
        Err(trouble) => trouble.tell().into(),
    }
}

fn target(options: &Options) -> Result<Target, Trouble> {
    let flags = Flags {
        host: options.host.as_deref(),
        port: options.port,
        user: options.username.as_deref(),
        url: options.url.as_deref(),
    };
    conninfo::resolve(flags, &environment).map_err(|error| Trouble::Usage(error.to_string()))
}

/// A variable of the environment; `LOGNAME` is known even where it is not set.
pub(crate) fn environment(name: &str) -> Option<String> {
    match (std::env::var(name), name) {
        (Ok(value), _) => Some(value),
        (Err(_), "LOGNAME") => account::name(),
        (Err(_), _) => None,
    }
}

async fn visit(
    target: &Target,
    options: &Options,
    command: &ConsoleCommand,
) -> Result<Exit, Trouble> {
    let console = Console::open(target, !options.no_password).await?;
    let mut printer = Printer {
        out: &mut anstream::stdout(),
        err: &mut anstream::stderr(),
        json: options.json,
        width: comfy_table::Table::new().width().map(usize::from),
        door: console::door(options),
        user: target.user.clone(),
    };
    let done = console::run(&console, command, &mut printer).await;
    console.close().await;
    done
}

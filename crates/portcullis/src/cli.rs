//! The approver's command line: a client of a running gate's console. It never opens a gate's store, and
//! decides nothing that the gate does not decide.

pub mod account;
pub mod args;
pub mod ask;
pub mod ask_args;
pub mod audit;
pub mod audit_export;
pub mod audit_key;
pub mod backup;
pub mod card;
pub mod changes;
pub mod completions;
pub mod connect;
pub mod conninfo;
#[cfg(test)]
mod conninfo_tests;
pub mod connstring;
pub mod console;
pub mod export;
#[cfg(test)]
mod fake;
pub mod grid;
pub mod history;
pub mod look_args;
pub mod password;
pub mod pgpass;
pub mod service;
#[cfg(test)]
mod service_tests;
pub mod tenant_args;
pub mod tenant_new_args;
pub mod tls;
pub mod trouble;
pub mod visible;
#[cfg(test)]
mod walk_tests;
pub mod watch;
#[cfg(test)]
mod watch_tests;

use std::io::IsTerminal;
use std::process::ExitCode;

use args::{Color, ConsoleCommand, Options};
use ask_args::AskCommand;
use connect::Console;
use conninfo::{Flags, Target};
use console::Printer;
use look_args::LookCommand;
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
    visit(options, async |console, _, printer| {
        let done = console::run(&console, command, printer).await;
        console.close().await;
        done
    })
}

/// Runs a command that asks for something beforehand, or stops something.
pub fn ask(options: &Options, command: &AskCommand) -> ExitCode {
    visit(options, async |console, _, printer| {
        let done = ask::run(&console, command, printer).await;
        console.close().await;
        done
    })
}

/// Runs a command that shows what the console of a gate says in another form.
pub fn look(options: &Options, command: &LookCommand) -> ExitCode {
    visit(options, async |console, target, printer| {
        let done = match command {
            LookCommand::Watch(args) => {
                let bell = args.bell && std::io::stdout().is_terminal();
                return watch::run(console, target, args.every, bell, printer).await;
            }
            LookCommand::History(args) => history::run(&console, args, printer).await,
            LookCommand::Export(args) => export::run(&console, args, printer).await,
        };
        console.close().await;
        done
    })
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

/// Goes in, and has `work` done there.
pub(crate) fn visit(
    options: &Options,
    work: impl AsyncFnOnce(Console, &Target, &mut Printer<'_>) -> Result<Exit, Trouble>,
) -> ExitCode {
    let done = target(options).and_then(|target| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let console = Console::open(&target, !options.no_password).await?;
            let mut printer = Printer {
                out: &mut anstream::stdout(),
                err: &mut anstream::stderr(),
                json: options.json,
                width: columns(),
                door: console::door(options),
                user: target.user.clone(),
            };
            work(console, &target, &mut printer).await
        })
    });
    match done {
        Ok(exit) => exit.into(),
        Err(trouble) => trouble.tell().into(),
    }
}

/// Columns of the terminal; one that does not know says 0.
fn columns() -> Option<usize> {
    let width = comfy_table::Table::new().width().map(usize::from);
    width.filter(|it| *it > 0)
}

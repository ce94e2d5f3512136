//! The `portcullis` program: reads the command line and hands each command to its module. It never does
//! the work of one itself.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use portcullis::cli::args::{AuditCommand, Cli, Command, PolicyCommand};
use portcullis::{check, cli, demo, explain, policy_test, serve, tenant, try_it};

pub(crate) fn main() -> ExitCode {
    let Cli { options, command } = Cli::parse();
    cli::use_color(options.color);
    match command {
        Command::Console(command) => cli::run(&options, &command),
        Command::Ask(command) => cli::ask(&options, &command),
        Command::Audit(AuditCommand::Verify(args)) => {
            cli::audit::verify(&args, options.json, state_of_config)
        }
        Command::Audit(AuditCommand::Export(args)) => {
            cli::audit_export::export(&args, state_of_config)
        }
        Command::Audit(AuditCommand::Key(args)) => cli::audit_key::make(&args, options.json),
        Command::Store(command) => cli::backup::run(&command, options.json, state_of_config),
        Command::Tenant(command) => tenant::run(&options, &command),
        Command::Look(command) => cli::look(&options, &command),
        Command::Completions(args) => cli::completions::run(&args),
        Command::Password(args) => cli::password::run(&args, options.json),
        Command::Check(args) => check::run(&args, options.json),
        Command::Explain(args) => explain::run(&args, options.json),
        Command::Policy(PolicyCommand::Test(args)) => policy_test::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Try(args) => try_it::run(&args),
        Command::Demo(args) => demo::run(&args),
    }
}

/// The state folder that a configuration file names.
fn state_of_config(config: &Path) -> Result<PathBuf, String> {
    serve::load(config).map(|config| config.state)
}

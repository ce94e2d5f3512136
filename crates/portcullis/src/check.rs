//! `portcullis check`: reads a configuration as `serve` would and says what it came to, or every
//! problem with its line. It opens no store and no connection.

use std::io::Write;
use std::process::ExitCode;

use crate::cli::args::CheckArgs;
use crate::serve;

/// Checks a configuration file.
pub fn run(args: &CheckArgs) -> ExitCode {
    match serve::load(&args.config) {
        Ok(config) => {
            let mut out = anstream::stdout();
            let told = writeln!(
                out,
                "{}: {} and {}, listening on {}",
                args.config.display(),
                count(config.tenants.len(), "tenant"),
                count(config.users.len(), "user"),
                config
                    .listen
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", "),
            );
            let told = told.and_then(|()| {
                let one_login = config.tenants.iter().filter(|it| it.has_one_login());
                one_login.into_iter().try_for_each(|tenant| {
                    writeln!(
                        out,
                        "tenant \"{}\" reads as \"{}\", on sessions with default_transaction_read_only = on: \
                         \"read_user\" can name a role that cannot write",
                        tenant.name, tenant.read.user,
                    )
                })
            });
            if told.is_ok() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(problems) => serve::fail(&problems),
    }
}

fn count(number: usize, what: &str) -> String {
    if number == 1 {
        format!("1 {what}")
    } else {
        format!("{number} {what}s")
    }
}

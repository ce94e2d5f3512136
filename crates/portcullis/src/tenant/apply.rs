//! Runs the scripts of a new tenant through a running gate: each is a ticket, which others sign, and whose statements are then sent
//! one after the other in a session of the tenant that may make roles. It never goes past the gate, and decides nothing.

use std::process::ExitCode;

use super::plan::Script;
use crate::cli;
use crate::cli::args::Options;
use crate::cli::connect::Console;
use crate::cli::conninfo::Target;
use crate::cli::console::{Printer, one, quoted, sentence};
use crate::cli::tenant_new_args::NewArgs;
use crate::cli::trouble::{Exit, Trouble};

/// Runs all of them.
pub fn run(options: &Options, args: &NewArgs, scripts: &[Script]) -> ExitCode {
    cli::visit(options, async |console, target, printer| {
        let place = Place {
            console: &console,
            target,
            may_ask: !options.no_password,
            args,
        };
        let mut done = Exit::Done;
        for script in scripts {
            let through = match &script.inside {
                None => args.through.as_deref(),
                Some(_) => args.inside.as_deref(),
            };
            let Some(through) = through else {
                writeln!(
                    printer.err,
                    "portcullis: note: {} is not done: it takes --inside, a tenant of the gate that leads there",
                    script.makes
                )?;
                continue;
            };
            done = done.max(place.run(script, through, printer).await?);
        }
        console.close().await;
        Ok(done)
    })
}

/// Where all of them go.
struct Place<'a> {
    console: &'a Console,
    target: &'a Target,
    may_ask: bool,
    args: &'a NewArgs,
}

impl Place<'_> {
    /// Asks for a ticket, waits until it is signed, and runs it.
    async fn run(
        &self,
        script: &Script,
        through: &str,
        printer: &mut Printer<'_>,
    ) -> Result<Exit, Trouble> {
        let session = self.session(through).await?;
        let name = &self.args.tenant;
        if self.args.if_missing && !session.ask(&script.probe).await?.rows.is_empty() {
            writeln!(
                printer.out,
                "tenant \"{name}\" has {} already: nothing was done",
                script.makes
            )?;
            session.close().await;
            return Ok(Exit::Done);
        }
        let ticket = self.request(script, through, printer).await?;
        if let Some(ticket) = &ticket {
            session.ask("SET portcullis.wait = on").await?;
            session
                .ask(&format!("SET portcullis.script = {}", quoted(ticket)))
                .await?;
        }
        for statement in &script.statements {
            if let Err(trouble) = session.ask(statement).await {
                writeln!(printer.err, "portcullis: it stopped at: {statement}")?;
                session.close().await;
                return Err(trouble);
            }
        }
        session.close().await;
        if let Some(ticket) = &ticket {
            let grid = self.console.ask(&format!("SHOW TICKET {ticket}")).await?;
            writeln!(printer.out, "{}", sentence(one(&grid)?))?;
        }
        writeln!(printer.out, "tenant \"{name}\" has {}", script.makes)?;
        Ok(Exit::Done)
    }

    /// A session of the tenant, by the same door and as the same person.
    async fn session(&self, tenant: &str) -> Result<Console, Trouble> {
        let mut target = self.target.clone();
        tenant.clone_into(&mut target.database);
        // Nobody types it twice.
        if let Some(typed) = self.console.asked() {
            target.password = Some(typed.clone());
        }
        Console::open(&target, self.may_ask).await
    }

    /// The ticket; none where none is needed.
    async fn request(
        &self,
        script: &Script,
        through: &str,
        printer: &mut Printer<'_>,
    ) -> Result<Option<String>, Trouble> {
        let reason = match &self.args.reason {
            Some(reason) => reason.clone(),
            None => format!("tenant {}: {}", self.args.tenant, script.makes),
        };
        let text = format!("{};\n", script.statements.join(";\n"));
        let command = format!(
            "REQUEST ON {} {} REASON {}",
            quoted(through),
            quoted(&text),
            quoted(&reason)
        );
        let grid = self.console.ask(&command).await?;
        let record = one(&grid)?;
        let ticket = record.said("id").map(str::to_owned);
        if ticket.is_some() {
            writeln!(printer.out, "{}", sentence(record))?;
            printer.out.flush()?;
        }
        Ok(ticket)
    }
}

//! The commands that ask for something beforehand, or stop something. They say it to the console, which decides.

use std::io::Read as _;
use std::path::Path;

use super::ask_args::{AskCommand, HoldCommand, RequestArgs, ResolveArgs};
use super::connect::Console;
use super::console::{Printer, document, one, quoted, sentence};
use super::grid::Record;
use super::trouble::{Exit, Trouble};
use super::visible;

/// Runs one command.
pub async fn run(
    console: &Console,
    command: &AskCommand,
    printer: &mut Printer<'_>,
) -> Result<Exit, Trouble> {
    let command = match command {
        AskCommand::Request(args) => request(args)?,
        AskCommand::Terminate { ticket } => format!("TERMINATE {ticket}"),
        AskCommand::Resolve(ResolveArgs {
            ticket, done, why, ..
        }) => {
            let became = if *done { "DONE" } else { "FENCED" };
            format!("RESOLVE {ticket} {became} {}", quoted(why))
        }
        AskCommand::Hold(HoldCommand::All { reason }) => {
            let reason = reason.as_deref().map(quoted).unwrap_or_default();
            format!("HOLD ALL {reason}")
        }
        AskCommand::Hold(HoldCommand::Off) => "HOLD OFF".to_owned(),
        AskCommand::Reload => "RELOAD".to_owned(),
        AskCommand::Pause { tenant } => about("PAUSE", tenant.as_deref()),
        AskCommand::Resume { tenant } => about("RESUME", tenant.as_deref()),
    };
    let grid = console.ask(&command).await?;
    if grid.rows.is_empty() {
        return Ok(Exit::Done);
    }
    let record = one(&grid)?;
    if printer.json {
        document(printer.out, &record)?;
    } else if let Some(version) = record.said("version") {
        writeln!(printer.out, "{}", reloaded(version, record))?;
    } else if record.said("id").is_some() {
        writeln!(printer.out, "{}", sentence(record))?;
    } else {
        let state = visible::one_line(record.value("state").unwrap_or_default());
        writeln!(printer.out, "no ticket is needed: it {state}")?;
    }
    Ok(Exit::Done)
}

fn about(verb: &str, tenant: Option<&str>) -> String {
    let tenant = tenant.map(|it| format!(" {}", quoted(it)));
    format!("{verb}{}", tenant.unwrap_or_default())
}

/// What a reload came to.
fn reloaded(version: &str, record: Record<'_>) -> String {
    let count = |column| record.value(column).unwrap_or_default();
    let mut text = format!(
        "the gate goes by version {version} of its configuration: tenants {} added, {} changed, {} removed; sessions {} \
         ended; tickets {} void",
        count("tenants_added"),
        count("tenants_changed"),
        count("tenants_removed"),
        count("sessions_ended"),
        count("tickets_void"),
    );
    if let Some(waits) = record.said("needs_restart") {
        text.push_str("; a restart is needed for what changed in: ");
        text.push_str(waits);
    }
    visible::one_line(&text)
}

fn request(args: &RequestArgs) -> Result<String, Trouble> {
    let tenant = quoted(&args.tenant);
    let reason = args.reason.as_deref().filter(|it| !it.trim().is_empty());
    let reason = reason
        .map(|it| format!(" REASON {}", quoted(it)))
        .unwrap_or_default();
    if !args.grant.is_empty() {
        let within = quoted(args.within.as_deref().unwrap_or_default());
        let classes = args.grant.join(", ");
        let uses = args.uses;
        return Ok(format!(
            "REQUEST GRANT ON {tenant} FOR {classes} WITHIN {within} USES {uses}{reason}"
        ));
    }
    let sql = match (&args.sql, &args.file) {
        (Some(sql), _) => sql.clone(),
        (None, file) => read(file.as_deref().unwrap_or(Path::new("-")))?,
    };
    Ok(format!("REQUEST ON {tenant} {}{reason}", quoted(&sql)))
}

fn read(file: &Path) -> Result<String, Trouble> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(|_| ())
    } else {
        std::fs::read_to_string(file).map(|it| text = it)
    };
    let why = |error| format!("could not read \"{}\": {error}", file.display());
    read.map_err(|error| Trouble::Usage(why(error)))?;
    Ok(text)
}

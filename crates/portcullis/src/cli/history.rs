//! `portcullis history`: the tickets that have ended. It never shows one that the gate does not show us.

use super::changes::has_ended;
use super::connect::Console;
use super::console::{Printer, document};
use super::grid::{Grid, Record};
use super::look_args::HistoryArgs;
use super::trouble::{Exit, Trouble};

/// Columns of the list that say nothing of a ticket that has ended.
const OVER: [&str; 2] = ["waiting_for", "expires"];

/// Lists them.
pub async fn run(
    console: &Console,
    args: &HistoryArgs,
    printer: &mut Printer<'_>,
) -> Result<Exit, Trouble> {
    let list = chosen(console.ask("SHOW TICKETS ALL").await?, args);
    if printer.json {
        document(printer.out, &list.records().collect::<Vec<_>>())?;
    } else if list.rows.is_empty() {
        writeln!(printer.out, "no such ticket has ended")?;
    } else {
        write!(printer.out, "{}", narrowed(list).table(printer.width))?;
    }
    Ok(Exit::Done)
}

/// Those that are asked for, in the order of the gate: the newest first.
fn chosen(list: Grid, args: &HistoryArgs) -> Grid {
    let wanted = |ticket: Record<'_>| {
        let state = ticket.value("state").unwrap_or_default();
        let is = |name: &str, wanted: Option<&str>| {
            wanted.is_none_or(|wanted| ticket.value(name) == Some(wanted))
        };
        has_ended(state)
            && (args.states.is_empty() || args.states.iter().any(|it| it.as_str() == state))
            && is("tenant", args.tenant.as_deref())
            && is("requester", args.user.as_deref())
    };
    let keep: Vec<bool> = list.records().map(wanted).collect();
    let rows = list.rows.into_iter().zip(keep);
    let rows = rows.filter(|(_, keep)| *keep).map(|(row, _)| row);
    Grid {
        columns: list.columns,
        rows: rows.take(usize::from(args.limit)).collect(),
    }
}

fn narrowed(mut list: Grid) -> Grid {
    for name in OVER {
        let Some(at) = list.columns.iter().position(|it| it == name) else {
            continue;
        };
        list.columns.remove(at);
        for row in list.rows.iter_mut().filter(|row| at < row.len()) {
            row.remove(at);
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::args::{Cli, Command};
    use super::super::grid::tests::grid;
    use super::super::look_args::LookCommand;
    use super::*;

    fn ids(words: &str) -> Vec<String> {
        let words = format!("portcullis history {words}");
        let cli = Cli::try_parse_from(words.split_whitespace()).unwrap();
        let Command::Look(LookCommand::History(args)) = cli.command else {
            panic!("{words}")
        };
        let list = grid(
            &["id", "state", "tenant", "requester", "waiting_for"],
            &[
                &["T-7", "pending", "acme", "alice", "1 of dba"],
                &["T-6", "executing", "acme", "alice", "NULL"],
                &["T-5", "in_doubt", "acme", "alice", "NULL"],
                &["T-4", "done", "other", "alice", "NULL"],
                &["T-3", "approved", "acme", "bob", "NULL"],
                &["T-2", "done", "acme", "bob", "NULL"],
                &["T-1", "rejected", "acme", "alice", "NULL"],
            ],
        );
        let chosen = narrowed(chosen(list, &args));
        assert_eq!(chosen.columns, ["id", "state", "tenant", "requester"]);
        let ids = chosen
            .records()
            .map(|it| it.value("id").unwrap().to_owned());
        ids.collect()
    }

    #[test]
    fn what_has_ended_and_is_asked_for() {
        for (words, found) in [
            ("", &["T-5", "T-4", "T-2", "T-1"][..]),
            ("--limit 2", &["T-5", "T-4"]),
            ("--user alice --limit 2", &["T-5", "T-4"]),
            ("--tenant acme", &["T-5", "T-2", "T-1"]),
            ("--state done", &["T-4", "T-2"]),
            (
                "--state done --state rejected --tenant acme",
                &["T-2", "T-1"],
            ),
            ("--user nobody", &[]),
        ] {
            assert_eq!(ids(words), found, "{words}");
        }
    }
}

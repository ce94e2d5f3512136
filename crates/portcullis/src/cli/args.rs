//! What can be typed after `portcullis`: commands, options and their help. It never connects, reads a
//! file or looks at the environment.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgAction, ArgGroup, Args, Parser, Subcommand, ValueEnum};
use gate::ticket::TicketId;
use secrecy::SecretString;
use session::PoolMode;
use sql::Major;

use super::ask_args::AskCommand;
use super::backup::StoreCommand;
use super::look_args::{
    AuditExportArgs, AuditKeyArgs, AuditVerifyArgs, CompletionsArgs, LookCommand,
};
use super::tenant_args::TenantCommand;

const CONNECTION: &str = "Connection options";
const OUTPUT: &str = "Output options";

/// Approve, reject and watch the SQL statements that wait at a PostgreSQL gate.
#[derive(Debug, Parser)]
#[command(
    name = "portcullis",
    version,
    disable_help_flag = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, 1 the gate refused, 2 wrong usage, 3 no connection or no login."
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub options: Options,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Default, Args)]
pub struct Options {
    /// Host of the gate [PGHOST, else localhost]
    #[arg(short = 'h', long, global = true, value_name = "HOST", help_heading = CONNECTION)]
    pub host: Option<String>,
    /// Port of the gate [PGPORT, else 6432]
    #[arg(short = 'p', long, global = true, value_name = "PORT", help_heading = CONNECTION)]
    pub port: Option<u16>,
    /// Who you are [PGUSER, else the name of your account]
    #[arg(short = 'U', long, global = true, value_name = "NAME", help_heading = CONNECTION)]
    pub username: Option<String>,
    /// The gate as postgres://user@host:port, "host=... user=..." or service=NAME [PORTCULLIS_URL, PGSERVICE]
    #[arg(long, global = true, value_name = "CONNSTRING", help_heading = CONNECTION)]
    pub url: Option<String>,
    /// Never ask for a password
    #[arg(short = 'w', long, global = true, help_heading = CONNECTION)]
    pub no_password: bool,
    /// Print one JSON document
    #[arg(long, global = true, help_heading = OUTPUT)]
    pub json: bool,
    /// When to use colours: auto, always or never; NO_COLOR is honoured
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = true, help_heading = OUTPUT)]
    pub color: Color,
    /// Print help
    #[arg(short = '?', long, global = true, action = ArgAction::Help)]
    pub help: Option<bool>,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Even into a file.
    Always,
    /// Not at all.
    Never,
}

/// Everything that can be asked.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// What the console of a running gate answers.
    #[command(flatten)]
    Console(ConsoleCommand),
    /// What the console of a running gate is asked for beforehand, or to stop.
    #[command(flatten)]
    Ask(AskCommand),
    /// Look after the journal
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Look after the state of a gate: its tickets and its journal
    #[command(subcommand)]
    Store(StoreCommand),
    /// Look after the databases of tenants
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Make the SCRAM verifier of a password, for the gate's configuration
    Password(PasswordArgs),
    /// Check a configuration file
    Check(CheckArgs),
    /// Say what a policy makes of a statement, and why
    Explain(ExplainArgs),
    /// Look after a policy
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Run the gate from a configuration file
    Serve(ServeArgs),
    /// Put a gate before a PostgreSQL that you have, with two people made on the spot
    Try(TryArgs),
    /// Play the story against a PostgreSQL made on the spot
    Demo(DemoArgs),
    /// What the console of a running gate shows, made into something else.
    #[command(flatten)]
    Look(LookCommand),
    /// Print the script that completes commands and options in a shell
    Completions(CompletionsArgs),
}

/// Commands to the console of a running gate.
#[derive(Debug, Subcommand)]
pub enum ConsoleCommand {
    /// List the tickets that wait
    Pending {
        /// Also those that have ended
        #[arg(long)]
        all: bool,
    },
    /// Show one ticket whole: the statement, who asks, which rule held it
    Show {
        /// The ticket, such as T-42
        ticket: TicketId,
    },
    /// Sign for tickets
    Approve {
        /// The tickets, such as T-42 T-43
        #[arg(required = true, value_name = "TICKET")]
        tickets: Vec<TicketId>,
        /// What to say with it
        #[arg(short = 'm', long = "message", value_name = "COMMENT")]
        comment: Option<String>,
        /// It may wait for a lock no longer than this, such as 500ms or 5s
        #[arg(long, value_name = "TIME")]
        lock_timeout: Option<String>,
        /// It may run no longer than this, such as 30s or 10min
        #[arg(long, value_name = "TIME")]
        statement_timeout: Option<String>,
    },
    /// Refuse a ticket, for good
    #[command(override_usage = "portcullis reject [OPTIONS] <TICKET> <REASON | -m REASON>")]
    Reject(SayArgs),
    /// Ask for something else than what a ticket holds; a yes of yours is taken back
    #[command(override_usage = "portcullis request-changes [OPTIONS] <TICKET> <WHAT | -m WHAT>")]
    RequestChanges(SayArgs),
    /// Remark on a ticket
    #[command(override_usage = "portcullis comment [OPTIONS] <TICKET> <TEXT | -m TEXT>")]
    Comment(SayArgs),
    /// Take your own tickets back
    Withdraw {
        /// The tickets, such as T-42 T-43
        #[arg(required = true, value_name = "TICKET")]
        tickets: Vec<TicketId>,
    },
    /// List the pools of upstream connections
    Pools,
    /// List the sessions of clients
    Sessions,
}

/// A ticket and what to say of it.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("why").required(true).args(["text", "message"]))]
pub struct SayArgs {
    /// The ticket, such as T-42
    pub ticket: TicketId,
    /// What, for the person who asked
    #[arg(value_parser = said)]
    text: Option<String>,
    /// The same, as an option
    #[arg(short = 'm', long = "message", value_name = "TEXT", value_parser = said)]
    message: Option<String>,
}

impl SayArgs {
    /// The text, whichever way it was given.
    pub fn text(&self) -> &str {
        self.text
            .as_deref()
            .or(self.message.as_deref())
            .unwrap_or_default()
    }
}

fn said(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("it cannot be empty".to_owned());
    }
    Ok(text.to_owned())
}

/// Commands about the journal.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check that no record of the journal was edited, removed, reordered or cut off
    Verify(AuditVerifyArgs),
    /// Print the journal as JSON Lines, one flat object a record; checked as it is read
    Export(AuditExportArgs),
    /// Make a key that signs the journal, or one that encrypts what a tenant asks
    Key(AuditKeyArgs),
}

/// How to make a verifier.
#[derive(Debug, Args)]
pub struct PasswordArgs {
    /// Rounds of hashing: more make a stolen verifier harder to guess and each login slower
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(4096..=10_000_000))]
    pub iterations: u32,
}

/// What to check.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The configuration file
    #[arg(value_name = "FILE")]
    pub config: PathBuf,
    /// Say where this tenant leads: what a client names as its database
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// Make each login once as the gate would, or those of one tenant, and say what is wrong and what to do
    #[arg(long)]
    pub online: bool,
}

/// What to explain, and by which policy.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The statement, or several [standard input]
    #[arg(conflicts_with_all = ["file", "batch"])]
    pub sql: Option<String>,
    /// A file with the statement; - is standard input
    #[arg(short = 'f', long, value_name = "FILE", conflicts_with = "batch")]
    pub file: Option<PathBuf>,
    /// A file with a JSON object a line: {"id": ..., "sql": ...} and, if wanted, "user" and "tenant"; answered
    /// by one a line; - is standard input
    #[arg(long, value_name = "FILE")]
    pub batch: Option<PathBuf>,
    /// The configuration with the policy [a built-in one: reads pass, the rest waits]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The major version of the server that it is for [the grammar's, or that of --upstream]
    #[arg(long, value_name = "MAJOR", conflicts_with = "upstream")]
    pub server_version: Option<Major>,
    /// The database that it is for, as postgres://user@host/dbname or "host=... dbname=...": its catalog is read, and
    /// says what is not PostgreSQL's own
    #[arg(long, value_name = "CONNSTRING")]
    pub upstream: Option<String>,
    /// Who asks
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Where
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// From which address, for rules that ask for one
    #[arg(long, value_name = "ADDR")]
    pub address: Option<IpAddr>,
    /// When, such as 2026-01-31T12:00:00Z, for rules that have hours [now]
    #[arg(long, value_name = "TIME")]
    pub at: Option<jiff::Timestamp>,
}

/// Commands about a policy.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Try a table of expectations, [[case]] with sql, expect and, if wanted, user, tenant, rule and more
    Test(PolicyTestArgs),
}

/// Which expectations of which policy.
#[derive(Debug, Args)]
pub struct PolicyTestArgs {
    /// The file with the expectations
    #[arg(value_name = "FILE")]
    pub table: PathBuf,
    /// The configuration with the policy [a built-in one: reads pass, the rest waits]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What to serve.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// What to put a gate before, and how.
#[derive(Debug, Args)]
pub struct TryArgs {
    /// The PostgreSQL behind the gate, as postgres://user@host/db
    pub url: String,
    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:6432")]
    pub listen: SocketAddr,
    /// A login of the gate; can be given several times
    #[arg(long = "login", value_name = "NAME:PASSWORD")]
    pub logins: Vec<Login>,
    /// A file with the [policy], [[rule]] and group tables of a configuration
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Let every statement pass
    #[arg(long, conflicts_with = "policy")]
    pub allow_all: bool,
    /// How long a session keeps a server connection: transaction, session or statement
    #[arg(long, value_name = "MODE", default_value = "transaction", value_parser = pool_mode)]
    pub pool_mode: PoolMode,
    /// No TLS; only on a loopback address
    #[arg(long)]
    pub plain: bool,
    /// Print nothing but the line that says where it listens
    #[arg(long)]
    pub quiet: bool,
    /// Where to keep tickets and journal [a folder of your account]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

fn pool_mode(text: &str) -> Result<PoolMode, &'static str> {
    let mut modes = PoolMode::ALL.into_iter();
    let mode = modes.find(|it| it.as_str() == text);
    mode.ok_or("expected transaction, session or statement")
}

/// How to play the story.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// End after the story
    #[arg(long)]
    pub once: bool,
    /// Where to keep tickets and journal [a folder that goes away]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

/// One login of `try`.
#[derive(Clone, Debug)]
pub struct Login {
    /// The name.
    pub name: String,
    /// The password.
    pub password: SecretString,
}

impl FromStr for Login {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some((name, password)) if !name.is_empty() && !password.is_empty() => Ok(Self {
                name: name.to_owned(),
                password: SecretString::from(password),
            }),
            _ => Err("expected NAME:PASSWORD"),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use secrecy::ExposeSecret;

    use super::*;

    fn parse(words: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(words.split(' '))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn h_is_the_host_as_in_psql_and_options_stand_anywhere() {
        for words in [
            "portcullis -h gate -p 7 -U bob pending",
            "portcullis pending -h gate -p 7 -U bob",
        ] {
            let cli = parse(words).unwrap();
            assert_eq!(cli.options.host.as_deref(), Some("gate"));
            assert_eq!(cli.options.port, Some(7));
            assert_eq!(cli.options.username.as_deref(), Some("bob"));
            assert!(matches!(
                cli.command,
                Command::Console(ConsoleCommand::Pending { all: false })
            ));
        }
        for words in [
            "portcullis --help",
            "portcullis -?",
            "portcullis show --help",
        ] {
            let kind = parse(words).unwrap_err().kind();
            assert_eq!(kind, clap::error::ErrorKind::DisplayHelp, "{words}");
        }
    }

    #[test]
    fn a_reason_is_required_once_and_not_empty() {
        for (words, reason) in [
            ("portcullis reject T-42 -m no", Some("no")),
            ("portcullis reject 42 no", Some("no")),
            ("portcullis reject T-42", None),
            ("portcullis reject T-42 no -m no", None),
        ] {
            let cli = parse(words);
            match (cli, reason) {
                (
                    Ok(Cli {
                        command: Command::Console(ConsoleCommand::Reject(args)),
                        ..
                    }),
                    Some(reason),
                ) => {
                    assert_eq!(args.text(), reason);
                    assert_eq!(args.ticket, TicketId(42));
                }
                (Err(error), None) => assert_eq!(error.exit_code(), 2),
                (other, _) => panic!("{words}: {other:?}"),
            }
        }
        assert!(Cli::try_parse_from(["portcullis", "reject", "T-1", " "]).is_err());
    }

    #[test]
    fn wrong_usage_ends_with_2_and_help_with_0() {
        for words in [
            "portcullis",
            "portcullis nonsense",
            "portcullis approve",
            "portcullis show T-x",
        ] {
            assert_eq!(parse(words).unwrap_err().exit_code(), 2, "{words}");
        }
        for words in [
            "portcullis --help",
            "portcullis --version",
            "portcullis help show",
        ] {
            assert_eq!(parse(words).unwrap_err().exit_code(), 0, "{words}");
        }
    }

    #[test]
    fn several_tickets_and_logins() {
        let cli = parse("portcullis approve T-1 2 t-3 -m fine").unwrap();
        let Command::Console(ConsoleCommand::Approve {
            tickets, comment, ..
        }) = cli.command
        else {
            panic!()
        };
        assert_eq!(tickets, [TicketId(1), TicketId(2), TicketId(3)]);
        assert_eq!(comment.as_deref(), Some("fine"));

        let cli = parse("portcullis try postgres://db --login a:b:c --login d:e --plain").unwrap();
        let Command::Try(args) = cli.command else {
            panic!()
        };
        assert_eq!(args.logins[0].name, "a");
        assert_eq!(args.logins[0].password.expose_secret(), "b:c");
        assert!(args.plain && !args.quiet && args.logins.len() == 2);
        assert!(parse("portcullis try postgres://db --login bob").is_err());
    }
}

//! What can be typed after the commands that ask for something beforehand, or stop or change something: `request`, `terminate`,
//! `resolve`, `hold`, `reload`, `pause`, `resume`. It never connects or reads a file.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use gate::ticket::TicketId;

/// Commands that ask for something beforehand, or stop something.
#[derive(Debug, Subcommand)]
pub enum AskCommand {
    /// Ask for a ticket before a statement runs, or for a grant
    #[command(
        override_usage = "portcullis request --tenant NAME [--reason WHY] <SQL | -f FILE>\n       \
                          portcullis request --tenant NAME [--reason WHY] --grant CLASS,... --for TIME [--uses N]"
    )]
    Request(RequestArgs),
    /// End what runs as a ticket: it is cancelled, and its session ends
    Terminate {
        /// The ticket, such as T-42
        ticket: TicketId,
    },
    /// Say what became of a ticket that is in doubt
    Resolve(ResolveArgs),
    /// Close the gate to all but reads, or open it again
    #[command(subcommand)]
    Hold(HoldCommand),
    /// Have the gate read its configuration again, as SIGHUP does
    Reload,
    /// Have a database wait, while its server is restarted or moved; without a name, all of them
    Pause {
        /// The database
        tenant: Option<String>,
    },
    /// Go on with it
    Resume {
        /// The database
        tenant: Option<String>,
    },
}

/// What to ask for.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["sql", "file", "grant"]))]
pub struct RequestArgs {
    /// The statement, or several, as they will be sent
    pub sql: Option<String>,
    /// A file with them; - is standard input
    #[arg(short = 'f', long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Where they will run
    #[arg(long, value_name = "NAME")]
    pub tenant: String,
    /// Why, for those who sign
    #[arg(short = 'm', long, value_name = "WHY")]
    pub reason: Option<String>,
    /// Ask for a grant of these classes instead, such as write,ddl
    #[arg(long, value_name = "CLASS", value_delimiter = ',', requires = "within")]
    pub grant: Vec<String>,
    /// How long the grant is good, from now, such as 30min, 2h or 1d
    #[arg(long = "for", value_name = "TIME", requires = "grant")]
    pub within: Option<String>,
    /// How many requests it is good for
    #[arg(long, value_name = "N", default_value_t = 1, requires = "grant", value_parser = clap::value_parser!(u32).range(1..))]
    pub uses: u32,
}

/// What became of it.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("became").required(true).args(["done", "fenced"]))]
pub struct ResolveArgs {
    /// The ticket, such as T-42
    pub ticket: TicketId,
    /// It ran
    #[arg(long)]
    pub done: bool,
    /// It did not run, and cannot any more
    #[arg(long)]
    pub fenced: bool,
    /// How you know
    #[arg(short = 'm', long = "message", value_name = "WHY", required = true)]
    pub why: String,
}

/// Close or open.
#[derive(Debug, Subcommand)]
pub enum HoldCommand {
    /// Let nothing pass but reads, not even what is approved
    All {
        /// Why, for everybody who is turned away
        #[arg(short = 'm', long = "message", value_name = "WHY")]
        reason: Option<String>,
    },
    /// Let pass again what passed before
    Off,
}

//! What can be typed after `portcullis tenant`. It never connects or reads a file.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::tenant_new_args::NewArgs;

/// Commands about the databases of tenants.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Make a tenant: shows the SQL of its roles, grants, schema or database; with --apply it runs through the gate, as a ticket
    New(Box<NewArgs>),
    /// Make the ledger in which a signed write says that it ran; shows the SQL, and with --apply runs it
    Install(InstallArgs),
}

/// Where to make the ledger, and as whom.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// The tenant, as clients name it
    #[arg(value_name = "NAME")]
    pub tenant: String,
    /// The configuration that says where it leads
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Run it, in one transaction; it may be run again
    #[arg(long, requires = "role")]
    pub apply: bool,
    /// With --apply: the role to log in as, which will own the ledger (its password: PGPASSWORD, the password file, or asked for)
    #[arg(long = "as", value_name = "ROLE", requires = "apply")]
    pub role: Option<String>,
}

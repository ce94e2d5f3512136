//! `portcullis tenant`: what the database of a tenant must hold for the gate. It shows the SQL, and runs it only where it is told
//! to; a running gate is not needed, but where one is to run it.

pub mod apply;
pub mod keys;
pub mod names;
pub mod new;
pub mod plan;
pub mod secrets;

use std::io::Write as _;
use std::process::ExitCode;

use gate::ledger::{self, Logins};
use pool::TcpDial;
use proxy::config::Tenant;

use crate::cli::args::Options;
use crate::cli::connect::{ask_password, password};
use crate::cli::conninfo;
use crate::cli::environment;
use crate::cli::tenant_args::{InstallArgs, TenantCommand};
use crate::cli::trouble::{Exit, Trouble};
use crate::serve;

/// Does what is asked.
pub fn run(options: &Options, command: &TenantCommand) -> ExitCode {
    let args = match command {
        TenantCommand::New(args) => return new::run(options, args),
        TenantCommand::Install(args) => args,
    };
    match install(args, !options.no_password) {
        Ok(()) => Exit::Done.into(),
        Err(trouble) => trouble.tell().into(),
    }
}

fn install(args: &InstallArgs, may_ask: bool) -> Result<(), Trouble> {
    let config = serve::load(&args.config).map_err(Trouble::Usage)?;
    let name = &args.tenant;
    let tenant = config.tenants.find(name).ok_or_else(|| {
        Trouble::Usage(format!(
            "{} has no tenant \"{name}\"",
            args.config.display()
        ))
    })?;
    let Some(fencing) = &tenant.ledger else {
        return Err(Trouble::Usage(format!(
            "tenant \"{name}\" has no \"ledger_user\" in {}: the login that may fence what is in doubt",
            args.config.display()
        )));
    };
    let logins = Logins {
        write: tenant.write.user.clone(),
        ledger: fencing.user.clone(),
    };
    let mut out = anstream::stdout();
    match &args.role {
        Some(role) => {
            apply(&tenant, role, &logins, may_ask)?;
            writeln!(out, "the ledger of tenant \"{name}\" is there")?;
        }
        None => write!(out, "{}", ledger::install(&logins))?,
    }
    Ok(())
}

/// Runs it as `role` where the tenant's signed writes run.
fn apply(tenant: &Tenant, role: &str, logins: &Logins, may_ask: bool) -> Result<(), Trouble> {
    let mut options = tenant.write.clone();
    role.clone_into(&mut options.user);
    options.source = None;
    let literal = |value: &str| format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"));
    let place = format!(
        "host={} port={} dbname={} user={}",
        literal(&options.host),
        options.port,
        literal(&options.database),
        literal(role)
    );
    let target = conninfo::upstream(&place, &environment);
    let target = target.map_err(|error| Trouble::Usage(error.to_string()))?;
    options.password = target.places.first().and_then(|it| password(&target, it));
    let place = format!("{}:{}", options.host, options.port);
    let unreachable = |error: &dyn std::error::Error| {
        Trouble::Unreachable(vec![format!("connection to {place} failed: {error}")])
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| unreachable(&error))?;
    let made = runtime.block_on(async {
        let once = pool::install(&TcpDial, &options, logins.clone()).await;
        match once {
            Err(pool::ConnectError::NoPassword) if may_ask => {
                options.password = ask_password(role);
                pool::install(&TcpDial, &options, logins.clone()).await
            }
            once => once,
        }
    });
    match made {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Trouble::Local(error.to_string())),
        Err(error) => Err(unreachable(&error)),
    }
}

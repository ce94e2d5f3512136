//! `portcullis check`: reads a configuration as `serve` would and says what it came to, or every
//! problem with its line; and where a tenant leads. It opens no store, no connection unless it is told to, and shows no secret.

mod findings;
mod isolation;
mod online;

use std::io::{self, Write};
use std::process::ExitCode;

use proxy::config::{Config, Tenant};

use crate::cli::args::CheckArgs;
use crate::serve;

/// Tenants that are told of one by one.
const TOLD_MAX: usize = 10;

/// Checks a configuration file.
pub fn run(args: &CheckArgs, json: bool) -> ExitCode {
    let config = match serve::load(&args.config) {
        Ok(config) => config,
        Err(problems) => return serve::fail(&problems),
    };
    if args.online {
        return online::run(config, args.tenant.as_deref(), json);
    }
    let mut out = anstream::stdout();
    let told = match &args.tenant {
        None => tell(&mut out, &args.config.display().to_string(), &config),
        Some(name) => match route(&config, name) {
            Ok(lines) => writeln!(out, "{lines}"),
            Err(why) => return serve::fail(&why),
        },
    };
    if told.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn tell(out: &mut impl Write, file: &str, config: &Config) -> io::Result<()> {
    let (tenants, patterns) = config.tenants.len();
    let patterns = match patterns {
        0 => String::new(),
        _ => format!(", {}", count(patterns, "pattern of tenants")),
    };
    let files = config.source.as_ref().map_or(1, |it| it.files.len());
    let files = match files {
        1 => String::new(),
        _ => format!(" in {}", count(files, "file")),
    };
    let users = count(config.users.len(), "user");
    let addresses: Vec<String> = config.listen.iter().map(ToString::to_string).collect();
    writeln!(
        out,
        "{file}: {}{patterns} and {users}{files}, listening on {}",
        count(tenants, "tenant"),
        addresses.join(", "),
    )?;
    tell_unwalled(out, config)?;
    let mut one_login: Vec<_> = config.tenants.of_one_login().collect();
    one_login.sort_unstable();
    let what = "on sessions with default_transaction_read_only = on: \"read_user\" can name a role that cannot write";
    for (tenant, user) in one_login.iter().take(TOLD_MAX) {
        writeln!(out, "tenant \"{tenant}\" reads as \"{user}\", {what}")?;
    }
    match one_login.len().saturating_sub(TOLD_MAX) {
        0 => Ok(()),
        more => writeln!(out, "... and so do {more} more"),
    }
}

/// Of whom nothing is tested, in one line.
fn tell_unwalled(out: &mut impl Write, config: &Config) -> io::Result<()> {
    let mut unwalled: Vec<_> = config.tenants.unwalled().collect();
    unwalled.sort_unstable();
    let Some((first, rest)) = unwalled.split_first() else {
        return Ok(());
    };
    let shown = rest.iter().take(TOLD_MAX - 1);
    let names = shown.fold(format!("\"{first}\""), |names, it| {
        format!("{names}, \"{it}\"")
    });
    let more = match unwalled.len().saturating_sub(TOLD_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    writeln!(
        out,
        "no \"isolation\" is said of {} ({names}{more}): how apart they are is not tested",
        count(unwalled.len(), "tenant"),
    )
}

/// Where a tenant leads, a line a fact.
fn route(config: &Config, name: &str) -> Result<String, String> {
    let tenant = match config.tenant(name) {
        None => return Err(format!("no tenant fits \"{name}\"")),
        Some(Err(why)) => return Err(format!("tenant \"{name}\": {why}")),
        Some(Ok(tenant)) => tenant,
    };
    let by = match config.tenants.pattern(name) {
        Some(pattern) => format!(" by the pattern \"{}\"", pattern.name),
        None => String::new(),
    };
    let Tenant {
        write,
        read,
        pool_mode,
        walls,
        ..
    } = &tenant;
    let secret = |login: &pool::Options| match &login.source {
        Some(source) => format!("what comes from {source}"),
        None if login.password.is_some() => "a password".to_owned(),
        None if login.tls.shows_certificate() => "a certificate".to_owned(),
        None => "no password".to_owned(),
    };
    let reads = if tenant.has_one_login() {
        "the same, on sessions with default_transaction_read_only = on".to_owned()
    } else {
        let secret = secret(read);
        format!("\"{}\" with {secret}", read.user)
    };
    let replicas = tenant.replicas.as_ref().map(|it| {
        let places = it
            .places
            .iter()
            .map(|(host, port)| format!("{host}:{port}"));
        let places: Vec<_> = places.collect();
        format!(
            "\n  replicas  {}, at most {:?} behind",
            places.join(", "),
            it.lag_max
        )
    });
    let isolation = match walls {
        None => "nothing is said of it, or tested".to_owned(),
        Some(walls) => match walls.search_path() {
            Some(schemas) => format!("{}: {schemas}", walls.isolation),
            None => walls.isolation.to_string(),
        },
    };
    Ok(format!(
        "tenant \"{name}\" leads{by} to\n  \
         database  \"{}\" at {}:{}\n  \
         login     \"{}\" with {}\n  \
         reads as  {reads}\n  \
         sslmode   {}\n  \
         isolation {isolation}\n  \
         pool      {} connections for each lane, mode {}{}",
        write.database,
        write.host,
        write.port,
        write.user,
        secret(write),
        write.tls.mode(),
        write.size,
        pool_mode.as_str(),
        replicas.unwrap_or_default(),
    ))
}

fn count(number: usize, what: &str) -> String {
    let (one, rest) = what.split_once(' ').unwrap_or((what, ""));
    let rest = if rest.is_empty() {
        String::new()
    } else {
        format!(" {rest}")
    };
    if number == 1 {
        format!("1 {one}{rest}")
    } else {
        format!("{number} {one}s{rest}")
    }
}

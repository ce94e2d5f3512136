//! `portcullis serve`: reads the configuration, starts the daemon, and stops it on SIGINT or
//! SIGTERM; a second one ends it at once. The one line on standard output says where it listens.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use proxy::Daemon;
use proxy::config::Config;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

use crate::cli::args::ServeArgs;

/// The environment variable with the log filter, as `tracing` reads it.
const LOG: &str = "PORTCULLIS_LOG";

/// The environment variable with the format of the log: `text` or `json`.
const LOG_FORMAT: &str = "PORTCULLIS_LOG_FORMAT";

/// What comes to who writes beyond the largest size that a file may have. Caught, it leaves an error of that write, which
/// closes the gate; left alone, it ends the process.
const SIGXFSZ: i32 = 25;

/// Serves until a signal comes.
pub fn run(args: &ServeArgs) -> ExitCode {
    if let Err(why) = start_log("info") {
        return fail(&why);
    }
    match load(&args.config) {
        Ok(config) => serve(config, &mut |_| {}),
        Err(problems) => fail(&problems),
    }
}

/// Reads a configuration, or says what is wrong with it, a line a problem.
pub fn load(path: &Path) -> Result<Config, String> {
    Config::load(path).map_err(|error| error.to_string())
}

/// Runs a gate with this configuration; `ready` is told where it listens before anybody else is.
pub fn serve(config: Config, ready: &mut dyn FnMut(std::net::SocketAddr)) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("could not start: {error}")),
    };
    runtime.block_on(async {
        let _caught = signal(SignalKind::from_raw(SIGXFSZ));
        let daemon = match Daemon::start(config).await {
            Ok(daemon) => daemon,
            Err(error) => return fail(&chain(&error)),
        };
        let (Ok(mut interrupt), Ok(mut terminate)) = (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
        ) else {
            return fail("could not listen for signals");
        };
        if let Some(address) = daemon.admin_address() {
            let _told = writeln!(std::io::stdout(), "admin on {address}");
        }
        for address in daemon.addresses() {
            ready(address);
            let mut out = std::io::stdout().lock();
            // Whoever started it may not read; it serves all the same.
            let _told = writeln!(out, "ready on {address}").and_then(|()| out.flush());
        }
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        tokio::spawn(async move {
            for told in [stop, end] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                // Where nobody listens any more, it has ended.
                let _told = told.send(());
            }
        });
        daemon.run(heard(stopped), heard(ended)).await;
        ExitCode::SUCCESS
    })
}

/// A signal came; where none can come any more, never.
async fn heard(signal: oneshot::Receiver<()>) {
    if signal.await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Starts logging to standard error, in lines for people or, where `PORTCULLIS_LOG_FORMAT` says so, of JSON.
pub fn start_log(default: &str) -> Result<(), String> {
    let default = format!("{default},refinery_core=warn");
    let mut filter = EnvFilter::try_from_env(LOG).unwrap_or_else(|_| EnvFilter::new(default));
    // Whoever wants to hear everything hears no secret: this one tells what it signs.
    if let Ok(silence) = "aws_sigv4=off".parse() {
        filter = filter.add_directive(silence);
    }
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    // A second start, as in a test, keeps the first.
    let _first = match std::env::var(LOG_FORMAT).as_deref() {
        Err(_) | Ok("text" | "") => log.with_ansi(std::io::stderr().is_terminal()).try_init(),
        Ok("json") => log
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init(),
        Ok(other) => {
            return Err(format!(
                "{LOG_FORMAT} is \"{other}\", expected text or json"
            ));
        }
    };
    Ok(())
}

/// Says why on standard error.
pub fn fail(why: &str) -> ExitCode {
    let mut err = anstream::stderr();
    for line in why.lines() {
        let _told = writeln!(err, "portcullis: error: {line}");
    }
    ExitCode::FAILURE
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

//! What has the configuration read again without anybody at the console: a signal, and, where that is asked for, files that have
//! changed. It never reads what is in them.

use std::rc::Rc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::Config;
use crate::gatekeeper::Gatekeeper;
use crate::world::World;

/// How often it is looked whether files are to be watched by now.
const ASLEEP: Duration = Duration::from_secs(5);

/// From here on SIGHUP does not end the process. A gate without a file leaves it as it is: who closes its terminal ends it.
pub(crate) fn hangups(config: &Config) -> Option<Signal> {
    config.source.as_ref()?;
    match signal(SignalKind::hangup()) {
        Ok(hangups) => Some(hangups),
        Err(error) => {
            tracing::error!("SIGHUP will not reload the configuration: {error}");
            None
        }
    }
}

/// Reloads at each of them, for ever.
pub(crate) async fn signals<W: World>(keeper: Rc<Gatekeeper<W>>, hangups: Option<Signal>) {
    let Some(mut hangups) = hangups else { return };
    while hangups.recv().await.is_some() {
        // What came of it is in the log.
        let _reported = keeper.reload(None).await;
    }
}

/// Reloads when files have changed, where the configuration asks for it, for ever. One that is wrong is not read again before
/// it changes again.
pub(crate) async fn files<W: World>(keeper: Rc<Gatekeeper<W>>) {
    let mut last = None;
    loop {
        let version = keeper.version();
        let config = &version.config;
        let (Some(every), Some(source)) = (config.watch, &config.source) else {
            tokio::time::sleep(ASLEEP).await;
            continue;
        };
        tokio::time::sleep(every).await;
        let asked = source.clone();
        let Ok(now) = tokio::task::spawn_blocking(move || asked.look_again()).await else {
            continue;
        };
        let tried = last.filter(|(number, _)| *number == version.number);
        let known = tried.map_or_else(|| source.looks(), |(_, looks)| looks);
        if now != known && keeper.version().number == version.number {
            last = Some((version.number, now));
            let _reported = keeper.reload(None).await;
        }
    }
}

//! What systemd hears of the gate, where that started it: that it is ready, reads its configuration, lives, and stops. Without
//! systemd nothing is said, and nothing depends on its being heard.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::counting::ANSWER;
use crate::crew::Errand;
use crate::gatekeeper::Gatekeeper;
use crate::version::Version;
use crate::world::World;

/// It serves, by this configuration.
pub(crate) fn ready(version: &Version) {
    let (tenants, patterns) = version.config.tenants.len();
    let status = format!(
        "configuration {}: {tenants} tenants, {patterns} patterns",
        version.number
    );
    say(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// It reads its configuration; [`ready`] follows, whatever comes of that.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => say(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!("no time to tell systemd: {error}"),
    }
}

/// It stops, when its sessions have finished.
pub(crate) fn stopping() {
    let status = NotifyState::Status("waiting for sessions to finish");
    say(&[NotifyState::Stopping, status]);
}

/// Says that it lives, as often as systemd wants to hear it, and only where every thread says so: for ever.
pub(crate) async fn watchdog<W: World>(keeper: Rc<Gatekeeper<W>>) {
    let Some(within) = sd_notify::watchdog_enabled() else {
        return;
    };
    let every = (within / 3).max(Duration::from_millis(1));
    loop {
        let answers = keeper.crew.ask(every.min(ANSWER), Errand::Answer).await;
        if answers.iter().all(Option::is_some) {
            say(&[NotifyState::Watchdog]);
        }
        tokio::time::sleep(every).await;
    }
}

fn say(state: &[NotifyState<'_>]) {
    let told: io::Result<()> = sd_notify::notify(state);
    if let Err(error) = told {
        tracing::debug!("systemd was not told: {error}");
    }
}

//! Replicas as the console shows them: what the gate last saw of them. It asks none.

use session::TableReply;

use crate::gatekeeper::Gatekeeper;
use crate::world::World;

/// Those of every tenant that was asked for lately. `lag_ms` is how long ago the moment is whose all a replica shows for certain; it
/// grows while nobody reads.
pub(super) fn show_replicas<W: World>(keeper: &Gatekeeper<W>) -> TableReply {
    let now = keeper.world.now();
    let mut rows = Vec::new();
    for (tenant, following) in keeper.followings.all() {
        for ((host, port), seen, lag) in following.views(now) {
            rows.push(vec![
                Some(tenant.to_string()),
                Some(host.clone()),
                Some(port.to_string()),
                Some(seen.state.as_str().to_owned()),
                lag.map(|it| it.as_millis().to_string()),
                Some(format!(
                    "{:X}/{:X}",
                    seen.replayed >> 32,
                    seen.replayed & 0xFFFF_FFFF
                )),
                Some(seen.timeline.to_string()),
            ]);
        }
    }
    TableReply {
        columns: vec![
            "database", "host", "port", "state", "lag_ms", "replayed", "timeline",
        ],
        rows,
        tag: "SHOW".to_owned(),
    }
}

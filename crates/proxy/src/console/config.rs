//! The configuration as the console shows it, and its reload. It never shows a secret, and never reads a file itself.

use std::rc::Rc;

use gate::Principal;
use session::{Fault, TableReply};

use super::card::time;
use super::keys::{Key, keys};
use crate::gatekeeper::Gatekeeper;
use crate::reload::{NotReloaded, Report};
use crate::world::World;

/// Reads the configuration again, at the word of `who`.
pub(super) async fn reload<W: World>(
    keeper: &Rc<Gatekeeper<W>>,
    who: &Principal,
) -> Result<TableReply, Fault> {
    let reloaded = keeper.reload(Some(who.id.clone())).await;
    let Report {
        version,
        tenants,
        sessions_ended,
        tickets_void,
        waits,
    } = reloaded.map_err(|why| match why {
        NotReloaded::Wrong(problems) => Fault::bad_configuration(&problems),
        NotReloaded::Journal(why) => Fault::journal_down(why),
    })?;
    let row = [
        version.to_string(),
        tenants.added.to_string(),
        tenants.changed.to_string(),
        tenants.removed.to_string(),
        sessions_ended.to_string(),
        tickets_void.to_string(),
        waits.join(", "),
    ];
    Ok(TableReply {
        columns: vec![
            "version",
            "tenants_added",
            "tenants_changed",
            "tenants_removed",
            "sessions_ended",
            "tickets_void",
            "needs_restart",
        ],
        rows: vec![row.map(Some).to_vec()],
        tag: "RELOAD".to_owned(),
    })
}

/// Which configuration the gate goes by, and how the last reload went: facts, which have no default. Then, in pgbouncer's columns,
/// what its keys say.
pub(super) fn show_config<W: World>(keeper: &Gatekeeper<W>) -> TableReply {
    let (version, last) = (keeper.version(), keeper.origin.last());
    let config = &version.config;
    let source = config.source.as_ref();
    let (tenants, patterns) = config.tenants.len();
    let failed = last.failed.as_ref();
    let rows = [
        ("version", Some(version.number.to_string())),
        ("loaded", Some(time(version.at_ms))),
        ("loaded_by", version.by.as_ref().map(ToString::to_string)),
        (
            "file",
            keeper.origin.path().map(|it| it.display().to_string()),
        ),
        ("files", source.map(|it| it.files.len().to_string())),
        ("digest", source.map(|it| it.digest.to_string())),
        ("tenants", Some(tenants.to_string())),
        ("tenant_patterns", Some(patterns.to_string())),
        ("users", Some(config.users.len().to_string())),
        ("rules", Some(config.policy.rules().len().to_string())),
        ("needs_restart", Some(last.waits.join(", "))),
        ("reload_failed", failed.map(|it| time(it.0))),
        ("reload_problems", failed.map(|it| it.1.join("\n"))),
    ];
    let fact = |(key, value): (&str, Option<String>)| vec![Some(key.to_owned()), value, None, None];
    let facts = rows.into_iter().map(fact);
    TableReply {
        columns: vec!["key", "value", "default", "changeable"],
        rows: facts.chain(keys(config).map(Key::row)).collect(),
        tag: "SHOW".to_owned(),
    }
}

//! Cargo to messages, as the pool does it.

use gate::cargo::More;
use gate::{Cargo, Form, Look, Own, Slot, Step, Work};

#[derive(Clone, Debug)]
pub enum Msg {
    Query(String),
    /// Name and text.
    Parse(String, String),
    /// Portal and statement.
    Bind(String, String),
    DescribeStatement(String),
    DescribePortal(String),
    Execute(String, i32),
    ClosePortal(String),
    CloseStatement(String),
    CopyData,
    CopyDone,
    CopyFail,
    Sync,
    Flush,
}

fn own(text: String, portal: &str) -> Vec<Msg> {
    let mut all = vec![
        Msg::Parse(String::new(), text),
        Msg::Bind(portal.to_owned(), String::new()),
        Msg::Execute(portal.to_owned(), 0),
    ];
    if !portal.is_empty() {
        all.push(Msg::ClosePortal(portal.to_owned()));
    }
    all
}

/// Cargo to messages, as the pool does it.
pub fn messages(cargo: &Cargo) -> Vec<Msg> {
    match cargo {
        Cargo::Released(released, form) => match (&released.request().work, form) {
            (Work::Query(text), Form::Query) => vec![Msg::Query(text.to_string())],
            (Work::Query(text), Form::Parse) => {
                let mut all = own(text.to_string(), "");
                all.insert(2, Msg::DescribePortal(String::new()));
                all
            }
            (Work::Batch(_), _) => panic!("a batch without its slots"),
        },
        Cargo::Batch(released, slots) => match &released.request().work {
            Work::Batch(steps) => batch(steps, slots),
            Work::Query(_) => panic!("a Query with slots"),
        },
        Cargo::More(_, more) => vec![match more {
            More::Execute { portal, max_rows } => Msg::Execute(portal.to_string(), *max_rows),
            More::DescribePortal(portal) => Msg::DescribePortal(portal.to_string()),
            More::ClosePortal(portal) => Msg::ClosePortal(portal.to_string()),
            More::CopyData(_) => Msg::CopyData,
            More::CopyDone => Msg::CopyDone,
            More::CopyFail(_) => Msg::CopyFail,
        }],
        Cargo::Look(Look::Parse(prepared, slot)) => step(&Step::Parse(prepared.clone()), slot),
        Cargo::Look(Look::Describe(prepared, slot)) => {
            step(&Step::DescribeStatement(prepared.clone()), slot)
        }
        Cargo::Look(Look::Close(slot)) => vec![Msg::CloseStatement(slot.name.to_string())],
        Cargo::Own(it @ (Own::Settings(settings) | Own::Restore(settings))) => {
            let mut texts = it.sql();
            let set = texts.pop().unwrap();
            let mut all: Vec<Msg> = texts.into_iter().flat_map(|text| own(text, "")).collect();
            if !settings.is_empty() {
                all.push(Msg::Parse(String::new(), set));
            }
            for _ in settings.iter() {
                all.push(Msg::Bind(String::new(), String::new()));
                all.push(Msg::Execute(String::new(), 0));
            }
            all.push(Msg::Sync);
            all
        }
        Cargo::Own(Own::Probe) => {
            let mut all = own(Own::Probe.sql().remove(0), "");
            all.push(Msg::Sync);
            all
        }
        Cargo::Own(it) if it.goes_as_queries() => it.sql().into_iter().map(Msg::Query).collect(),
        Cargo::Own(it) => it
            .sql()
            .into_iter()
            .flat_map(|text| own(text, it.portal()))
            .collect(),
        Cargo::Sync => vec![Msg::Sync],
        Cargo::Flush => vec![Msg::Flush],
    }
}

fn batch(steps: &[Step], slots: &[Slot]) -> Vec<Msg> {
    assert_eq!(steps.len(), slots.len());
    let each = steps.iter().zip(slots);
    each.flat_map(|(it, slot)| step(it, slot)).collect()
}

fn step(step: &Step, slot: &Slot) -> Vec<Msg> {
    let name = || slot.name.to_string();
    let mut all: Vec<Msg> = slot
        .close
        .iter()
        .map(|it| Msg::CloseStatement(it.to_string()))
        .collect();
    if let (true, Step::DescribeStatement(it) | Step::Bind { statement: it, .. }) =
        (slot.carried, step)
    {
        all.push(Msg::Parse(name(), it.text.to_string()));
    }
    all.push(match step {
        Step::Parse(it) => Msg::Parse(name(), it.text.to_string()),
        Step::DescribeStatement(_) => Msg::DescribeStatement(name()),
        Step::Bind { portal, .. } => Msg::Bind(portal.to_string(), name()),
        Step::DescribePortal(portal) => Msg::DescribePortal(portal.to_string()),
        Step::Execute { portal, max_rows } => Msg::Execute(portal.to_string(), *max_rows),
        Step::ClosePortal(portal) => Msg::ClosePortal(portal.to_string()),
        Step::CloseStatement(_) => Msg::CloseStatement(name()),
    });
    if let (true, Step::Parse(_)) = (slot.described, step) {
        all.push(Msg::DescribeStatement(name()));
    }
    all
}

//! Cargo to messages, as the pool does it.

use gate::cargo::More;
use gate::{Cargo, Form, Look, Own, Step, Work};

#[derive(Clone, Debug)]
pub enum Msg {
    Query(String),
    Parse(String),
    Bind(String),
    DescribeStatement,
    DescribePortal(String),
    Execute(String, i32),
    ClosePortal(String),
    CopyData,
    CopyDone,
    CopyFail,
    Sync,
    Flush,
}

/// Cargo to messages, as the pool does it.
pub fn messages(cargo: &Cargo) -> Vec<Msg> {
    let own = |text: String| {
        let portal = String::new();
        vec![
            Msg::Parse(text),
            Msg::Bind(portal.clone()),
            Msg::Execute(portal, 0),
        ]
    };
    match cargo {
        Cargo::Released(released, form) => match (&released.request().work, form) {
            (Work::Query(text), Form::Query) => vec![Msg::Query(text.to_string())],
            (Work::Query(text), Form::Parse) => {
                let mut all = own(text.to_string());
                all.insert(2, Msg::DescribePortal(String::new()));
                all
            }
            (Work::Batch(steps), _) => batch(steps),
        },
        Cargo::More(_, more) => vec![match more {
            More::Execute { portal, max_rows } => Msg::Execute(portal.to_string(), *max_rows),
            More::DescribePortal(portal) => Msg::DescribePortal(portal.to_string()),
            More::ClosePortal(portal) => Msg::ClosePortal(portal.to_string()),
            More::CopyData(_) => Msg::CopyData,
            More::CopyDone => Msg::CopyDone,
            More::CopyFail(_) => Msg::CopyFail,
        }],
        Cargo::Look(Look::Parse(prepared)) => vec![Msg::Parse(prepared.text.to_string())],
        Cargo::Look(Look::Describe) => vec![Msg::DescribeStatement],
        Cargo::Own(Own::Settings(settings)) => {
            let texts = Own::Settings(settings.clone()).sql();
            let mut all = own(texts[0].clone());
            if !settings.is_empty() {
                all.push(Msg::Parse(texts[1].clone()));
            }
            for _ in settings.iter() {
                all.extend([Msg::Bind(String::new()), Msg::Execute(String::new(), 0)]);
            }
            all.push(Msg::Sync);
            all
        }
        Cargo::Own(it) if it.stands_alone() => it.sql().into_iter().map(Msg::Query).collect(),
        Cargo::Own(it) => it.sql().into_iter().flat_map(own).collect(),
        Cargo::Sync => vec![Msg::Sync],
        Cargo::Flush => vec![Msg::Flush],
    }
}

fn batch(steps: &[Step]) -> Vec<Msg> {
    let mut all = Vec::new();
    for (step, carried) in steps.iter().zip(gate::work::carried(steps)) {
        if let (true, Step::DescribeStatement(it) | Step::Bind { statement: it, .. }) =
            (carried, step)
        {
            all.push(Msg::Parse(it.text.to_string()));
        }
        all.push(match step {
            Step::Parse(it) => Msg::Parse(it.text.to_string()),
            Step::DescribeStatement(_) => Msg::DescribeStatement,
            Step::Bind { portal, .. } => Msg::Bind(portal.to_string()),
            Step::DescribePortal(portal) => Msg::DescribePortal(portal.to_string()),
            Step::Execute { portal, max_rows } => Msg::Execute(portal.to_string(), *max_rows),
            Step::ClosePortal(portal) => Msg::ClosePortal(portal.to_string()),
        });
    }
    all
}

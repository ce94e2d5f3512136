//! Cargo to bytes: the only place where something for an upstream is spelled. SQL text, types,
//! formats and values go up byte for byte (DESIGN ruling 5); names are the gate's own.

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use gate::cargo::More;
use gate::{Cargo, Form, Look, Own, Prepared, Settings, Step, Work};
use wire::WireError;
use wire::frontend::{self, Bind, Target};

/// Upstream every statement is the unnamed one, and so are the gate's own portals.
const UNNAMED: &str = "";

/// Appends what `cargo` is on the wire.
pub(crate) fn encode(cargo: &Cargo, out: &mut BytesMut) -> Result<(), WireError> {
    match cargo {
        Cargo::Released(released, form) => work(&released.request().work, *form, out),
        Cargo::More(_, it) => more(it, out),
        Cargo::Look(Look::Parse(statement)) => parse(statement, out),
        Cargo::Look(Look::Describe) => describe_statement(out),
        Cargo::Own(it) => own(it, out),
        Cargo::Sync => {
            frontend::sync(out);
            Ok(())
        }
        Cargo::Flush => {
            frontend::flush(out);
            Ok(())
        }
    }
}

fn work(work: &Work, form: Form, out: &mut BytesMut) -> Result<(), WireError> {
    match (work, form) {
        (Work::Query(text), Form::Query) => frontend::query(text, out),
        (Work::Query(text), Form::Parse) => {
            frontend::parse(UNNAMED, text, &[], out)?;
            bind(&[], out)?;
            frontend::describe(&Target::Portal(ByteString::new()), out)?;
            frontend::execute(UNNAMED, 0, out)
        }
        (Work::Batch(steps), _) => {
            let carried = gate::work::carried(steps);
            steps
                .iter()
                .zip(carried)
                .try_for_each(|(it, carried)| step(it, carried, out))
        }
    }
}

fn step(step: &Step, carried: bool, out: &mut BytesMut) -> Result<(), WireError> {
    match step {
        Step::Parse(statement) => parse(statement, out),
        Step::DescribeStatement(statement) => {
            if carried {
                parse(statement, out)?;
            }
            describe_statement(out)
        }
        Step::Bind {
            portal,
            statement,
            values,
        } => {
            if carried {
                parse(statement, out)?;
            }
            let bind = Bind {
                portal: portal.clone(),
                statement: ByteString::new(),
                formats: values.formats.clone(),
                values: values.values.clone(),
                result_formats: values.result_formats.clone(),
            };
            frontend::bind(&bind, out)
        }
        Step::DescribePortal(portal) => frontend::describe(&Target::Portal(portal.clone()), out),
        Step::Execute { portal, max_rows } => frontend::execute(portal, *max_rows, out),
        Step::ClosePortal(portal) => frontend::close(&Target::Portal(portal.clone()), out),
    }
}

fn more(more: &More, out: &mut BytesMut) -> Result<(), WireError> {
    match more {
        More::Execute { portal, max_rows } => frontend::execute(portal, *max_rows, out),
        More::DescribePortal(portal) => frontend::describe(&Target::Portal(portal.clone()), out),
        More::ClosePortal(portal) => frontend::close(&Target::Portal(portal.clone()), out),
        More::CopyData(data) => frontend::copy_data(data, out),
        More::CopyDone => {
            frontend::copy_done(out);
            Ok(())
        }
        More::CopyFail(reason) => frontend::copy_fail(reason, out),
    }
}

fn own(own: &Own, out: &mut BytesMut) -> Result<(), WireError> {
    let sql = own.sql();
    if let Own::Settings(settings) = own {
        return self::settings(&sql, settings, out);
    }
    for text in &sql {
        if own.stands_alone() {
            frontend::query(text, out)?;
        } else {
            own_statement(text, out)?;
        }
    }
    Ok(())
}

/// `RESET ALL`, then each setting with name and value bound, so that nothing is spelled (R18).
fn settings(sql: &[String], settings: &Settings, out: &mut BytesMut) -> Result<(), WireError> {
    if let [reset, set] = sql {
        own_statement(reset, out)?;
        if !settings.is_empty() {
            frontend::parse(UNNAMED, set, &[], out)?;
        }
        for (name, value) in settings {
            bind(&[name, value], out)?;
            frontend::execute(UNNAMED, 0, out)?;
        }
    }
    frontend::sync(out);
    Ok(())
}

fn own_statement(text: &str, out: &mut BytesMut) -> Result<(), WireError> {
    frontend::parse(UNNAMED, text, &[], out)?;
    bind(&[], out)?;
    frontend::execute(UNNAMED, 0, out)
}

fn parse(statement: &Prepared, out: &mut BytesMut) -> Result<(), WireError> {
    frontend::parse(UNNAMED, &statement.text, &statement.types, out)
}

fn describe_statement(out: &mut BytesMut) -> Result<(), WireError> {
    frontend::describe(&Target::Statement(ByteString::new()), out)
}

fn bind(values: &[&str], out: &mut BytesMut) -> Result<(), WireError> {
    let values = values
        .iter()
        .map(|it| Some(Bytes::copy_from_slice(it.as_bytes())))
        .collect();
    let bind = Bind {
        portal: ByteString::new(),
        statement: ByteString::new(),
        formats: Vec::new(),
        values,
        result_formats: Vec::new(),
    };
    frontend::bind(&bind, out)
}

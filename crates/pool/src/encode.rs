//! Cargo to bytes: the only place where something for an upstream is spelled. SQL text, types,
//! formats and values go up byte for byte (DESIGN ruling 5); names are the gate's own.

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use gate::cargo::More;
use gate::{Cargo, Form, Look, Own, Prepared, Settings, Slot, Step, Work};
use wire::WireError;
use wire::frontend::{self, Target};

/// The unnamed statement and the unnamed portal.
const UNNAMED: &str = "";

/// Appends what `cargo` is on the wire.
pub(crate) fn encode(cargo: &Cargo, out: &mut BytesMut) -> Result<(), WireError> {
    match cargo {
        Cargo::Released(released, form) => work(&released.request().work, *form, out),
        Cargo::Batch(released, slots) => batch(&released.request().work, slots, out),
        Cargo::More(_, it) => more(it, out),
        Cargo::Look(it) => look(it, out),
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
            bind(UNNAMED, &[], out)?;
            frontend::describe(&Target::Portal(ByteString::new()), out)?;
            frontend::execute(UNNAMED, 0, out)
        }
        // Its slots come with it, in a cargo of its own.
        (Work::Batch(_), _) => Ok(()),
    }
}

fn batch(work: &Work, slots: &[Slot], out: &mut BytesMut) -> Result<(), WireError> {
    let Work::Batch(steps) = work else {
        return Ok(());
    };
    steps
        .iter()
        .zip(slots)
        .try_for_each(|(it, slot)| step(it, slot, out))
}

fn step(step: &Step, slot: &Slot, out: &mut BytesMut) -> Result<(), WireError> {
    match step {
        Step::Parse(statement) => look_parse(statement, slot, out),
        Step::DescribeStatement(statement) => look_describe(statement, slot, out),
        Step::CloseStatement(_) => close_statement(&slot.name, out),
        Step::Bind {
            portal,
            statement,
            values,
        } => {
            prepare(statement, slot, out)?;
            frontend::bind(
                portal,
                &slot.name,
                &values.formats,
                &values.values,
                &values.result_formats,
                out,
            )
        }
        Step::DescribePortal(portal) => frontend::describe(&Target::Portal(portal.clone()), out),
        Step::Execute { portal, max_rows } => frontend::execute(portal, *max_rows, out),
        Step::ClosePortal(portal) => frontend::close(&Target::Portal(portal.clone()), out),
    }
}

fn look(look: &Look, out: &mut BytesMut) -> Result<(), WireError> {
    match look {
        Look::Parse(statement, slot) => look_parse(statement, slot, out),
        Look::Describe(statement, slot) => look_describe(statement, slot, out),
        Look::Close(slot) => close_statement(&slot.name, out),
    }
}

fn look_parse(statement: &Prepared, slot: &Slot, out: &mut BytesMut) -> Result<(), WireError> {
    make_room(slot, out)?;
    frontend::parse(&slot.name, &statement.text, &statement.types, out)?;
    if slot.described {
        frontend::describe(&Target::Statement(slot.name.clone()), out)?;
    }
    Ok(())
}

fn look_describe(statement: &Prepared, slot: &Slot, out: &mut BytesMut) -> Result<(), WireError> {
    prepare(statement, slot, out)?;
    frontend::describe(&Target::Statement(slot.name.clone()), out)
}

/// Puts the statement where the step looks for it, if it is not there.
fn prepare(statement: &Prepared, slot: &Slot, out: &mut BytesMut) -> Result<(), WireError> {
    make_room(slot, out)?;
    if slot.carried {
        frontend::parse(&slot.name, &statement.text, &statement.types, out)?;
    }
    Ok(())
}

fn make_room(slot: &Slot, out: &mut BytesMut) -> Result<(), WireError> {
    slot.close
        .iter()
        .try_for_each(|name| close_statement(name, out))
}

fn close_statement(name: &ByteString, out: &mut BytesMut) -> Result<(), WireError> {
    frontend::close(&Target::Statement(name.clone()), out)
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
    if let Own::Settings(settings) | Own::Restore(settings) = own {
        return self::settings(&sql, settings, out);
    }
    let values = own.values();
    for text in &sql {
        if own.goes_as_queries() {
            frontend::query(text, out)?;
        } else {
            own_statement(text, &values, own.portal(), out)?;
        }
    }
    if own.stands_alone() && !own.goes_as_queries() {
        frontend::sync(out);
    }
    Ok(())
}

/// What comes first, if anything; then each setting with name and value bound, so that nothing is
/// spelled (R18).
fn settings(sql: &[String], settings: &Settings, out: &mut BytesMut) -> Result<(), WireError> {
    if let [first @ .., set] = sql {
        first
            .iter()
            .try_for_each(|text| own_statement(text, &[], UNNAMED, out))?;
        if !settings.is_empty() {
            frontend::parse(UNNAMED, set, &[], out)?;
        }
        for (name, value) in settings {
            bind(UNNAMED, &[name, value], out)?;
            frontend::execute(UNNAMED, 0, out)?;
        }
    }
    frontend::sync(out);
    Ok(())
}

fn own_statement(
    text: &str,
    values: &[String],
    portal: &'static str,
    out: &mut BytesMut,
) -> Result<(), WireError> {
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    frontend::parse(UNNAMED, text, &[], out)?;
    bind(portal, &values, out)?;
    frontend::execute(portal, 0, out)?;
    if portal.is_empty() {
        return Ok(());
    }
    frontend::close(&Target::Portal(ByteString::from_static(portal)), out)
}

fn bind(portal: &str, values: &[&str], out: &mut BytesMut) -> Result<(), WireError> {
    let values: Vec<_> = values
        .iter()
        .map(|it| Some(Bytes::copy_from_slice(it.as_bytes())))
        .collect();
    frontend::bind(portal, UNNAMED, &[], &values, &[], out)
}

//! Console: the virtual database `portcullis`. What commands may do is for the gate's one
//! authorisation function. It never touches an upstream.

use wire::backend::{Column, Status, encode};
use wire::frame::Frame;
use wire::frontend::Frontend;

use crate::command::parse;
use crate::effect::Effect;
use crate::fault::Fault;
use crate::input::{Input, TableReply};
use crate::talk::Io;

/// A console session.
#[derive(Debug, Default)]
pub(crate) struct Console {
    /// A command is being carried out.
    busy: bool,
    /// An error in an extended batch: skipped up to its Sync.
    skipping: bool,
}

/// Where the console leads.
#[derive(Debug)]
pub(crate) enum Next {
    Stay(Console),
    Close,
}

impl Console {
    /// Whether the client's next message is awaited.
    pub(crate) fn takes_frames(&self) -> bool {
        !self.busy
    }

    pub(crate) fn handle(mut self, input: Input<'_>, io: &mut Io) -> Next {
        match input {
            Input::Frame(frame) => self.frame(frame, io),
            Input::Console(reply) => {
                match reply {
                    Ok(table) => answer(&table, io),
                    Err(fault) => io.error(&fault),
                }
                io.ready(Status::Idle);
                self.busy = false;
                Next::Stay(self)
            }
            Input::ClientGone => Next::Close,
            Input::Drain if !self.busy => {
                io.error(&Fault::shutdown(None));
                Next::Close
            }
            _ => Next::Stay(self),
        }
    }

    fn frame(mut self, frame: Frame, io: &mut Io) -> Next {
        let message = match Frontend::decode(frame) {
            Ok(message) => message,
            Err(error) => {
                io.error(&Fault::malformed(&error));
                return Next::Close;
            }
        };
        match message {
            Frontend::Terminate => return Next::Close,
            Frontend::Sync => {
                self.skipping = false;
                io.ready(Status::Idle);
            }
            Frontend::Query(text) if !self.skipping => match parse(&text) {
                Ok(Some(command)) => {
                    io.effect(Effect::Console(command));
                    self.busy = true;
                }
                Ok(None) => {
                    encode::empty_query(&mut io.out);
                    io.ready(Status::Idle);
                }
                Err(fault) => {
                    io.error(&fault);
                    io.ready(Status::Idle);
                }
            },
            Frontend::FunctionCall if !self.skipping => {
                io.error(&Fault::function_call());
                io.ready(Status::Idle);
            }
            _ if self.skipping => {}
            Frontend::Flush => {}
            _ => {
                io.error(&Fault::console_extended());
                self.skipping = true;
            }
        }
        Next::Stay(self)
    }
}

fn answer(table: &TableReply, io: &mut Io) {
    if !table.columns.is_empty() {
        let columns: Vec<Column> = table
            .columns
            .iter()
            .map(|name| Column::text(*name))
            .collect();
        // The console's own tables are far below the protocol's limits.
        let _fits = encode::row_description(&columns, &mut io.out);
        for row in &table.rows {
            let values: Vec<Option<&str>> = row.iter().map(Option::as_deref).collect();
            if encode::data_row(&values, &mut io.out).is_err() {
                io.error(&Fault::protocol("a row of the answer is too long"));
                return;
            }
        }
    }
    encode::command_complete(&table.tag, &mut io.out);
}

//! An extended batch as it gathers: names are resolved to what they mean, and what the gate answers
//! itself keeps its place among the replies. Nothing is sent from here.

use std::sync::Arc;

use bytestring::ByteString;
use gate::work::Values;
use gate::{Prepared, Step};
use wire::frontend::{Bind, Frontend, Parse, Target};

use crate::fault::Fault;
use crate::names::STATEMENTS_BYTES_MAX;
use crate::shape::{Close, Labels, Shape};
use crate::talk::Talk;

/// Messages up to a Sync or Flush.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) steps: Vec<Step>,
    /// The name that the Parse at this place gives.
    pub(crate) named: Vec<(usize, ByteString)>,
    /// A CloseComplete for a statement goes in front of the step at this place.
    pub(crate) closes: Vec<usize>,
    bytes: usize,
}

impl Batch {
    /// Its shape, and its steps.
    pub(crate) fn into_shape(self, close: Close) -> (Shape, Vec<Step>) {
        let labels = Labels {
            named: self.named,
            closes: self.closes,
        };
        (Shape::Batch(close, labels), self.steps)
    }

    /// Whether nothing was gathered.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.closes.is_empty()
    }

    /// Whether it fetches from a portal of an earlier batch. Beside a Bind that would run in the fence
    /// of what is bound, and be decided by nobody.
    pub(crate) fn fetches_older(&self) -> bool {
        let binds = |step: &Step, name| matches!(step, Step::Bind { portal, .. } if portal == name);
        self.steps
            .iter()
            .enumerate()
            .any(|(place, step)| match step {
                Step::Execute { portal, .. } => {
                    let before = self.steps.get(..place).unwrap_or_default();
                    !before.iter().rev().any(|it| binds(it, portal))
                }
                _ => false,
            })
    }

    /// Adds one message, of so many bytes.
    pub(crate) fn add(
        &mut self,
        message: Frontend,
        bytes: usize,
        talk: &mut Talk,
    ) -> Result<(), Fault> {
        if self.steps.len() + self.closes.len() >= talk.limits.pipeline_max {
            return Err(Fault::pipeline_too_long(talk.limits.pipeline_max));
        }
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > talk.limits.request_bytes_max {
            return Err(Fault::pipeline_too_large(talk.limits.request_bytes_max));
        }
        match message {
            Frontend::Parse(parse) => self.parse(parse, talk),
            Frontend::Bind(bind) => self.bind(bind, talk),
            Frontend::Describe(Target::Statement(name)) => {
                let statement = statement(talk, &name)?;
                self.steps.push(Step::DescribeStatement(statement));
                Ok(())
            }
            Frontend::Describe(Target::Portal(portal)) => {
                self.portal(&portal, talk)?;
                self.steps.push(Step::DescribePortal(portal));
                Ok(())
            }
            Frontend::Execute(execute) => {
                self.portal(&execute.portal, talk)?;
                let (portal, max_rows) = (execute.portal, execute.max_rows);
                self.steps.push(Step::Execute { portal, max_rows });
                Ok(())
            }
            Frontend::Close(Target::Statement(name)) => {
                let closed = talk.names.close(&name);
                // On a connection of the client's own the name is the server's as well.
                if talk.alone() && !name.is_empty() {
                    let statement = closed.unwrap_or_else(|| Arc::new(Prepared::unknown(&name)));
                    self.steps.push(Step::CloseStatement(statement));
                } else {
                    self.closes.push(self.steps.len());
                }
                Ok(())
            }
            Frontend::Close(Target::Portal(portal)) => {
                if self.portal(&portal, talk).is_ok() {
                    self.steps.push(Step::ClosePortal(portal));
                } else {
                    self.closes.push(self.steps.len());
                }
                Ok(())
            }
            _ => Err(Fault::protocol("message does not belong in a batch").fatal()),
        }
    }

    fn parse(&mut self, parse: Parse, talk: &mut Talk) -> Result<(), Fault> {
        let statement = Arc::new(Prepared::new(
            parse.name.clone(),
            parse.text,
            parse.types,
            &talk.settings,
        ));
        if talk.names.bytes() + statement.text.len() > STATEMENTS_BYTES_MAX {
            return Err(Fault::statements_too_large(STATEMENTS_BYTES_MAX));
        }
        let taken = !parse.name.is_empty() && talk.names.get(&parse.name).is_some();
        if taken && !talk.alone() {
            return Err(Fault::duplicate_statement(&parse.name));
        }
        talk.names.insert(&parse.name, Arc::clone(&statement));
        self.named.push((self.steps.len(), parse.name));
        self.steps.push(Step::Parse(statement));
        Ok(())
    }

    fn bind(&mut self, bind: Bind, talk: &Talk) -> Result<(), Fault> {
        let statement = statement(talk, &bind.statement)?;
        let values = Values {
            formats: bind.formats,
            values: bind.values,
            result_formats: bind.result_formats,
        };
        self.steps.push(Step::Bind {
            portal: bind.portal,
            statement,
            values,
        });
        Ok(())
    }

    /// A portal must have been bound: in this batch, or earlier in the transaction.
    fn portal(&self, name: &str, talk: &Talk) -> Result<(), Fault> {
        let here = self
            .steps
            .iter()
            .any(|step| matches!(step, Step::Bind { portal, .. } if *portal == *name));
        if here || talk.portals.get(name).is_some() {
            Ok(())
        } else {
            Err(Fault::no_portal(name))
        }
    }
}

/// On a connection of the client's own, a name that no Parse gave may be one that SQL gave.
fn statement(talk: &Talk, name: &ByteString) -> Result<Arc<Prepared>, Fault> {
    match talk.names.get(name) {
        Some(statement) => Ok(Arc::clone(statement)),
        None if talk.alone() && !name.is_empty() => Ok(Arc::new(Prepared::unknown(name))),
        None => Err(Fault::no_statement(name)),
    }
}

//! What it takes to read a text that was never seen before. Each is another one, so no cache helps.

use std::cell::Cell;
use std::sync::Arc;

use bytestring::ByteString;
use divan::Bencher;
use sql::{Catalog, Class, Reader, Reading};
use tokio::runtime::{Builder, Runtime};

use crate::texts;

struct Desk {
    reader: Reader,
    catalog: Arc<Catalog>,
    runtime: Runtime,
    number: Cell<u32>,
}

impl Desk {
    fn new() -> Self {
        Self {
            reader: Reader::start(1).unwrap(),
            catalog: Arc::new(Catalog::unknown(None)),
            runtime: Builder::new_current_thread().build().unwrap(),
            number: Cell::new(10_000),
        }
    }

    /// As the gate reads: where it stands if the text is short, else on the reader's own thread.
    fn read(&self, text: ByteString) -> Arc<Reading> {
        let here = self.reader.read_here(&text, &self.catalog);
        here.unwrap_or_else(|| {
            let read = self.reader.read(text, Arc::clone(&self.catalog));
            self.runtime.block_on(read)
        })
    }

    fn measure(&self, bencher: Bencher<'_, '_>, text: impl Fn(u32) -> String) {
        assert_eq!(self.read(text(1).into()).class(), Some(Class::Read));
        bencher
            .with_inputs(|| {
                self.number.set(self.number.get() + 1);
                ByteString::from(text(self.number.get()))
            })
            .bench_local_refs(|text| self.read(text.clone()));
    }
}

#[divan::bench]
fn new_short_select(bencher: Bencher<'_, '_>) {
    Desk::new().measure(bencher, texts::account);
}

#[divan::bench]
fn new_1_kb_select(bencher: Bencher<'_, '_>) {
    Desk::new().measure(bencher, |number| texts::report(1_024, number));
}

#[divan::bench]
fn new_1_kb_of_columns(bencher: Bencher<'_, '_>) {
    Desk::new().measure(bencher, |number| texts::columns(1_024, number));
}

#[divan::bench]
fn new_100_kb_of_numbers(bencher: Bencher<'_, '_>) {
    Desk::new().measure(bencher, |number| texts::numbers(100 * 1_024, number));
}

#[divan::bench]
fn new_100_kb_of_strings(bencher: Bencher<'_, '_>) {
    Desk::new().measure(bencher, |number| texts::strings(100 * 1_024, number));
}

#[divan::bench]
fn new_60_joins(bencher: Bencher<'_, '_>) {
    Desk::new().measure(bencher, |number| texts::joins(60, number));
}

#[divan::bench]
fn new_200_concatenations(bencher: Bencher<'_, '_>) {
    Desk::new().measure(bencher, |number| texts::concatenations(200, number));
}

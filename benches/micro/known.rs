//! What a text costs that was read before, or one like it was, from one thread and from two at once. Nothing is ever read here
//! again.

use std::sync::{Arc, LazyLock};

use bytestring::ByteString;
use divan::Bencher;
use sql::{Catalog, Reader};
use tokio::runtime::Builder;

use crate::texts;

/// Other texts that are known, too.
const OTHERS: u32 = 1_000;
/// Look-ups of a sample that is short enough to meet no neighbour.
const FEW: u32 = 2_000;
/// And of one so long that two threads are at it at the same time. On a machine with neighbours it shows them, too.
const MANY: u32 = 200_000;

static READER: LazyLock<(Reader, Arc<Catalog>)> = LazyLock::new(|| {
    let (reader, catalog) = (Reader::start(1).unwrap(), Catalog::unknown(None));
    for number in 0..OTHERS {
        let text = texts::account(number).into();
        reader.read_here(&text, &catalog).unwrap();
    }
    (reader, Arc::new(catalog))
});

/// A text of so many bytes, most of them a comment, that is known from now on.
fn known(bytes: usize) -> ByteString {
    let (reader, catalog) = &*READER;
    let text = texts::account(17);
    let comment = "x".repeat(bytes.saturating_sub(text.len() + 4));
    let text = ByteString::from(format!("{text} -- {comment}"));
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(reader.read(text.clone(), Arc::clone(catalog)));
    text
}

#[divan::bench(sample_size = FEW)]
fn known_short_text(bencher: Bencher<'_, '_>) {
    look_up_short(bencher);
}

/// From one thread and from two at once, to be compared with each other.
#[divan::bench(threads = [1, 2], sample_size = MANY)]
fn known_short_text_at_once(bencher: Bencher<'_, '_>) {
    look_up_short(bencher);
}

fn look_up_short(bencher: Bencher<'_, '_>) {
    let (reader, catalog) = &*READER;
    let text = ByteString::from(texts::account(17));
    assert!(reader.known(&text, catalog).is_some());
    bencher.bench(|| reader.known(&text, catalog).is_some());
}

#[divan::bench(args = [1_024, 16_384], sample_size = FEW / 20)]
fn known_text_of_bytes(bencher: Bencher<'_, '_>, bytes: usize) {
    let (reader, catalog) = &*READER;
    let text = known(bytes);
    assert!(reader.known(&text, catalog).is_some());
    bencher.bench(|| reader.known(&text, catalog).is_some());
}

/// Each time another one of a thousand, as an application with many statements asks.
#[divan::bench(sample_size = FEW)]
fn known_one_of_1_000(bencher: Bencher<'_, '_>) {
    let (reader, catalog) = &*READER;
    let texts: Vec<ByteString> = (0..OTHERS).map(|n| texts::account(n).into()).collect();
    let mut next = texts.iter().cycle().step_by(7);
    bencher
        .with_inputs(|| next.next().unwrap())
        .bench_local_values(|text| reader.known(text, catalog).is_some());
}

/// Each time another number in a text that is known otherwise, as pgbench asks: what the gate does in front of a verdict.
#[divan::bench(sample_size = FEW)]
fn known_but_for_numbers(bencher: Bencher<'_, '_>) {
    let (reader, _) = &*READER;
    // Of a database that is not known no text is found so.
    let catalog = Catalog::of_rows(None, []).unwrap();
    for digits in 1..=6 {
        let text = texts::account(10_u32.pow(digits - 1)).into();
        reader.read_here(&text, &catalog).unwrap();
    }
    let mut number = 0;
    bencher
        .with_inputs(|| {
            number = (number + 7_919) % 1_000_000;
            ByteString::from(texts::account(number))
        })
        .bench_local_refs(|text| {
            let exact = reader.known(text, &catalog);
            assert!(exact.is_none());
            reader.known_but_for_numbers(text, &catalog).unwrap()
        });
}

/// A text that nobody has read: what it takes to find out.
#[divan::bench(sample_size = FEW)]
fn not_known(bencher: Bencher<'_, '_>) {
    let (reader, catalog) = &*READER;
    let text = ByteString::from(texts::account(OTHERS + 1));
    bencher.bench(|| reader.known(&text, catalog).is_none());
}

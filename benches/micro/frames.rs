//! Frames: how fast a stream is split, checked and decoded. It never looks at what is inside a row, as the gate does not.

use bytes::BytesMut;
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use wire::backend::encode;
use wire::frame::{self, LENGTH_MAX};
use wire::frontend::{self, Frontend};

/// Frames in a buffer.
const FRAMES: usize = 10_000;

fn rows() -> BytesMut {
    let mut rows = BytesMut::new();
    for number in 0..FRAMES {
        let id = number.to_string();
        encode::data_row(&[Some(&id), Some("a name of some length"), None], &mut rows).unwrap();
    }
    rows
}

fn queries() -> BytesMut {
    let mut queries = BytesMut::new();
    for number in 0..FRAMES {
        frontend::query(&crate::texts::account(number as u32), &mut queries).unwrap();
    }
    queries
}

/// As answers are relayed: headers only, nothing is moved.
#[divan::bench]
fn walk_10_000_rows(bencher: Bencher<'_, '_>) {
    let rows = rows();
    bencher
        .counter(BytesCount::new(rows.len()))
        .counter(ItemsCount::new(FRAMES))
        .bench(|| {
            let (mut rest, mut count) = (&rows[..], 0);
            while let Some(header) = frame::header(rest, LENGTH_MAX).unwrap() {
                rest = rest.get(header.total..).unwrap_or_default();
                count += usize::from(header.tag == b'D');
            }
            assert_eq!(count, FRAMES);
        });
}

/// As a catalog's answer is read: every frame cut out of the stream.
#[divan::bench]
fn cut_10_000_rows(bencher: Bencher<'_, '_>) {
    let rows = rows();
    bencher
        .counter(BytesCount::new(rows.len()))
        .counter(ItemsCount::new(FRAMES))
        .with_inputs(|| rows.clone())
        .bench_local_refs(|rows| {
            let mut count = 0;
            while let Some(frame) = frame::take(rows, LENGTH_MAX).unwrap() {
                count += usize::from(frame.tag == b'D');
            }
            assert_eq!(count, FRAMES);
        });
}

/// As a client's messages are read: cut out, decoded, known to be UTF-8 without a NUL.
#[divan::bench]
fn decode_10_000_queries(bencher: Bencher<'_, '_>) {
    let queries = queries();
    bencher
        .counter(BytesCount::new(queries.len()))
        .counter(ItemsCount::new(FRAMES))
        .with_inputs(|| queries.clone())
        .bench_local_refs(|queries| {
            let mut count = 0;
            while let Some(frame) = frame::take(queries, LENGTH_MAX).unwrap() {
                let message = Frontend::decode(frame).unwrap();
                count += usize::from(matches!(message, Frontend::Query(_)));
            }
            assert_eq!(count, FRAMES);
        });
}

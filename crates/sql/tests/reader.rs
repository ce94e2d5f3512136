//! The reader's promises: it remembers, it refuses rather than waits, it is cancel safe. It never needs a runtime.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy.toml lets tests panic, but does not count their helpers"
)]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use bytestring::ByteString;
use sql::{
    CACHED_TEXT_BYTES_MAX, Catalog, Class, HERE_BYTES_MAX, QUEUE_MAX, READ_BYTES_MAX, Reader,
};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Of a database of which nothing is known.
fn nobody() -> Arc<Catalog> {
    Arc::new(Catalog::unknown(None))
}

fn wait<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn text(text: &str) -> ByteString {
    ByteString::from(text)
}

#[test]
fn reads_and_remembers() {
    let reader = Reader::start(2).unwrap();
    let select = text("SELECT 1");
    assert!(reader.known(&select, &nobody()).is_none());
    let reading = wait(reader.read(select.clone(), nobody()));
    assert_eq!(reading.class(), Some(Class::Read));
    assert!(Arc::ptr_eq(
        &reading,
        &reader.known(&select, &nobody()).unwrap()
    ));
    assert!(Arc::ptr_eq(
        &reading,
        &reader.read_here(&select, &nobody()).unwrap()
    ));
    assert!(Arc::ptr_eq(&reading, &wait(reader.read(select, nobody()))));
    assert_eq!(
        wait(reader.read(text("SELEC"), nobody())).class(),
        Some(Class::Opaque)
    );
}

#[test]
fn long_texts_are_not_read_here_and_not_remembered() {
    let reader = Reader::start(0).unwrap();
    let of = |bytes: usize| text(&format!("SELECT '{}'", "x".repeat(bytes - 9)));
    assert!(reader.read_here(&of(HERE_BYTES_MAX), &nobody()).is_some());
    let longer = of(HERE_BYTES_MAX + 1);
    assert!(reader.read_here(&longer, &nobody()).is_none());
    wait(reader.read(longer.clone(), nobody()));
    assert!(
        reader.read_here(&longer, &nobody()).is_some(),
        "known by now"
    );
    let uncached = of(CACHED_TEXT_BYTES_MAX + 1);
    assert_eq!(
        wait(reader.read(uncached.clone(), nobody())).class(),
        Some(Class::Read)
    );
    assert!(reader.known(&uncached, &nobody()).is_none());
    let refused = wait(reader.read(of(READ_BYTES_MAX + 1), nobody()));
    assert_eq!(refused.class(), Some(Class::Opaque));
}

#[test]
fn a_full_queue_is_opaque_at_once_and_dropping_frees_it() {
    let reader = Reader::start(1).unwrap();
    let slow = text(&"SELECT 1;".repeat(25_000));
    let mut context = Context::from_waker(Waker::noop());
    let mut waiting: Vec<_> = (0..QUEUE_MAX + 8)
        .map(|_| Box::pin(reader.read(slow.clone(), nobody())))
        .collect();
    let full = waiting
        .iter_mut()
        .filter_map(|read| match read.as_mut().poll(&mut context) {
            Poll::Ready(reading) => reading.why_opaque.clone(),
            Poll::Pending => None,
        })
        .collect::<Vec<_>>();
    assert!(
        full.iter().any(|why| why.contains("queue is full")),
        "{full:?}"
    );
    // Nobody waits any more: the thread skips them, and the next one is read.
    drop(waiting);
    let reading = loop {
        let reading = wait(reader.read(text("SELECT 2"), nobody()));
        if reading.why_opaque.is_none() {
            break reading;
        }
        thread::yield_now();
    };
    assert_eq!(reading.class(), Some(Class::Read));
}

#[test]
fn deep_texts_on_its_own_threads_and_here() {
    let reader = Reader::start(1).unwrap();
    let deep = |terms: usize| text(&format!("SELECT 1{}", "+1".repeat(terms)));
    assert_eq!(
        wait(reader.read(deep(60_000), nobody())).class(),
        Some(Class::Opaque)
    );
    // Short, and deeper than a stack of the caller's may hold: not here.
    assert!(deep(2_000).len() < HERE_BYTES_MAX);
    assert!(reader.read_here(&deep(2_000), &nobody()).is_none());
    for text in [deep(2_000), text("SELECT 3")] {
        assert_eq!(wait(reader.read(text, nobody())).class(), Some(Class::Read));
    }
}

#[test]
fn it_is_a_handle() {
    fn handle<T: Clone + Send + Sync + 'static>(_: &T) {}
    fn sendable<T: Send>(_: T) {}
    let reader = Reader::start(1).unwrap();
    handle(&reader);
    sendable(reader.read(text("SELECT 1"), nobody()));
}

/// A caller's stack is not ours: what was used of it already does not matter. The deepest texts that are read here, on half of
/// the stack that a thread has.
#[test]
fn short_texts_are_read_here_on_a_small_stack() {
    let work = || {
        let reader = Reader::start(1).unwrap();
        for (open, close) in [
            ("1+", ""),
            ("+", ""),
            ("- ", ""),
            ("1^", ""),
            ("'a'||", ""),
            ("(SELECT ", ")"),
            ("(", ")"),
            ("abs(", ")"),
            ("ARRAY[", "]"),
            ("a[", "]"),
            ("ROW(", ")"),
            ("NOT ", ""),
            ("", " IS NULL"),
            ("", "::int"),
            ("", " COLLATE c"),
            ("", " UNION SELECT 1"),
            ("", " JOIN a ON true"),
            ("CASE WHEN true THEN ", " END"),
        ] {
            let of = |levels: usize| {
                let from = if close.starts_with(" JOIN") {
                    "* FROM a"
                } else {
                    "1"
                };
                text(&format!(
                    "SELECT {}{from}{}",
                    open.repeat(levels),
                    close.repeat(levels)
                ))
            };
            let fits = |levels: &usize| reader.read_here(&of(*levels), &nobody()).is_some();
            let deepest = (1..300).take_while(fits).count();
            assert!(deepest >= 20, "{open}{close}: {deepest}");
            assert!(deepest < 299, "{open}{close}: {deepest}");
        }
    };
    thread::Builder::new()
        .stack_size(1024 * 1024)
        .spawn(work)
        .unwrap()
        .join()
        .unwrap();
}

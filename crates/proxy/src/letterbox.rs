//! What a session is told from outside its own connection. There is one for each of thousands that lie
//! idle, so it owns nothing while it is empty. It never looks at a letter.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

/// Letters for one reader, from any thread.
#[derive(Debug)]
pub(crate) struct Letterbox<T>(Mutex<Letters<T>>);

#[derive(Debug)]
struct Letters<T> {
    waiting: VecDeque<T>,
    /// Who is woken by the next one.
    reader: Option<Waker>,
    /// Nobody reads any more.
    closed: bool,
}

impl<T> Letterbox<T> {
    /// Puts a letter in. Whether somebody will read it, as far as is known.
    pub(crate) fn put(&self, letter: T) -> bool {
        self.put_below(usize::MAX, letter)
    }

    /// The same, unless so many wait already.
    pub(crate) fn put_below(&self, max: usize, letter: T) -> bool {
        let mut letters = self.letters();
        if letters.closed || letters.waiting.len() >= max {
            return false;
        }
        letters.waiting.push_back(letter);
        let reader = letters.reader.take();
        drop(letters);
        if let Some(reader) = reader {
            reader.wake();
        }
        true
    }

    /// Takes the next letter out; who finds none is woken by the next. Cancel safe.
    pub(crate) fn take(&self, cx: &Context<'_>) -> Option<T> {
        let mut letters = self.letters();
        if let Some(letter) = letters.waiting.pop_front() {
            if letters.waiting.is_empty() {
                letters.waiting = VecDeque::new();
            }
            return Some(letter);
        }
        match &mut letters.reader {
            Some(reader) => reader.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        None
    }

    /// Nobody reads any more; what was not read is thrown away.
    pub(crate) fn close(&self) {
        let mut letters = self.letters();
        letters.closed = true;
        let unread = (std::mem::take(&mut letters.waiting), letters.reader.take());
        drop(letters);
        // Only now: whoever waits for a letter to be dropped may look into this box again.
        drop(unread);
    }

    fn letters(&self) -> MutexGuard<'_, Letters<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for Letterbox<T> {
    fn default() -> Self {
        Self(Mutex::new(Letters {
            waiting: VecDeque::new(),
            reader: None,
            closed: false,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_reader_is_woken_once_by_what_it_did_not_find() {
        let (bell, letterbox) = (Arc::new(Bell::default()), Letterbox::default());
        let (waker, rung) = (Waker::from(Arc::clone(&bell)), || {
            bell.0.load(Ordering::Relaxed)
        });
        let cx = Context::from_waker(&waker);
        assert!(letterbox.put(1));
        assert_eq!(letterbox.take(&cx), Some(1));
        assert_eq!(letterbox.take(&cx), None);
        assert_eq!(rung(), 0);
        assert!(letterbox.put(2) && letterbox.put(3));
        assert_eq!(rung(), 1);
        assert_eq!([2, 3].map(Some), [0; 2].map(|_| letterbox.take(&cx)));
        assert_eq!(letterbox.take(&cx), None);
        assert!(letterbox.put(4));
        assert_eq!(rung(), 2);
    }

    #[test]
    fn a_full_box_takes_no_more_of_what_may_be_refused() {
        let letterbox = Letterbox::default();
        assert!(letterbox.put_below(1, "cancel"));
        assert!(!letterbox.put_below(1, "cancel"));
        assert!(letterbox.put("news"));
    }

    #[test]
    fn a_closed_box_keeps_nothing() {
        let (letterbox, letter) = (Letterbox::default(), Arc::new(()));
        assert!(letterbox.put(Arc::clone(&letter)));
        letterbox.close();
        assert_eq!(Arc::strong_count(&letter), 1);
        assert!(!letterbox.put(letter));
    }
}

//! What a client sent ahead, while something else waits or runs: looked at where it stands, and not taken.

use bytes::{Bytes, BytesMut};
use wire::frame::Frame;
use wire::frontend::tag;

/// A Flush that the client leaves out.
pub(crate) fn flush() -> Frame {
    Frame {
        tag: tag::FLUSH,
        body: Bytes::new(),
    }
}

/// Whether a Terminate lies among the messages that wait behind a held one: then the client has gone
/// and what it asked for last is asked for by nobody (hazards R57). What is not held runs first, as
/// it would on a server.
pub(crate) fn says_goodbye(inbox: &BytesMut) -> bool {
    let mut rest: &[u8] = inbox;
    while let Ok(Some(header)) = wire::frame::header(rest, usize::MAX) {
        if header.tag == tag::TERMINATE {
            return true;
        }
        match rest.get(header.total..) {
            Some(next) => rest = next,
            None => return false,
        }
    }
    false
}

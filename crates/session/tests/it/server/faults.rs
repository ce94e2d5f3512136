//! What a server does when somebody else makes it: cancels, and a client that loses its place in a COPY.
//! It never decides when.

use bytes::BytesMut;
use wire::backend::encode;
use wire::fields::Severity;

use super::{Server, error, fields};

impl Server {
    /// Somebody cancels. All but a COPY that waits for data has ended by now.
    pub fn cancel(&mut self, out: &mut BytesMut) {
        let Some((_, rest)) = self.copying.take() else {
            return;
        };
        error(*b"57014", "canceling statement due to user request", out);
        self.abort();
        self.skipping = rest.is_none();
        if rest.is_some() {
            self.ready(out);
        }
    }

    /// A message in the middle of a COPY that cannot be data: the server loses its place.
    pub(super) fn hang_up(&mut self, out: &mut BytesMut) {
        let why = "terminating connection because protocol synchronization was lost";
        encode::error_response(&fields(Severity::Fatal, *b"08P01", why), out);
        self.hung_up = true;
        self.block = None;
    }
}

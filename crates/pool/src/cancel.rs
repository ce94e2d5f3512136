//! Cancelling what runs upstream: a connection of its own that says one thing and is closed. The
//! connection that was aimed at is not used again by anybody else (hazards R51).

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::{CancelKey, startup};

use crate::connect::{ConnectError, open};
use crate::dial::Dial;
use crate::options::Options;

/// What to cancel, and where.
#[derive(Clone, Debug)]
pub struct CancelTarget {
    pub(crate) options: std::rc::Rc<Options>,
    pub(crate) key: CancelKey,
}

impl CancelTarget {
    /// Asks the server to cancel, and waits until it has taken the request: it says so by closing.
    /// That takes no longer than a login may.
    pub async fn cancel<D: Dial>(&self, dial: &D) -> Result<(), ConnectError> {
        #[expect(clippy::disallowed_methods, reason = "a cancel is a slow state")]
        let done = tokio::time::timeout(self.options.connect, self.ask(dial)).await;
        done.unwrap_or(Err(ConnectError::Timeout))
    }

    async fn ask<D: Dial>(&self, dial: &D) -> Result<(), ConnectError> {
        let mut stream = open(dial, &self.options).await?;
        let mut out = BytesMut::new();
        startup::encode_cancel(&self.key, &mut out);
        stream.write_all_buf(&mut out).await?;
        stream.flush().await?;
        let mut answer = BytesMut::new();
        // Nothing but the end is ever answered.
        let _end = stream.read_buf(&mut answer).await;
        Ok(())
    }
}

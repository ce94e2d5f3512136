//! A client's connection to the gate: it logs in, sends, and hears frame by frame. It never decides what to say.

use bytes::{Bytes, BytesMut};
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wire::CancelKey;
use wire::backend::{Authentication, decode, tag};
use wire::frame::{self, Frame};
use wire::{frontend, startup};

use super::door::Door;
use super::pipe::End;

/// Everybody's password.
pub(super) const PASSWORD: &str = "open";
const MESSAGE_MAX: usize = 1 << 20;
const SCRAM: &str = "SCRAM-SHA-256";

pub(super) struct Line {
    end: End,
    inbox: BytesMut,
    pub(super) key: Option<CancelKey>,
}

impl Line {
    /// Logs in; nothing, where the gate is not there, or does not let them in.
    pub(super) async fn login(door: &Door, user: &str, database: &str) -> Option<Self> {
        let mut line = Self {
            end: door.connect()?,
            inbox: BytesMut::new(),
            key: None,
        };
        let mut out = BytesMut::new();
        let parameters = [("user", user), ("database", database)];
        startup::encode_startup(&parameters, &mut out).unwrap();
        line.send(&out).await?;
        // Its nonce is the one thing that is random and not thrown by the dice: nothing hangs on it.
        let mut scram = ScramSha256::new(PASSWORD.as_bytes(), ChannelBinding::unsupported());
        loop {
            let frame = line.frame().await?;
            let mut out = BytesMut::new();
            match frame.tag {
                tag::AUTHENTICATION => match decode::authentication(&frame.body).ok()? {
                    Authentication::Sasl(_) => {
                        frontend::sasl_initial(SCRAM, scram.message(), &mut out).unwrap();
                    }
                    Authentication::SaslContinue(data) => {
                        scram.update(&data).ok()?;
                        frontend::password(scram.message(), &mut out).unwrap();
                    }
                    Authentication::SaslFinal(data) => scram.finish(&data).ok()?,
                    _ => {}
                },
                tag::BACKEND_KEY_DATA => line.key = decode::backend_key_data(&frame.body).ok(),
                tag::READY => return Some(line),
                tag::ERROR => return None,
                _ => {}
            }
            line.send(&out).await?;
        }
    }

    /// Asks for the cancel of what runs under a key, and waits until that is done.
    pub(super) async fn cancel(door: &Door, key: &CancelKey) {
        let Some(mut end) = door.connect() else {
            return;
        };
        let mut out = BytesMut::new();
        startup::encode_cancel(key, &mut out);
        if end.write_all(&out).await.is_ok() {
            // Nothing is ever answered.
            let _over = end.read_buf(&mut out).await;
        }
    }

    /// Nothing, where the connection is gone.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Option<()> {
        self.end.write_all(bytes).await.ok()
    }

    /// The next frame; none where the connection is gone. Cancel safe.
    pub(super) async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = frame::take(&mut self.inbox, MESSAGE_MAX).ok()? {
                return Some(frame);
            }
            if self.end.read_buf(&mut self.inbox).await.ok()? == 0 {
                return None;
            }
        }
    }

    /// The rows that a Query is answered with, and whether it went well; nothing, where the connection is gone.
    pub(super) async fn query(&mut self, text: &str) -> Option<(Vec<Vec<String>>, bool)> {
        let mut out = BytesMut::new();
        frontend::query(text, &mut out).unwrap();
        self.send(&out).await?;
        self.rows().await
    }

    /// The rows up to the end of an answer.
    pub(super) async fn rows(&mut self) -> Option<(Vec<Vec<String>>, bool)> {
        let (mut rows, mut well) = (Vec::new(), true);
        loop {
            let frame = self.frame().await?;
            match frame.tag {
                tag::DATA_ROW => rows.push(row(&frame)?),
                tag::ERROR => well = false,
                tag::READY => return Some((rows, well)),
                _ => {}
            }
        }
    }
}

fn row(frame: &Frame) -> Option<Vec<String>> {
    let values = decode::data_row_values(&frame.body).ok()?;
    let text = |it: Option<Bytes>| String::from_utf8_lossy(&it.unwrap_or_default()).into_owned();
    Some(values.into_iter().map(text).collect())
}

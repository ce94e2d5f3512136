//! One HTTP request over a connection of its own, as services that give out secrets are asked: each is rare, and none is worth a
//! connection that stays. It follows no redirect, keeps nothing, and quotes no answer.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use secrecy::zeroize::Zeroizing;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::tls::ClientTls;

/// The longest answer.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection, or it broke.
    #[error("could not connect: {0}")]
    Io(#[from] io::Error),
    /// What is sent or what came is no HTTP.
    #[error("the exchange failed: {0}")]
    Http(#[from] hyper::Error),
    /// The answer is longer than any that is wanted.
    #[error("the answer is too long, or broke off")]
    Body,
    /// What was asked for cannot be said in HTTP.
    #[error("the request cannot be made")]
    Request,
}

/// Where a service is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    encrypted: bool,
    host: String,
    port: u16,
    /// In front of each path; no slash at its end.
    prefix: String,
}

impl Address {
    /// Of `https://host:port/prefix`, or `http` on this machine only; else what was expected.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "an address such as \"https://vault.example.com:8200\"";
        let uri: Uri = text.parse().map_err(|_| EXPECTED)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(EXPECTED);
        };
        if uri.query().is_some() || authority.as_str().contains('@') {
            return Err(EXPECTED);
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let encrypted = match scheme {
            "https" => true,
            "http" if is_here(&host) => false,
            "http" => {
                return Err("https, or a host on this machine: secrets would go in the clear");
            }
            _ => return Err(EXPECTED),
        };
        let usual = if encrypted { 443 } else { 80 };
        Ok(Self {
            encrypted,
            host,
            port: authority.port_u16().unwrap_or(usual),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// In clear text, wherever that is: for what answers on the machine's own link only.
    pub(crate) fn of_the_link(host: &str, port: u16) -> Self {
        Self {
            encrypted: false,
            host: host.to_owned(),
            port,
            prefix: String::new(),
        }
    }

    /// Whether there is TLS to it.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }
}

fn is_here(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|it| it.is_loopback())
}

/// What is asked for.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    /// Behind the prefix, with its query.
    pub(crate) path: &'a str,
    /// All of them are taken for secrets.
    pub(crate) headers: Vec<(&'static str, &'a str)>,
    /// JSON, if there is one.
    pub(crate) body: Option<Zeroizing<Vec<u8>>>,
}

impl<'a> Ask<'a> {
    pub(crate) fn get(path: &'a str) -> Self {
        Self {
            method: Method::GET,
            path,
            headers: Vec::new(),
            body: None,
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &'a str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn request(self, address: &Address) -> Result<Request<Full<Bytes>>, HttpError> {
        let Address {
            host, port, prefix, ..
        } = address;
        let host = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        let target = format!("{prefix}{}", self.path);
        let target = if target.is_empty() { "/" } else { &*target };
        let mut request = Request::builder()
            .method(self.method)
            .uri(target)
            .header(HOST, host)
            .header(CONNECTION, "close");
        for (name, value) in self.headers {
            let name = HeaderName::from_static(name);
            let mut value = HeaderValue::from_str(value).map_err(|_| HttpError::Request)?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        if self.body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = self.body.map(|it| Bytes::copy_from_slice(&it));
        let request = request.body(Full::new(body.unwrap_or_default()));
        request.map_err(|_| HttpError::Request)
    }
}

/// Its status, and its body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// Asks. Dropping the future breaks it off.
pub(crate) async fn ask(
    address: &Address,
    tls: &ClientTls,
    ask: Ask<'_>,
) -> Result<Answer, HttpError> {
    let request = ask.request(address)?;
    let socket = TcpStream::connect((&*address.host, address.port)).await?;
    if !address.encrypted {
        return exchange(socket, request).await;
    }
    let Some(config) = &tls.0 else {
        return Err(HttpError::Request);
    };
    let name = ServerName::try_from(address.host.clone()).map_err(|_| HttpError::Request)?;
    let connector = TlsConnector::from(Arc::clone(config));
    exchange(connector.connect(name, socket).await?, request).await
}

async fn exchange<S>(socket: S, request: Request<Full<Bytes>>) -> Result<Answer, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    let mut connection = pin!(connection);
    let mut answer = pin!(async move {
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
        let body = body.collect().await.map_err(|_| HttpError::Body)?;
        let body = Zeroizing::new(body.to_bytes().to_vec());
        Ok(Answer { status, body })
    });
    let mut ended = false;
    // The connection does the work; what is read of it belongs to the answer.
    poll_fn(|cx| {
        ended = ended || connection.as_mut().poll(cx).is_ready();
        answer.as_mut().poll(cx)
    })
    .await
}

/// As it stands in a query.
pub(crate) fn percent_encoded(text: &str) -> String {
    let byte = |it: u8| match it {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(it).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_in_the_clear_to_this_machine_only() {
        for good in [
            "https://vault.example.com",
            "https://10.0.0.1:8200/v",
            "http://127.0.0.1:8200",
            "http://[::1]:8200",
            "http://localhost",
        ] {
            assert!(Address::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "vault",
            "vault.example.com:8200",
            "http://vault.example.com",
            "ftp://localhost",
            "https://u:p@vault.example.com",
            "https://vault.example.com/?a=b",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_stands_in_a_query_ends_nothing() {
        assert_eq!(
            percent_encoded("a-b_c.d~e&f=g h/ü"),
            "a-b_c.d~e%26f%3Dg%20h%2F%C3%BC"
        );
    }
}

//! A console of a few lines, with and without TLS, for the tests. It never runs a gate.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What the console answers to a command: columns and rows, or message and hint of an error.
pub(super) type Answer =
    Result<(Vec<&'static str>, Vec<Vec<&'static str>>), (&'static str, &'static str)>;
/// What a console answers to each command.
type Script = fn(&str) -> Answer;
pub(super) type Heard = Arc<Mutex<Vec<String>>>;

pub(super) struct Fake {
    pub(super) port: u16,
    pub(super) heard: Heard,
}

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag], length.to_be_bytes().as_slice(), body].concat()
}

fn error(fields: &[(char, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (tag, text) in fields {
        body.extend(format!("{tag}{text}\0").bytes());
    }
    body.push(0);
    frame(b'E', &body)
}

fn answer(query: &str) -> Answer {
    let decided = vec!["id", "state", "waiting_for"];
    match query {
        "SHOW TICKETS" => Ok((
            vec!["id", "statement"],
            vec![vec!["T-42", "UPDATE a\nSET b = 1"]],
        )),
        "SHOW TICKETS ALL" | "SHOW POOLS" => Ok((vec!["id"], vec![])),
        "SHOW TICKET T-42" => Ok((
            vec!["id", "state", "requester", "statement"],
            vec![vec!["T-42", "pending", "alice", "UPDATE a\nSET b = 1"]],
        )),
        "APPROVE T-1" | "APPROVE T-1 'it''s fine'" => {
            Ok((decided, vec![vec!["T-1", "approved", ""]]))
        }
        "APPROVE T-2" => Ok((decided, vec![vec!["T-2", "pending", "1 of dba"]])),
        "REJECT T-42 'not ''now'''" => Ok((decided, vec![vec!["T-42", "rejected", ""]])),
        "WITHDRAW T-42" => Ok((decided, vec![vec!["T-42", "withdrawn", ""]])),
        _ => Err((
            "ticket T-9 does not exist",
            "SHOW TICKETS lists the tickets that you may see.",
        )),
    }
}

fn answered(answer: Answer) -> Vec<u8> {
    let mut out = Vec::new();
    match answer {
        Ok((columns, rows)) => {
            let mut body = u16::try_from(columns.len()).unwrap().to_be_bytes().to_vec();
            for name in columns {
                body.extend(name.bytes());
                body.extend([0; 7]);
                body.extend(25_u32.to_be_bytes());
                body.extend([0xff; 6]);
                body.extend([0; 2]);
            }
            out.extend(frame(b'T', &body));
            for row in rows {
                let mut body = u16::try_from(row.len()).unwrap().to_be_bytes().to_vec();
                for value in row {
                    body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
                    body.extend(value.bytes());
                }
                out.extend(frame(b'D', &body));
            }
            out.extend(frame(b'C', b"SHOW\0"));
        }
        Err((message, hint)) => {
            out.extend(error(&[
                ('S', "ERROR"),
                ('V', "ERROR"),
                ('C', "42704"),
                ('M', message),
                ('H', hint),
            ]));
        }
    }
    out.extend(frame(b'Z', b"I"));
    out
}

fn read_body(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut body = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap() - 4];
    stream.read_exact(&mut body).ok()?;
    Some(body)
}

fn talk(mut stream: impl Read + Write, startup: &[u8], script: Script, heard: &Heard) {
    let startup = String::from_utf8_lossy(&startup[4..]).replace('\0', " ");
    heard.lock().unwrap().push(startup.clone());
    if startup.contains("user mallory ") {
        let fields = [
            ('S', "FATAL"),
            ('V', "FATAL"),
            ('C', "28P01"),
            ('M', "password authentication failed for user \"mallory\""),
        ];
        stream.write_all(&error(&fields)).unwrap();
        return;
    }
    if startup.contains("user carol ") {
        stream
            .write_all(&frame(b'R', &3_u32.to_be_bytes()))
            .unwrap();
        let mut tag = [0];
        if stream.read_exact(&mut tag).is_err() {
            return;
        }
        let password = read_body(&mut stream).unwrap();
        heard
            .lock()
            .unwrap()
            .push(format!("password {}", String::from_utf8_lossy(&password)));
    }
    let mut hello = frame(b'R', &0_u32.to_be_bytes());
    hello.extend(frame(b'Z', b"I"));
    stream.write_all(&hello).unwrap();
    let mut tag = [0];
    while stream.read_exact(&mut tag).is_ok() && tag == *b"Q" {
        let body = read_body(&mut stream).unwrap();
        let query = String::from_utf8_lossy(&body)
            .trim_end_matches('\0')
            .to_owned();
        stream.write_all(&answered(script(&query))).unwrap();
        heard.lock().unwrap().push(query);
    }
}

fn serve(mut stream: TcpStream, tls: Option<Arc<ServerConfig>>, script: Script, heard: &Heard) {
    let Some(mut startup) = read_body(&mut stream) else {
        return;
    };
    if startup == 80_877_103_u32.to_be_bytes() {
        stream
            .write_all(if tls.is_some() { b"S" } else { b"N" })
            .unwrap();
        if let Some(config) = tls {
            let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
            if let Some(startup) = read_body(&mut stream) {
                talk(stream, &startup, script, heard);
            }
            return;
        }
        match read_body(&mut stream) {
            Some(second) => startup = second,
            None => return,
        }
    }
    talk(stream, &startup, script, heard);
}

pub(super) fn fake(tls: Option<Arc<ServerConfig>>) -> Fake {
    scripted(tls, answer)
}

/// One that answers something else.
pub(super) fn scripted(tls: Option<Arc<ServerConfig>>, script: Script) -> Fake {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Heard::default();
    let ears = Arc::clone(&heard);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (tls, heard) = (tls.clone(), Arc::clone(&ears));
            thread::spawn(move || serve(stream, tls, script, &heard));
        }
    });
    Fake { port, heard }
}

/// A server with a certificate for `gate.test`, and the authority that signed it as a file.
pub(super) fn tls_fake(name: &str) -> (Fake, std::path::PathBuf) {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::new(vec![]).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["gate.test".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let file = std::env::temp_dir().join(format!("portcullis-{name}-{}.crt", std::process::id()));
    std::fs::write(&file, ca_certificate.pem()).unwrap();
    let chain = vec![CertificateDer::from(leaf.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    (fake(Some(Arc::new(config))), file)
}

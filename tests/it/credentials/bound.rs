//! A login upstream is bound to the TLS connection that it goes over (hazards R14): whoever sits in between, even with a
//! certificate that the gate takes, cannot pass it on.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use harness::raw::{self, Raw};
use harness::sandbox::ca::{Certificates, LOCAL_NAMES};
use harness::stage::{Setup, Stage, table};
use harness::{Database, Gate, GateDir};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConnection, ServerConfig, ServerConnection, StreamOwned};

use super::turned_away;

/// Takes a connection as a server does that has this certificate.
pub(super) fn accept(
    listener: &TcpListener,
    certificates: &Certificates,
) -> StreamOwned<ServerConnection, TcpStream> {
    let (mut socket, _) = listener.accept().unwrap();
    let mut asked = [0; 8];
    socket.read_exact(&mut asked).unwrap();
    socket.write_all(b"S").unwrap();
    let certificate = CertificateDer::from_pem_slice(certificates.cert_pem.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(certificates.key_pem.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), socket)
}

/// Sits between the gate and the server for one connection, and changes what the server says.
fn between(
    listener: &TcpListener,
    certificates: &Certificates,
    database: &Database,
    change: fn(Vec<u8>) -> Vec<u8>,
) {
    let mut gate = accept(listener, certificates);
    let port = database.server.postgres().port();
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.write_all(&raw::ssl_request()).unwrap();
    let mut answer = [0];
    socket.read_exact(&mut answer).unwrap();
    let trust = Arc::new(raw::trusting(database.server.root_cert()));
    let name = "localhost".try_into().unwrap();
    let mut server = StreamOwned::new(ClientConnection::new(trust, name).unwrap(), socket);
    let turn = Some(Duration::from_millis(20));
    gate.sock.set_read_timeout(turn).unwrap();
    server.sock.set_read_timeout(turn).unwrap();
    while pass(&mut gate, &mut server, |it| it) && pass(&mut server, &mut gate, change) {}
}

/// Passes on what is there; says whether the connection goes on.
fn pass(from: &mut impl Read, to: &mut impl Write, change: fn(Vec<u8>) -> Vec<u8>) -> bool {
    let mut some = [0; 16 * 1024];
    match from.read(&mut some) {
        Ok(0) => false,
        Ok(read) => to.write_all(&change(some[..read].to_vec())).is_ok() && to.flush().is_ok(),
        Err(error) => [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()),
    }
}

#[track_caller]
fn in_between(change: fn(Vec<u8>) -> Vec<u8>, said_by_the_server: &str) {
    let database = table();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (role, others) = (&database.write, Certificates::make(&LOCAL_NAMES).unwrap());
    // The gate is told to take anybody's certificate.
    let setup = Setup {
        upstream: Some(format!(
            "host = 'localhost'\nport = {port}\nuser = '{}'\npassword = '{}'\nsslmode = 'require'",
            role.name, role.password
        )),
        ..Setup::default()
    };
    let gate = Gate::start_in(GateDir::new(), &setup.config(&database));
    let mut stage = Stage { gate, database };
    let behind = stage.database.clone();
    let relay = thread::spawn(move || between(&listener, &others, &behind, change));
    turned_away(&mut stage, said_by_the_server);
    relay.join().unwrap();
}

#[test]
fn nobody_in_between_passes_a_login_on() {
    in_between(|it| it, "SCRAM channel binding check failed");
}

#[test]
fn nobody_in_between_takes_the_binding_away() {
    let without = |bytes: Vec<u8>| {
        let (offer, plain) = (
            b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0",
            b"SCRAM-SHA-256\0\0",
        );
        let at = bytes.windows(offer.len()).position(|it| it == offer);
        let Some(at) = at else { return bytes };
        // AuthenticationSASL: its length is that of the shorter list.
        let length = u32::try_from(8 + plain.len()).unwrap().to_be_bytes();
        [
            b"R",
            &length[..],
            &[0, 0, 0, 10],
            plain,
            &bytes[at + offer.len()..],
        ]
        .concat()
    };
    in_between(without, "SCRAM channel binding negotiation error");
}

/// Where nobody is in between, nobody notices.
#[test]
fn a_server_that_can_be_bound_to_is() {
    let stage = Stage::new();
    assert_eq!(raw::tags(&stage.raw("alice").query("select 1")), "TDCZ");
    let by_hand = Raw::try_login(&stage.login("alice"), &[]);
    assert!(by_hand.is_ok());
}

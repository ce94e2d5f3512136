//! The first byte of a connection: TLS at once, as libpq 17 has it with `sslnegotiation=direct`, and who
//! may not have it so.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use harness::DEADLINE;
use harness::raw::{self, Raw, trusting};
use harness::stage::Stage;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConnection, Error};

fn startup(stage: &Stage) -> Vec<u8> {
    let database = stage.database.name.as_str();
    raw::startup(&[("user", "alice"), ("database", database)])
}

/// The client's side of TLS, with these protocols in its ALPN.
fn client(stage: &Stage, protocols: &[&str]) -> ClientConnection {
    let mut config = trusting(stage.gate.root_cert());
    config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    ClientConnection::new(Arc::new(config), name).unwrap()
}

fn socket(stage: &Stage) -> TcpStream {
    let socket = TcpStream::connect(stage.gate.address()).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

/// The handshake; what rustls makes of a refusal.
fn handshake(tls: &mut ClientConnection, socket: &mut TcpStream) -> Result<(), Error> {
    while tls.is_handshaking() {
        if let Err(error) = tls.complete_io(socket) {
            let cause = error.get_ref().and_then(|it| it.downcast_ref::<Error>());
            return Err(cause
                .cloned()
                .unwrap_or_else(|| panic!("no alert: {error}")));
        }
    }
    Ok(())
}

#[test]
fn tls_may_begin_with_the_first_byte() {
    let stage = Stage::new();
    let mut client = Raw::connect(stage.gate.address());
    client.handshake(stage.gate.root_cert(), "localhost");
    client.send(&startup(&stage));
    client.authenticate("alice-secret").unwrap();
    assert_eq!(raw::tags(&client.query("select 6 * 7")), "TDCZ");
    let mut bob = stage.raw("bob");
    let seen = "select client_addr from pg_stat_activity where false";
    assert_eq!(raw::tags(&bob.query(seen)), "TCZ", "the other way goes on");
}

/// A hello comes as the network has it: its first byte may be alone.
#[test]
fn a_hello_may_come_in_pieces() {
    let stage = Stage::new();
    let (mut tls, mut socket) = (client(&stage, &["postgresql"]), socket(&stage));
    let mut hello = Vec::new();
    tls.write_tls(&mut hello).unwrap();
    for piece in [&hello[..1], &hello[1..6], &hello[6..]] {
        socket.write_all(piece).unwrap();
        // A round trip by another door: the gate has had the piece to look at.
        assert_eq!(raw::tags(&stage.raw("bob").query("select 1")), "TDCZ");
    }
    handshake(&mut tls, &mut socket).unwrap();
    assert_eq!(tls.alpn_protocol(), Some(&b"postgresql"[..]));
}

/// Hazards R13: without a request, only ALPN says that PostgreSQL is meant.
#[test]
fn direct_tls_without_the_right_alpn_is_refused_with_an_alert() {
    let stage = Stage::new();
    let refused = Error::AlertReceived(AlertDescription::NoApplicationProtocol);
    for protocols in [&[][..], &["http/1.1"], &["postgres", "h2"]] {
        let (mut tls, mut socket) = (client(&stage, protocols), socket(&stage));
        let result = handshake(&mut tls, &mut socket);
        assert_eq!(result, Err(refused.clone()), "{protocols:?}");
    }
    let (mut tls, mut socket) = (client(&stage, &["h2", "postgresql"]), socket(&stage));
    handshake(&mut tls, &mut socket).unwrap();
}

/// Older clients name no protocol; but who names one must mean this.
#[test]
fn behind_a_request_alpn_may_be_missing_and_not_be_wrong() {
    let stage = Stage::new();
    let ask = |protocols: &[&str]| {
        let (mut tls, mut socket) = (client(&stage, protocols), socket(&stage));
        socket.write_all(&raw::ssl_request()).unwrap();
        let mut answer = [0];
        socket.read_exact(&mut answer).unwrap();
        assert_eq!(answer, *b"S");
        handshake(&mut tls, &mut socket)?;
        let mut stream = rustls::Stream::new(&mut tls, &mut socket);
        stream.write_all(&startup(&stage)).unwrap();
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, *b"R");
        Ok::<_, Error>(())
    };
    ask(&[]).unwrap();
    ask(&["postgresql"]).unwrap();
    let refused = Error::AlertReceived(AlertDescription::NoApplicationProtocol);
    assert_eq!(ask(&["h2"]), Err(refused));
}

/// Hazards R6: encryption inside of encryption is nobody's wish.
#[test]
fn a_request_for_tls_inside_of_direct_tls_is_refused() {
    let stage = Stage::new();
    let mut client = Raw::connect(stage.gate.address());
    client.handshake(stage.gate.root_cert(), "localhost");
    client.send(&raw::ssl_request());
    let frames = client.frames_until_closed();
    assert_eq!(raw::tags(&frames), "E");
    assert_eq!(frames[0].sqlstate(), "08P01");
}

/// Behind a request in clear text, as behind any packet, a hello is just a bad length.
#[test]
fn a_hello_comes_first_or_not_at_all() {
    let stage = Stage::with(|setup| setup.tls = "plaintext = true\n".to_owned());
    let mut hello = Vec::new();
    let mut tls = {
        // There is no certificate to trust here; the hello says nothing of it.
        let other = Stage::new();
        client(&other, &["postgresql"])
    };
    tls.write_tls(&mut hello).unwrap();

    let mut socket = socket(&stage);
    socket.write_all(&hello).unwrap();
    let mut said = Vec::new();
    match socket.read_to_end(&mut said) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    assert_eq!(said, b"", "with TLS off nobody answers");

    let mut client = Raw::connect(stage.gate.address());
    client.send(&raw::ssl_request());
    assert_eq!(client.byte(), b'N');
    client.send(&hello);
    let frames = client.frames_until_closed();
    assert_eq!(raw::tags(&frames), "E");
    assert_eq!(frames[0].sqlstate(), "08P01");
}

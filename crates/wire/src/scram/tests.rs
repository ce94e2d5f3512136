//! Tests of SCRAM: the RFC's example, a foreign client, and everything that must be refused. They never
//! need a server.

use bytes::BytesMut;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

use super::*;

const NONCE: [u8; 18] = *b"eighteen bytes!!!!";
const RFC_FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const RFC_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

fn verifier() -> Verifier {
    Verifier::from_password("pencil", b"sixteen bytes!!!", ITERATIONS)
}

/// RFC 7677, section 3, up to the server's first message.
fn rfc7677() -> (ServerFirst, Vec<u8>) {
    let salt = b"\x5b\x6d\x99\x68\x9d\x12\x35\x8e\xec\xa0\x4b\x14\x12\x36\xfa\x81";
    let verifier = Verifier::from_password("pencil", salt, 4096);
    let nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".to_owned();
    Server::with_nonce(verifier, nonce)
        .first(MECHANISM, RFC_FIRST)
        .unwrap()
}

fn log_in(verifier: Verifier, password: &str, binding: ChannelBinding) -> Result<(), ScramError> {
    let mut client = ScramSha256::new(password.as_bytes(), binding);
    let (state, reply) = Server::new(verifier, NONCE).first(MECHANISM, client.message())?;
    client.update(&reply).unwrap();
    let last = state.finish(client.message())?;
    client
        .finish(&last)
        .expect("the client checks our signature too");
    Ok(())
}

#[test]
fn rfc_7677_example() {
    let (state, reply) = rfc7677();
    assert_eq!(
        std::str::from_utf8(&reply).unwrap(),
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    );
    let last = state.finish(RFC_FINAL.as_bytes()).unwrap();
    assert_eq!(last, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

#[test]
fn a_foreign_client_gets_in_with_the_right_password_only() {
    for binding in [ChannelBinding::unsupported, ChannelBinding::unrequested] {
        assert_eq!(log_in(verifier(), "pencil", binding()), Ok(()));
        assert_eq!(
            log_in(verifier(), "pencil ", binding()),
            Err(ScramError::Proof)
        );
    }
    let weak = Verifier::from_password("pencil", b"s", 0);
    assert_eq!(
        log_in(weak, "pencil", ChannelBinding::unsupported()),
        Ok(())
    );
    let long = "x".repeat(200);
    let verifier = Verifier::from_password(&long, b"salt", 2);
    assert_eq!(
        log_in(verifier, &long, ChannelBinding::unsupported()),
        Ok(())
    );
}

#[test]
fn r14_a_client_that_demands_channel_binding_is_refused() {
    let plus = ChannelBinding::tls_server_end_point(vec![1; 32]);
    assert_eq!(
        log_in(verifier(), "pencil", plus),
        Err(ScramError::ChannelBinding)
    );
    let other = Server::new(verifier(), NONCE).first("SCRAM-SHA-256-PLUS", RFC_FIRST);
    assert_eq!(other.unwrap_err(), ScramError::Mechanism);
}

#[test]
fn r8_a_decoy_looks_like_a_verifier_and_opens_to_nobody() {
    let decoy = Verifier::decoy(b"secret", "mallory");
    assert!(decoy == Verifier::decoy(b"secret", "mallory"));
    assert!(decoy.salt != Verifier::decoy(b"secret", "mallorz").salt);
    assert!(decoy.salt != Verifier::decoy(b"secreu", "mallory").salt);
    assert_eq!((decoy.salt.len(), decoy.iterations), (16, ITERATIONS));
    assert_eq!(decoy.to_string().len(), verifier().to_string().len());
    for password in ["", "pencil", "secret"] {
        let refused = log_in(decoy.clone(), password, ChannelBinding::unsupported());
        assert_eq!(refused, Err(ScramError::Proof));
    }
    // Not even if its keys were those of a password.
    let doomed = Verifier {
        decoy: true,
        ..verifier()
    };
    assert_eq!(
        log_in(doomed, "pencil", ChannelBinding::unsupported()),
        Err(ScramError::Proof)
    );
}

#[test]
fn first_messages_that_are_not_scram_are_refused() {
    use ScramError::{AuthorizationIdentity, ChannelBinding, Extension, Malformed};
    for (message, error) in [
        (&b""[..], Malformed("channel-binding flag expected")),
        (b"x,,n=,r=abc", Malformed("channel-binding flag expected")),
        (b"n", Malformed("channel-binding flag expected")),
        (b"n,n=,r=abc", Malformed("comma expected")),
        (b"n,a=root,n=,r=abc", AuthorizationIdentity),
        (b"p=tls-unique,,n=,r=abc", ChannelBinding),
        (b"n,,m=ext,n=,r=abc", Extension),
        (b"n,,r=abc", Malformed("user name expected")),
        (b"n,,n=", Malformed("nonce expected")),
        (b"n,,n=,s=abc", Malformed("nonce expected")),
        (b"n,,n=,r=", Malformed("non-printable characters in nonce")),
        (
            b"n,,n=,r=a b",
            Malformed("non-printable characters in nonce"),
        ),
        (b"n,,n=,r=abc\0", Malformed("not text")),
        (b"n,,n=\xff,r=abc", Malformed("not text")),
    ] {
        let refused = Server::new(verifier(), NONCE)
            .first(MECHANISM, message)
            .unwrap_err();
        assert_eq!(refused, error, "{message:?}");
    }
}

#[test]
fn final_messages_that_do_not_fit_the_first_are_refused() {
    use ScramError::{ChannelBinding, Malformed, Nonce, Proof};
    let proof_size = Malformed("proof is not Base64 of 32 bytes");
    for (from, to, error) in [
        (",p=", ",q=", Malformed("proof expected")),
        ("c=biws", "d=biws", Malformed("channel binding expected")),
        ("c=biws", "c=eSws", ChannelBinding), // "y,," after "n,,"
        ("c=biws", "c=biwsAA==", ChannelBinding),
        ("r=rOpr", "s=rOpr", Malformed("nonce expected")),
        ("r=rOpr", "r=rOps", Nonce),
        ("k0,p=", "k,p=", Nonce),
        ("k0,p=", "k0,x=extension,p=", Proof), // not what was signed
        ("p=dHzb", "p=dHzc", Proof),
        ("p=dHzb", "p=", proof_size),
        ("dVQ=", "dVQ", proof_size),
        ("dVQ=", "dVQ=,x=1", proof_size),
    ] {
        let message = RFC_FINAL.replacen(from, to, 1);
        assert_eq!(
            rfc7677().0.finish(message.as_bytes()),
            Err(error),
            "{message}"
        );
    }
}

#[test]
fn verifiers_are_postgresql_s() {
    // CREATE ROLE stores what this makes, and what we make is what PostgreSQL would.
    let theirs = postgres_protocol::password::scram_sha_256(b"pencil");
    let ours: Verifier = theirs.parse().unwrap();
    assert_eq!(ours.to_string(), theirs);
    assert!(ours == Verifier::from_password("pencil", &ours.salt, ours.iterations));
    assert_eq!(
        log_in(ours, "pencil", ChannelBinding::unsupported()),
        Ok(())
    );
}

#[test]
fn verifiers_of_a_real_server() {
    // PostgreSQL 15.18, CREATE ROLE ... PASSWORD, pg_authid.rolpassword.
    for (password, theirs) in [
        (
            "pencil",
            "SCRAM-SHA-256$4096:bH244XJBx01gv0MPKQXXOg==$CyBYlBSDf+pGLH3ATUvnJ2EN7/AWQLlU5V1k0SbexbM=:wvOhWJGIIXgc9fPfktlQYPZeK83PkrGlM5DGxiUUksk=",
        ),
        (
            "schlüssel",
            "SCRAM-SHA-256$4096:cf5B9MoEdwunSvk5C2uFMQ==$JGOLSc8IbB8IMCdgtRrE81uboC94z6xjob9fpN4VJd0=:ja+FdO3rBbU1ULwxR99/X0WmloXNKAZtpSVl4UJIzxo=",
        ),
    ] {
        let read: Verifier = theirs.parse().unwrap();
        assert_eq!(read.to_string(), theirs);
        assert!(read == Verifier::from_password(password, &read.salt, read.iterations));
        assert_eq!(
            log_in(read, password, ChannelBinding::unsupported()),
            Ok(())
        );
    }
}

#[test]
fn texts_that_are_no_verifier_say_what_is_wrong() {
    let good = verifier().to_string();
    let keys = good.rsplit_once('$').unwrap().1.to_owned();
    for (text, error) in [
        ("md5deadbeef".to_owned(), VerifierError::Scheme),
        ("SCRAM-SHA-256$4096".to_owned(), VerifierError::Shape),
        (format!("SCRAM-SHA-256$4096${keys}"), VerifierError::Shape),
        (good.replace("4096", "0"), VerifierError::Iterations),
        (good.replace("4096", "+4096"), VerifierError::Iterations),
        (
            good.replace("4096", "4294967296"),
            VerifierError::Iterations,
        ),
        (format!("SCRAM-SHA-256$4096:${keys}"), VerifierError::Salt),
        (format!("SCRAM-SHA-256$4096:*${keys}"), VerifierError::Salt),
        (
            format!("SCRAM-SHA-256$4096:c2FsdA==$c2FsdA==:{keys}"),
            VerifierError::StoredKey,
        ),
        (format!("{good}x"), VerifierError::ServerKey),
    ] {
        assert_eq!(text.parse::<Verifier>().unwrap_err(), error, "{text}");
    }
    assert_eq!(
        format!("{:?}", verifier()),
        "Verifier { iterations: 4096, .. }"
    );
}

#[test]
fn r3_initial_responses_are_read_to_the_end() {
    let mut out = BytesMut::new();
    crate::frontend::sasl_initial(MECHANISM, RFC_FIRST, &mut out).unwrap();
    let body = out.freeze().slice(5..);
    let (mechanism, first) = initial_response(&body).unwrap();
    assert_eq!((&*mechanism, &first[..]), (MECHANISM, RFC_FIRST));
    let read = |body: &'static [u8]| initial_response(&Bytes::from_static(body));
    assert_eq!(read(b"X\0\xff\xff\xff\xff").unwrap().1, Bytes::new());
    assert_eq!(read(b"X\0\xff\xff\xff\xfe"), Err(WireError::ValueLength));
    assert_eq!(read(b"X\0\0\0\0\x02a"), Err(WireError::Truncated));
    assert_eq!(read(b"X\0\0\0\0\x01ab"), Err(WireError::Trailing));
    assert_eq!(read(b"X"), Err(WireError::Unterminated));
}

//! The gate's share of a log-in by SCRAM-SHA-256: the verifier is stored, so no password is hashed. What making a
//! verifier costs (and what each client pays itself) stands beside it.

use divan::Bencher;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use wire::scram::{ITERATIONS, MECHANISM, Server, Verifier};

const NONCE: [u8; 18] = *b"eighteen bytes!!!!";
const PASSWORD: &str = "correct horse battery staple";

fn verifier() -> Verifier {
    Verifier::from_password(PASSWORD, b"sixteen bytes!!!", ITERATIONS)
}

/// Both of the server's answers, for a client that has the right password.
#[divan::bench]
fn check_a_client(bencher: Bencher<'_, '_>) {
    let verifier = verifier();
    let mut client = ScramSha256::new(PASSWORD.as_bytes(), ChannelBinding::unsupported());
    let first = client.message().to_vec();
    let server = Server::new(verifier.clone(), NONCE);
    let (_, challenge) = server.first(MECHANISM, &first).unwrap();
    client.update(&challenge).unwrap();
    let last = client.message().to_vec();
    bencher.bench(|| {
        let server = Server::new(verifier.clone(), NONCE);
        let (server, _) = server.first(MECHANISM, &first).unwrap();
        server.finish(&last).unwrap()
    });
}

/// The 4096 iterations.
#[divan::bench]
fn make_a_verifier() -> Verifier {
    verifier()
}

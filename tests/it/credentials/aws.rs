//! Tokens for RDS: the same as AWS's own library makes on the same clock, with keys from wherever AWS keeps them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use harness::raw::{self, Raw};
use harness::sandbox::ca::{Certificates, LOCAL_NAMES};
use harness::stage::{Setup, Stage, table};
use harness::vault::brought;
use harness::{Gate, GateDir};

use super::{bound, nowhere};

const REGION: &str = "eu-central-1";
const KEY_ID: &str = "AKIDEXAMPLE";
const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const SESSION: &str = "a-session+token/of=AWS==";

/// The password that a gate sends to a server that asks for it in clear text, under TLS.
fn token_of(variables: &[(&str, &str)]) -> (Stage, String) {
    let mut directory = GateDir::new();
    directory.set("PORTCULLIS_LOG", "trace");
    for (name, value) in variables {
        directory.set(name, value);
    }
    let certificates = Certificates::make(&LOCAL_NAMES).unwrap();
    let files = certificates
        .write(&directory.path().join("upstream"))
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let setup = Setup {
        upstream: Some(format!(
            "host = 'localhost'\nport = {port}\nuser = 'app user'\naws_iam = '{REGION}'\nsslrootcert = '{}'",
            files.ca.display()
        )),
        ..Setup::default()
    };
    let database = table();
    let gate = Gate::start_in(directory, &setup.config(&database));
    let stage = Stage { gate, database };
    let server = thread::spawn(move || {
        let mut gate = bound::accept(&listener, &certificates);
        let mut length = [0; 4];
        gate.read_exact(&mut length).unwrap();
        let mut startup = vec![0; u32::from_be_bytes(length) as usize - 4];
        gate.read_exact(&mut startup).unwrap();
        gate.write_all(&raw::frame(b'R', &3_i32.to_be_bytes()))
            .unwrap();
        let mut tag = [0];
        gate.read_exact(&mut tag).unwrap();
        assert_eq!(&tag, b"p");
        gate.read_exact(&mut length).unwrap();
        let mut token = vec![0; u32::from_be_bytes(length) as usize - 4];
        gate.read_exact(&mut token).unwrap();
        assert_eq!(token.pop(), Some(0));
        String::from_utf8(token).unwrap()
    });
    // It hangs up then.
    assert!(Raw::try_login(&stage.login("alice"), &[]).is_err());
    (stage, server.join().unwrap())
}

fn parameter<'a>(token: &'a str, name: &str) -> &'a str {
    let mut all = token.split(['?', '&']);
    let found = all.find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("no {name} in {token}"))
}

#[test]
fn a_token_is_the_one_that_boto3_makes() {
    let Some(boto3) = brought("boto3") else {
        return;
    };
    let keys = [
        ("AWS_ACCESS_KEY_ID", KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
    ];
    for session in [&[][..], &[("AWS_SESSION_TOKEN", SESSION)]] {
        let variables = [&keys, session].concat();
        let (mut stage, token) = token_of(&variables);
        let (place, _) = token.split_once('/').unwrap();
        let port = place.strip_prefix("localhost:").unwrap();
        let made = Command::new("python3")
            .args([
                "-c",
                include_str!("boto3.py"),
                "localhost",
                port,
                "app user",
                REGION,
            ])
            .arg(parameter(&token, "X-Amz-Date"))
            .env("PYTHONPATH", &boto3)
            .env_remove("AWS_PROFILE")
            .env_remove("AWS_SESSION_TOKEN")
            .envs(variables)
            .output()
            .unwrap();
        let wanted = String::from_utf8_lossy(&made.stdout);
        let trouble = String::from_utf8_lossy(&made.stderr);
        assert_eq!(token, wanted.trim_end(), "{trouble}");
        let signature = parameter(&token, "X-Amz-Signature").to_owned();
        nowhere(&mut stage, &[SECRET_KEY, &signature]);
        let log = stage.gate.stderr().text();
        assert!(!log.contains("a-session"), "{log}");
    }
}

/// Answers one request as whoever has keys does; what was asked comes back.
fn keeper(answer: String) -> (u16, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let keeper = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let (mut asked, mut some) = (Vec::new(), [0; 1024]);
        while !asked.windows(4).any(|it| it == b"\r\n\r\n") {
            let read = socket.read(&mut some).unwrap();
            assert_ne!(read, 0, "{asked:?}");
            asked.extend_from_slice(&some[..read]);
        }
        let length = answer.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{answer}");
        socket.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(asked).unwrap()
    });
    (port, keeper)
}

#[test]
fn a_container_is_asked_for_keys() {
    let answer = format!(
        "{{\"AccessKeyId\":\"{KEY_ID}\",\"SecretAccessKey\":\"{SECRET_KEY}\",\"Token\":\"{SESSION}\",\
         \"Expiration\":\"2099-01-01T00:00:00Z\"}}"
    );
    let (port, keeper) = keeper(answer);
    let uri = format!("http://127.0.0.1:{port}/v2/keys?id=7");
    let (mut stage, token) = token_of(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "word-of-the-container"),
    ]);
    let asked = keeper.join().unwrap();
    assert!(
        asked.starts_with("GET /v2/keys?id=7 HTTP/1.1\r\n"),
        "{asked}"
    );
    assert!(
        asked.contains("authorization: word-of-the-container\r\n"),
        "{asked}"
    );
    let credential = parameter(&token, "X-Amz-Credential");
    assert!(credential.starts_with(KEY_ID), "{credential}");
    let session = "a-session%2Btoken%2Fof%3DAWS%3D%3D";
    assert_eq!(parameter(&token, "X-Amz-Security-Token"), session);
    nowhere(
        &mut stage,
        &[SECRET_KEY, SESSION, session, "word-of-the-container"],
    );
}

#[test]
fn a_web_identity_is_shown_for_keys() {
    let answer = format!(
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
         <AccessKeyId>{KEY_ID}</AccessKeyId><SecretAccessKey>{SECRET_KEY}</SecretAccessKey>\
         <SessionToken>{SESSION}</SessionToken></Credentials></AssumeRoleWithWebIdentityResult>\
         </AssumeRoleWithWebIdentityResponse>"
    );
    let (port, keeper) = keeper(answer);
    let files = tempfile::tempdir().unwrap();
    let identity = files.path().join("identity");
    std::fs::write(&identity, "word.of.the.cluster\n").unwrap();
    let (mut stage, token) = token_of(&[
        ("AWS_ENDPOINT_URL_STS", &format!("http://127.0.0.1:{port}")),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", identity.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/gate"),
    ]);
    let asked = keeper.join().unwrap();
    let wanted = "RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fgate&RoleSessionName=portcullis\
                  &WebIdentityToken=word.of.the.cluster HTTP/1.1\r\n";
    assert!(asked.contains(wanted), "{asked}");
    assert!(parameter(&token, "X-Amz-Credential").starts_with(KEY_ID));
    nowhere(&mut stage, &[SECRET_KEY, SESSION, "word.of.the.cluster"]);
}

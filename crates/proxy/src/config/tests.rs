//! Tests of the configuration, and what they share: a directory with a sound configuration and the files
//! that it may name. It never uses a key that is anybody's.

mod bad;
mod bad_policy;
mod examples;
mod given;
mod good;
mod included;
mod locked;
mod replicas;
mod walls;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Config, ConfigError, Policy};

/// A sound configuration. The bad ones change one line of it.
pub(super) const SOUND: &str = r#"listen = "127.0.0.1:0"
state = "state"
[tls]
plaintext = true
[user.alice]
verifier = "SCRAM-SHA-256$4096:c2FsdC1vZi1hbGljZS1zYQ==$dNNpgmgcrxUetnv7zbC3SI94EkzYWCWUGfOb8FMnEXo=:+OKwhvLgz5MidEakdt72acQWz1hZxlaHolyU6lXdgCg="
groups = ["team"]
[user.bob]
verifier = "SCRAM-SHA-256$4096:c2FsdC1vZi1ib2Itc2FtcA==$3Qb5gV80LbA7uZXkBAj8oxhUvpLlWRXsuyDHKNHu8z4=:H+dq7r07eCLSETHzYII7PvuaAEGCiGctpjAP5I/GDpg="
groups = ["team"]
[tenant.acme]
host = "127.0.0.1"
user = "app"
sslmode = "disable"
[policy]
default = { approvals = 1, from = "team" }
[[rule]]
name = "reads pass"
class = ["read", "session"]
verdict = "allow"
"#;

/// Who owns what: the last line that fits counts.
const OWNERS: &str = "# pattern   groups\n*  team\npublic.accounts\tteam # the money\n";
const BAD_OWNERS: &str = "* team\npublic.accounts taem\nhr.people.salary team\na..b team\n";

/// A directory for a configuration.
pub(super) struct Room(TempDir);

impl Room {
    /// With certificates, keys and passwords, good and bad.
    pub(super) fn new() -> Self {
        let room = Self(tempfile::tempdir().unwrap());
        room.write(
            "server.crt",
            0o644,
            &pem("CERTIFICATE", &certificate(PUBLIC)),
        );
        room.write("server.key", 0o600, &pem("PRIVATE KEY", &private_key(SEED)));
        room.write(
            "other.key",
            0o600,
            &pem("PRIVATE KEY", &private_key([7; 32])),
        );
        room.write("open.key", 0o644, &pem("PRIVATE KEY", &private_key(SEED)));
        room.write("ca.crt", 0o644, &pem("CERTIFICATE", &certificate(PUBLIC)));
        room.write("broken.pem", 0o600, "-----BEGIN CERTIFICATE-----\n!\n");
        room.write("nothing.pem", 0o600, "nothing\n");
        room.write("acme.password", 0o600, "secret of acme\n");
        room.write("acme.key", 0o600, &("07".repeat(32) + "\n"));
        room.write("open.password", 0o644, "secret of acme\n");
        room.write("empty.password", 0o600, "\n");
        room.write("long.password", 0o600, "one\ntwo\n");
        room.write("OWNERS", 0o644, OWNERS);
        room.write("BAD_OWNERS", 0o644, BAD_OWNERS);
        room
    }

    /// Where a file is, or would be.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, mode: u32, text: &str) {
        let path = self.file(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Reads `text` as if it were a file in this directory.
    pub(super) fn parse(&self, text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, &self.file("gate.toml"))
    }

    /// What is wrong, a line each, without the directory.
    pub(super) fn problems<T>(&self, result: Result<T, ConfigError>) -> Vec<String> {
        let error = result.err().map(|error| error.to_string());
        let directory = format!("{}/", self.0.path().display());
        let text = error.unwrap_or_default().replace(&directory, "");
        text.lines().map(str::to_owned).collect()
    }
}

/// A policy file whose people are alice and bob.
pub(super) fn policy(text: &str) -> Result<Policy, ConfigError> {
    let people = ["alice".into(), "bob".into()];
    super::policy_file(text, Path::new("policy.toml"), &people).map(|(policy, _)| policy)
}

/// The first test vector of RFC 8032: an Ed25519 key that the whole world has.
const SEED: [u8; 32] = *b"\x9d\x61\xb1\x9d\xef\xfd\x5a\x60\xba\x84\x4a\xf4\x92\xec\x2c\xc4\
                          \x44\x49\xc5\x69\x7b\x32\x69\x19\x70\x3b\xac\x03\x1c\xae\x7f\x60";
const PUBLIC: [u8; 32] = *b"\xd7\x5a\x98\x01\x82\xb1\x0a\xb7\xd5\x4b\xfe\xd3\xc9\x64\x07\x3a\
                            \x0e\xe1\x72\xf3\xda\xa6\x23\x25\xaf\x02\x1a\x68\xf7\x07\x51\x1a";
const ED25519: &[u8] = b"\x30\x05\x06\x03\x2b\x65\x70";

fn private_key(seed: [u8; 32]) -> Vec<u8> {
    [
        b"\x30\x2e\x02\x01\x00".as_slice(),
        ED25519,
        b"\x04\x22\x04\x20",
        &seed,
    ]
    .concat()
}

/// A certificate that nobody has signed; nobody looks at that here.
fn certificate(public: [u8; 32]) -> Vec<u8> {
    let of = |tag: u8, parts: &[&[u8]]| {
        let body = parts.concat();
        let length = u8::try_from(body.len()).unwrap();
        let long: &[u8] = if length < 128 { &[] } else { &[0x81] };
        [&[tag], long, &[length], &*body].concat()
    };
    let bits = |bytes: &[u8]| of(0x03, &[&[0], bytes]);
    let name = of(0x30, &[]);
    let dates = of(0x30, &[b"\x17\x0d250101000000Z", b"\x17\x0d350101000000Z"]);
    let key = of(0x30, &[ED25519, &bits(&public)]);
    let version: &[u8] = b"\xa0\x03\x02\x01\x02\x02\x01\x01";
    let content = of(0x30, &[version, ED25519, &name, &dates, &name, &key]);
    of(0x30, &[&content, ED25519, &bits(&[1; 64])])
}

fn pem(label: &str, der: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in der.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| {
            bits << 8 | usize::from(*three.get(at).unwrap_or(&0))
        });
        for at in 0..4 {
            let letter = LETTERS[bits >> (18 - 6 * at) & 63];
            text.push(if at > three.len() {
                '='
            } else {
                char::from(letter)
            });
        }
    }
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

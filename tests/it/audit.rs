//! What `portcullis audit` makes of a journal of several files: every way to touch it has a name, heads that are signed tell on who
//! lacks the key, and what is encrypted is nobody's without another.

use std::fs;
use std::path::{Path, PathBuf};

use harness::stage::{Setup, Stage, leave_approved, portcullis};
use harness::{Finished, GateDir, raw};
use sha2::{Digest as _, Sha256};

use crate::tickets::{journal, serve, state};

const UPDATE: &str = "update t set note = 'new' where id = 1";

/// The lines of each file of a journal, in order.
type Files = Vec<(PathBuf, Vec<String>)>;

fn files(folder: &Path) -> Files {
    let listed = fs::read_dir(folder.join("journal")).unwrap();
    let mut paths: Vec<PathBuf> = listed.map(|it| it.unwrap().path()).collect();
    // The one that is written is the last, and closed ones begin with a digit there.
    paths.sort();
    let lines = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        text.lines().map(str::to_owned).collect()
    };
    paths.iter().map(|it| (it.clone(), lines(it))).collect()
}

fn put(files: &Files) {
    for (path, lines) in files {
        let lines: Vec<String> = lines.iter().map(|it| format!("{it}\n")).collect();
        fs::write(path, lines.concat()).unwrap();
    }
}

fn audit(stage: &Stage, what: &[&str]) -> Finished {
    let folder = state(stage);
    let folder = folder.to_string_lossy();
    portcullis(&[&["audit"], what, &["--state", &folder]].concat())
}

fn hash_of(line: &str) -> String {
    line[line.len() - 66..line.len() - 2].to_owned()
}

/// Seals all records from one on again, as the documentation says: the chain is whole in itself.
fn reseal(files: &mut Files, (file, line): (usize, usize)) {
    let mut prev: Option<String> = None;
    for (at, (_, lines)) in files.iter_mut().enumerate() {
        for (number, text) in lines.iter_mut().enumerate() {
            if let Some(prev) = prev.as_ref().filter(|_| (at, number) >= (file, line)) {
                *text = resealed(text, prev);
            }
            prev = Some(hash_of(text));
        }
    }
}

fn resealed(line: &str, prev: &str) -> String {
    let body = &line[..line.len() - 75];
    let at = body.find("\"prev\":\"").unwrap() + 8;
    let body = format!("{}{prev}{}", &body[..at], &body[at + 64..]);
    let byte = |at: usize| u8::from_str_radix(&prev[at * 2..at * 2 + 2], 16).unwrap();
    let mut input: Vec<u8> = (0..32).map(byte).collect();
    input.extend_from_slice(body.as_bytes());
    let hex: Vec<String> = Sha256::digest(&input)
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect();
    format!("{body},\"hash\":\"{}\"}}", hex.concat())
}

/// The forger has the store as well: its head is the journal's last record.
fn forge_head(stage: &Stage, files: &Files) {
    let last = files.last().and_then(|it| it.1.last()).unwrap();
    let seq: serde_json::Value = serde_json::from_str(last).unwrap();
    let db = rusqlite::Connection::open(state(stage).join("tickets.db")).unwrap();
    let head = "UPDATE heads SET seq = ?1, hash = ?2";
    let changed = db.execute(head, rusqlite::params![seq["seq"].as_i64(), hash_of(last)]);
    assert_eq!(changed.unwrap(), 1);
}

/// A gate that has written several files, and ended; `node` is its name.
fn written(node: &str, directory: GateDir, more: &str) -> Stage {
    let mut setup = Setup {
        top: format!("node = '{node}'\n"),
        ..Setup::default()
    };
    setup.more = format!("\n[journal]\nrotate_bytes = '64 KiB'\n{more}");
    let mut stage = setup.start_in(directory);
    leave_approved(&stage, UPDATE);
    let mut client = stage.raw("alice");
    for number in 0..5 {
        let sql = format!("select {number} /* {} */", "x".repeat(60 << 10));
        assert_eq!(raw::tags(&client.query(&sql)), "TDCZ");
    }
    assert_eq!(raw::tags(&client.query(UPDATE)), "CZ");
    drop(client);
    stage.gate.signal("TERM");
    assert_eq!(stage.gate.wait(), 0);
    stage
}

/// What somebody does to the journal of a gate, who has that of another at hand, and what is said to that. `F` is the number of
/// the first record in the second file, `L` that of the last of all, `M` that before it, and `FILE` the second file.
type Tamper = (
    &'static str,
    fn(&mut Files, &Files),
    &'static [&'static str],
);

const TAMPERS: [Tamper; 7] = [
    (
        "edit",
        |files, _| edit(files, "\"prev\":", " \"prev\":"),
        &["FILE line 1: record F was changed"],
    ),
    (
        "reorder",
        |files, _| {
            let (one, two) = files.split_at_mut(2);
            std::mem::swap(&mut one[1].1[0], &mut two[0].1[0]);
        },
        &["FILE line 1: expected record F, found record "],
    ),
    (
        "drop first",
        |files, _| drop(files[0].1.remove(0)),
        &["records 1 to 1 are missing"],
    ),
    (
        "drop last",
        |files, _| drop(files.last_mut().unwrap().1.pop()),
        &["ends after record M, but the store knows of record L"],
    ),
    (
        "rewrite suffix",
        |files, _| {
            edit(files, "\"number\":", "\"number\":1");
            reseal(files, (1, 0));
        },
        &[
            "journal.jsonl line ",
            ": record L has hash ",
            ", but the store knows it as ",
        ],
    ),
    (
        "another node's record",
        |files, other| files[1].1[0].clone_from(&other[1].1[0]),
        &["FILE line 1: "],
    ),
    (
        "another node's record, sealed again",
        |files, _| {
            edit(files, "\"node\":\"gate-1\"", "\"node\":\"gate-2\"");
            reseal(files, (1, 0));
        },
        &["FILE line 1: record F should be of node \"gate-1\", but is of \"gate-2\""],
    ),
];

/// The first record of the second file is another.
fn edit(files: &mut Files, from: &str, to: &str) {
    let line = &mut files[1].1[0];
    let changed = line.replacen(from, to, 1);
    assert_ne!(*line, changed);
    *line = changed;
}

#[test]
fn every_way_to_touch_a_journal_is_named() {
    let stage = written("gate-1", GateDir::new(), "");
    let other = files(&state(&written("gate-2", GateDir::new(), "")));
    let whole = files(&state(&stage));
    assert!(whole.len() >= 3, "{} files", whole.len());
    let records: usize = whole.iter().map(|it| it.1.len()).sum();
    let (first, second) = (whole[0].1.len() + 1, whole[1].0.to_string_lossy());
    for (what, tamper, expected) in TAMPERS {
        let mut files = whole.clone();
        tamper(&mut files, &other);
        assert_ne!(files, whole, "{what}");
        put(&files);
        let told = audit(&stage, &["verify"]).failed(1).stderr;
        assert!(
            told.contains("the journal is not whole: "),
            "{what}: {told}"
        );
        for words in expected {
            let words = words
                .replace("record F", &format!("record {first}"))
                .replace("record L", &format!("record {records}"))
                .replace("record M", &format!("record {}", records - 1))
                .replace("FILE", &second);
            assert!(told.contains(&words), "{what}: {words} is not in {told}");
        }
        let json = audit(&stage, &["verify", "--json"]).failed(1).stdout;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["whole"], false, "{what}");
        let refused = serve(&stage).failed(1);
        assert!(!refused.stdout.contains("ready"), "{what}");
    }
    put(&whole);
    let told = audit(&stage, &["verify"]).ok().stdout;
    let expected = format!("the journal is whole: {records} records, ");
    assert!(told.starts_with(&expected), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
}

/// A directory with a key of the operator in it, and the file of the public one.
fn with_key() -> (GateDir, String) {
    let directory = GateDir::new();
    let key = directory.file("signing.key");
    let made = portcullis(&["audit", "key", &key.to_string_lossy()])
        .ok()
        .stdout;
    assert!(made.starts_with("key "), "{made}");
    let again = portcullis(&["audit", "key", &key.to_string_lossy()])
        .failed(1)
        .stderr;
    assert!(again.contains("could not write"), "{again}");
    (directory, format!("{}.pub", key.to_string_lossy()))
}

fn verify_by(stage: &Stage, public: &str) -> Finished {
    audit(stage, &["verify", "--public-key", public])
}

#[test]
fn heads_are_signed_up_to_the_last_record() {
    let (directory, public) = with_key();
    let stage = written("gate-1", directory, "signing_key = 'signing.key'\n");
    let whole = files(&state(&stage));
    for (path, lines) in &whole {
        let last = lines.last().unwrap();
        let signs = last.contains("\"entry\":{\"kind\":\"signed\",");
        assert!(signs, "{}: {last}", path.display());
    }
    let told = verify_by(&stage, &public).ok().stdout;
    let records: usize = whole.iter().map(|it| it.1.len()).sum();
    let signed = format!("\nsigned up to record {}, on ", records - 1);
    assert!(told.contains(&signed), "{told}");
    assert!(!told.contains("not signed"), "{told}");
    let told = audit(&stage, &["verify"]).ok().stdout;
    assert!(
        told.contains("with --public-key FILE they are checked"),
        "{told}"
    );
    let (_stranger, other) = with_key();
    let told = verify_by(&stage, &other).failed(1).stderr;
    assert!(
        told.contains("has no record that is signed with key "),
        "{told}"
    );

    // What nobody has signed for is said, and no fault: here somebody took the last signature out.
    let mut files = whole.clone();
    let last = files.last_mut().unwrap();
    let line = last.1.pop().unwrap();
    let (before, seal) = (line.find("\"entry\":").unwrap(), line.len() - 75);
    let started = "\"entry\":{\"kind\":\"started\",\"torn_bytes\":0}";
    last.1
        .push(format!("{}{started}{}", &line[..before], &line[seal..]));
    let place = (files.len() - 1, files.last().unwrap().1.len() - 1);
    reseal(&mut files, place);
    put(&files);
    forge_head(&stage, &files);
    let told = verify_by(&stage, &public).ok().stdout;
    assert!(told.contains(" behind that "), "{told}");
    assert!(!told.contains(&signed), "{told}");
}

/// All hashes are made again, and the store says that this is the journal.
#[test]
fn who_lacks_the_key_cannot_write_the_chain_anew() {
    let (directory, public) = with_key();
    let stage = written("gate-1", directory, "signing_key = 'signing.key'\n");
    let whole = files(&state(&stage));
    let mut files = whole.clone();
    edit(&mut files, "\"number\":", "\"number\":1");
    reseal(&mut files, (1, 0));
    put(&files);
    forge_head(&stage, &files);
    audit(&stage, &["verify"]).ok();
    let place = format!("{} line {}: ", files[1].0.display(), files[1].1.len());
    let told = verify_by(&stage, &public).failed(1).stderr;
    assert!(told.contains(&place), "{told}");
    assert!(told.contains("bears no signature of key "), "{told}");
    let refused = serve(&stage).failed(1).stderr;
    assert!(refused.contains("bears no signature of key "), "{refused}");

    put(&whole);
    forge_head(&stage, &whole);
    verify_by(&stage, &public).ok();
    let stage = stage.restart();
    assert_eq!(stage.state("T-1"), "done");
}

/// In every statement, value, reason and error of alice's.
const CANARY: &str = "canary4711";

/// Asks for what passes, is signed, is refused by the server, by a rule and by bob; all with the canary in it.
fn ask(stage: &Stage) {
    let sql = format!("update t set note = '{CANARY}' where id = 1");
    leave_approved(stage, &sql);
    let mut client = stage.raw("alice");
    assert_eq!(raw::tags(&client.query(&sql)), "CZ");
    let refused = client.query(&format!("select '{CANARY}'::int"));
    let refused = raw::error(&refused);
    assert!(
        refused.field('M').unwrap().contains(CANARY),
        "{}",
        refused.describe()
    );
    client.send(&raw::parse("", "select $1::text"));
    client.send(&raw::bind_values("", "", &[Some(CANARY)]));
    client.send(&raw::execute(""));
    client.send(&raw::sync());
    client.frames_until(b'Z');
    assert_eq!(
        raw::tags(&client.query(&format!("create table {CANARY} ()"))),
        "EZ"
    );
    let ticket =
        harness::stage::leave_pending(stage, &format!("delete from t where note = '{CANARY}'"));
    // Who signs sees what is asked.
    let told = stage.ticket("bob", &ticket, "statement");
    assert!(told.contains(CANARY), "{told}");
    stage.reject(&ticket, &format!("not {CANARY}"));
}

/// Every byte of the files of a folder.
fn everything(folder: &Path) -> String {
    let files = fs::read_dir(folder).unwrap();
    let files = files.filter_map(|it| fs::read(it.unwrap().path()).ok());
    String::from_utf8_lossy(&files.collect::<Vec<_>>().concat()).into_owned()
}

#[test]
fn without_its_key_nobody_reads_what_a_tenant_asked() {
    let directory = GateDir::new();
    let key = directory.file("acme.key");
    let key = key.to_string_lossy().into_owned();
    portcullis(&["audit", "key", "--tenant", &key]).ok();
    let mut setup = Setup::default();
    setup.tenant.push_str("encryption_key = 'acme.key'\n");
    let mut stage = setup.start_in(directory);
    ask(&stage);
    stage.gate.signal("TERM");
    assert_eq!(stage.gate.wait(), 0);

    let text = fs::read_to_string(journal(&stage)).unwrap();
    assert!(!text.contains(CANARY), "{text}");
    assert!(
        !everything(&state(&stage)).contains(CANARY),
        "in the ticket store"
    );
    audit(&stage, &["verify"]).ok();
    let closed = audit(&stage, &["export"]).ok().stdout;
    assert!(closed.contains("\"encrypted\":{\"tenant\":\""), "{closed}");
    let opened = audit(&stage, &["export", "--key", &key]).ok().stdout;
    assert!(!opened.contains("encrypted"), "{opened}");
    for words in [
        format!("\"asked\":[{{\"text\":\"update t set note = '{CANARY}' where id = 1\""),
        format!("invalid input syntax for type integer: \\\"{CANARY}\\\""),
        format!("\"value\":\"{CANARY}\""),
        format!("create table {CANARY} ()"),
        format!("not {CANARY}"),
    ] {
        assert!(opened.contains(&words), "{words} is not in {opened}");
    }
    assert_eq!(closed.lines().count(), opened.lines().count());

    // The key is destroyed: the gate does not go on in clear text, and the chain holds.
    fs::remove_file(&key).unwrap();
    let refused = serve(&stage).failed(1).stderr;
    assert!(refused.contains("encryption key file"), "{refused}");
    portcullis(&["audit", "key", "--tenant", &key]).ok();
    audit(&stage, &["verify"]).ok();
    let exported = audit(&stage, &["export", "--key", &key]).ok().stdout;
    assert_eq!(exported, closed);
    let stage = stage.restart();
    assert_eq!(stage.state("T-1"), "done");
    let told = stage.ticket("bob", "T-1", "statement");
    assert!(told.ends_with(", which is not at hand)"), "{told}");
}

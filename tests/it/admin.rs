//! What machines are told on the admin address: metrics that a strict reader of Prometheus' text format takes, and health.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use harness::raw::{self, Raw};
use harness::stage::{Setup, Stage, eventually, held_raw, shared, table};

const UPDATE: &str = "update t set note = 'new' where id = 1";

/// A stage that tells how it is, and where.
#[track_caller]
fn start(change: impl FnOnce(&mut Setup)) -> (Stage, SocketAddr) {
    let mut stage = Stage::with(|setup| {
        setup.more.push_str("[admin]\nlisten = '127.0.0.1:0'\n");
        change(setup);
    });
    let line = stage.gate.stdout().text();
    let address = line.lines().find_map(|it| it.strip_prefix("admin on "));
    let address = address.unwrap_or_else(|| panic!("no admin address in {line}"));
    (stage, address.parse().unwrap())
}

/// The status and the rest of the answer to these bytes.
#[track_caller]
fn say(address: SocketAddr, request: &str) -> (String, String, String) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(harness::DEADLINE)).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("no whole answer");
    let status = head.split(' ').nth(1).unwrap().to_owned();
    (status, head.to_ascii_lowercase(), body.to_owned())
}

#[track_caller]
pub(crate) fn get(address: SocketAddr, path: &str) -> (String, String) {
    let (status, _, body) = say(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: gate\r\n\r\n"),
    );
    (status, body)
}

/// A sample: its name, its labels and the whole part of its value.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: u64,
}

/// Text format 0.0.4, and nothing else: HELP and TYPE in front of each metric once, samples of one together.
#[track_caller]
fn parse(page: &str) -> Vec<Sample> {
    assert!(page.ends_with('\n'), "the last line has no end");
    let (mut samples, mut types) = (Vec::new(), BTreeMap::new());
    let (mut current, mut seen) = (String::new(), BTreeSet::new());
    let is_name = |it: &str| {
        let first = it.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        first && it.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    for line in page.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').expect(line);
            assert!(is_name(name) && !text.is_empty(), "{line}");
            assert!(seen.insert(name.to_owned()), "{name} twice");
            name.clone_into(&mut current);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect(line);
            assert_eq!(name, current, "{line}");
            assert!(["counter", "gauge"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            types.insert(name.to_owned(), kind.to_owned());
        } else {
            let sample = sample(line);
            assert_eq!(sample.name, current, "{line}");
            assert!(types.contains_key(&current), "{line}");
            assert!(sample.name.starts_with("portcullis_"), "{line}");
            let known = ["tenant", "class", "verdict", "version"];
            let labels: Vec<&str> = sample.labels.keys().map(String::as_str).collect();
            assert!(labels.iter().all(|it| known.contains(it)), "{line}");
            samples.push(sample);
        }
    }
    let mut places = BTreeSet::new();
    for it in &samples {
        assert!(places.insert((&it.name, &it.labels)), "twice: {it:?}");
    }
    samples
}

#[track_caller]
fn sample(line: &str) -> Sample {
    let (name, labels, value) = match line.split_once('{') {
        None => {
            let (name, value) = line.split_once(' ').expect(line);
            (name, "", value)
        }
        Some((name, rest)) => {
            let (labels, value) = rest.rsplit_once("} ").expect(line);
            (name, labels, value)
        }
    };
    let mut all = BTreeMap::new();
    let mut rest = labels;
    while !rest.is_empty() {
        let (label, behind) = rest.split_once("=\"").expect(line);
        let end = behind.find('"').expect(line);
        all.insert(label.to_owned(), behind[..end].to_owned());
        rest = behind[end + 1..].trim_start_matches(',');
    }
    assert!(value.parse::<f64>().is_ok(), "{line}");
    let whole = value.split('.').next().unwrap();
    Sample {
        name: name.to_owned(),
        labels: all,
        value: whole.parse().expect(line),
    }
}

/// The metrics of a gate, at one moment.
struct Metrics(Vec<Sample>);

impl Metrics {
    #[track_caller]
    fn of(address: SocketAddr) -> Self {
        let (status, page) = get(address, "/metrics");
        assert_eq!(status, "200", "{page}");
        Self(parse(&page))
    }

    /// The value of the one sample of this name that has all of these labels.
    fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<u64> {
        let has = |it: &&Sample| {
            let all = |(label, value): &(&str, &str)| {
                it.labels.get(*label).map(String::as_str) == Some(*value)
            };
            it.name == format!("portcullis_{name}") && labels.iter().all(all)
        };
        let found: Vec<u64> = self.0.iter().filter(has).map(|it| it.value).collect();
        assert!(found.len() < 2, "{name} {labels:?}: {found:?}");
        found.first().copied()
    }

    /// The same of a tenant; 0 where there is none, as there may be none.
    fn of_tenant(&self, tenant: &str, name: &str, labels: &[(&str, &str)]) -> u64 {
        let labels: Vec<_> = [("tenant", tenant)].iter().chain(labels).copied().collect();
        self.find(name, &labels).unwrap_or(0)
    }

    #[track_caller]
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let found = self.find(name, labels);
        found.unwrap_or_else(|| panic!("no {name} {labels:?} in {:?}", self.0))
    }
}

#[test]
fn metrics_are_as_prometheus_reads_them_and_say_what_happened() {
    let (mut stage, address) = start(|_| {});
    let (status, head, _) = say(address, "GET /metrics HTTP/1.1\r\nHost: gate\r\n\r\n");
    assert_eq!(status, "200");
    assert!(
        head.contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    let mut alice = stage.raw("alice");
    for _ in 0..3 {
        assert_eq!(raw::tags(&alice.query("select note from t")), "TDDDCZ");
    }
    alice.query("create table u ()");
    let mut waiting = stage.raw("alice");
    waiting.send(&raw::query(UPDATE));
    let ticket = held_raw(&mut waiting);
    let tenant = stage.database.name.clone();
    let before = Metrics::of(address);
    let passed = [("class", "read"), ("verdict", "passed")];
    let waits = [("class", "write"), ("verdict", "held")];
    let signed = [("class", "write"), ("verdict", "signed")];
    let denied = [("class", "ddl"), ("verdict", "denied")];
    for (labels, count) in [(passed, 3), (waits, 1), (signed, 0), (denied, 1)] {
        let found = before.of_tenant(&tenant, "requests_total", &labels);
        assert_eq!(found, count, "{labels:?}");
    }
    for (name, value) in [
        ("transactions_total", 3),
        ("logins_total", 2),
        ("sessions", 2),
        ("sessions_held", 1),
        // A hold costs none.
        ("server_connections_active", 0),
    ] {
        assert_eq!(before.of_tenant(&tenant, name, &[]), value, "{name}");
    }
    assert!(before.of_tenant(&tenant, "received_bytes_total", &[]) > 60);
    assert!(before.of_tenant(&tenant, "sent_bytes_total", &[]) > 100);
    for (name, value) in [
        ("tickets_pending", 1),
        ("store_up", 1),
        ("journal_up", 1),
        ("draining", 0),
        ("workers_answering", 1),
    ] {
        assert_eq!(before.value(name, &[]), value, "{name}");
    }
    assert!(before.value("server_logins_total", &[]) >= 1);
    let expires = before.value("certificate_expiry_time_seconds", &[]);
    assert!(expires > before.value("start_time_seconds", &[]) + 86_400);

    stage.approve(&ticket);
    waiting.frames_until(b'Z');
    stage.gate.signal("HUP");
    stage.gate.stderr().wait_for("configuration reloaded");
    let after = Metrics::of(address);
    for labels in [waits, signed] {
        let found = after.of_tenant(&tenant, "requests_total", &labels);
        assert_eq!(found, 1, "{labels:?}");
    }
    assert_eq!(after.of_tenant(&tenant, "sessions_held", &[]), 0);
    for (name, value) in [
        ("tickets_pending", 0),
        ("reloads_total", 1),
        ("config_version", 2),
    ] {
        assert_eq!(after.value(name, &[]), value, "{name}");
    }
}

/// However many tenants there are, so many have series of their own.
#[test]
fn tenants_beyond_the_limit_are_added_up() {
    let others = [table(), table()];
    let (stage, address) = start(|setup| {
        setup.top = "workers = 2\n".to_owned();
        setup.more.push_str("tenants_max = 1\n");
        for (number, it) in others.iter().enumerate() {
            let (name, upstream) = (&it.name, shared(it));
            let more = format!("[tenant.other{number}]\ndatabase = '{name}'\n{upstream}\n");
            setup.more.push_str(&more);
        }
    });
    let mut clients = vec![stage.raw("alice"), stage.raw("bob")];
    for name in ["other0", "other1", "other1"] {
        clients.push(Raw::login(&stage.login("alice").database(name)));
    }
    for client in &mut clients {
        assert_eq!(raw::tags(&client.query("select 1")), "TDCZ");
    }
    let metrics = Metrics::of(address);
    let own = [("tenant", stage.database.name.as_str())];
    let rest = [("tenant", "*")];
    for (name, labels, value) in [
        ("sessions", own, 2),
        ("sessions", rest, 3),
        ("logins_total", own, 2),
        ("logins_total", rest, 3),
        ("transactions_total", rest, 3),
    ] {
        assert_eq!(metrics.value(name, &labels), value, "{name} {labels:?}");
    }
    let tenants: BTreeSet<_> = metrics
        .0
        .iter()
        .filter_map(|it| it.labels.get("tenant"))
        .collect();
    assert_eq!(tenants.len(), 2, "{tenants:?}");
}

#[test]
fn nothing_but_a_small_get_is_answered() {
    let (_stage, address) = start(|_| {});
    for method in ["POST", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        let request =
            format!("{method} /metrics HTTP/1.1\r\nHost: gate\r\nContent-Length: 0\r\n\r\n");
        let (status, head, _) = say(address, &request);
        assert_eq!(status, "405", "{method}");
        assert!(head.contains("allow: get"), "{head}");
    }
    assert_eq!(get(address, "/").0, "404");
    assert_eq!(get(address, "/metrics/..").0, "404");
    assert_eq!(
        get(address, "/healthz?x=1"),
        ("200".to_owned(), "alive\n".to_owned())
    );
    let header = format!("X: {}\r\n", "x".repeat(20_000));
    let large = format!("GET /metrics HTTP/1.1\r\n{header}\r\n");
    assert_eq!(say(address, &large).0, "431");
    // Half a request is not waited for.
    let mut half = TcpStream::connect(address).unwrap();
    half.set_read_timeout(Some(harness::DEADLINE)).unwrap();
    half.write_all(b"GET /metr").unwrap();
    let (since, mut rest) = (Instant::now(), Vec::new());
    let _ended = half.read_to_end(&mut rest);
    assert!(
        since.elapsed() < Duration::from_secs(15),
        "{:?}",
        since.elapsed()
    );
    assert!(!rest.starts_with(b"HTTP/1.1 200"), "{rest:?}");
}

/// Who stops takes nobody more, and lives until it has stopped. A second signal does not wait for anybody.
#[test]
fn a_gate_that_stops_is_not_ready_and_a_second_signal_ends_it() {
    let (mut stage, address) = start(|setup| {
        setup.rules = "[[rule]]\nname = 'all'\nverdict = 'allow'\n".to_owned();
        setup.more.push_str("[limits]\ndrain = '1 h'\n");
    });
    assert_eq!(
        get(address, "/readyz"),
        ("200".to_owned(), "ready\n".to_owned())
    );
    let mut busy = stage.raw("alice");
    busy.send(&raw::query("select pg_sleep(600)"));
    eventually("it sleeps", || stage.active_upstreams() == 1);
    stage.gate.signal("TERM");
    eventually("it stops", || get(address, "/readyz").0 == "503");
    assert_eq!(get(address, "/readyz").1, "the gate is stopping\n");
    assert_eq!(get(address, "/healthz").0, "200");
    assert_eq!(Metrics::of(address).value("draining", &[]), 1);
    stage.gate.signal("TERM");
    assert_eq!(stage.gate.wait(), 0);
    stage.gate.stderr().wait_for("stopped at once");
}

//! What systemd hears of a gate that it started, and the sockets that it hands over: by a real datagram socket, and real sockets
//! that a process inherits. And the log, as whoever gathers logs reads it.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};

use harness::raw::{self, Raw};
use harness::stage::{Setup, Stage, held_raw, table};
use harness::{DEADLINE, GateDir, Lines, portcullis_binary};

/// What the service manager hears.
struct Listening(UnixDatagram);

impl Listening {
    /// Bound in the directory of a gate, which is told so.
    fn of(directory: &mut GateDir) -> Self {
        let path = directory.file("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        directory.set("NOTIFY_SOCKET", &path.to_string_lossy());
        Self(socket)
    }

    /// The next message, in lines.
    #[track_caller]
    fn hears(&self) -> Vec<String> {
        let mut message = [0; 4096];
        let length = self.0.recv(&mut message).expect("nothing was said");
        let text = String::from_utf8(message[..length].to_vec()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

#[test]
fn a_service_manager_hears_that_it_is_ready_reloads_and_stops() {
    let mut directory = GateDir::new();
    let manager = Listening::of(&mut directory);
    let mut stage = Setup::default().start_in(directory);
    let ready = manager.hears();
    assert_eq!(ready[0], "READY=1");
    assert_eq!(ready[1], "STATUS=configuration 1: 1 tenants, 0 patterns");
    let mut last = 0;
    for (text, version) in [("frobnicate = 1\n", 1), ("", 2)] {
        let config = format!("{text}{}", Setup::default().config(&stage.database));
        stage.gate.directory().write_config(&config);
        stage.gate.signal("HUP");
        let reloading = manager.hears();
        assert_eq!(reloading[0], "RELOADING=1");
        let since = reloading[1].strip_prefix("MONOTONIC_USEC=").unwrap();
        let since: u64 = since.parse().unwrap();
        assert!(since > last, "{since} is not behind {last}");
        last = since;
        // Whatever came of it: what is wrong is in the log, and the gate serves on.
        let ready = manager.hears();
        assert_eq!(ready[0], "READY=1");
        assert!(
            ready[1].starts_with(&format!("STATUS=configuration {version}:")),
            "{ready:?}"
        );
    }
    stage.gate.signal("TERM");
    assert_eq!(manager.hears()[0], "STOPPING=1");
    assert_eq!(stage.gate.wait(), 0);
}

#[test]
fn a_watchdog_is_told_that_every_thread_lives() {
    let mut directory = GateDir::new();
    let manager = Listening::of(&mut directory);
    directory.set("WATCHDOG_USEC", "300000");
    let setup = Setup {
        top: "workers = 3\n".to_owned(),
        ..Setup::default()
    };
    let _stage = setup.start_in(directory);
    assert_eq!(manager.hears()[0], "READY=1");
    for _ in 0..3 {
        assert_eq!(manager.hears(), ["WATCHDOG=1"]);
    }
}

/// A gate that goes with whoever waits for it.
struct Started {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

impl Drop for Started {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Starts a gate that is handed this socket, under this name, as systemd does.
#[track_caller]
fn hand_over(directory: &GateDir, socket: TcpListener, name: &str) -> Started {
    let script = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$; export LISTEN_FDS LISTEN_PID; exec \"$@\"";
    let mut child = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(portcullis_binary())
        .arg("serve")
        .arg("--config")
        .arg(directory.file("portcullis.toml"))
        .env("LISTEN_FDNAMES", name)
        .env("NO_COLOR", "1")
        .stdin(Stdio::from(OwnedFd::from(socket)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = Lines::read("the gate's stdout", child.stdout.take().unwrap());
    let stderr = Lines::read("the gate's stderr", child.stderr.take().unwrap());
    Started {
        child,
        stdout,
        stderr,
    }
}

fn socket() -> (TcpListener, SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Who comes before it serves waits in the kernel's queue, and is served.
#[test]
fn clients_come_by_a_socket_that_was_handed_over() {
    let (directory, database) = (GateDir::new(), table());
    directory.write_config(&Setup::default().config(&database));
    let (socket, address) = socket();
    let early = TcpStream::connect(address).unwrap();
    let mut gate = hand_over(&directory, socket, "clients");
    gate.stdout.wait_for(&format!("ready on {address}"));
    gate.stderr.wait_for("the sockets that were handed over");
    drop(early);
    let login = harness::Login {
        host: "localhost".to_owned(),
        port: address.port(),
        user: "alice".to_owned(),
        password: harness::stage::password("alice"),
        database: database.name.clone(),
        root_cert: Some(directory.file("ca.pem")),
    };
    let answer = Raw::login(&login).query("select 1");
    assert_eq!(raw::tags(&answer), "TDCZ");
}

#[test]
fn the_admin_address_can_be_handed_over_by_its_name() {
    let (directory, database) = (GateDir::new(), table());
    directory.write_config(&Setup::default().config(&database));
    let (socket, address) = socket();
    let mut gate = hand_over(&directory, socket, "admin");
    gate.stdout.wait_for(&format!("admin on {address}"));
    let ready = gate.stdout.wait_for("ready on ");
    assert!(!ready.contains(&address.to_string()), "{ready}");
    let (status, body) = crate::admin::get(address, "/readyz");
    assert_eq!((status.as_str(), body.as_str()), ("200", "ready\n"));
}

/// Every line can be read by a program, and says by the same names whose it is. What was asked is not in it.
#[test]
fn a_log_of_json_names_tenant_principal_session_and_ticket() {
    let mut directory = GateDir::new();
    directory.set("PORTCULLIS_LOG_FORMAT", "json");
    directory.set("PORTCULLIS_LOG", "debug");
    let mut stage = Setup::default().start_in(directory);
    let mut alice = stage.raw("alice");
    alice.send(&raw::query(
        "update t set note = 'canary-in-a-statement' where id = 1",
    ));
    let ticket = held_raw(&mut alice);
    stage.approve(&ticket);
    alice.frames_until(b'Z');
    stage.gate.signal("TERM");
    assert_eq!(stage.gate.wait(), 0);
    let log = stage.gate.stderr().to_end();
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    let said = |message: &str| {
        let found = lines.iter().find(|it| it["message"] == message);
        found.unwrap_or_else(|| panic!("no \"{message}\" in {log}"))
    };
    let held = said("held");
    assert_eq!(held["level"], "INFO");
    assert_eq!(held["tenant"], stage.database.name.as_str());
    assert_eq!(held["principal"], "alice");
    assert_eq!(held["ticket"], ticket.as_str());
    assert_eq!(held["session"], said("logged in")["session"]);
    assert!(held["timestamp"].is_string(), "{held}");
    let approved = said("approve");
    assert!(
        ["bob", "carol"]
            .iter()
            .any(|it| approved["principal"] == *it),
        "{approved}"
    );
    assert_eq!(approved["ticket"], ticket.as_str());
    let shown = lines
        .iter()
        .filter(|it| it["level"] != "DEBUG" && it["level"] != "TRACE");
    for line in shown {
        assert!(
            !line.to_string().contains("canary-in-a-statement"),
            "{line}"
        );
    }
}

#[test]
fn a_format_that_is_none_is_refused() {
    let mut command = Command::new(portcullis_binary());
    command.arg("serve").arg("--config").arg("nowhere.toml");
    command.env("PORTCULLIS_LOG_FORMAT", "xml");
    let refused = harness::Program::new(command).run(&[]).failed(1);
    assert!(
        refused
            .stderr
            .contains("PORTCULLIS_LOG_FORMAT is \"xml\", expected text or json"),
        "{refused:?}"
    );
}

/// Who waits for people when the gate stops is told that the ticket stays, and it does.
#[test]
fn who_waits_when_it_stops_is_told_and_the_ticket_stays() {
    let mut stage = Stage::new();
    let mut alice = stage.raw("alice");
    alice.send(&raw::query("update t set note = 'later' where id = 1"));
    let ticket = held_raw(&mut alice);
    stage.gate.signal("TERM");
    let frames = alice.frames_until_closed();
    let last = frames.last().expect("closed without a word");
    assert_eq!(last.sqlstate(), "57P01", "{}", last.describe());
    assert_eq!(last.field('S').as_deref(), Some("FATAL"));
    let detail = last.field('D').unwrap_or_default();
    let stays = format!("Ticket {ticket} stays");
    assert!(detail.starts_with(&stays), "{}", last.describe());
    assert_eq!(stage.gate.wait(), 0);
    let stage = stage.restart();
    assert_eq!(stage.state(&ticket), "pending");
    stage.approve(&ticket);
    let mut alice = stage.raw("alice");
    let answer = alice.query("update t set note = 'later' where id = 1");
    assert!(raw::tags(&answer).ends_with("CZ"), "{}", raw::tags(&answer));
    assert_eq!(stage.count("note = 'later'"), "1");
}

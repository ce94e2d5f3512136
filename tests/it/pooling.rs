//! The pool's own life, seen from outside: what lies unused, what the server says, and whose turn it
//! is. What needs hours or thousands of clients is proven in `crates/pool/tests`.

use harness::raw::{self, Raw};
use harness::sandbox::{Postgres, Shutdown};
use harness::stage::{Setup, Stage, eventually, password, pool_figure};
use harness::{Gate, options};

/// Everything passes: it is the pool that is looked at.
const ALL: &str = "[[rule]]\nname = 'all'\nverdict = 'allow'\n";

/// Takes a while and leaves nothing: what may leave something keeps its connection.
const SLOW: &str = "select count(*) from generate_series(1, 3000000)";

/// Figures of `SHOW POOLS`, over all lanes of the tenant.
#[track_caller]
fn figures<const N: usize>(stage: &Stage, columns: [&str; N]) -> [String; N] {
    columns.map(|it| pool_figure(stage, &stage.database.name, it))
}

/// Backends of the gate in the shared server, for this stage's tenants.
fn backends(stage: &Stage) -> String {
    let role = &stage.database.write.name;
    let count = format!("select count(*) from pg_stat_activity where usename = '{role}'");
    stage.database.sql(&count)
}

#[track_caller]
fn read(client: &mut Raw) {
    let answer = client.query("select 1");
    assert_eq!(raw::tags(&answer), "TDCZ", "{}", answer[0].describe());
}

#[test]
fn what_lies_unused_too_long_is_closed() {
    let stage = Stage::with(|setup| setup.tenant = "idle_timeout = '1 s'".to_owned());
    let mut client = stage.raw("alice");
    read(&mut client);
    eventually("it is closed", || backends(&stage) == "0");
    read(&mut client);
}

#[test]
fn what_is_too_old_is_closed_also_if_it_is_used_all_the_time() {
    let stage = Stage::with(|setup| {
        setup.more = "[pool]\nlifetime = '1 s'\n".to_owned();
    });
    let mut client = stage.raw("alice");
    let pid = |client: &mut Raw| {
        let row = client.query("select pg_backend_pid()").remove(1);
        row.body
    };
    let first = pid(&mut client);
    eventually("another one serves", || pid(&mut client) != first);
}

/// Hazards R30: nobody has to use it to find out.
#[test]
fn what_the_server_closed_is_noticed_without_being_used() {
    let stage = Stage::new();
    let mut client = stage.raw("alice");
    read(&mut client);
    assert_ne!(figures(&stage, ["sv_idle"]), ["0"]);
    let role = &stage.database.write.name;
    stage.database.sql(&format!(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = '{role}'"
    ));
    eventually("it is gone", || figures(&stage, ["sv_idle"]) == ["0"]);
    read(&mut client);
}

/// Also whoever waits behind a session that waits for the server.
#[test]
fn who_waits_while_the_server_is_down_hears_that_and_not_that_the_pool_is_full() {
    let mut server = Postgres::start(options()).unwrap();
    let upstream = format!(
        "host = 'localhost'\nport = {}\ndatabase = 'postgres'\nuser = 'postgres'\npassword = '{}'\n\
         sslmode = 'disable'",
        server.port(),
        server.password()
    );
    let stage = Setup {
        upstream: Some(upstream),
        tenant: "pool_size = 1\nwait = '2 s'".to_owned(),
        ..Setup::default()
    }
    .start();
    let mut clients = ["alice", "bob", "alice"].map(|who| stage.raw(who));
    clients.iter_mut().for_each(read);
    server.halt(Shutdown::Fast);
    for client in &mut clients {
        client.send(&raw::query("select 1"));
    }
    for client in &mut clients {
        let answer = client.frames_until(b'Z');
        assert_eq!(answer[0].sqlstate(), "57P03", "{}", answer[0].describe());
    }
    server.resume().unwrap();
    clients.iter_mut().for_each(read);
}

/// Two tenants share a server that may have two connections, and one of them would take all.
#[test]
fn a_noisy_tenant_does_not_starve_a_quiet_one() {
    let stage = Stage::with_twin(|setup| {
        setup.tenant = "pool_size = 10".to_owned();
        setup.rules = ALL.to_owned();
        setup.more = "[limits]\nserver_connections_max = 2\n".to_owned();
    });
    let mut noisy: Vec<Raw> = (0..12).map(|_| stage.raw("alice")).collect();
    let mut quiet = Raw::login(&stage.gate.login("bob", &password("bob"), "twin"));
    for client in &mut noisy {
        client.send(&raw::query(SLOW));
    }
    read(&mut quiet);
    assert_ne!(
        figures(&stage, ["cl_waiting"]),
        ["0"],
        "the others still wait"
    );
    for client in &mut noisy {
        client.frames_until(b'Z');
    }
    let most: u32 = backends(&stage).parse().unwrap();
    assert!(most <= 2, "{most} connections");
}

/// What one does with a session is nobody else's, nor one's own next transaction's.
#[test]
fn nothing_of_a_session_is_left_for_the_next() {
    let stage = Stage::with(|setup| {
        setup.tenant = "pool_size = 1".to_owned();
        setup.rules = ALL.to_owned();
    });
    let look = "select (select count(*) from pg_prepared_statements where name <> ''), \
        (select count(*) from pg_cursors where name <> ''), \
        (select count(*) from pg_listening_channels()), \
        (select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'), \
        (select count(*) from pg_class where relnamespace = pg_my_temp_schema()), \
        current_setting('work_mem'), current_setting('my.own', true), current_user = session_user";
    let clean = stage.psql("bob").query(look).ok().stdout;
    for state in [
        "prepare p as select 1",
        "begin; declare c cursor with hold for select 1; commit",
        "listen news",
        "select pg_advisory_lock(7)",
        "create temp table own (id int)",
        "set work_mem = '1MB'",
        "select set_config('work_mem', '2MB', false)",
        "do $$ begin execute 'set work_mem = ''3MB'''; end $$",
        "set my.own = 'x'",
    ] {
        stage.psql("alice").query(state).ok();
        for who in ["bob", "alice"] {
            let seen = stage.psql(who).query(look).ok().stdout;
            assert_eq!(seen, clean, "{who} after {state}");
        }
    }
}

#[test]
fn one_login_is_said_by_check() {
    let stage = Stage::new();
    let config = stage.gate.directory().path().join("portcullis.toml");
    let told = harness::stage::portcullis(&["check", config.to_str().unwrap()]).ok();
    assert!(told.stdout.contains("\"read_user\""), "{}", told.stdout);
    assert!(
        told.stdout.contains(&stage.database.name),
        "{}",
        told.stdout
    );
}

/// Hazards R67: a gate that stops says so to its server, and the server has nothing left of it.
#[test]
fn a_gate_that_stops_leaves_no_connection() {
    let Stage { mut gate, database } = Stage::new();
    {
        let login = gate.login("alice", &password("alice"), &database.name);
        read(&mut Raw::login(&login));
    }
    stop(&mut gate);
    let role = &database.write.name;
    let count = format!("select count(*) from pg_stat_activity where usename = '{role}'");
    eventually("all are gone", || database.sql(&count) == "0");
}

fn stop(gate: &mut Gate) {
    gate.signal("TERM");
    assert_eq!(gate.wait(), 0);
}

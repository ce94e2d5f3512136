//! Logging in: TLS, the first bytes, SCRAM, startup parameters, and what is refused before a session.

use std::time::{Duration, Instant};

use harness::raw::{self, Frame, Raw};
use harness::sandbox::ca::Certificates;
use harness::stage::{Setup, Stage, eventually, password, user};
use harness::{GateDir, psql};

/// A startup packet of any version.
fn startup(major: u16, minor: u16, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut packet = raw::startup(parameters);
    packet[4..6].copy_from_slice(&major.to_be_bytes());
    packet[6..8].copy_from_slice(&minor.to_be_bytes());
    packet
}

/// Without a body: 80877103 asks for TLS, 80877104 for GSSAPI encryption.
fn request(code: i32) -> Vec<u8> {
    [8_i32.to_be_bytes(), code.to_be_bytes()].concat()
}

fn tls(stage: &Stage) -> Raw {
    let mut client = Raw::connect(stage.gate.address());
    client.start_tls(stage.gate.root_cert(), "localhost");
    client
}

/// The one frame of a connection that is closed: an error that ends it.
#[track_caller]
fn farewell(client: &mut Raw) -> Frame {
    let frames = client.frames_until_closed();
    let last = frames.last().expect("it was closed without a word").clone();
    assert_eq!(last.tag, b'E', "{}", last.describe());
    assert_eq!(last.field('S').as_deref(), Some("FATAL"));
    last
}

#[test]
fn psql_comes_over_tls_1_2_and_1_3() {
    let stage = Stage::new();
    for version in ["TLSv1.2", "TLSv1.3"] {
        let said = psql(&stage.login("alice"))
            .env("PGSSLMINPROTOCOLVERSION", version)
            .env("PGSSLMAXPROTOCOLVERSION", version)
            .query("\\conninfo")
            .ok();
        assert!(said.stdout.contains(version), "{said:?}");
    }
    let old = psql(&stage.login("alice"))
        .env("PGSSLMINPROTOCOLVERSION", "TLSv1")
        .env("PGSSLMAXPROTOCOLVERSION", "TLSv1.1")
        .query("select 1")
        .failed(2);
    assert!(old.stderr.contains("SSL error"), "{old:?}");
}

#[test]
fn psql_verifies_the_gate_in_full() {
    let stage = Stage::new();
    let mut login = stage.login("alice");
    assert_eq!(psql(&login).query("select 6 * 7").ok().stdout, "42");

    let elsewhere = GateDir::new();
    login.root_cert = Some(elsewhere.file("ca.pem"));
    let refused = psql(&login).query("select 1").failed(2);
    let why = "certificate verify failed";
    assert!(refused.stderr.contains(why), "{refused:?}");
}

#[test]
fn a_certificate_for_another_name_does_not_pass_for_the_gate() {
    let directory = GateDir::new();
    let other = Certificates::make(&["gate.example"]).unwrap();
    let files = other.write(&directory.path().join("other")).unwrap();
    let stage = Setup {
        tls: "certificate = 'other/server.pem'\nkey = 'other/server.key'\n".to_owned(),
        ..Setup::default()
    }
    .start_in(directory);
    let mut login = stage.login("alice");
    login.root_cert = Some(files.ca);
    let refused = psql(&login).query("select 1").failed(2);
    assert!(refused.stderr.contains("does not match"), "{refused:?}");
}

#[test]
fn gssencrequest_is_answered_n_and_tls_may_follow() {
    let stage = Stage::new();
    let mut client = Raw::connect(stage.gate.address());
    client.send(&request(80_877_104));
    assert_eq!(client.byte(), b'N');
    client.start_tls(stage.gate.root_cert(), "localhost");
    let login = stage.login("alice");
    client.send(&raw::startup(&[
        ("user", "alice"),
        ("database", &login.database),
    ]));
    client.authenticate(&login.password).unwrap();
    assert_eq!(raw::tags(&client.query("select 1")), "TDCZ");
}

/// Hazards R6: a budget of one request for each kind of encryption.
#[test]
fn encryption_is_asked_for_once() {
    let stage = Stage::with(|setup| setup.tls = "plaintext = true\n".to_owned());
    for (first, second) in [(80_877_103, 80_877_103), (80_877_104, 80_877_104)] {
        let mut client = Raw::connect(stage.gate.address());
        client.send(&request(first));
        assert_eq!(client.byte(), b'N');
        client.send(&request(second));
        assert_eq!(farewell(&mut client).sqlstate(), "08P01");
    }

    let stage = Stage::new();
    let mut client = tls(&stage);
    client.send(&raw::ssl_request());
    assert_eq!(farewell(&mut client).sqlstate(), "08P01");
}

/// Hazards R11 (CVE-2021-23214): what comes with the SSLRequest was never protected.
#[test]
fn bytes_before_the_handshake_are_refused() {
    let stage = Stage::new();
    let startup = raw::startup(&[("user", "alice"), ("database", &stage.database.name)]);
    for request in [80_877_103, 80_877_104] {
        let mut client = Raw::connect(stage.gate.address());
        client.send(&[self::request(request), startup.clone()].concat());
        let error = farewell(&mut client);
        assert_eq!(error.sqlstate(), "08P01");
        let message = error.field('M').unwrap();
        assert!(message.contains("unencrypted data"), "{message}");
    }
}

#[test]
fn clear_text_is_refused_unless_it_is_configured() {
    let stage = Stage::new();
    let login = stage
        .gate
        .plain_login("alice", &password("alice"), &stage.database.name);
    let refused = Raw::try_login(&login, &[]).unwrap_err();
    assert_eq!(refused.sqlstate(), "28000");
    assert!(refused.field('H').unwrap().contains("sslmode=require"));
    psql(&login).query("select 1").failed(2);

    let both = Stage::with(|setup| setup.tls.push_str("plaintext = true\n"));
    let login = both
        .gate
        .plain_login("alice", &password("alice"), &both.database.name);
    assert_eq!(psql(&login).query("select 1").ok().stdout, "1");
    let login = both.login("alice");
    assert_eq!(psql(&login).query("select 1").ok().stdout, "1");
}

/// Hazards R8: whoever does not get in learns nothing of who could.
#[test]
fn a_wrong_password_and_an_unknown_user_look_the_same() {
    let stage = Stage::new();
    let database = stage.database.name.clone();
    let look = |user: &str, database: &str| {
        let mut client = tls(&stage);
        client.send(&raw::startup(&[("user", user), ("database", database)]));
        let refused = client.authenticate("wrong").unwrap_err();
        assert_eq!(refused.sqlstate(), "28P01");
        let message = refused.field('M').unwrap();
        let fields = ['S', 'V', 'D', 'H'].map(|field| refused.field(field));
        (message.replace(user, "NAME"), fields)
    };
    let known = look("alice", &database);
    assert_eq!(known.0, "password authentication failed for user \"NAME\"");
    assert_eq!(known, look("nobody", &database));
    assert_eq!(known, look("alice", "nowhere"));
    assert_eq!(known, look("nobody", "portcullis"));
}

/// The same, of a user's salt: a decoy is as steady as a real one.
#[test]
fn the_salt_of_an_unknown_user_is_steady() {
    let stage = Stage::new();
    let salt = |user: &str| {
        let mut client = tls(&stage);
        client.send(&raw::startup(&[("user", user), ("database", "x")]));
        assert_eq!(client.frame().tag, b'R');
        let first = b"n,,n=,r=abcdefghijklmnopqrstuvwx";
        let length = i32::try_from(first.len()).unwrap().to_be_bytes();
        client.send(&raw::frame(
            b'p',
            &[&b"SCRAM-SHA-256\0"[..], &length, first].concat(),
        ));
        let reply = client.frame();
        let text = String::from_utf8(reply.body[4..].to_vec()).unwrap();
        let parts: Vec<_> = text.split(',').map(str::to_owned).collect();
        (parts[1].clone(), parts[2].clone())
    };
    assert_eq!(salt("nobody"), salt("nobody"));
    assert_ne!(salt("nobody").0, salt("somebody").0);
    assert_eq!(salt("nobody").1, salt("alice").1, "the iterations");
    assert_eq!(salt("nobody").0.len(), salt("alice").0.len());
}

#[test]
fn a_database_that_is_unknown_or_not_yours_does_not_exist() {
    let stage = Stage::with(|setup| {
        let dave = user("dave");
        setup.more = format!("{dave}tenants = ['portcullis']\n");
    });
    let mut messages = Vec::new();
    for login in [
        stage.login("alice").database("nowhere"),
        stage.login("dave"),
    ] {
        let refused = Raw::try_login(&login, &[]).unwrap_err();
        assert_eq!(refused.sqlstate(), "3D000");
        let message = refused.field('M').unwrap();
        messages.push((message.replace(&login.database, "NAME"), refused.field('D')));
    }
    assert_eq!(messages[0].0, "database \"NAME\" does not exist");
    assert_eq!(messages[0], messages[1]);
    psql(&stage.console("dave")).query("SHOW TICKETS").ok();
}

/// Hazards R17: nothing in the startup packet reaches around the gate.
#[test]
fn startup_parameters_that_reach_around_the_gate_are_refused() {
    let stage = Stage::new();
    let login = stage.login("alice");
    for (name, value, sqlstate) in [
        ("options", "-c role=postgres", "42501"),
        ("options", "--session-authorization=x", "42501"),
        ("options", "-crow_security=off", "42501"),
        ("options", "-c app.tenant=b", "42501"),
        ("options", "-e", "42501"),
        ("role", "postgres", "42501"),
        ("frobnicate", "on", "42501"),
        ("options", "-c frobnicate=on", "42501"),
        ("replication", "database", "0A000"),
        ("replication", "true", "0A000"),
        ("client_encoding", "SJIS", "0A000"),
    ] {
        let refused = Raw::try_login(&login, &[(name, value)]).unwrap_err();
        assert_eq!(refused.sqlstate(), sqlstate, "{name}={value}");
    }
    let refused = psql(&login)
        .env("PGOPTIONS", "-c role=postgres")
        .query("select 1")
        .failed(2);
    assert!(refused.stderr.contains("\"role\""), "{refused:?}");
}

#[test]
fn startup_settings_are_carried_to_the_server() {
    let stage = Stage::new();
    let shown = psql(&stage.login("alice"))
        .env("PGAPPNAME", "probe")
        .env("PGTZ", "Asia/Tokyo")
        .env("PGDATESTYLE", "SQL, DMY")
        .env("PGOPTIONS", "-c search_path=pg_catalog --lock-timeout=3s")
        .spawn(&[
            "-c",
            "show application_name",
            "-c",
            "show timezone",
            "-c",
            "show datestyle",
            "-c",
            "show search_path",
            "-c",
            "show lock_timeout",
        ])
        .finish()
        .ok();
    let lines: Vec<&str> = shown.stdout.lines().collect();
    assert_eq!(
        lines,
        ["probe", "Asia/Tokyo", "SQL, DMY", "pg_catalog", "3s"]
    );

    // And they are gone for the next borrower of the connection.
    let next =
        psql(&stage.login("alice")).spawn(&["-c", "show search_path", "-c", "show lock_timeout"]);
    assert_eq!(next.finish().ok().stdout, "\"$user\", public\n0");
}

#[test]
fn the_function_call_protocol_is_refused_and_the_session_goes_on() {
    let stage = Stage::new();
    let mut client = stage.raw("alice");
    // lo_unlink(1), by the oid of the function.
    let mut body = 964_u32.to_be_bytes().to_vec();
    body.extend([0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0]);
    client.send(&raw::frame(b'F', &body));
    let answer = client.frames_until(b'Z');
    assert_eq!(raw::tags(&answer), "EZ");
    assert_eq!(answer[0].sqlstate(), "0A000");
    assert_eq!(raw::tags(&client.query("select 1")), "TDCZ");
}

/// Hazards R7, V25.
#[test]
fn protocol_3_2_is_spoken_and_newer_is_negotiated_down() {
    let stage = Stage::new();
    let database = stage.database.name.clone();
    let named = [("user", "alice"), ("database", database.as_str())];
    let mut client = tls(&stage);
    client.send(&startup(3, 2, &named));
    client.authenticate(&password("alice")).unwrap();
    assert_eq!(client.key().1.len(), 32);

    let mut client = tls(&stage);
    client.send(&startup(
        3,
        9,
        &[&named[..], &[("_pq_.frob", "1")]].concat(),
    ));
    let negotiated = client.frame();
    assert_eq!(negotiated.tag, b'v', "{}", negotiated.describe());
    assert_eq!(negotiated.body[..8], [0, 3, 0, 2, 0, 0, 0, 1]);
    assert_eq!(&negotiated.body[8..], b"_pq_.frob\0");
    client.authenticate(&password("alice")).unwrap();
    assert_eq!(raw::tags(&client.query("select 1")), "TDCZ");

    let mut client = tls(&stage);
    client.send(&startup(3, 0, &named));
    client.authenticate(&password("alice")).unwrap();
    assert_eq!(client.key().1.len(), 4);

    for (major, minor) in [(2, 0), (4, 0)] {
        let mut client = tls(&stage);
        client.send(&startup(major, minor, &named));
        assert_eq!(farewell(&mut client).sqlstate(), "0A000");
    }
}

/// Hazards R9: nobody keeps a place by being slow.
#[test]
fn a_slow_login_is_dropped() {
    let stage = Stage::with(|setup| setup.more = "[limits]\nlogin = '1 s'\n".to_owned());
    let mut silent = Raw::connect(stage.gate.address());
    let mut half = Raw::connect(stage.gate.address());
    half.send(&raw::ssl_request()[..5]);
    let mut no_hello = Raw::connect(stage.gate.address());
    no_hello.send(&raw::ssl_request());
    assert_eq!(no_hello.byte(), b'S');
    let mut no_password = tls(&stage);
    no_password.send(&raw::startup(&[("user", "alice"), ("database", "x")]));
    assert_eq!(no_password.frame().tag, b'R');

    assert_eq!(
        psql(&stage.login("alice")).query("select 1").ok().stdout,
        "1"
    );
    assert!(silent.frames_until_closed().is_empty());
    assert!(half.frames_until_closed().is_empty());
    assert!(no_hello.frames_until_closed().is_empty());
    let error = farewell(&mut no_password);
    let message = error.field('M').unwrap();
    assert!(message.contains("timeout"), "{message}");
}

#[test]
fn one_session_too_many_is_told_so() {
    let stage = Stage::with(|setup| setup.more = "[limits]\nsessions_max = 2\n".to_owned());
    let first = stage.raw("alice");
    let _second = stage.raw("bob");
    let refused = Raw::try_login(&stage.login("alice"), &[]).unwrap_err();
    assert_eq!(refused.sqlstate(), "53300");
    drop(first);
    eventually("a place is free", || {
        Raw::try_login(&stage.login("alice"), &[]).is_ok()
    });
}

/// Whatever comes first, the connection closes within limits and the gate lives (hazards R1, R3, R5).
#[test]
fn garbage_for_a_startup_packet_closes_the_connection() {
    let stage = Stage::new();
    let long = vec![0xff; 20_000];
    let table: [&[u8]; 14] = [
        b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage",
        b"\0\0\0\0\0\x03\0\0",
        b"\0\0\0\x03\0\x03\0\0",
        b"\0\0\0\x07\0\x03\0\0",
        b"\0\0\0\x08\0\0\0\0",
        b"\0\0\x27\x11\0\x03\0\0",
        b"\x7f\xff\xff\xff\0\x03\0\0",
        b"\xff\xff\xff\xff\0\x03\0\0",
        b"\0\0\0\x0d\0\x03\0\0user\0",
        b"\0\0\0\x0f\0\x03\0\0\xff\xfe\0x\0\0\0",
        b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\0\0\0\0\0",
        b"\0\0\0\x0a\x04\xd2\x16\x2e\0\0",
        &long,
    ];
    for bytes in table {
        let mut client = Raw::connect(stage.gate.address());
        let since = Instant::now();
        client.send(bytes);
        client.half_close();
        for frame in client.frames_until_closed() {
            assert_eq!(frame.tag, b'E', "{bytes:?}: {}", frame.describe());
        }
        assert!(since.elapsed() < Duration::from_secs(10), "{bytes:?}");
    }
    assert_eq!(stage.count("true"), "3");
    assert_eq!(
        psql(&stage.login("alice")).query("select 1").ok().stdout,
        "1"
    );
}

#[test]
fn only_a_password_is_taken_before_the_login() {
    let stage = Stage::new();
    for message in [
        raw::query("delete from t"),
        raw::parse("", "delete from t"),
        raw::frame(b'p', b"MD5\0"),
        [&b"p\0\x01\0\x01"[..], &[0; 64]].concat(),
        b"Q\xff\xff\xff\xff".to_vec(),
    ] {
        let mut client = tls(&stage);
        client.send(&raw::startup(&[
            ("user", "alice"),
            ("database", &stage.database.name),
        ]));
        assert_eq!(client.frame().tag, b'R');
        client.send(&message);
        let said = farewell(&mut client).sqlstate();
        assert!(["08P01", "28P01"].contains(&&*said), "{said}");
    }
    assert_eq!(stage.count("true"), "3");
}

/// Hazards R1, R3, R5: within a session a message that is not one ends it, and goes nowhere.
#[test]
fn garbage_in_a_session_ends_it_and_nothing_is_forwarded() {
    // With everything allowed, whatever got through would run.
    let stage = Stage::with(|setup| {
        setup.rules = "[[rule]]\nname = 'all'\nverdict = 'allow'\n".to_owned();
    });
    let table: Vec<Vec<u8>> = vec![
        b"Q\0\0\0\x03".to_vec(),
        b"Q\xff\xff\xff\xffdelete from t\0".to_vec(),
        b"Q\x7f\xff\xff\xff".to_vec(),
        raw::frame(b'Q', b"delete from t"),
        raw::frame(b'Q', b"delete from t\0x\0"),
        raw::frame(b'Q', b"delete from t where note = '\xff\xfe'\0"),
        raw::frame(b'P', b"\0delete from t\0\0\x01"),
        raw::frame(b'P', b"\0delete from t\0\0\0more"),
        raw::frame(b'B', b"\0\0\xff\xff\0\0"),
        raw::frame(b'B', b"\0\0\0\0\0\x01\0\0\0\x09x"),
        raw::frame(b'D', b"X\0"),
        raw::frame(b'C', b"S"),
        raw::frame(b'E', b"\0"),
        raw::frame(b'S', b"x"),
        raw::frame(b'H', b"x"),
        raw::frame(b'p', b"secret\0"),
        raw::frame(b'!', b"delete from t\0"),
        raw::frame(b'Z', b"I"),
        vec![0; 64],
    ];
    for bytes in table {
        let mut client = stage.raw("alice");
        client.send(&bytes);
        let said = farewell(&mut client).sqlstate();
        assert!(["08P01", "22021"].contains(&&*said), "{said}: {bytes:?}");
    }
    assert_eq!(stage.count("true"), "3");
    assert_eq!(
        psql(&stage.login("alice")).query("select 1").ok().stdout,
        "1"
    );
}

#[test]
fn half_a_packet_is_no_session() {
    let stage = Stage::new();
    let whole = raw::startup(&[("user", "alice"), ("database", &stage.database.name)]);
    for length in [1, 4, 8, whole.len() - 1] {
        let mut client = tls(&stage);
        client.send(&whole[..length]);
        client.half_close();
        assert!(client.frames_until_closed().is_empty(), "{length}");
    }
}

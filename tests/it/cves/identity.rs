//! Who may come in, and as whom: peers let people in by another's name, or told strangers who exists.

use harness::raw::{self, Raw};
use harness::stage::{Stage, password};
use harness::{Login, psql};

use super::{hello, open, plain, said, stranger, unharmed, value};

fn sasl_initial(declared: i32, data: &[u8]) -> Vec<u8> {
    raw::frame(
        b'p',
        &[&b"SCRAM-SHA-256\0"[..], &declared.to_be_bytes(), data].concat(),
    )
}

/// R1, CVE-2026-6664: pgbouncer's SCRAM messages overflowed a buffer before anybody had logged in.
#[test]
fn cve_2026_6664_no_scram_message_is_too_much() {
    let mut stage = plain();
    let first = b"n,,n=,r=abcdefghijklmnop";
    let nonce = [&b"n,,n=,r="[..], &vec![b'x'; 60_000][..]].concat();
    let user = [&b"n,,n="[..], &vec![b'u'; 60_000][..], b",r=abcdefgh"].concat();
    let commas = [&b"n,,n=,r=a"[..], &vec![b','; 60_000][..]].concat();
    let firsts = [
        sasl_initial(i32::MAX, first),
        sasl_initial(-1, b""),
        sasl_initial(-2, first),
        sasl_initial(0, first),
        sasl_initial(1, first),
        sasl_initial(25, first),
        sasl_initial(24, b"p=tls-server-end-point,,"),
        sasl_initial(24, b"n,a=bob,n=,r=abcdefghijk"),
        sasl_initial(24, b"n,,m=ext,n=,r=abcdefghij"),
        sasl_initial(60_008, &nonce),
        sasl_initial(60_015, &user),
        sasl_initial(60_009, &commas),
        raw::frame(b'p', b"SCRAM-SHA-256"),
        raw::frame(b'p', b""),
        raw::frame(b'p', &vec![b'A'; 70_000][..]),
        [&b"p\x7f\xff\xff\xff"[..], first].concat(),
    ];
    let lasts: [&[u8]; 6] = [
        b"",
        b"c=biws",
        b"c=biws,r=abcdefghijklmnop,p=",
        b"c=biws,r=abcdefghijklmnop,p=AAAA",
        &vec![b'c'; 60_000][..],
        &vec![b','; 60_000][..],
    ];
    let seconds = lasts.map(|last| [sasl_initial(24, first), raw::frame(b'p', last)].concat());
    for messages in firsts.iter().chain(&seconds) {
        let mut client = stranger(&stage);
        client.send(&[&hello(&stage)[..], messages].concat());
        client.half_close();
        let heard = client.frames_until_closed();
        let let_in = heard.iter().any(|it| it.tag == b'Z');
        assert!(!let_in, "{}", said(&heard));
        assert!(
            heard.iter().all(|it| b"RE".contains(&it.tag)),
            "{}",
            said(&heard)
        );
    }
    unharmed(&mut stage);
}

/// R11, CVE-2021-23214 and CVE-2021-3935: what came in clear text was taken for what came over TLS.
#[test]
fn cve_2021_23214_nothing_is_read_ahead_of_the_handshake() {
    let mut stage = open(1);
    for ahead in [hello(&stage), raw::query("delete from t"), vec![0x16]] {
        let mut client = stranger(&stage);
        client.send(&[raw::ssl_request(), ahead].concat());
        let heard = client.frames_until_closed();
        assert_eq!(heard.len(), 1, "{}", said(&heard));
        assert_eq!(heard[0].sqlstate(), "08P01");
    }
    unharmed(&mut stage);
}

/// R13: cipherstash/proxy#443, TLS that was required could be left out.
#[test]
fn tls_that_is_required_cannot_be_left_out() {
    let mut stage = open(1);
    let gss = [0, 0, 0, 8, 4, 210, 22, 48].to_vec();
    for (database, ahead) in [
        ("portcullis", Vec::new()),
        (&stage.database.name, gss.clone()),
    ] {
        let mut client = stranger(&stage);
        if !ahead.is_empty() {
            client.send(&ahead);
            assert_eq!(client.byte(), b'N');
        }
        client.send(&raw::startup(&[("user", "alice"), ("database", database)]));
        let refused = client.frame();
        assert_eq!(refused.tag, b'E', "{}", refused.describe());
        assert_eq!(refused.sqlstate(), "28000");
    }
    unharmed(&mut stage);
}

/// R8: supavisor#1032 and pgdog#1032 answered otherwise, or later, for who does not exist. The same
/// messages of the same size, up to the same end.
#[test]
fn a_stranger_learns_nothing_of_who_exists() {
    let stage = plain();
    let database = stage.database.name.clone();
    let look = |user: &str, database: &str| {
        let mut client = stranger(&stage);
        client.send(&raw::startup(&[("user", user), ("database", database)]));
        client.send(&sasl_initial(24, b"n,,n=,r=abcdefghijklmnop"));
        let mut heard = vec![client.frame(), client.frame()];
        let text = String::from_utf8_lossy(&heard[1].body).into_owned();
        let nonce = text.split(',').next().unwrap()[4..]
            .trim_start_matches("r=")
            .to_owned();
        let proof = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        client.send(&raw::frame(
            b'p',
            format!("c=biws,r={nonce},p={proof}").as_bytes(),
        ));
        heard.extend(client.frames_until_closed());
        let last = heard.last().unwrap();
        let end = last.field('M').unwrap().replace(user, "NAME");
        let sizes: Vec<_> = heard[..2]
            .iter()
            .map(|it| (it.tag, it.body.len()))
            .collect();
        (sizes, heard.len(), end, last.sqlstate())
    };
    let known = look("alice", &database);
    for (user, place) in [
        ("nobody", &*database),
        ("alice", "nowhere"),
        ("nobody", "nowhere"),
        ("carol", "portcullis"),
        ("nobody", "portcullis"),
        ("alice", "postgres"),
        ("postgres", "template1"),
    ] {
        assert_eq!(known, look(user, place), "{user} in {place}");
    }
}

/// R19: CVE-2015-6817 (an unknown user became the service user) and CVE-2025-46801 (pgpool let people in
/// past its authentication).
#[test]
fn cve_2015_6817_nobody_falls_back_to_another_user() {
    let mut stage = open(1);
    let role = stage.database.write.clone();
    let bob = password("bob");
    let attempts = [
        (role.name.as_str(), role.password.as_str()),
        ("postgres", harness::postgres().password()),
        ("pgbouncer", ""),
        ("nobody", ""),
        ("nobody", &role.password),
        ("alice", &role.password),
        ("alice", &bob),
        ("alice", ""),
        ("ALICE", &password("alice")),
        ("alice ", &password("alice")),
        ("alice@twin", &password("alice")),
        ("alice.portcullis", &password("alice")),
    ]
    .map(|(user, password)| (user.to_owned(), password.to_owned()));
    for database in [&stage.database.name, "portcullis", "postgres"] {
        for (user, password) in &attempts {
            let login = stage
                .login("alice")
                .person(user, password)
                .database(database);
            let refused = Raw::try_login(&login, &[]).err();
            let refused = refused.unwrap_or_else(|| panic!("{user} got into {database}"));
            assert_eq!(
                refused.sqlstate(),
                "28P01",
                "{user}: {}",
                refused.describe()
            );
        }
    }
    let mut nameless = stranger(&stage);
    nameless.start_tls(stage.gate.root_cert(), "localhost");
    nameless.send(&raw::startup(&[("database", "portcullis")]));
    assert_eq!(nameless.frame().tag, b'E');
    unharmed(&mut stage);
}

/// R19: pgdog#1053 (an admin password that nobody checked) and CVE-2023-22332 (pgpool told passwords to
/// whoever could ask for its state).
#[test]
fn cve_2023_22332_the_console_tells_no_secrets() {
    let mut stage = open(1);
    let secret = stage.database.write.password.clone();
    drop(stage.raw("alice"));
    let mut carol = Raw::login(&stage.console("carol"));
    let mut told = String::new();
    for what in [
        "TICKETS ALL",
        "POOLS",
        "SESSIONS",
        "VERSION",
        "HELP",
        "CONFIG",
        "USERS",
        "TENANTS",
    ] {
        told.push_str(&said(&carol.query(&format!("SHOW {what}"))));
    }
    assert!(told.contains(&stage.database.name), "{told}");
    for word in [secret.as_str(), "SCRAM-SHA-256$", &password("alice")] {
        assert!(!told.contains(word), "{word} in {told}");
    }
    for sql in [
        "select * from pg_shadow",
        "select 1; SHOW POOLS",
        "SHOW POOLS; select 1",
        "copy t to stdout",
    ] {
        let answer = carol.query(sql);
        assert!(
            answer.iter().any(|it| it.tag == b'E'),
            "{sql}: {}",
            said(&answer)
        );
    }
    unharmed(&mut stage);
}

/// Ways to write a setting into `options`, as PostgreSQL's own reader takes them.
fn options(name: &str, value: &str) -> Vec<String> {
    let dashes = name.replace('_', "-");
    let escaped: String = value.chars().flat_map(|c| ['\\', c]).collect();
    vec![
        format!("-c {name}={value}"),
        format!("-c{name}={value}"),
        format!("--{name}={value}"),
        format!("--{dashes}={value}"),
        format!("-c {dashes}={value}"),
        format!("-c {}={value}", name.to_uppercase()),
        format!("  -c\t{name}={value}  "),
        format!("-c {name}={escaped}"),
        format!("-c geqo=on -c {name}={value}"),
        format!("-c geqo=on -c{name}={value} --geqo=off"),
        format!("-c \\{name}={value}"),
        format!("-c {name}=\\{value}"),
        format!("-c\u{b}{name}={value}"),
        format!("-c {name}={value}\n-c geqo=on"),
    ]
}

/// R16, R17: CVE-2025-12819 (search_path in the startup packet reached the lookup of passwords) and the
/// settings that mean another role or another tenant (pgbouncer#908, #1064; supavisor#858; pgdog#976).
#[test]
fn cve_2025_12819_no_startup_parameter_means_another_person() {
    let mut stage = open(1);
    let login = stage.login("alice");
    let truth = "select current_user || ' ' || session_user || ' ' || \
                 coalesce(current_setting('app.tenant', true), '-') || ' ' || current_setting('row_security')";
    let usual = value(&mut Raw::login(&login), truth);
    let mut let_in = Vec::new();
    for (name, other) in [
        ("role", "postgres"),
        ("session_authorization", "postgres"),
        ("row_security", "off"),
        ("app.tenant", "b"),
        ("is_superuser", "on"),
        ("session_preload_libraries", "evil"),
        ("default_transaction_read_only", "off"),
        ("log_statement", "none"),
    ] {
        let mut each: Vec<(&str, String)> = options(name, other)
            .into_iter()
            .map(|text| ("options", text))
            .collect();
        each.push((name, other.to_owned()));
        for (parameter, text) in &each {
            match Raw::try_login(&login, &[(parameter, text)]) {
                Ok(mut client) => {
                    let found = value(&mut client, truth);
                    if found != usual || ["app.tenant", "role"].contains(&name) {
                        let_in.push(format!("{parameter}={text:?}: {found}"));
                    }
                }
                Err(refused) => assert_ne!(refused.sqlstate(), "XX000", "{text}"),
            }
        }
    }
    assert!(let_in.is_empty(), "{let_in:#?}");
    assert_eq!(value(&mut Raw::login(&login), truth), usual);
    unharmed(&mut stage);
}

/// R18: supavisor#860 and pgdog#678, #698, a bad value broke the connection, and then everybody's.
#[test]
fn a_bad_value_of_one_client_is_nobody_elses_trouble() {
    let mut stage = open(1);
    let login = stage.login("alice");
    let long = "x".repeat(5_000);
    for (name, text) in [
        ("application_name", "it's \"quoted\" \\ $1 ; drop table t"),
        ("application_name", "é\u{202e}\u{1}\n"),
        ("application_name", &long),
        ("TimeZone", "bogus"),
        ("TimeZone", "UTC'; drop table t --"),
        ("DateStyle", "nonsense"),
        ("extra_float_digits", "99999999999"),
        ("search_path", "\"a\"\"b\", 'c"),
        ("search_path", "nosuch; drop table t"),
        ("statement_timeout", "-5"),
        ("client_encoding", "UTF8\\"),
    ] {
        if let Ok(mut client) = Raw::try_login(&login, &[(name, text)]) {
            client.query("select 1");
        }
        let mut next = stage.raw("bob");
        assert_eq!(
            value(&mut next, "select count(*) from t"),
            "3",
            "behind {name}={text}"
        );
        assert_eq!(
            value(&mut next, "show statement_timeout"),
            "0",
            "behind {name}={text}"
        );
    }
    unharmed(&mut stage);
}

/// R20: supavisor#879 and #899, the way in said another tenant than the person.
#[test]
fn a_person_of_one_tenant_is_nobody_in_another() {
    let stage = Stage::with_twin(|setup| {
        setup.rules = super::ALL.to_owned();
        let user = harness::stage::user("dave");
        setup.more = format!("{user}tenants = ['twin']\n");
    });
    let dave = |database: &str| stage.gate.login("dave", &password("dave"), database);
    let inside: Login = dave("twin");
    assert_eq!(psql(&inside).query("select 1").ok().stdout, "1");
    for database in [&stage.database.name, "TWIN", "twin ", "postgres"] {
        let refused = Raw::try_login(&dave(database), &[]).err();
        let refused = refused.unwrap_or_else(|| panic!("dave is in {database}"));
        assert_eq!(refused.sqlstate(), "3D000", "{database}");
    }
}

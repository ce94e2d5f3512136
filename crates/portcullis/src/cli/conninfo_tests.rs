//! Where the gate is found, from every source. It never looks at the real environment.

use secrecy::ExposeSecret;

use super::conninfo::*;

fn with(flags: Flags<'_>, variables: &[(&str, &str)]) -> Result<Target, String> {
    let environment = |name: &str| {
        let own = variables
            .iter()
            .find(|it| it.0 == name)
            .map(|it| it.1.to_owned());
        own.or_else(|| (name == "USER").then(|| "account".to_owned()))
    };
    resolve(flags, &environment).map_err(|error| error.to_string())
}

fn place(target: &Target) -> String {
    let each = target.places.iter().map(|it| match it.address {
        Some(address) => format!("{}({address}):{}", it.host, it.port),
        None => format!("{}:{}", it.host, it.port),
    });
    each.collect::<Vec<_>>().join(" ")
}

#[test]
fn defaults() {
    let target = with(Flags::default(), &[("HOME", "/home/x")]).unwrap();
    assert_eq!(place(&target), "localhost:6432");
    assert_eq!(target.user, "account");
    assert!(target.password.is_none());
    assert_eq!(target.ssl_mode, SslMode::Prefer);
    assert_eq!(
        target.roots,
        Roots::IfThere("/home/x/.postgresql/root.crt".into())
    );
    assert_eq!(target.passfile, Some("/home/x/.pgpass".into()));
    assert_eq!(target.connect_timeout_s, None);
    assert_eq!(with(Flags::default(), &[]).unwrap().roots, Roots::Nowhere);
}

#[test]
fn the_stronger_source_wins() {
    let variables = [
        ("PORTCULLIS_URL", "postgres://erin:url@fromurl:2"),
        ("PGHOST", "fromenv"),
        ("PGPORT", "3"),
        ("PGUSER", "dave"),
        ("PGPASSWORD", "env"),
        ("PGSSLMODE", "require"),
    ];
    let target = with(Flags::default(), &variables).unwrap();
    assert_eq!(
        (place(&target).as_str(), target.user.as_str()),
        ("fromurl:2", "erin")
    );
    assert_eq!(target.password.unwrap().expose_secret(), "url");
    assert_eq!(target.ssl_mode, SslMode::Require);

    let flags = Flags {
        url: Some("user=carol"),
        ..Flags::default()
    };
    let target = with(flags, &variables).unwrap();
    assert_eq!(
        (place(&target).as_str(), target.user.as_str()),
        ("fromenv:3", "carol")
    );
    assert_eq!(target.password.unwrap().expose_secret(), "env");

    let flags = Flags {
        host: Some("typed"),
        port: Some(1),
        user: Some("bob"),
        ..flags
    };
    let target = with(flags, &variables).unwrap();
    assert_eq!(
        (place(&target).as_str(), target.user.as_str()),
        ("typed:1", "bob")
    );
}

#[test]
fn hosts_addresses_and_ports() {
    let url = |url| {
        with(
            Flags {
                url: Some(url),
                ..Flags::default()
            },
            &[("PGHOSTADDR", "9.9.9.9")],
        )
    };
    for (text, found) in [
        ("host=a,b port=1,2", "a:1 b:2"),
        ("host=a,b port=1", "a:1 b:1"),
        ("hostaddr=127.0.0.1 host=gate", "gate(127.0.0.1):6432"),
        ("hostaddr=::1", "(::1):6432"),
        ("host=gate", "gate:6432"),
        ("port=7", "(9.9.9.9):7"),
        ("host=/run/gate", "/run/gate:6432"),
    ] {
        assert_eq!(place(&url(text).unwrap()), found, "{text}");
    }
    for (text, message) in [
        (
            "host=a,b,c port=1,2",
            "could not match 2 port numbers to 3 hosts",
        ),
        (
            "host=a,b hostaddr=1.1.1.1",
            "could not match 2 host names to 1 hostaddr values",
        ),
        ("port=0", "invalid port number: \"0\""),
        ("port=x", "invalid port number: \"x\""),
        ("hostaddr=gate", "could not parse network address \"gate\""),
    ] {
        assert_eq!(url(text).unwrap_err(), message, "{text}");
    }
}

#[test]
fn ssl_words() {
    let url = |url| {
        with(
            Flags {
                url: Some(url),
                ..Flags::default()
            },
            &[],
        )
    };
    let full = url("sslrootcert=system").unwrap();
    assert_eq!(
        (full.ssl_mode, full.roots),
        (SslMode::VerifyFull, Roots::System)
    );
    let file = url("sslrootcert=/ca.crt sslmode=verify-ca").unwrap();
    assert_eq!(
        (file.ssl_mode, file.roots),
        (SslMode::VerifyCa, Roots::File("/ca.crt".into()))
    );
    assert_eq!(
        url("sslrootcert=system sslmode=require").unwrap_err(),
        "weak sslmode \"require\" may not be used with sslrootcert=system (use \"verify-full\")"
    );
    assert_eq!(
        url("sslmode=yes").unwrap_err(),
        "invalid sslmode value: \"yes\""
    );
    assert_eq!(
        url("channel_binding=require").unwrap().binding,
        Binding::Require
    );
}

#[test]
fn timeouts_and_bad_variables() {
    let url = |url| {
        with(
            Flags {
                url: Some(url),
                ..Flags::default()
            },
            &[],
        )
    };
    assert_eq!(url("connect_timeout=5").unwrap().connect_timeout_s, Some(5));
    assert_eq!(url("connect_timeout=0").unwrap().connect_timeout_s, None);
    assert_eq!(url("connect_timeout=-1").unwrap().connect_timeout_s, None);
    assert!(
        url("connect_timeout=soon")
            .unwrap_err()
            .contains("\"soon\"")
    );
    let error = with(Flags::default(), &[("PORTCULLIS_URL", "colour=red")]).unwrap_err();
    assert_eq!(
        error,
        "PORTCULLIS_URL: invalid connection option \"colour\""
    );
    assert!(
        resolve(Flags::default(), &|_| None)
            .unwrap_err()
            .to_string()
            .contains("no user name")
    );
}

#[test]
fn a_password_is_not_in_debug() {
    let target = with(
        Flags {
            url: Some("password=secret"),
            ..Flags::default()
        },
        &[],
    )
    .unwrap();
    assert!(!format!("{target:?}").contains("secret"));
}

/// Before a server of PostgreSQL itself the database that a string names is the one; the console has one name.
#[test]
fn an_upstream_is_the_database_that_is_named() {
    let environment = |name: &str| (name == "PGDATABASE").then(|| "other".to_owned());
    for (string, database) in [
        ("host=db user=u dbname=shop", "shop"),
        ("postgresql://u@db/shop", "shop"),
        ("host=db user=u", "other"),
    ] {
        let target = upstream(string, &environment).unwrap();
        assert_eq!(target.database, database, "{string}");
        let flags = Flags {
            url: Some(string),
            ..Flags::default()
        };
        assert_eq!(with(flags, &[]).unwrap().database, "portcullis", "{string}");
    }
}

//! Where a service stands among the other sources, and in which file it is found.

use std::fs;
use std::path::PathBuf;

use super::conninfo::{Flags, Target, resolve, upstream};

/// A folder that goes away.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("portcullis-service-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let file = self.0.join(name);
        fs::write(&file, text).unwrap();
        file.to_string_lossy().into_owned()
    }

    fn path(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn found(flags: Flags<'_>, variables: &[(&str, &str)]) -> Result<Target, String> {
    let environment = |name: &str| {
        let own = variables.iter().find(|it| it.0 == name);
        let own = own.map(|it| it.1.to_owned());
        own.or_else(|| (name == "USER").then(|| "account".to_owned()))
    };
    resolve(flags, &environment).map_err(|error| error.to_string())
}

/// `user@host:port/database` or the error.
fn said(url: &str, variables: &[(&str, &str)]) -> String {
    let flags = Flags {
        url: Some(url),
        ..Flags::default()
    };
    match found(flags, variables) {
        Ok(target) => shown(&target),
        Err(error) => format!("! {error}"),
    }
}

fn shown(target: &Target) -> String {
    let place = &target.places[0];
    let (user, database) = (&target.user, &target.database);
    format!("{user}@{}:{}/{database}", place.host, place.port)
}

#[test]
fn the_string_wins_over_the_service_and_the_service_over_the_environment() {
    let folder = Folder::new("order");
    let text = "[gate]\nhost=served\nport=7\nuser=erin\ndbname=acme\n[mute]\nhost=\n";
    let file = folder.write("file", text);
    let variables = [
        ("PGSERVICEFILE", &*file),
        ("PGHOST", "fromenv"),
        ("PGUSER", "dave"),
    ];
    for (url, shown) in [
        ("service=gate", "erin@served:7/portcullis"),
        ("postgres://bob@/x?service=gate", "bob@served:7/portcullis"),
        ("service=gate host=typed port=8", "erin@typed:8/portcullis"),
        ("", "dave@fromenv:6432/portcullis"),
        // It says nothing, and keeps the variable out.
        ("service=mute", "dave@localhost:6432/portcullis"),
        ("service=none", "! definition of service \"none\" not found"),
    ] {
        assert_eq!(said(url, &variables), shown, "{url}");
    }
    let of = |service| [("PGSERVICE", service), ("PGSERVICEFILE", &*file)];
    assert_eq!(said("", &of("gate")), "erin@served:7/portcullis");
    assert_eq!(said("", &of("")), "account@localhost:6432/portcullis");
    assert_eq!(
        said("service=gate", &of("none")),
        "erin@served:7/portcullis"
    );
    let typed = Flags {
        host: Some("flag"),
        port: Some(1),
        user: Some("carol"),
        url: None,
    };
    let target = found(typed, &of("gate")).unwrap();
    assert_eq!(shown(&target), "carol@flag:1/portcullis");
}

/// A server of PostgreSQL itself is asked for the database, and on the port, that its service says.
#[test]
fn an_upstream_takes_database_and_port_of_its_service() {
    let folder = Folder::new("upstream");
    let file = folder.write(
        "file",
        "[db]\nhost=db\nport=7\ndbname=shop\n[bare]\nhost=db\n",
    );
    let environment = |name: &str| match name {
        "PGSERVICEFILE" => Some(file.clone()),
        "USER" => Some("u".to_owned()),
        _ => None,
    };
    for (string, found) in [
        ("service=db", "u@db:7/shop"),
        ("service=db dbname=other port=8", "u@db:8/other"),
        ("service=bare", "u@db:5432/u"),
    ] {
        assert_eq!(shown(&upstream(string, &environment).unwrap()), found);
    }
}

#[test]
fn the_files_in_their_order() {
    let (home, system) = (Folder::new("home"), Folder::new("system"));
    let of = |home: &Folder, system: &Folder| {
        let (home, system) = (home.path(), system.path());
        move |service: &str| {
            let variables = [("HOME", &*home), ("PGSYSCONFDIR", &*system)];
            said(&format!("service={service}"), &variables)
        }
    };
    let asked = of(&home, &system);
    let missing = "! definition of service \"a\" not found";
    assert_eq!(asked("a"), missing, "there is no file");
    system.write(
        "pg_service.conf",
        "[a]\nhost=system-a\n[b]\nhost=system-b\n",
    );
    assert_eq!(asked("a"), "account@system-a:6432/portcullis");
    let own = home.write(".pg_service.conf", "[a]\nhost=own-a\n[c]\n?\n");
    assert_eq!(asked("a"), "account@own-a:6432/portcullis");
    assert_eq!(asked("b"), "account@system-b:6432/portcullis");
    let wrong = format!("! syntax error in service file \"{own}\", line 4");
    assert_eq!(asked("c"), wrong);

    // One that is named takes the place of the person's own, and must be there.
    let named = home.write("named", "[c]\nhost=named-c\n");
    let with = |file: &str, service: &str| {
        let (home, system) = (home.path(), system.path());
        let variables = [
            ("HOME", &*home),
            ("PGSYSCONFDIR", &*system),
            ("PGSERVICEFILE", file),
            ("PGSERVICE", service),
        ];
        said("", &variables)
    };
    assert_eq!(with(&named, "c"), "account@named-c:6432/portcullis");
    assert_eq!(with(&named, "a"), "account@system-a:6432/portcullis");
    let gone = home.path() + "/gone";
    let missing = format!("! service file \"{gone}\" not found");
    assert_eq!(with(&gone, "a"), missing);
}

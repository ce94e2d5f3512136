//! Replicas as the configuration has them, and what is wrong with some. It never connects.

use std::time::Duration;

use pool::{Options, Station};

use super::super::Replicas;
use super::{Room, SOUND};

fn with(lines: &str) -> String {
    SOUND.replacen("user = \"app\"\n", &format!("user = \"app\"\n{lines}\n"), 1)
}

#[test]
fn replicas_are_read_from_with_the_login_for_reads() {
    let room = Room::new();
    let lines = "read_user = 'reader'\nreplicas = ['db2', '[::1]:6000']\nreplica_lag_max = '5 s'";
    let config = room.parse(&with(lines)).unwrap();
    let tenant = config.tenant("acme").unwrap().unwrap();
    let replicas = tenant.replicas.unwrap();
    let expected = Replicas {
        places: vec![("db2".to_owned(), 5432), ("::1".to_owned(), 6000)],
        lag_max: Duration::from_secs(5),
        wait: Duration::from_millis(200),
    };
    assert_eq!(replicas, expected);
    assert_eq!(tenant.write.station, Station::Primary);
    assert_eq!(tenant.read.station, Station::Primary);
    let login = replicas.logins(&tenant.read).next().unwrap();
    let expected = Options {
        host: "db2".to_owned(),
        wait: replicas.wait,
        station: Station::Replica,
        ..tenant.read
    };
    assert_eq!(login, expected);
    assert_eq!(login.user, "reader");
    let without = room.parse(SOUND).unwrap();
    let tenant = without.tenant("acme").unwrap().unwrap();
    assert_eq!(tenant.replicas, None);
    assert_eq!(tenant.read.station, Station::Any, "there is no other");
}

#[test]
fn a_tenant_with_other_replicas_is_another() {
    let room = Room::new();
    let [one, other] =
        ["replicas = 'db2'", "replicas = 'db3'"].map(|it| room.parse(&with(it)).unwrap());
    assert!(one.tenants.is_same(&one.tenants, "acme"), "itself");
    assert!(!one.tenants.is_same(&other.tenants, "acme"));
}

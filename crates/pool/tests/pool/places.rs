//! A server that is not the primary, or not any more: what is for the primary waits for it, and what was before goes.

use std::rc::Rc;
use std::time::Duration;

use gate::Disposition;
use pool::{CheckoutError, Options, Pool, ServerLimits, Servers, Station};
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};

use crate::run;
use crate::server::{Fake, options, settle, who};

fn stationed(servers: &Rc<Servers<Fake>>, name: &'static str, station: Station) -> Rc<Pool<Fake>> {
    let options = Options {
        station,
        ..options(3)
    };
    servers.pool(&"acme".into(), name, options)
}

#[test]
fn what_is_for_the_primary_waits_while_the_server_is_in_recovery() {
    run(async {
        let fake = Fake::new();
        fake.0.in_recovery.set(true);
        let servers = fake.servers(ServerLimits::default());
        let write = stationed(&servers, "write", Station::Primary);
        let read = stationed(&servers, "read", Station::Any);
        assert!(read.checkout(&who("alice")).await.is_ok());
        let known = write.facts().await;
        assert!(known.is_ok(), "who comes in hears what the server is like");
        let waiter = Rc::clone(&write);
        let waits = spawn_local(async move { waiter.checkout(&who("alice")).await });
        sleep(Duration::from_secs(10)).await;
        assert!(!waits.is_finished());
        assert!(fake.attempts() < 25, "{}", fake.attempts());
        fake.0.in_recovery.set(false);
        let since = Instant::now();
        assert!(waits.await.unwrap().is_ok());
        assert!(since.elapsed() < Duration::from_secs(3));
        fake.0.in_recovery.set(true);
        let mut all = Vec::new();
        let failed = loop {
            match write.checkout(&who("alice")).await {
                Ok(lease) => all.push(lease),
                Err(error) => break error,
            }
        };
        let CheckoutError::Connect(why) = failed else {
            panic!("{failed}")
        };
        assert!(why.takes_no_writes(), "{why}");
    });
}

#[test]
fn a_replica_that_was_promoted_is_none() {
    run(async {
        let fake = Fake::new();
        let servers = fake.servers(ServerLimits::default());
        let replica = stationed(&servers, "replica", Station::Replica);
        let since = Instant::now();
        assert!(replica.checkout(&who("alice")).await.is_err());
        assert!(since.elapsed() < Duration::from_secs(1), "nobody waits");
        fake.0.in_recovery.set(true);
        sleep(Duration::from_secs(5)).await;
        assert!(replica.checkout(&who("alice")).await.is_ok());
    });
}

#[test]
fn behind_a_failover_connections_of_before_go_and_the_old_primary_is_refused() {
    run(async {
        let fake = Fake::new();
        let [one, other] = fake.on_threads(ServerLimits::default());
        let (here, there) = (
            stationed(&one, "write", Station::Primary),
            stationed(&other, "write", Station::Primary),
        );
        let lent = here.checkout(&who("alice")).await.unwrap();
        let idle = here.checkout(&who("alice")).await.unwrap();
        idle.checkin(Disposition::Clean);
        fake.0.timeline.set(2);
        let newer = there.checkout(&who("alice")).await.unwrap();
        assert_eq!((fake.open(), here.timeline()), (3, Some(2)));
        lent.checkin(Disposition::Clean);
        one.sweep();
        settle().await;
        assert_eq!(fake.open(), 1, "those of before are gone");
        fake.0.timeline.set(1);
        let refused = here.checkout(&who("alice")).await.expect_err("it is old");
        let CheckoutError::Connect(why) = refused else {
            panic!("{refused}")
        };
        assert!(why.takes_no_writes(), "{why}");
        assert_eq!(
            why.to_string(),
            "server is on timeline 1, and timeline 2 has been met: it was the primary before a failover"
        );
        drop(newer);
    });
}

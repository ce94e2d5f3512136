//! Pools that are paused: who waits, who runs on, and when nothing is open any more.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use gate::Disposition;
use pool::{CheckoutError, ServerLimits};
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};

use crate::run;
use crate::server::{Fake, options, pool, settle, who};

#[test]
fn a_paused_tenant_drains_and_nobody_else_does() {
    run(async {
        let fake = Fake::new();
        let servers = fake.servers(ServerLimits::default());
        let (acme, shop) = (pool(&servers, "acme", 3), pool(&servers, "shop", 3));
        let lease = acme.checkout(&who("alice")).await.unwrap();
        let other = acme.checkout(&who("alice")).await.unwrap();
        other.checkin(Disposition::Clean);
        let theirs = shop.checkout(&who("bob")).await.unwrap();
        theirs.checkin(Disposition::Clean);
        servers.pause(|tenant| tenant.as_str() == "acme");
        let drained = Rc::new(Cell::new(None));
        let (asked, told) = (Rc::clone(&servers), Rc::clone(&drained));
        spawn_local(async move { told.set(Some(asked.drained(Some(&"acme".into())).await)) });
        settle().await;
        assert_eq!((drained.get(), fake.open()), (None, 2), "one is lent");
        lease.checkin(Disposition::Clean);
        settle().await;
        assert_eq!((drained.get(), fake.open()), (Some(true), 1));
        assert!(shop.try_checkout(&who("bob")).is_some(), "it goes on");
        assert!(!servers.drained(Some(&"shop".into())).await);
    });
}

#[test]
fn whoever_waits_for_a_paused_tenant_is_served_when_it_is_resumed() {
    run(async {
        let fake = Fake::new();
        let servers = fake.servers(ServerLimits::default());
        let pool = pool(&servers, "acme", 2);
        servers.pause(|_| true);
        let served = Rc::new(Cell::new(0));
        for _ in 0..10 {
            let (pool, served) = (Rc::clone(&pool), Rc::clone(&served));
            spawn_local(async move {
                let lease = pool.checkout(&who("alice")).await.expect("in the end");
                served.set(served.get() + 1);
                lease.checkin(Disposition::Clean);
            });
        }
        sleep(Duration::from_secs(20)).await;
        assert_eq!((served.get(), fake.attempts()), (0, 0));
        servers.pause(|_| false);
        settle().await;
        assert_eq!(served.get(), 10);
    });
}

#[test]
fn a_pause_counts_against_the_wait() {
    run(async {
        let fake = Fake::new();
        let servers = fake.servers(ServerLimits::default());
        let pool = pool(&servers, "acme", 2);
        servers.pause(|_| true);
        let since = Instant::now();
        let failed = pool.checkout(&who("alice")).await.expect_err("paused");
        assert!(matches!(failed, CheckoutError::Paused), "{failed}");
        assert_eq!(since.elapsed().as_secs(), 30);
    });
}

/// Whoever waits for a server that is down has a place in the pool, and gives it up.
#[test]
fn a_server_that_is_down_is_not_logged_in_to_while_it_is_paused() {
    run(async {
        let fake = Fake::new();
        fake.0.down.set(true);
        let servers = fake.servers(ServerLimits::default());
        let mut patient = options(2);
        patient.wait = Duration::from_mins(2);
        let pool = servers.pool(&"acme".into(), "write", patient);
        let waiter = Rc::clone(&pool);
        let served = spawn_local(async move { waiter.checkout(&who("alice")).await.is_ok() });
        sleep(Duration::from_secs(10)).await;
        servers.pause(|_| true);
        assert!(servers.drained(None).await, "its place is free");
        let attempts = fake.attempts();
        fake.0.down.set(false);
        sleep(Duration::from_secs(10)).await;
        assert_eq!(fake.attempts(), attempts);
        servers.pause(|_| false);
        assert!(served.await.unwrap());
    });
}

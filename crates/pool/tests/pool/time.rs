//! What time does to connections that nobody uses, and what becomes of them in the end.

use std::rc::Rc;
use std::time::Duration;

use gate::Disposition;
use pool::{CheckoutError, Lease, Pool, ServerLimits, Servers};
use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::run;
use crate::server::{Fake, options, settle, who};

const SECOND: Duration = Duration::from_secs(1);

/// Servers that are swept as the daemon does.
fn swept(fake: &Fake) -> Rc<Servers<Fake>> {
    let servers = fake.servers(ServerLimits::default());
    let sweeper = Rc::clone(&servers);
    spawn_local(async move {
        loop {
            sleep(SECOND).await;
            sweeper.sweep();
        }
    });
    servers
}

async fn lend(pool: &Rc<Pool<Fake>>, count: usize) -> Vec<Lease<Fake>> {
    let mut leases = Vec::new();
    for _ in 0..count {
        leases.push(pool.checkout(&who("alice")).await.unwrap());
    }
    leases
}

fn give_back(leases: Vec<Lease<Fake>>) {
    for lease in leases {
        lease.checkin(Disposition::Clean);
    }
}

#[test]
fn what_lies_unused_too_long_is_closed() {
    run(async {
        let fake = Fake::new();
        let servers = swept(&fake);
        let mut short = options(5);
        short.idle_timeout = SECOND * 10;
        let pool = servers.pool(&"acme".into(), "write", short);
        give_back(lend(&pool, 3).await);
        for _ in 0..4 {
            sleep(SECOND * 5).await;
            give_back(lend(&pool, 1).await);
        }
        assert_eq!(pool.figures().idle, 1, "the one that is used stays");
        assert_eq!((fake.open(), fake.0.farewells.get()), (1, 2));
        sleep(SECOND * 12).await;
        assert_eq!((fake.open(), fake.0.farewells.get()), (0, 3));
    });
}

#[test]
fn what_is_too_old_is_closed_one_after_the_other() {
    run(async {
        let fake = Fake::new();
        let servers = swept(&fake);
        let mut short = options(20);
        short.lifetime = SECOND * 100;
        let pool = servers.pool(&"acme".into(), "write", short);
        let mut leases = lend(&pool, 20).await;
        let lent = leases.pop().unwrap();
        give_back(leases);
        sleep(SECOND * 70).await;
        assert_eq!(fake.open(), 20);
        let mut most_at_once = 0;
        for _ in 0..35 {
            let before = fake.open();
            sleep(SECOND).await;
            most_at_once = most_at_once.max(before - fake.open());
        }
        assert_eq!(fake.open(), 1, "what is lent is let be");
        assert!(most_at_once <= 3, "{most_at_once} at once");
        lent.checkin(Disposition::Clean);
        settle().await;
        assert_eq!((fake.open(), fake.0.farewells.get()), (0, 20));
    });
}

#[test]
fn what_the_server_closed_is_noticed_without_being_used() {
    run(async {
        let fake = Fake::new();
        let servers = swept(&fake);
        let pool = servers.pool(&"acme".into(), "write", options(5));
        give_back(lend(&pool, 3).await);
        fake.kick_all().await;
        sleep(SECOND * 2).await;
        assert_eq!(pool.figures().idle, 0);
    });
}

#[test]
fn what_the_server_closed_is_given_to_nobody() {
    run(async {
        let fake = Fake::new();
        let pool = fake.pool(3);
        give_back(lend(&pool, 3).await);
        fake.kick_all().await;
        assert_eq!(pool.figures().idle, 3);
        assert!(pool.try_checkout(&who("alice")).is_none());
        assert!(pool.checkout(&who("alice")).await.is_ok());
        assert_eq!(fake.0.logins.get(), 4);
    });
}

#[test]
fn a_pool_that_is_closed_says_farewell() {
    run(async {
        let fake = Fake::new();
        let pool = fake.pool(3);
        let mut leases = lend(&pool, 3).await;
        let lent = leases.pop().unwrap();
        give_back(leases);
        let (_bob, _carol) = (lend(&pool, 2).await, ());
        let waiting = Rc::clone(&pool);
        let waits = spawn_local(async move { waiting.checkout(&who("dave")).await.err() });
        settle().await;
        assert_eq!(pool.figures().waiting, 1);
        pool.close().await;
        assert!(matches!(waits.await.unwrap(), Some(CheckoutError::Closed)));
        assert!(matches!(
            pool.checkout(&who("alice")).await.err(),
            Some(CheckoutError::Closed)
        ));
        lent.checkin(Disposition::Clean);
        settle().await;
        assert_eq!((fake.0.farewells.get(), pool.figures().idle), (1, 0));
    });
}

#[test]
fn all_pools_are_closed_together() {
    run(async {
        let fake = Fake::new();
        let servers = fake.servers(ServerLimits::default());
        let pools = ["a", "b"].map(|it| servers.pool(&it.into(), "write", options(2)));
        for pool in &pools {
            give_back(lend(pool, 2).await);
        }
        servers.close().await;
        assert_eq!((fake.open(), fake.0.farewells.get()), (0, 4));
    });
}

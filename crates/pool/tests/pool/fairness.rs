//! Whose turn it is: first come first served within a tenant, turn by turn between tenants, and
//! never more connections than there may be.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt;
use gate::Disposition;
use pool::{CheckoutError, Pool, ServerLimits};
use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::run;
use crate::server::{Fake, options, pool, settle, who};

pub(crate) type Order = Rc<RefCell<Vec<String>>>;

/// Somebody who borrows, works for a while, and gives it back clean.
pub(crate) fn work(pool: &Rc<Pool<Fake>>, name: &str, order: &Order) {
    let (pool, name, order) = (Rc::clone(pool), name.to_owned(), Rc::clone(order));
    spawn_local(async move {
        let lease = pool.checkout(&who("alice")).await.expect("a connection");
        order.borrow_mut().push(name);
        sleep(Duration::from_millis(50)).await;
        lease.checkin(Disposition::Clean);
    });
}

pub(crate) fn budget(connections_max: usize) -> ServerLimits {
    ServerLimits {
        connections_max,
        ..ServerLimits::default()
    }
}

#[test]
fn who_came_first_is_served_first() {
    run(async {
        let pool = Fake::new().pool(1);
        let order = Order::default();
        for number in 0..20 {
            work(&pool, &number.to_string(), &order);
            tokio::task::yield_now().await;
        }
        assert!(pool.try_checkout(&who("bob")).is_none());
        sleep(Duration::from_secs(10)).await;
        let expected: Vec<String> = (0..20).map(|it| it.to_string()).collect();
        assert_eq!(*order.borrow(), expected);
    });
}

#[test]
fn a_noisy_tenant_gets_no_more_turns_than_a_quiet_one() {
    run(async {
        let fake = Fake::new();
        let servers = fake.servers(budget(1));
        let (noisy, quiet) = (pool(&servers, "noisy", 10), pool(&servers, "quiet", 10));
        let order = Order::default();
        for _ in 0..100 {
            work(&noisy, "noisy", &order);
        }
        settle().await;
        let before = order.borrow().len();
        for _ in 0..3 {
            work(&quiet, "quiet", &order);
        }
        sleep(Duration::from_mins(1)).await;
        let order = order.borrow();
        let of_quiet = |until: usize| order[..until].iter().filter(|it| *it == "quiet").count();
        assert_eq!(order.len(), 103);
        assert_eq!(of_quiet(before + 7), 3, "{:?}", &order[before..before + 8]);
        assert_eq!(fake.0.open_max.get(), 1);
    });
}

#[test]
fn what_others_do_not_use_is_closed_for_who_waits() {
    run(async {
        let fake = Fake::new();
        let servers = fake.servers(budget(3));
        let rich = pool(&servers, "rich", 10);
        let order = Order::default();
        for _ in 0..3 {
            work(&rich, "rich", &order);
        }
        sleep(Duration::from_secs(1)).await;
        assert_eq!(rich.figures().idle, 3);
        let poor = pool(&servers, "poor", 10);
        let lease = poor.checkout(&who("bob")).await.ok();
        assert!(lease.is_some());
        assert_eq!((rich.figures().idle, fake.0.farewells.get()), (2, 1));
        assert_eq!((fake.open(), fake.0.open_max.get()), (3, 3));
    });
}

#[test]
fn a_full_pool_does_not_stop_other_tenants() {
    run(async {
        let fake = Fake::new();
        let servers = fake.servers(budget(2));
        let (one, two) = (pool(&servers, "one", 1), pool(&servers, "two", 1));
        let busy = one.checkout(&who("alice")).await.unwrap();
        let order = Order::default();
        for _ in 0..10 {
            work(&one, "one", &order);
        }
        settle().await;
        assert!(two.checkout(&who("bob")).await.is_ok());
        assert_eq!(order.borrow().len(), 0);
        drop(busy);
    });
}

#[test]
fn who_gives_up_does_not_hold_the_place() {
    run(async {
        let fake = Fake::new();
        let mut short = options(1);
        short.wait = Duration::from_secs(1);
        let servers = fake.servers(ServerLimits::default());
        let pool = servers.pool(&"acme".into(), "write", short);
        let busy = pool.checkout(&who("alice")).await.unwrap();
        let (bob, carol) = (who("bob"), who("carol"));
        let waiting = pool.checkout(&bob);
        let mut left = Box::pin(pool.checkout(&carol));
        assert!(left.as_mut().now_or_never().is_none());
        assert_eq!(pool.figures().waiting, 1);
        drop(left);
        let waited = waiting.await;
        assert!(matches!(waited, Err(CheckoutError::Exhausted)));
        assert_eq!(pool.figures().waiting, 0);
        busy.checkin(Disposition::Clean);
        assert!(pool.try_checkout(&bob).is_some());
    });
}

//! Several threads with pools of their own to the same server: together no more connections than one would have, and nobody
//! waits while another thread has one to spare. The threads are played on one, so that the order is always the same.

use std::rc::Rc;
use std::time::Duration;

use gate::Disposition;
use pool::{Pool, ServerLimits, Servers, Worker};
use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::fairness::{Order, budget, work};
use crate::server::{Fake, options, pool, settle, who};
use crate::{run, run_now};

/// The servers of so many threads, each of which tends its own.
fn threads<const N: usize>(fake: &Fake, limits: ServerLimits) -> [Rc<Servers<Fake>>; N] {
    let servers = fake.on_threads(limits);
    for servers in &servers {
        let servers = Rc::clone(servers);
        spawn_local(async move {
            loop {
                servers.tend().await;
            }
        });
    }
    servers
}

/// Has one wait `there` while as many wait in the `busy` pool, and expects it among the first; how many were served in the end.
async fn soon_served(there: &Rc<Pool<Fake>>, (busy, many): (&Rc<Pool<Fake>>, usize)) -> usize {
    let order = Order::default();
    for number in 0..many {
        work(busy, &format!("here {number}"), &order);
    }
    settle().await;
    work(there, "there", &order);
    sleep(Duration::from_secs(10)).await;
    let order = order.borrow();
    let at = order.iter().position(|it| it == "there").expect("served");
    assert!(at < 6, "served as number {at}");
    order.len()
}

#[test]
fn what_lies_unused_on_one_thread_is_given_up_for_another() {
    run(async {
        let fake = Fake::new();
        let [here, there] = threads(&fake, ServerLimits::default());
        let (here, there) = (pool(&here, "acme", 2), pool(&there, "acme", 2));
        let alice = who("alice");
        let leases = [here.checkout(&alice).await, here.checkout(&alice).await];
        for lease in leases {
            lease.unwrap().checkin(Disposition::Clean);
        }
        assert_eq!((here.figures().idle, fake.open()), (2, 2));
        let lease = there.checkout(&who("bob")).await.unwrap();
        settle().await;
        assert_eq!((here.figures().idle, fake.open()), (1, 2));
        drop(lease);
    });
}

#[test]
fn a_busy_thread_gives_up_what_is_above_its_part() {
    run(async {
        let fake = Fake::new();
        let [here, there] = threads(&fake, ServerLimits::default());
        let (here, there) = (pool(&here, "acme", 2), pool(&there, "acme", 2));
        assert_eq!(soon_served(&there, (&here, 100)).await, 101);
        assert!(fake.0.open_max.get() <= 2);
    });
}

#[test]
fn two_busy_threads_do_not_take_from_one_another() {
    run(async {
        let fake = Fake::new();
        let pools = threads::<2>(&fake, ServerLimits::default()).map(|it| pool(&it, "acme", 4));
        let order = Order::default();
        for number in 0..200 {
            work(&pools[number % 2], &number.to_string(), &order);
        }
        sleep(Duration::from_secs(20)).await;
        assert_eq!(order.borrow().len(), 200);
        let logins = fake.attempts();
        assert!(logins <= 6, "{logins} logins for four connections");
    });
}

#[test]
fn the_limit_of_a_server_is_that_of_all_threads() {
    run(async {
        let fake = Fake::new();
        let [here, there] = threads(&fake, budget(2));
        let (here, there) = (pool(&here, "acme", 5), pool(&there, "other", 5));
        let served = soon_served(&there, (&here, 50)).await;
        assert_eq!((served, fake.0.open_max.get()), (51, 2));
    });
}

#[test]
fn who_gives_up_on_one_thread_takes_nothing_from_another() {
    run(async {
        let fake = Fake::new();
        let [here, there] = threads(&fake, ServerLimits::default());
        let here = pool(&here, "acme", 1);
        let mut short = options(1);
        short.wait = Duration::from_millis(100);
        let there = there.pool(&"acme".into(), "write", short);
        let lease = here.checkout(&who("alice")).await.unwrap();
        assert!(there.checkout(&who("bob")).await.is_err());
        lease.checkin(Disposition::Clean);
        settle().await;
        assert_eq!((here.figures().idle, fake.open()), (1, 1));
    });
}

/// Whatever happens: never more connections than the pools and the server may have over all threads, and in the end everybody
/// was served.
#[test]
fn no_limit_is_ever_passed() {
    for seed in 1..60_u64 {
        run(async move {
            let fake = Fake::new();
            let servers = if seed % 3 == 0 {
                Vec::from(threads::<1>(&fake, budget(4)))
            } else {
                Vec::from(threads::<2>(&fake, budget(4)))
            };
            let pools: Vec<Rc<Pool<Fake>>> = servers
                .iter()
                .flat_map(|servers| ["a", "b", "c"].map(|it| pool(servers, it, 3)))
                .collect();
            let served = Order::default();
            let mut dice = seed;
            let mut roll = move |sides: usize| {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                usize::try_from(dice >> 33).unwrap() % sides
            };
            for number in 0..120 {
                let pool = Rc::clone(&pools[roll(pools.len())]);
                let (owner, work, back) = (roll(4), roll(30), roll(4));
                let served = Rc::clone(&served);
                spawn_local(async move {
                    let owner = who(&format!("p{owner}"));
                    let lease = pool.checkout(&owner).await.expect("a connection");
                    served.borrow_mut().push(number.to_string());
                    sleep(Duration::from_millis(work as u64)).await;
                    match back {
                        0 => drop(lease),
                        1 => lease.checkin(Disposition::Close),
                        2 => lease.checkin(Disposition::Reset),
                        _ => lease.checkin(Disposition::Clean),
                    }
                });
                sleep(Duration::from_millis(roll(4) as u64)).await;
            }
            sleep(Duration::from_secs(20)).await;
            assert_eq!(served.borrow().len(), 120, "seed {seed}");
            let idle: usize = pools.iter().map(|it| it.figures().idle).sum();
            assert_eq!(idle, fake.open(), "seed {seed}");
            assert!(fake.0.open_max.get() <= 4, "seed {seed}");
        });
    }
}

/// On real threads, where anything may come between: nobody is forgotten.
#[test]
fn threads_wake_one_another() {
    let workers = Worker::all(3);
    let started = std::sync::Barrier::new(workers.len());
    std::thread::scope(|scope| {
        for worker in workers {
            let started = &started;
            scope.spawn(move || {
                started.wait();
                run_now(borrow_often(worker));
            });
        }
    });
}

/// Eight that borrow a hundred times each; whoever is not served in time fails.
async fn borrow_often(worker: Worker) {
    let servers = Servers::new(Fake::new(), worker, budget(4), 7);
    let tended = Rc::clone(&servers);
    let tending = spawn_local(async move {
        loop {
            tended.tend().await;
        }
    });
    let each = (0..8).map(|number| {
        let pool = pool(&servers, ["a", "b"][number % 2], 3);
        async move {
            for _ in 0..100 {
                let lease = pool.checkout(&who("alice")).await.expect("a connection");
                tokio::task::yield_now().await;
                lease.checkin(Disposition::Clean);
            }
        }
    });
    futures_util::future::join_all(each).await;
    tending.abort();
    servers.close().await;
}

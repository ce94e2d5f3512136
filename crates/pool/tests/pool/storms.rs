//! A server that is down, and one that does not let the gate in: how often it is asked, and what
//! those that wait hear (hazards R66).

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
fn a_server_that_is_down_is_asked_by_one_at_a_time_and_ever_more_rarely() {
    run(async {
        let fake = Fake::new();
        fake.0.down.set(true);
        let servers = fake.servers(ServerLimits::default());
        let pools: Vec<_> = (0..50)
            .map(|it| {
                let mut options = options(20);
                options.wait = Duration::from_mins(2);
                servers.pool(&format!("t{it}").as_str().into(), "write", options)
            })
            .collect();
        let served = Rc::new(Cell::new(0));
        for number in 0..5000 {
            let (pool, served) = (Rc::clone(&pools[number % 50]), Rc::clone(&served));
            spawn_local(async move {
                let lease = pool.checkout(&who("alice")).await.expect("in the end");
                served.set(served.get() + 1);
                sleep(Duration::from_millis(1)).await;
                lease.checkin(Disposition::Clean);
            });
        }
        sleep(Duration::from_mins(1)).await;
        let attempts = fake.0.attempts.borrow().clone();
        assert!((20..80).contains(&attempts.len()), "{}", attempts.len());
        let pauses: Vec<_> = attempts.windows(2).map(|it| it[1] - it[0]).collect();
        assert!(pauses[14..].iter().all(|it| *it >= Duration::from_secs(1)));
        let first = pauses[14];
        assert!(pauses[14..].iter().any(|it| *it != first), "no jitter");
        fake.0.down.set(false);
        sleep(Duration::from_secs(30)).await;
        assert_eq!(served.get(), 5000);
        assert!(
            fake.0.logging_in_max.get() <= 8,
            "{}",
            fake.0.logging_in_max.get()
        );
    });
}

/// Also where all places are taken by those that wait for the server.
#[test]
fn whoever_waits_hears_what_is_wrong_with_the_server() {
    run(async {
        let fake = Fake::new();
        fake.0.down.set(true);
        let pool = fake.pool(1);
        let heard = Rc::new(Cell::new(0));
        for _ in 0..10 {
            let (pool, heard) = (Rc::clone(&pool), Rc::clone(&heard));
            spawn_local(async move {
                let since = Instant::now();
                let failed = pool.checkout(&who("alice")).await.expect_err("down");
                assert!(matches!(failed, CheckoutError::Connect(_)), "{failed}");
                assert!((30..33).contains(&since.elapsed().as_secs()));
                heard.set(heard.get() + 1);
            });
        }
        sleep(Duration::from_secs(1)).await;
        assert_eq!(pool.figures().waiting, 10);
        assert!(pool.figures().max_wait >= Duration::from_secs(1));
        sleep(Duration::from_secs(40)).await;
        assert_eq!(heard.get(), 10);
    });
}

#[test]
fn a_login_of_a_client_waits_for_one_answer_only() {
    run(async {
        let fake = Fake::new();
        fake.0.down.set(true);
        let pool = fake.pool(2);
        for _ in 0..5 {
            let since = Instant::now();
            let failed = pool.facts().await.expect_err("down");
            assert!(matches!(failed, CheckoutError::Connect(_)), "{failed}");
            assert!(since.elapsed() <= Duration::from_secs(2));
        }
        fake.0.down.set(false);
        assert!(
            pool.facts().await.is_ok(),
            "it hears of nothing that is over"
        );
    });
}

#[test]
fn what_waiting_does_not_mend_is_heard_at_once_and_not_tried_by_everybody() {
    for sqlstate in ["28P01", "3D000"] {
        run(async move {
            let fake = Fake::new();
            fake.0.refuses.set(Some(sqlstate));
            let pool = fake.pool(2);
            let heard = Rc::new(Cell::new(0));
            for _ in 0..1000 {
                let (pool, heard) = (Rc::clone(&pool), Rc::clone(&heard));
                spawn_local(async move {
                    let failed = pool.checkout(&who("alice")).await.unwrap_err();
                    assert!(matches!(failed, CheckoutError::Connect(_)), "{failed}");
                    heard.set(heard.get() + 1);
                });
            }
            settle().await;
            assert_eq!(heard.get(), 1000);
            assert!(fake.attempts() <= 2, "{}", fake.attempts());
            fake.0.refuses.set(None);
            assert!(pool.checkout(&who("alice")).await.is_ok());
        });
    }
}

#[test]
fn a_refused_tenant_does_not_slow_others_down() {
    run(async {
        let fake = Fake::new();
        let servers = fake.servers(ServerLimits::default());
        let (bad, good) = (pool(&servers, "bad", 2), pool(&servers, "good", 2));
        fake.0.refuses.set(Some("28P01"));
        for _ in 0..5 {
            assert!(bad.checkout(&who("alice")).await.is_err());
        }
        fake.0.refuses.set(None);
        let since = Instant::now();
        assert!(good.checkout(&who("alice")).await.is_ok());
        assert!(since.elapsed() < Duration::from_millis(50));
    });
}

#[test]
fn a_server_without_room_is_waited_for() {
    run(async {
        let fake = Fake::new();
        fake.0.refuses.set(Some("53300"));
        let pool = fake.pool(2);
        let waiter = Rc::clone(&pool);
        let waits = spawn_local(async move { waiter.checkout(&who("alice")).await.is_ok() });
        sleep(Duration::from_secs(5)).await;
        fake.0.refuses.set(None);
        assert!(waits.await.unwrap());
        settle().await;
    });
}

/// The pauses between twenty attempts at a server that is down.
fn pauses(seed: u64) -> Vec<Duration> {
    let found = Rc::new(std::cell::RefCell::new(Vec::new()));
    let pauses = Rc::clone(&found);
    run(async move {
        let fake = Fake::new();
        fake.0.down.set(true);
        let servers = fake.seeded(seed);
        let mut patient = options(2);
        patient.wait = Duration::from_secs(30);
        let pool = servers.pool(&"acme".into(), "write", patient);
        assert!(pool.checkout(&who("alice")).await.is_err());
        let attempts = fake.0.attempts.borrow();
        let between = attempts.windows(2).map(|it| it[1] - it[0]);
        *pauses.borrow_mut() = between.collect();
    });
    found.take()
}

#[test]
fn pauses_come_from_the_seed_and_from_nothing_else() {
    assert!(pauses(7).len() > 15);
    assert_eq!(pauses(7), pauses(7));
    assert_ne!(pauses(7), pauses(8));
}

//! Whose a connection is: anybody's while it is clean, its principal's after a reset, and nobody's
//! where a reset did not do what it should (hazards R24).

use std::rc::Rc;
use std::time::Duration;

use pool::{Disposition, Pool};
use tokio::time::sleep;

use crate::run;
use crate::server::{Fake, Reset, answered, completed, message, settle, who};

async fn borrow(pool: &Rc<Pool<Fake>>, name: &str, back: Disposition) {
    let lease = pool.checkout(&who(name)).await.expect("a connection");
    lease.checkin(back);
    settle().await;
}

#[test]
fn a_clean_connection_is_anybodys() {
    run(async {
        let fake = Fake::new();
        let pool = fake.pool(2);
        borrow(&pool, "alice", Disposition::Clean).await;
        assert!(pool.try_checkout(&who("bob")).is_some());
        borrow(&pool, "bob", Disposition::Clean).await;
        assert_eq!(fake.0.logins.get(), 2, "a lease that was dropped is closed");
    });
}

#[test]
fn a_connection_that_was_reset_is_its_principals_alone() {
    run(async {
        let fake = Fake::new();
        let pool = fake.pool(1);
        borrow(&pool, "alice", Disposition::Reset).await;
        assert_eq!(pool.figures().idle, 1);
        assert!(pool.try_checkout(&who("bob")).is_none());
        borrow(&pool, "alice", Disposition::Clean).await;
        assert_eq!(fake.0.logins.get(), 1, "hers, and hers it stays");
        borrow(&pool, "bob", Disposition::Clean).await;
        assert_eq!(fake.0.logins.get(), 2);
        assert_eq!(fake.0.farewells.get(), 1);
        assert_eq!(fake.0.open_max.get(), 1, "hers was closed first");
        borrow(&pool, "alice", Disposition::Clean).await;
        assert_eq!(fake.0.logins.get(), 2, "bob's was clean");
    });
}

#[test]
fn a_new_one_is_opened_before_anothers_is_closed() {
    run(async {
        let fake = Fake::new();
        let pool = fake.pool(2);
        borrow(&pool, "alice", Disposition::Reset).await;
        borrow(&pool, "bob", Disposition::Reset).await;
        assert_eq!((pool.figures().idle, fake.0.farewells.get()), (2, 0));
        borrow(&pool, "carol", Disposition::Reset).await;
        assert_eq!((pool.figures().idle, fake.0.farewells.get()), (2, 1));
        assert!(
            pool.try_checkout(&who("alice")).is_none(),
            "the longest unused"
        );
        assert!(pool.try_checkout(&who("bob")).is_some());
    });
}

#[test]
fn while_it_is_reset_its_place_is_taken() {
    run(async {
        let fake = Fake::new();
        let pool = fake.pool(1);
        *fake.0.reset.borrow_mut() = Reset::Silence;
        let lease = pool.checkout(&who("alice")).await.unwrap();
        lease.checkin(Disposition::Reset);
        settle().await;
        let figures = pool.figures();
        assert_eq!((figures.resetting, figures.idle, figures.active), (1, 0, 0));
        let since = tokio::time::Instant::now();
        borrow(&pool, "alice", Disposition::Clean).await;
        assert!(
            since.elapsed().as_secs() >= 4,
            "until the reset's time was over"
        );
        assert_eq!(fake.0.logins.get(), 2);
        assert_eq!(fake.0.open_max.get(), 1);
    });
}

/// Whatever is not exactly as expected closes the connection.
#[test]
fn a_reset_that_left_something_or_went_wrong_closes() {
    let mut answers: Vec<Reset> = Vec::new();
    for place in 0..7 {
        let mut counts = ["0"; 7];
        counts[place] = "1";
        answers.push(Reset::Counts(counts));
    }
    let (done, idle) = (completed("DISCARD ALL"), message(b'Z', b"I"));
    let verified = answered(&["0"; 7], "SELECT 1");
    for bytes in [
        vec![message(b'E', b"SERROR\0C25001\0Mno\0\0"), idle.clone()],
        vec![completed("DISCARD"), idle.clone(), verified.clone()],
        vec![done.clone(), message(b'Z', b"T"), verified.clone()],
        vec![message(b'N', b"SWARNING\0C01000\0Mx\0\0"), done.clone()],
        vec![done.clone(), idle.clone(), answered(&["0"; 6], "SELECT 1")],
        vec![done.clone(), idle.clone(), answered(&["0"; 8], "SELECT 1")],
        vec![done.clone(), idle.clone(), answered(&["0"; 7], "SELECT 2")],
        vec![
            done.clone(),
            idle.clone(),
            verified,
            message(b'S', b"a\0b\0"),
        ],
        vec![vec![0]],
    ] {
        answers.push(Reset::Bytes(bytes.concat()));
    }
    for answer in answers {
        run(async {
            let fake = Fake::new();
            let pool = fake.pool(1);
            *fake.0.reset.borrow_mut() = answer.clone();
            borrow(&pool, "alice", Disposition::Reset).await;
            assert_eq!(pool.figures().idle, 0, "{answer:?}");
            // Half a message is waited for until the reset's time is over.
            sleep(Duration::from_secs(6)).await;
            assert_eq!((fake.open(), fake.0.farewells.get()), (0, 1), "{answer:?}");
        });
    }
    // The counterpart: said in the same way, but right. PostgreSQL says what goes back to what it was in front of
    // the tag, or behind it.
    let settings = message(b'S', b"TimeZone\0UTC\0");
    let verified = answered(&["0"; 7], "SELECT 1");
    for right in [
        [&settings, &done, &idle, &verified],
        [&done, &settings, &idle, &verified],
    ] {
        run(async {
            let fake = Fake::new();
            let pool = fake.pool(1);
            let right = right.map(Vec::as_slice).concat();
            *fake.0.reset.borrow_mut() = Reset::Bytes(right);
            borrow(&pool, "alice", Disposition::Reset).await;
            assert_eq!(pool.figures().idle, 1);
        });
    }
}

#[test]
fn what_a_cancel_was_aimed_at_is_closed() {
    run(async {
        let fake = Fake::new();
        let pool = fake.pool(1);
        for back in [Disposition::Clean, Disposition::Reset] {
            let mut lease = pool.checkout(&who("alice")).await.unwrap();
            assert!(lease.cancel_target().is_some());
            lease.checkin(back);
            settle().await;
            assert_eq!((pool.figures().idle, fake.open()), (0, 0));
        }
    });
}

/// The gate's own questions take nothing from anybody.
#[test]
fn what_the_gate_borrows_goes_back_to_its_owner() {
    run(async {
        let fake = Fake::new();
        let pool = fake.pool(1);
        borrow(&pool, "alice", Disposition::Reset).await;
        let lease = pool.lend_to_gate(Duration::from_secs(1)).await.unwrap();
        lease.checkin(Disposition::Clean);
        borrow(&pool, "alice", Disposition::Clean).await;
        assert_eq!(fake.0.logins.get(), 1, "it is hers still");
    });
}

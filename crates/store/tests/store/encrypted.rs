//! What a tenant asks is unreadable without its key, and for ever once that is gone; the chain does not mind.

use std::sync::Arc;

use gate::audit::End;
use gate::ticket::{Asked, Parameter};
use gate::ticket::{Facts, Say, TimeOuts};
use gate::tickets::{Filter, NewTicket, Opened, Use, Word};
use gate::{Entry, Event, Journal as _, Outcome, State, TicketId, Tickets as _};
use store::{
    Custody, JournalFile, Keeping, Keys, ReadError, Sqlite, Tampered, TenantKey, TenantKeys,
    read_state, read_state_opened, recover, tickets_file, verify_state,
};

use crate::conformance::{self, OPTIONS, asked_by, once, spent, standing};
use crate::evidence::reseal_from;
use crate::recovery::claimed;
use crate::support::{StateDir, intent, login};

/// In everything that is a requester's own.
const CANARY: &str = "canary-4711 \" \\ ,\"encrypted\":{";

fn custody(keeping: Keeping, tenants: &[(&str, &TenantKey)]) -> Custody {
    let tenants = tenants
        .iter()
        .map(|(name, key)| ((*name).to_owned(), Some((*key).clone())));
    let keys = Keys {
        signing: None,
        tenants: TenantKeys::new(tenants),
    };
    Custody { keeping, keys }
}

impl StateDir {
    async fn journal_encrypted(
        &self,
        store: &Sqlite,
        tenants: &[(&str, &TenantKey)],
    ) -> JournalFile {
        self.journal_kept(store, custody(Keeping::default(), tenants))
            .await
    }

    fn opened(&self, keys: &[TenantKey]) -> Result<Vec<String>, ReadError> {
        let mut opened = Vec::new();
        read_state_opened(self.dir.path(), keys, &mut |seen| {
            opened.push(seen.entry.to_owned());
            Ok(())
        })?;
        Ok(opened)
    }
}

fn asked() -> Vec<Asked> {
    let value = Some(CANARY.into());
    vec![Asked {
        text: format!("select '{CANARY}', $1").into(),
        parameters: vec![Parameter {
            type_oid: 25,
            value,
        }],
    }]
}

const TICKET: TicketId = TicketId(7);

/// Of each kind that has something of a requester's own, one entry of this tenant.
fn entries(tenant: &str) -> Vec<Entry> {
    let mut entries = of_statements(tenant);
    entries.extend(of_tickets(tenant));
    entries
}

fn of_statements(tenant: &str) -> Vec<Entry> {
    let (session, rule) = (1, Arc::<str>::from("a rule"));
    vec![
        Entry::Intent {
            session,
            number: 1,
            principal: "alice".into(),
            tenant: tenant.into(),
            rule: Some(Arc::clone(&rule)),
            ticket: None,
            claim: None,
            asked: asked(),
        },
        Entry::Looked {
            session,
            number: 2,
            asked: asked(),
        },
        Entry::Outcome {
            session,
            number: 2,
            end: End::Failed,
            tags: Vec::new(),
            error: Some(format!("22P02 invalid input: {CANARY}")),
        },
        Entry::Denied {
            session,
            principal: "alice".into(),
            tenant: tenant.into(),
            rule: Arc::clone(&rule),
            asked: asked(),
        },
        Entry::Observed {
            session,
            principal: "alice".into(),
            tenant: tenant.into(),
            rule,
            why: format!("it writes {CANARY}"),
            needs: Vec::new(),
            asked: asked(),
        },
    ]
}

fn of_tickets(tenant: &str) -> Vec<Entry> {
    let (session, digest) = (1, format!("digest {CANARY}"));
    vec![
        Entry::Held {
            session,
            ticket: TICKET,
            principal: "alice".into(),
            tenant: tenant.into(),
            digest: digest.clone(),
        },
        Entry::Requested {
            ticket: TICKET,
            principal: "alice".into(),
            tenant: tenant.into(),
            digest: digest.clone(),
        },
        Entry::BrokeGlass {
            session,
            ticket: TICKET,
            principal: "alice".into(),
            tenant: tenant.into(),
            rule: "glass".to_owned(),
            reason: format!("because {CANARY}"),
            digest,
        },
        Entry::Decided {
            ticket: TICKET,
            by: "bob".into(),
            word: "reject".into(),
            comment: Some(format!("not with {CANARY}")),
            state: State::Rejected,
        },
    ]
}

async fn write(journal: &JournalFile, tenant: &str) {
    for entry in entries(tenant) {
        journal.note_at(Some(&tenant.into()), &entry).unwrap();
        journal.write_at(Some(&tenant.into()), entry).await.unwrap();
    }
}

fn plain(entry: &Entry) -> String {
    serde_json::to_string(entry).unwrap()
}

#[tokio::test]
async fn nothing_of_a_requester_is_readable_without_the_key() {
    let (acme, shop) = (
        TenantKey::generate().unwrap(),
        TenantKey::generate().unwrap(),
    );
    let state = StateDir::new();
    let store = state.store();
    let tenants = [("acme", &acme), ("shop_*", &shop)];
    let journal = state.journal_encrypted(&store, &tenants).await;
    for tenant in ["acme", "shop_eu", "open"] {
        write(&journal, tenant).await;
    }
    drop(journal);
    let text = String::from_utf8(state.bytes()).unwrap();
    let said = text.matches("canary-4711").count();
    let in_clear: usize = entries("open")
        .iter()
        .map(|it| plain(it).matches("canary-4711").count())
        .sum();
    assert_eq!(said, 2 * in_clear, "what \"open\" asks, and nothing else");
    assert_eq!(
        text.matches(&format!("\"key\":\"{}\"", acme.id())).count(),
        18
    );
    verify_state(state.dir.path()).unwrap();

    // With the keys each is what it was; with one of them those of its tenants, and the others say with which key.
    let all = |tenant: &str| -> Vec<String> {
        entries(tenant)
            .iter()
            .flat_map(|it| [plain(it), plain(it)])
            .collect()
    };
    let opened = state.opened(&[acme.clone(), shop.clone()]).unwrap();
    let mut expected: Vec<String> = ["acme", "shop_eu", "open"]
        .iter()
        .flat_map(|it| all(it))
        .collect();
    assert_eq!(opened[1..], expected);
    let opened = state.opened(&[shop]).unwrap();
    assert_eq!(opened[19..], expected.split_off(18));
    for entry in &opened[1..19] {
        assert!(!entry.contains("canary"), "{entry}");
        let named = format!(
            ",\"encrypted\":{{\"tenant\":\"acme\",\"key\":\"{}\",\"data\":\"",
            acme.id()
        );
        assert!(entry.contains(&named), "{entry}");
    }
    // No text comes twice, though each entry was written twice.
    let mut distinct = opened[1..19].to_vec();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 18);
}

/// The forger can write the chain anew, and has the store; he does not have the key.
#[tokio::test]
async fn what_is_encrypted_cannot_be_moved() {
    let acme = TenantKey::generate().unwrap();
    let state = StateDir::new();
    let store = state.store();
    for run in 0..2 {
        let journal = state.journal_encrypted(&store, &[("acme", &acme)]).await;
        journal.write(intent(1, 1, None)).await.unwrap();
        journal.write(intent(1, 2 + run, None)).await.unwrap();
        drop(journal);
    }
    drop(store);
    let whole = state.lines();
    let data = |line: &str| {
        let (_, data) = line.split_once("\"data\":\"").unwrap();
        data.split_once('"').unwrap().0.to_owned()
    };
    state.opened(std::slice::from_ref(&acme)).unwrap();
    // Within a run, and to the place in the other run that looks just the same.
    for (from, to) in [(1, 2), (2, 1), (1, 4), (4, 1)] {
        let mut lines = whole.clone();
        lines[to] = lines[to].replace(&data(&whole[to]), &data(&whole[from]));
        reseal_from(&mut lines, to);
        state.put(&lines);
        std::fs::remove_file(tickets_file(state.dir.path())).unwrap();
        drop(state.store());
        read_state(state.dir.path(), &mut |_| Ok(())).unwrap();
        let moved = state.opened(std::slice::from_ref(&acme)).unwrap_err();
        let ReadError::Tampered(Tampered::Displaced { seq, .. }) = moved else {
            panic!("{moved}")
        };
        assert_eq!(seq, to as u64 + 1, "{from} to {to}");
    }
}

/// A crash between a server's error and its record in the store: the error comes out of the journal.
#[tokio::test]
async fn recovery_reads_what_is_encrypted() {
    let acme = TenantKey::generate().unwrap();
    let state = StateDir::new();
    let store = state.store();
    let journal = state.journal_encrypted(&store, &[("acme", &acme)]).await;
    let claim = claimed(&store, "delete from t", false).await;
    journal.write(intent(7, 1, Some(claim))).await.unwrap();
    let outcome = Entry::Outcome {
        session: 7,
        number: 1,
        end: End::Failed,
        tags: Vec::new(),
        error: Some(CANARY.to_owned()),
    };
    journal
        .write_at(Some(&"acme".into()), outcome)
        .await
        .unwrap();
    drop(journal);
    assert!(!String::from_utf8(state.bytes()).unwrap().contains("canary"));
    let journal = state.journal_encrypted(&store, &[("acme", &acme)]).await;
    let recovered = recover(&store, &journal).await.unwrap();
    assert_eq!(recovered[0].state, State::Failed);
    let ticket = gate::Tickets::ticket(&store, claim.0).await.unwrap();
    assert_eq!(ticket.outcome.unwrap().error.as_deref(), Some(CANARY));
}

/// Files go by their rule, what is left opens, and a gate whose tenant lost its key goes on.
#[tokio::test]
async fn keys_and_files_come_and_go() {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let (old, new) = (
        TenantKey::generate().unwrap(),
        TenantKey::generate().unwrap(),
    );
    let state = StateDir::new();
    let store = state.store();
    let keeping = Keeping {
        rotate_bytes: 4_000,
        keep_ms: Some(10 * DAY_MS),
    };
    for day in 0..30 {
        let key = if day < 25 { &old } else { &new };
        let custody = custody(keeping, &[("acme", key)]);
        let journal = state.journal_kept(&store, custody).await;
        write(&journal, "acme").await;
        journal.write(login(day)).await.unwrap();
        state.clock.advance(DAY_MS);
    }
    let report = verify_state(state.dir.path()).unwrap();
    assert!(report.forgotten.is_some());
    let closed = state.opened(&[]).unwrap();
    assert!(!closed.concat().contains("canary"));
    let count = |keys: &[TenantKey]| {
        state
            .opened(keys)
            .unwrap()
            .concat()
            .matches("because canary")
            .count()
    };
    let (with_old, with_new) = (
        count(std::slice::from_ref(&old)),
        count(std::slice::from_ref(&new)),
    );
    assert_eq!(with_new, 10);
    assert!(with_old > 10, "{with_old}");
    assert_eq!(count(&[old, new]), with_old + with_new);
}

/// The store behaves as without keys.
#[tokio::test(flavor = "current_thread")]
async fn a_store_with_keys_conforms() {
    let root = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    let key = TenantKey::generate().unwrap();
    conformance::suite(|clock| {
        count.set(count.get() + 1);
        let path = root.path().join(format!("{}.db", count.get()));
        let keys = TenantKeys::new([("*".to_owned(), Some(key.clone()))]);
        Sqlite::open_with(&path, clock, OPTIONS, keys).unwrap()
    })
    .await;
}

/// A ticket with the canary wherever somebody can put it, approved, used, and ended by an error.
async fn ticket(store: &Sqlite, tenant: &str) -> TicketId {
    let text = format!("delete from \"{CANARY}\"");
    let new = NewTicket {
        tenant: tenant.into(),
        asked: asked(),
        why: format!("it writes {CANARY}"),
        reason: Some(format!("because {CANARY}")),
        facts: Facts {
            functions: vec![CANARY.to_owned()],
            ..Facts::default()
        },
        ..asked_by("alice", &text, &[("dba", 1)])
    };
    let Opened::Pending(ticket) = store.open(new).await.unwrap() else {
        panic!("it is approved")
    };
    let word = Word {
        by: "bob".into(),
        groups: vec!["dba".into()],
        say: Say::Approve,
        comment: Some(format!("fine: {CANARY}")),
        narrows: TimeOuts::default(),
    };
    store.decide(vec![ticket.id], word).await.unwrap();
    let once = Use {
        tenant: tenant.into(),
        ..once(&text)
    };
    let claim = spent(store.claim(ticket.id, once, standing()).await.unwrap());
    let outcome = Outcome {
        tags: Vec::new(),
        error: Some(CANARY.to_owned()),
    };
    let claims = vec![(ticket.id, claim)];
    store
        .settle(claims, Event::Fail, Some(outcome))
        .await
        .unwrap();
    ticket.id
}

/// Every byte of the store's files.
fn bytes(state: &StateDir) -> String {
    let files = std::fs::read_dir(state.dir.path()).unwrap();
    let files = files.filter_map(|it| std::fs::read(it.unwrap().path()).ok());
    String::from_utf8_lossy(&files.collect::<Vec<_>>().concat()).into_owned()
}

#[tokio::test(flavor = "current_thread")]
async fn nothing_of_a_requester_is_readable_in_the_store_without_the_key() {
    let (acme, other) = (
        TenantKey::generate().unwrap(),
        TenantKey::generate().unwrap(),
    );
    let open = |state: &StateDir, keys: &[(&str, &TenantKey)]| {
        let keys = custody(Keeping::default(), keys).keys.tenants;
        let path = tickets_file(state.dir.path());
        Sqlite::open_with(&path, state.clock.clone(), OPTIONS, keys).unwrap()
    };
    let clear = StateDir::new();
    let store = open(&clear, &[]);
    let plain = ticket(&store, "acme").await;
    let plain = store.ticket(plain).await.unwrap();
    assert!(bytes(&clear).contains("canary-4711"));
    let state = StateDir::new();
    let store = open(&state, &[("acme", &acme)]);
    let id = ticket(&store, "acme").await;
    let told = store.ticket(id).await.unwrap();
    assert_eq!(told, plain, "with the key it is the same ticket");
    drop(store);
    let written = bytes(&state);
    assert!(written.contains(acme.id()));
    for told in ["canary-4711", &plain.digest] {
        assert!(!written.contains(told), "{told}");
    }

    // Without the key, or with another, it is still there, and says why it cannot be read.
    for keys in [&[][..], &[("acme", &other)]] {
        let store = open(&state, keys);
        let told = store.ticket(id).await.unwrap();
        let words = format!("(encrypted with key {}, which is not at hand)", acme.id());
        assert_eq!(told.asked[0].text, *words);
        assert_eq!((&told.why, told.reason.as_ref()), (&words, Some(&words)));
        assert_eq!(told.decisions[0].comment.as_ref(), Some(&words));
        assert_eq!(told.outcome.unwrap().error.as_ref(), Some(&words));
        assert_ne!(told.digest, plain.digest);
        assert_eq!(
            (told.state, told.tenant),
            (plain.state, plain.tenant.clone())
        );
        let next = ticket(&store, "acme").await;
        let listed = store.list(Filter::default()).await.unwrap();
        assert!(listed.iter().any(|it| it.id == next));
    }
}

/// Who can write the file cannot have one ticket's text shown as another's.
#[tokio::test(flavor = "current_thread")]
async fn a_text_of_another_ticket_is_not_shown() {
    let acme = TenantKey::generate().unwrap();
    let state = StateDir::new();
    let path = tickets_file(state.dir.path());
    let keys = || custody(Keeping::default(), &[("acme", &acme)]).keys.tenants;
    let store = Sqlite::open_with(&path, state.clock.clone(), OPTIONS, keys()).unwrap();
    let (one, two) = (ticket(&store, "acme").await, ticket(&store, "acme").await);
    drop(store);
    let db = rusqlite::Connection::open(&path).unwrap();
    let copy = "UPDATE tickets SET asked = (SELECT asked FROM tickets WHERE id = ?1) WHERE id = ?2";
    assert_eq!(db.execute(copy, [one.0, two.0]).unwrap(), 1);
    drop(db);
    let store = Sqlite::open_with(&path, state.clock.clone(), OPTIONS, keys()).unwrap();
    assert_eq!(store.ticket(one).await.unwrap().asked, asked());
    let moved = store.ticket(two).await.unwrap();
    assert!(moved.asked[0].text.starts_with("(encrypted with key "));
}

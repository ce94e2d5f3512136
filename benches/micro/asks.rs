//! Requests as the gate makes them of what a client sends. They never reach a server.

use std::sync::Arc;

use bytes::Bytes;
use gate::work::Values;
use gate::{Context, Group, Prepared, Principal, Request, Settings, Step, Work};

/// A Query of this text.
pub(crate) fn query(text: &str) -> Arc<Request> {
    request(Work::Query(text.into()))
}

/// A statement with eight parameters, bound and executed.
pub(crate) fn bound(text: &str) -> Arc<Request> {
    let statement = Prepared::new("s1".into(), text.into(), vec![25; 8], &Settings::new());
    let values = (0..8).map(|n| Some(Bytes::from(format!("value {n}"))));
    let bind = Step::Bind {
        portal: "".into(),
        statement: Arc::new(statement),
        values: Values {
            values: values.collect(),
            ..Values::default()
        },
    };
    let execute = Step::Execute {
        portal: "".into(),
        max_rows: 0,
    };
    request(Work::Batch(vec![bind, execute]))
}

fn request(work: Work) -> Arc<Request> {
    let principal = Principal {
        id: "alice".into(),
        groups: ["devs", "oncall"].map(Group::from).into(),
    };
    let settings = [
        ("application_name", "billing"),
        ("client_encoding", "UTF8"),
        ("search_path", "app, public"),
    ];
    let settings: Settings = settings.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let context = Context {
        tenant: "acme".into(),
        system_identifier: Arc::from("7421337000000000001"),
        principal: principal.id.clone(),
        role: Arc::from("acme_rw"),
        settings: Arc::new(settings),
        state: None,
        isolation: None,
        in_transaction: false,
    };
    let texts = work.texts();
    let readings = texts.iter().map(|text| Arc::new(sql::read(text)));
    Arc::new(Request {
        principal: Arc::new(principal),
        context,
        readings: readings.collect(),
        work,
        named: Vec::new(),
        client: Arc::from("192.0.2.7:50000"),
        wish: Arc::default(),
    })
}

#[divan::bench]
fn digest_of_a_short_query(bencher: divan::Bencher<'_, '_>) {
    let request = query(&crate::texts::account(17));
    bencher.bench(|| request.digest());
}

#[divan::bench]
fn digest_of_1_kb_with_8_parameters(bencher: divan::Bencher<'_, '_>) {
    let request = bound(&crate::texts::report(1_024, 17));
    bencher.bench(|| request.digest());
}

//! What can be typed on the console, and what cannot.

use super::*;

fn said(ids: &[i64], say: Say, comment: Option<&str>) -> ConsoleCommand {
    ConsoleCommand::Say {
        ids: ids.iter().map(|id| TicketId(*id)).collect(),
        say,
        comment: comment.map(str::to_owned),
        narrows: TimeOuts::default(),
    }
}

#[test]
fn tenants_are_shown_by_pattern_and_behind_a_name() {
    let tenants = |like: Option<&str>, after: Option<&str>| {
        let (like, after) = (like.map(str::to_owned), after.map(str::to_owned));
        Some(ConsoleCommand::Show(Show::Tenants { like, after }))
    };
    for (text, like, after) in [
        ("show tenants", None, None),
        ("SHOW TENANTS 'shop_*';", Some("shop_*"), None),
        ("show tenants after 'b'", None, Some("b")),
        ("show tenants 'a*' after 'ab'", Some("a*"), Some("ab")),
    ] {
        assert_eq!(parse(text).unwrap(), tenants(like, after), "{text}");
    }
    for bad in ["tenants shop", "tenants 'shop' BEHIND 'b'", "tenants AFTER"] {
        assert!(parse(&format!("SHOW {bad}")).is_err(), "{bad}");
    }
}

#[test]
fn commands_are_read_as_psql_sends_them() {
    assert_eq!(parse("").unwrap(), None);
    assert_eq!(
        parse("show tickets;").unwrap(),
        Some(ConsoleCommand::Show(Show::Tickets { all: false }))
    );
    assert_eq!(parse("Reload;").unwrap(), Some(ConsoleCommand::Reload));
    for (text, expected) in [
        (
            "REJECT T-7 'it''s wrong';",
            said(&[7], Say::Reject, Some("it's wrong")),
        ),
        ("approve 12 'ok'", said(&[12], Say::Approve, Some("ok"))),
        (
            "approve 12, T-13 14",
            said(&[12, 13, 14], Say::Approve, None),
        ),
        ("approve 12,12", said(&[12], Say::Approve, None)),
        (
            "request changes 3 'a WHERE'",
            said(&[3], Say::Changes, Some("a WHERE")),
        ),
        (
            "comment t-3, 4 'hm'",
            said(&[3, 4], Say::Comment, Some("hm")),
        ),
    ] {
        assert_eq!(parse(text).unwrap(), Some(expected), "{text}");
    }
    assert_eq!(
        parse("withdraw 1, 2").unwrap(),
        Some(ConsoleCommand::Withdraw(vec![TicketId(1), TicketId(2)]))
    );
    for bad in [
        "REQUEST ON acme delete",
        "REQUEST ON acme 'x' BECAUSE 'y'",
        "REQUEST GRANT ON acme FOR opaque WITHIN '2 h' USES 1",
        "REQUEST GRANT ON acme FOR write WITHIN '2 y' USES 1",
        "REQUEST GRANT ON acme FOR write WITHIN '2 h' USES 0",
        "REQUEST GRANT ON acme FOR WITHIN '2 h' USES 1",
        "REQUEST GRANT ON acme FOR write WITHIN '999999 d' USES 1",
        "RESOLVE 7 DONE",
        "RESOLVE 7 PERHAPS 'x'",
        "HOLD",
        "HOLD ALL OFF",
        "TERMINATE",
        "RELOAD tenants",
        "PAUSE acme shop",
        "REJECT 7",
        "REJECT 7 ''",
        "APPROVE",
        "APPROVE x",
        "APPROVE '7'",
        "APPROVE 7 'a' 'b'",
        "APPROVE 7 LOCK_TIMEOUT",
        "APPROVE 7 LOCK_TIMEOUT 'soon'",
        "REJECT 7 'no' LOCK_TIMEOUT '1 s'",
        "COMMENT 7",
        "REQUEST 7 'x'",
        "WITHDRAW 7 'x'",
        "WITHDRAW",
        "'SHOW' TICKETS",
        "SHOW TICKET -1",
        "DROP TABLE t",
        "REJECT 7 'x",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn requests_are_read_with_their_terms() {
    let narrowed = ConsoleCommand::Say {
        ids: vec![TicketId(7)],
        say: Say::Approve,
        comment: Some("ok".into()),
        narrows: TimeOuts {
            lock_ms: Some(500),
            statement_ms: Some(60_000),
        },
    };
    let text = "APPROVE 7 'ok' LOCK_TIMEOUT '500 ms' statement_timeout 1min";
    assert_eq!(parse(text).unwrap(), Some(narrowed));
    let grant = ConsoleCommand::RequestGrant {
        tenant: "acme".into(),
        classes: vec![Class::Write, Class::Ddl],
        within: Duration::from_hours(2),
        uses_max: 5,
        reason: Some("fair".into()),
    };
    let text = "REQUEST GRANT ON acme FOR write, DDL WITHIN '2 h' USES 5 REASON 'fair'";
    assert_eq!(parse(text).unwrap(), Some(grant));
    let request = ConsoleCommand::Request {
        tenant: "acme".into(),
        sql: "delete from t; select ''".into(),
        reason: None,
    };
    let text = "request on acme 'delete from t; select '''''";
    assert_eq!(parse(text).unwrap(), Some(request));
}

#[test]
fn a_pause_is_of_one_tenant_or_of_all() {
    assert_eq!(parse("pause;").unwrap(), Some(ConsoleCommand::Pause(None)));
    let shop = || Some("Shop_7".to_owned());
    for (text, expected) in [
        ("PAUSE Shop_7", ConsoleCommand::Pause(shop())),
        ("resume 'Shop_7';", ConsoleCommand::Resume(shop())),
    ] {
        assert_eq!(parse(text).unwrap(), Some(expected), "{text}");
    }
}

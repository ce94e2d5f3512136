//! Laws over generated texts: reading never panics, and what it says of a text is consistent. It never needs a server.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy.toml lets tests panic, but does not count their helpers"
)]

use proptest::prelude::*;
use sql::{Class, Reading, Second};

fn lawful(text: &str) -> Result<Reading, TestCaseError> {
    let reading = sql::read(text);
    let mut from = 0;
    for statement in &reading.statements {
        let range = statement.range.clone();
        prop_assert!(
            range.start >= from && text.get(range.clone()).is_some(),
            "{range:?} of {text:?}"
        );
        prop_assert!(!statement.why.is_empty());
        prop_assert!(statement.control.is_none() || statement.class == Class::Transaction);
        if statement.class == Class::Read {
            prop_assert!(statement.writes.is_empty(), "{reading:?}");
        }
        from = range.end;
    }
    if reading.why_opaque.is_some() {
        prop_assert!(!reading.single());
        prop_assert_eq!(reading.statements.len(), 1);
        prop_assert_eq!(reading.class(), Some(Class::Opaque));
    }
    if matches!(reading.second, Some(Second::Stronger(_))) {
        prop_assert!(
            reading
                .statements
                .iter()
                .all(|it| it.class == Class::Opaque)
        );
    }
    prop_assert_eq!(&sql::read(text), &reading, "not a function of its text");
    Ok(reading)
}

/// Words that make SQL likely, and fragments that make it strange.
fn fragment() -> impl Strategy<Value = String> {
    let words = "SELECT FROM WHERE t a.b * 1 'x' ( ) , ; ; -- /* */ \n $1 $$ $a$ E'\\'' U&'\\0041' \"q\" :: int AS WITH x DELETE \
        INSERT INTO VALUES UPDATE SET = + || BEGIN COMMIT SAVEPOINT COPY STDIN STDOUT TO EXPLAIN ANALYZE lower( now() f() FOR \
        ORDER BY LIMIT UNION JOIN ON CASE WHEN THEN END é \u{a0} \u{37e} NULL AND NOT IN ANY ARRAY[ ] CREATE TABLE FUNCTION DO CALL \
        SHOW RESET DECLARE CURSOR EXECUTE PREPARE VACUUM LOCK GRANT";
    let words: Vec<&str> = words.split(' ').filter(|word| !word.is_empty()).collect();
    prop_oneof![4 => prop::sample::select(words).prop_map(str::to_owned), 1 => "\\PC{0,6}"]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_lawfully(text in any::<String>()) {
        lawful(&text)?;
    }

    #[test]
    fn near_sql_is_read_lawfully(parts in prop::collection::vec(fragment(), 0..24)) {
        lawful(&parts.join(" "))?;
    }

    /// Joining texts by `;` adds up their statements, if both parse and neither ends inside a comment.
    #[test]
    fn a_batch_is_its_parts(a in prop::collection::vec(fragment(), 0..8), b in prop::collection::vec(fragment(), 0..8)) {
        let (a, b) = (a.join(" "), b.join(" "));
        let (first, second, both) = (lawful(&a)?, lawful(&b)?, lawful(&format!("{a}\n;{b}"))?);
        if first.why_opaque.is_none() && second.why_opaque.is_none() && !a.contains("ATOMIC") {
            prop_assert_eq!(both.statements.len(), first.statements.len() + second.statements.len());
            // A second parser is shown what would pass, and each text is another one to it.
            let asked = [&first, &second, &both].iter().any(|it| matches!(it.second, Some(Second::Stronger(_))));
            prop_assert!(asked || both.class() == first.class().max(second.class()));
        }
    }

    /// A harmless read stays one with a call of an unknown function only by becoming opaque.
    #[test]
    fn an_unknown_call_is_never_lost(name in "[a-z]{3,9}_zz", args in 0_usize..4) {
        let call = format!("{name}({})", vec!["1"; args].join(", "));
        let reading = lawful(&format!("SELECT abs({call}) FROM accounts"))?;
        prop_assert_eq!(reading.class(), Some(Class::Opaque));
        prop_assert!(reading.statements[0].functions.iter().any(|f| f.name == name && f.args == args));
    }
}

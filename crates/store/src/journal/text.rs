//! Entries as the journal has them: JSON, to the byte as serde makes it of [`Entry`]. By hand is only what every statement leaves
//! that passes, since serde looks at each name and each text byte by byte. It never has a form of its own: what is not plain
//! here goes to serde.

use std::sync::Arc;

use gate::Entry;
use gate::audit::End;
use gate::ticket::Asked;
use serde_json::Result;

/// Appends an entry; what is appended of one that fails is no entry.
pub(super) fn write(entry: &Entry, into: &mut Vec<u8>) -> Result<()> {
    match entry {
        Entry::Intent {
            session,
            number,
            principal,
            tenant,
            rule: Some(rule),
            ticket: None,
            claim: None,
            asked,
        } => {
            place("intent", *session, *number, into)?;
            for (name, text) in [
                (r#","principal":"#, principal.as_str()),
                (r#","tenant":"#, tenant.as_str()),
                (r#","rule":"#, rule),
            ] {
                into.extend_from_slice(name.as_bytes());
                string(text, into)?;
            }
            all_asked(asked, into)
        }
        Entry::Looked {
            session,
            number,
            asked,
        } => {
            place("looked", *session, *number, into)?;
            all_asked(asked, into)
        }
        Entry::Outcome {
            session,
            number,
            end: End::Done,
            tags,
            error: None,
        } => {
            place("outcome", *session, *number, into)?;
            into.extend_from_slice(br#","end":"done","tags":"#);
            list(tags, |tag: &Arc<str>, into| string(tag, into), into)?;
            into.push(b'}');
            Ok(())
        }
        _ => serde_json::to_writer(into, entry),
    }
}

/// What all three begin with.
fn place(kind: &str, session: u64, number: u64, into: &mut Vec<u8>) -> Result<()> {
    for part in [r#"{"kind":""#, kind, r#"","session":"#] {
        into.extend_from_slice(part.as_bytes());
    }
    serde_json::to_writer(&mut *into, &session)?;
    into.extend_from_slice(br#","number":"#);
    serde_json::to_writer(into, &number)
}

/// What was asked, and the end of the entry.
fn all_asked(asked: &[Asked], into: &mut Vec<u8>) -> Result<()> {
    into.extend_from_slice(br#","asked":"#);
    list(asked, one_asked, into)?;
    into.push(b'}');
    Ok(())
}

fn one_asked(asked: &Asked, into: &mut Vec<u8>) -> Result<()> {
    into.extend_from_slice(br#"{"text":"#);
    string(&asked.text, into)?;
    into.extend_from_slice(br#","parameters":"#);
    if asked.parameters.is_empty() {
        into.extend_from_slice(b"[]");
    } else {
        serde_json::to_writer(&mut *into, &asked.parameters)?;
    }
    into.push(b'}');
    Ok(())
}

fn list<T>(
    items: &[T],
    each: impl Fn(&T, &mut Vec<u8>) -> Result<()>,
    into: &mut Vec<u8>,
) -> Result<()> {
    into.push(b'[');
    for (number, item) in items.iter().enumerate() {
        if number > 0 {
            into.push(b',');
        }
        each(item, into)?;
    }
    into.push(b']');
    Ok(())
}

fn string(text: &str, into: &mut Vec<u8>) -> Result<()> {
    // Without an end before the last byte, so that many are looked at at once.
    let strange = |any: u8, byte: &u8| {
        any | u8::from(*byte < b' ') | u8::from(*byte == b'"') | u8::from(*byte == b'\\')
    };
    if text.as_bytes().iter().fold(0, strange) != 0 {
        return serde_json::to_writer(into, text);
    }
    for part in ["\"", text, "\""] {
        into.extend_from_slice(part.as_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use gate::TicketId;
    use gate::ticket::{ClaimId, Parameter};
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    /// Texts of which many have something in them that JSON writes otherwise.
    fn texts() -> impl Strategy<Value = String> {
        let awkward = "[\\x00-\\x20\"\\\\/\\x7f\u{80}\u{2028}\u{ffff}\u{1f512}a]{0,40}";
        prop_oneof![awkward, "[ -~]{0,80}", "[a-z ]{0,80}", any::<String>()]
    }

    fn parameters() -> impl Strategy<Value = Parameter> {
        (any::<u32>(), option::of(texts())).prop_map(|(type_oid, value)| Parameter {
            type_oid,
            value: value.map(Into::into),
        })
    }

    fn asked() -> impl Strategy<Value = Vec<Asked>> {
        let one = (texts(), vec(parameters(), 0..3)).prop_map(|(text, parameters)| Asked {
            text: text.into(),
            parameters,
        });
        vec(one, 0..3)
    }

    fn ends() -> impl Strategy<Value = End> {
        let all = [End::Done, End::Failed, End::InDoubt, End::NotSent];
        proptest::sample::select(all.to_vec())
    }

    prop_compose! {
        fn intents()(
            (session, number) in any::<(u64, u64)>(),
            (principal, tenant) in (texts(), texts()),
            rule in option::weighted(0.8, texts()),
            (ticket, claim) in (option::weighted(0.2, any::<i64>()), option::weighted(0.2, any::<i64>())),
            asked in asked(),
        ) -> Entry {
            Entry::Intent {
                session,
                number,
                principal: principal.into(),
                tenant: tenant.into(),
                rule: rule.map(Into::into),
                ticket: ticket.map(TicketId),
                claim: claim.map(ClaimId),
                asked,
            }
        }
    }

    fn entries() -> impl Strategy<Value = Entry> {
        let looked = (any::<u64>(), any::<u64>(), asked());
        let outcome = (
            any::<(u64, u64)>(),
            ends(),
            vec(texts(), 0..3),
            option::of(texts()),
        );
        prop_oneof![
            intents(),
            looked.prop_map(|(session, number, asked)| Entry::Looked {
                session,
                number,
                asked
            }),
            outcome.prop_map(|((session, number), end, tags, error)| Entry::Outcome {
                session,
                number,
                end,
                tags: tags.into_iter().map(Into::into).collect(),
                error,
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn what_is_written_by_hand_is_what_serde_writes(entry in entries()) {
            let mut written = b"before".to_vec();
            write(&entry, &mut written).unwrap();
            let expected = format!("before{}", serde_json::to_string(&entry).unwrap());
            prop_assert_eq!(String::from_utf8(written).unwrap(), expected);
        }
    }
}

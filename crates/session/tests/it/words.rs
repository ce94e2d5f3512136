//! Effects, entries and cargo in short words, for the log.

use gate::{Cargo, Entry, Form};
use session::Effect;

/// What a client sends.
pub fn tags(bytes: &[u8]) -> String {
    let mut rest = bytes;
    let mut said = Vec::new();
    while let Ok(Some(header)) = wire::frame::header(rest, usize::MAX) {
        let tag = char::from(header.tag);
        let Some(body) = rest.get(5..header.total) else {
            break;
        };
        let text = match header.tag {
            b'Q' => format!(" {}", String::from_utf8_lossy(body).trim_end_matches('\0')),
            b'P' => format!(
                " {}",
                String::from_utf8_lossy(body)
                    .trim_end_matches('\0')
                    .replace('\0', ":")
            ),
            _ => String::new(),
        };
        said.push(format!("{tag}{text}"));
        rest = &rest[header.total..];
    }
    said.join(", ")
}

/// What the session asks for.
pub fn show(effect: &Effect) -> String {
    match effect {
        Effect::Read(texts) => format!("Read({})", texts.len()),
        Effect::Signal { pid, .. } => format!("signal {pid}"),
        Effect::Ask(request) => format!(
            "Ask{}",
            if request.context.in_transaction {
                " in transaction"
            } else {
                ""
            }
        ),
        Effect::Checkout(wanted) => format!("Checkout {:?}", wanted.lane),
        Effect::Claim(clearance) => match clearance.ticket() {
            Some(ticket) => format!("Claim {ticket}"),
            None => "Claim pass".into(),
        },
        Effect::Write(entry) => format!("Write {}", entry_word(entry)),
        Effect::Note(entry) => format!("Note {}", entry_word(entry)),
        Effect::Load(cargo) => {
            let words: Vec<String> = cargo.iter().map(cargo_word).collect();
            format!("Load {}", words.join(", "))
        }
        Effect::Settle(settlement) => {
            let tickets: Vec<String> = settlement
                .claims
                .iter()
                .map(|it| it.0.to_string())
                .collect();
            format!("Settle {} {:?}", tickets.join(" "), settlement.event)
        }
        Effect::Leave { ticket, withdraw } => format!("Leave {ticket} withdraw={withdraw}"),
        Effect::Checkin(disposition, _) => format!("Checkin {disposition:?}"),
        other => format!("{other:?}"),
    }
}

fn entry_word(entry: &Entry) -> String {
    match entry {
        Entry::Intent {
            number,
            rule,
            ticket,
            asked,
            ..
        } => format!(
            "intent {number} {} {:?}",
            ticket.map_or_else(
                || rule.as_deref().unwrap_or("").to_owned(),
                |it| it.to_string()
            ),
            asked.iter().map(|it| &*it.text).collect::<Vec<_>>()
        ),
        Entry::Looked { number, asked, .. } => format!(
            "looked {number} {:?}",
            asked.iter().map(|it| &*it.text).collect::<Vec<_>>()
        ),
        Entry::Outcome {
            number,
            end,
            tags,
            error,
            ..
        } => format!(
            "outcome {number} {end:?} {tags:?}{}",
            error
                .as_ref()
                .map_or_else(String::new, |it| format!(" {it}"))
        ),
        Entry::TransactionEnd { tickets, end, .. } => format!(
            "end {end:?} {}",
            tickets
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        ),
        Entry::Login {
            principal, tenant, ..
        } => format!("login {principal} {tenant}"),
        other => format!("{other:?}"),
    }
}

fn cargo_word(cargo: &Cargo) -> String {
    match cargo {
        Cargo::Released(released, form) => match (&released.request().work, form) {
            (gate::Work::Batch(_), _) => "Released without slots".into(),
            (gate::Work::Query(_), Form::Query) => "Released as Query".into(),
            (gate::Work::Query(_), Form::Parse) => "Released as Parse".into(),
        },
        Cargo::Batch(..) => "Released batch".into(),
        Cargo::More(_, more) => format!("{more:?}")
            .chars()
            .take_while(char::is_ascii_alphabetic)
            .collect(),
        Cargo::Look(gate::Look::Parse(..)) => "Look Parse".into(),
        Cargo::Look(gate::Look::Describe(..)) => "Look Describe".into(),
        Cargo::Own(own) => format!("{own:?}")
            .chars()
            .take_while(char::is_ascii_alphabetic)
            .collect(),
        other => format!("{other:?}"),
    }
}

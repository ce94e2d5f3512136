//! The row of a ledger that goes up in front of what was signed, and how that then goes up. It never says whether there is one.

use gate::{Authority, Form, Own, Released, Request};

use crate::talk::Talk;

/// The row that must be laid down in front of what was signed.
pub(crate) fn of(released: &Released) -> Option<Own> {
    match (released.nonce(), released.authority()) {
        (Some(nonce), Authority::Signed { ticket, .. }) => {
            Some(Own::Ledger(nonce.clone(), *ticket))
        }
        _ => None,
    }
}

/// How a Query goes up behind a row. Outside of a transaction block one statement does so through Parse: as a Query it would be
/// lost on 18 (hazards V28).
pub(crate) fn form_behind(request: &Request, talk: &Talk) -> Form {
    if talk.transaction.has_upstream() || request.statements().nth(1).is_some() {
        Form::Query
    } else {
        Form::Parse
    }
}

//! What a requester says beside a statement: why it is to run. It is no part of what is signed, and decides nothing.

use std::sync::Arc;

use crate::ticket::TicketId;

/// How a leading comment begins that says why.
const REASON: &str = "reason:";

/// What a session has set of the gate's own settings, where a request has to do with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Why it is to run, in the requester's words.
    pub reason: Option<Arc<str>>,
    /// The script whose statements are sent.
    pub script: Option<TicketId>,
    /// What is held runs at once, where a rule lets this person do that.
    pub break_glass: bool,
}

/// The reason in a comment that a text begins with, `/* reason: ... */`.
pub fn reason_in(text: &str) -> Option<&str> {
    let (comment, _) = text.trim_start().strip_prefix("/*")?.split_once("*/")?;
    let comment = comment.trim();
    let (head, reason) = comment.split_at_checked(REASON.len())?;
    let reason = reason.trim();
    (head.eq_ignore_ascii_case(REASON) && !reason.is_empty()).then_some(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_comment_says_why() {
        for (text, reason) in [
            ("/* reason: TICKET-7 */ DELETE FROM t", Some("TICKET-7")),
            (" /*Reason:  it is old*/DELETE", Some("it is old")),
            ("/* reason: */ DELETE", None),
            ("/* why: x */ DELETE", None),
            ("/* reas */ DELETE", None),
            ("/* \u{e9}\u{e9}\u{e9}\u{e9} */", None),
            ("-- reason: x\nDELETE", None),
            ("DELETE /* reason: x */", None),
            ("/* reason: x", None),
        ] {
            assert_eq!(reason_in(text), reason, "{text}");
        }
    }
}

//! What those who count ask a session. It never decides anything by it.

use super::{Phase, Session, State};

impl Session {
    /// Transactions whose end the server has said since this was asked last.
    pub fn take_ended(&mut self) -> u32 {
        match &mut self.phase {
            Phase::Talk(talk, _) => std::mem::take(&mut talk.transactions_ended),
            Phase::Login(_) | Phase::Console(..) | Phase::Closed => 0,
        }
    }

    /// Whether something of it runs on a server now.
    pub fn is_running(&self) -> bool {
        let runs = |it: &State| matches!(it, State::Running(_) | State::Unwinding(_));
        matches!(&self.phase, Phase::Talk(_, state) if runs(state))
    }

    /// Whether a server is in a transaction for it: something runs, or its own is open there.
    pub fn is_in_transaction(&self) -> bool {
        let open = matches!(&self.phase, Phase::Talk(talk, _) if talk.transaction.has_upstream());
        open || self.is_running()
    }
}

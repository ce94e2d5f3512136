//! Whether the gate lives, and whether it can take sessions. It never says what to do about it.

use super::Desk;
use crate::counting::ANSWER;
use crate::crew::Errand;

impl Desk {
    /// What keeps the gate from living: threads that do not answer. Nothing else does, or an orchestrator would end a gate whose
    /// disk is full, and with it all who wait.
    pub(super) async fn ails(&self) -> Vec<String> {
        let answers = self.crew.ask(ANSWER, Errand::Answer).await;
        let numbered = answers.into_iter().enumerate();
        let silent = numbered.filter(|(_, answer)| answer.is_none());
        silent
            .map(|(number, _)| format!("worker {number} does not answer"))
            .collect()
    }

    /// What keeps it from taking sessions. That somebody holds everything back does not: reads pass, and people must be able to
    /// come in and end that.
    pub(super) async fn hinders(&self) -> Vec<String> {
        if self.registry.is_draining() {
            return vec!["the gate is stopping".to_owned()];
        }
        let mut problems = self.ails().await;
        if !gate::Journal::is_open(&self.journal) {
            problems.push(gate::Journal::down(&self.journal).to_string());
        }
        if self.census().await.is_none() {
            problems.push("the ticket store does not answer".to_owned());
        }
        problems
    }
}

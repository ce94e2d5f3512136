//! What a server does at the words that begin, end and divide transactions, and at settings. It never
//! writes an answer.

use super::{Said, Server, word};

#[derive(Clone, Debug, Default)]
pub(super) struct Block {
    pub(super) explicit: bool,
    pub(super) failed: bool,
    pub(super) effects: Vec<String>,
    /// Name, effects by then, whether it was read only by then.
    savepoints: Vec<(String, usize, bool)>,
    pub(super) read_only: bool,
    pub(super) deferred: bool,
}

impl Server {
    pub(super) fn block(&mut self) -> &mut Block {
        self.block.get_or_insert_default()
    }

    pub(super) fn control(
        &mut self,
        text: &str,
    ) -> Result<String, (&'static [u8; 5], &'static str)> {
        let name = |at| word(text, at);
        let savepoint = |block: &Block, name: &str| {
            block
                .savepoints
                .iter()
                .rposition(|it| it.0 == name)
                .ok_or((b"3B001", "no savepoint"))
        };
        match name(0).as_str() {
            "BEGIN" => {
                self.block().explicit = true;
                self.block().read_only |= text.to_uppercase().contains("READ ONLY");
                Ok("BEGIN".into())
            }
            "COMMIT" => {
                let failed = self.block().failed;
                self.commit()?;
                if text.to_uppercase().contains("CHAIN") {
                    self.block().explicit = true;
                }
                Ok(if failed { "ROLLBACK" } else { "COMMIT" }.into())
            }
            "ROLLBACK" if name(1) == "TO" => {
                let name = name(text.split_whitespace().count() - 1);
                let block = self.block();
                let at = savepoint(block, &name)?;
                let (_, effects, read_only) = block.savepoints[at].clone();
                block.effects.truncate(effects);
                block.savepoints.truncate(at + 1);
                block.read_only = read_only;
                block.failed = false;
                Ok("ROLLBACK".into())
            }
            "ROLLBACK" => {
                self.block = None;
                self.portals.clear();
                Ok("ROLLBACK".into())
            }
            "SAVEPOINT" => {
                let block = self.block();
                if !block.explicit {
                    return Err((b"25P01", "no transaction block"));
                }
                let (effects, read_only) = (block.effects.len(), block.read_only);
                block.savepoints.push((name(1), effects, read_only));
                Ok("SAVEPOINT".into())
            }
            "RELEASE" => {
                let name = name(text.split_whitespace().count() - 1);
                let block = self.block();
                let at = savepoint(block, &name)?;
                block.read_only = block.savepoints[at].2;
                block.savepoints.truncate(at);
                Ok("RELEASE".into())
            }
            "SET" | "RESET" | "DISCARD" => Ok(self.setting(text)),
            other => Ok(other.to_owned()),
        }
    }

    fn setting(&mut self, text: &str) -> String {
        let name = |at| word(text, at);
        match name(0).as_str() {
            "SET" if name(2) == "=" && name(1) != "LOCAL" => {
                let setting = (name(1), name(3));
                self.settings.retain(|it| it.0 != setting.0);
                self.settings.push(setting);
                "SET".into()
            }
            "SET" => {
                let on = text.contains("transaction_read_only = on");
                self.block().read_only |= on;
                "SET".into()
            }
            "RESET" => {
                self.settings.clear();
                "RESET".into()
            }
            _ => {
                self.settings.clear();
                self.statements.clear();
                "DISCARD ALL".into()
            }
        }
    }

    pub(super) fn commit(&mut self) -> Said {
        self.portals.clear();
        let Some(block) = self.block.take() else {
            return Ok(());
        };
        if block.failed {
            return Ok(());
        }
        if block.deferred {
            return Err((b"23503", "deferred constraint"));
        }
        self.committed.extend(block.effects);
        Ok(())
    }

    pub(super) fn abort(&mut self) {
        match &mut self.block {
            Some(block) if block.explicit => block.failed = true,
            _ => {
                self.block = None;
                self.portals.clear();
            }
        }
    }
}

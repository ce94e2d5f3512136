//! A tenant that leads elsewhere by now, as one of its sessions takes it. What the session is bound to changes, and its client is
//! told what the other server says of itself; its own settings and prepared statements follow it, as they do from connection
//! to connection. It never changes how long the session keeps one.

use std::sync::Arc;

use wire::backend::encode;

use crate::input::Admission;
use crate::talk::{Io, Talk};

impl Talk {
    /// Nothing is borrowed: whatever is asked from now on goes there.
    pub(crate) fn moved(&mut self, to: &Admission, io: &mut Io) {
        self.system_identifier = Arc::clone(&to.system_identifier);
        self.role = Arc::clone(&to.role);
        self.search_path.clone_from(&to.search_path);
        // Of what the session has set itself it hears when that stands on a connection again.
        let own = |name: &str| self.settings.keys().any(|it| it.eq_ignore_ascii_case(name));
        for (name, value) in to.parameters.iter().filter(|it| !own(it.0)) {
            if self.told.is_news(name, value) {
                encode::parameter_status(name, value, &mut io.out);
            }
        }
    }
}

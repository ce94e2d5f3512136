//! The loan of a connection to a session. It goes home only when what ran on it left nothing, or
//! when that was thrown away and looked for; otherwise it is closed (DESIGN principle 8).

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use gate::{Disposition, PrincipalId, Settings};

use crate::cancel::CancelTarget;
use crate::credential::Issue;
use crate::dial::Dial;
use crate::idle::Borrower;
use crate::options::Options;
use crate::reset::{reset, tidy};
use crate::server::Connection;
use crate::upstream::Upstream;

/// Where a connection is lent from and goes back to: a pool.
pub(crate) trait Home<D: Dial> {
    /// Lays a clean connection down, for whoever is next.
    fn put_back(&self, connection: Box<Connection<D>>);

    /// Where the loan is counted.
    fn tally(&self) -> &Tally;

    /// Where it leads.
    fn shared_options(&self) -> Rc<Options>;

    /// How one gets there.
    fn dial(&self) -> Rc<D>;
}

/// A borrowed connection. Dropped, it is closed.
pub struct Lease<D: Dial> {
    home: Rc<dyn Home<D>>,
    connection: Box<Connection<D>>,
    /// Who borrows; nobody where the gate itself does.
    borrower: Option<PrincipalId>,
    _lent: Count,
    spoiled: bool,
}

impl<D: Dial> Lease<D> {
    pub(crate) fn new(
        home: Rc<dyn Home<D>>,
        connection: Box<Connection<D>>,
        borrower: Option<&Borrower>,
    ) -> Self {
        Self {
            _lent: Count::of(&home.tally().lent),
            home,
            connection,
            borrower: borrower.map(|it| it.principal.clone()),
            spoiled: false,
        }
    }

    /// The connection.
    pub fn upstream(&mut self) -> &mut Upstream<D::Socket> {
        &mut self.connection.upstream
    }

    /// What the server said its parameters are when this connection logged in.
    pub fn parameters(&self) -> &Arc<Settings> {
        &self.connection.parameters
    }

    /// The server's process id for it.
    pub fn pid(&self) -> Option<u32> {
        self.connection.upstream.pid()
    }

    /// What a cancel would be aimed at. From then on the connection goes to nobody else.
    pub fn cancel_target(&mut self) -> Option<CancelTarget> {
        self.spoiled = true;
        let key = self.connection.upstream.key.clone()?;
        Some(CancelTarget {
            options: self.home.shared_options(),
            key,
        })
    }

    /// The dialer, for the cancel.
    pub fn dial(&self) -> Rc<D> {
        self.home.dial()
    }

    /// Gives it back. With anything unsent, unread or aimed at it, it is closed, whatever is said. A
    /// reset goes on behind the caller's back; until it is done the place is taken.
    pub fn checkin(self, disposition: Disposition) {
        let Self {
            home,
            mut connection,
            borrower,
            _lent,
            spoiled,
        } = self;
        let upstream = &connection.upstream;
        let quiet = upstream.unsent() == 0 && upstream.inbox.is_empty();
        match disposition {
            Disposition::Clean if quiet && !spoiled => home.put_back(connection),
            Disposition::Tidy | Disposition::Reset if quiet && !spoiled => {
                let resetting = Count::of(&home.tally().resetting);
                let options = home.shared_options();
                let issue = connection.issue.clone();
                let takes_on = move |it: &Arc<Issue>| it.takes_on(&options.user).is_some();
                let role = issue.as_ref().is_some_and(takes_on);
                tokio::task::spawn_local(async move {
                    let upstream = &mut connection.upstream;
                    let done = if disposition == Disposition::Reset {
                        reset(upstream, role).await
                    } else {
                        tidy(upstream).await
                    };
                    match done {
                        Ok(()) => {
                            if disposition == Disposition::Reset {
                                connection.owner = borrower;
                                connection.renew();
                            }
                            drop(resetting);
                            home.put_back(connection);
                        }
                        Err(why) => {
                            tracing::debug!("a connection is closed and not shared: {why}");
                            connection.dismiss().await;
                        }
                    }
                });
            }
            Disposition::Clean | Disposition::Tidy | Disposition::Reset | Disposition::Close => {
                connection.dismiss_later();
            }
        }
    }
}

impl<D: Dial> fmt::Debug for Lease<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("borrower", &self.borrower)
            .field("spoiled", &self.spoiled)
            .finish_non_exhaustive()
    }
}

/// Connections by what is done with them.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) lent: Rc<Cell<usize>>,
    pub(crate) resetting: Rc<Cell<usize>>,
    pub(crate) logging_in: Rc<Cell<usize>>,
}

impl Tally {
    /// Connections that will come back.
    pub(crate) fn in_use(&self) -> usize {
        self.lent.get() + self.resetting.get()
    }
}

/// Counts one, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Count(Rc<Cell<usize>>);

impl Count {
    pub(crate) fn of(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(Rc::clone(count))
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

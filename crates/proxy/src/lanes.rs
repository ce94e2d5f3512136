//! The pools of one tenant on one thread: a lane for what only reads, and one for everything else (DESIGN ruling
//! 10). Which lane something takes is for the session to say.

use std::cell::{Cell, RefCell};
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gate::isolation::test::Question;
use gate::ledger::Place;
use gate::{Context, Disposition, PrincipalId, Settings, TenantId, Walls};
use lru::LruCache;
use pool::{Borrower, CheckoutError, Dial, Figures, Pool, Servers};
use session::{Admission, Lane, PoolMode};

use crate::config::Tenant;
use crate::following::Following;
use crate::knowledge::{Changes, Knowledge};
use crate::replicas::{self, Replicas};
use crate::standing::Standing;

/// Kinds of logins whose greeting is remembered; drivers of one make bring the same settings.
const GREETINGS_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(99);

/// A tenant's pools.
pub(crate) struct Lanes<D: Dial> {
    /// How long a session keeps a connection.
    pub(crate) mode: PoolMode,
    /// What is known of its catalog.
    pub(crate) knowledge: Rc<Knowledge<D>>,
    /// What it is said to be kept in, if anything is said.
    pub(crate) walled: Option<Walled>,
    read: Rc<Pool<D>>,
    write: Rc<Pool<D>>,
    /// Whoever fences rows of its ledger, if it has one.
    ledger: Option<Rc<Pool<D>>>,
    /// Servers that follow its, if it has any.
    replicas: Option<Rc<Replicas<D>>>,
    /// What a login with certain settings is told.
    greetings: RefCell<LruCache<Settings, Arc<Settings>>>,
    /// Since when nothing was in its pools, as far as somebody has looked.
    empty_since: Cell<Option<Instant>>,
}

/// What a tenant is said to be kept in, and whether it is.
pub(crate) struct Walled {
    pub(crate) walls: Walls,
    /// What each of its logins is tested for.
    pub(crate) questions: Vec<Question>,
    pub(crate) standing: Arc<Standing>,
}

impl<D: Dial> Lanes<D> {
    /// Empty pools; nothing is connected yet.
    pub(crate) fn new(
        servers: &Rc<Servers<D>>,
        id: &TenantId,
        tenant: Tenant,
        (changes, following): (Changes, Option<Arc<Following>>),
        standing: impl FnOnce() -> Arc<Standing>,
    ) -> Self {
        let read = servers.pool(id, name(Lane::Read), tenant.read.clone());
        let write = servers.pool(id, name(Lane::Write), tenant.write.clone());
        let replicas = following.map(|following| {
            let known = (following, Changes::clone(&changes));
            Replicas::new(servers, id, &tenant, &write, known)
        });
        let logins = [&tenant.write].into_iter();
        let logins = logins.chain((!tenant.has_one_login()).then_some(&tenant.read));
        let logins = logins.chain(&tenant.ledger);
        let questions = logins.filter_map(|it| tenant.question(it)).collect();
        let walled = tenant.walls.map(|walls| Walled {
            walls,
            questions,
            standing: standing(),
        });
        let ledger = tenant.ledger.map(|it| servers.pool(id, LEDGER, it));
        Self {
            mode: tenant.pool_mode,
            knowledge: Rc::new(Knowledge::new([&write, &read], changes)),
            walled,
            read,
            write,
            ledger,
            replicas,
            greetings: RefCell::new(LruCache::new(GREETINGS_MAX)),
            empty_since: Cell::new(None),
        }
    }

    /// Whether it is as the configuration has the tenant.
    pub(crate) fn is(&self, tenant: &Tenant) -> bool {
        let Tenant {
            pool_mode,
            write,
            read,
            ledger,
            replicas,
            walls,
            ..
        } = tenant;
        let follow = self.replicas.as_ref().map(|it| &it.following.config);
        follow == replicas.as_ref()
            && self.mode == *pool_mode
            && self.walls() == walls.as_ref()
            && self.write.options() == write
            && self.read.options() == read
            && self.ledger.as_ref().map(|it| it.options()) == ledger.as_ref()
    }

    /// Whether both lead to the same database as the same role, and what is tested of one is so of the other.
    pub(crate) fn leads_where(&self, other: &Self) -> bool {
        let same = self.write.options().leads_where(other.write.options());
        let unwalled = self.walled.is_none() && other.walled.is_none();
        same && (unwalled || self.questions() == other.questions())
    }

    /// What it is said to be kept in.
    pub(crate) fn walls(&self) -> Option<&Walls> {
        self.walled.as_ref().map(|it| &it.walls)
    }

    /// The pools of its logins, each once.
    pub(crate) fn logins(&self) -> impl Iterator<Item = &Rc<Pool<D>>> {
        let reads = self.read.options().user != self.write.options().user;
        let read = reads.then_some(&self.read);
        [&self.write].into_iter().chain(read).chain(&self.ledger)
    }

    /// What each of its logins is tested for; nothing where nothing is said of it.
    fn questions(&self) -> &[Question] {
        self.walled.as_ref().map_or(&[], |it| &it.questions)
    }

    /// The role that all but unsigned reads run as.
    pub(crate) fn role(&self) -> &str {
        &self.write.options().user
    }

    /// Takes the place of `before`: whoever waits there waits here, and what is lent there is closed when it comes back.
    pub(crate) fn succeed(&self, before: &Self) {
        self.write.succeed(&before.write);
        self.read.succeed(&before.read);
        if let (Some(ledger), Some(before)) = (&self.ledger, &before.ledger) {
            ledger.succeed(before);
        }
    }

    /// Lends nothing for now.
    pub(crate) fn pause(&self) {
        self.all().for_each(|it| it.pause());
    }

    /// Lends nothing any more.
    pub(crate) fn retire(&self) {
        self.all().for_each(|it| it.retire());
    }

    /// Whether it lends nothing any more.
    pub(crate) fn is_retired(&self) -> bool {
        self.write.is_closed()
    }

    /// Whether nothing is in its pools, and nothing has been for so long.
    pub(crate) fn is_empty_for(&self, now: Instant, time: Duration) -> bool {
        if !self.all().all(|it| it.is_empty()) {
            self.empty_since.set(None);
            return false;
        }
        let since = self.empty_since.get().unwrap_or(now);
        self.empty_since.set(Some(since));
        now.saturating_duration_since(since) >= time
    }

    /// The pool of that lane.
    pub(crate) fn pool(&self, lane: Lane) -> &Rc<Pool<D>> {
        match lane {
            Lane::Read => &self.read,
            Lane::Write => &self.write,
        }
    }

    /// Where its ledger is, for whoever asks in this context: the server may lead elsewhere by now, and what runs there may not.
    pub(crate) fn place(&self, context: &Context) -> Option<Place> {
        let ledger = self.ledger()?.options();
        Some(Place::of(&context.system_identifier, &ledger.database))
    }

    /// Whoever fences rows of the tenant's ledger; none where it has no ledger.
    pub(crate) fn ledger(&self) -> Option<&Rc<Pool<D>>> {
        self.ledger.as_ref()
    }

    /// Servers that follow its, if it has any.
    pub(crate) fn replicas(&self) -> Option<&Rc<Replicas<D>>> {
        self.replicas.as_ref()
    }

    fn all(&self) -> impl Iterator<Item = &Rc<Pool<D>>> {
        let replicas = self.replicas.iter().flat_map(|it| it.pools());
        let own = [&self.write, &self.read].into_iter();
        own.chain(&self.ledger).chain(replicas)
    }

    /// How its pools stand.
    pub(crate) fn views(&self, tenant: &TenantId) -> impl Iterator<Item = PoolView> {
        let lanes = [Lane::Write, Lane::Read].map(|lane| (name(lane), self.pool(lane)));
        let ledger = self.ledger.iter().map(|pool| (LEDGER, pool));
        let replicas = self.replicas.iter().flat_map(|it| it.read_from());
        let replicas = replicas.map(|pool| (replicas::NAME, pool));
        lanes
            .into_iter()
            .chain(ledger)
            .chain(replicas)
            .map(|(lane, pool)| PoolView {
                tenant: tenant.clone(),
                lane,
                user: pool.options().user.clone(),
                size: pool.options().size,
                mode: self.mode,
                figures: pool.figures(),
                paused: pool.is_paused(),
                timeline: pool.timeline(),
            })
    }

    /// What a new session of this principal is told, with these settings of its own: what a
    /// connection says that logged in with them. In session mode that one will serve it; otherwise it
    /// is made once for all sessions that bring the same.
    pub(crate) async fn admit(
        &self,
        principal: PrincipalId,
        login: Arc<Settings>,
    ) -> Result<Admission, CheckoutError> {
        let facts = self.write.facts().await?;
        let parameters = match self.known(&login) {
            _ if is_plain(&login) => facts.parameters,
            Some(known) => known,
            None => self.learn(principal, login).await?,
        };
        Ok(Admission {
            parameters,
            system_identifier: facts.system_identifier,
            role: Arc::from(self.role()),
            search_path: self.walls().and_then(Walls::search_path).map(Arc::from),
            mode: self.mode,
            waits: true,
        })
    }

    fn known(&self, login: &Settings) -> Option<Arc<Settings>> {
        self.greetings.borrow_mut().get(login).cloned()
    }

    async fn learn(
        &self,
        principal: PrincipalId,
        login: Arc<Settings>,
    ) -> Result<Arc<Settings>, CheckoutError> {
        let borrower = Borrower {
            principal,
            login: Arc::clone(&login),
        };
        let lease = self.write.checkout(&borrower).await?;
        let parameters = Arc::clone(lease.parameters());
        lease.checkin(match self.mode {
            PoolMode::Session => Disposition::Clean,
            PoolMode::Transaction | PoolMode::Statement => Disposition::Close,
        });
        let mut greetings = self.greetings.borrow_mut();
        greetings.put((*login).clone(), Arc::clone(&parameters));
        Ok(parameters)
    }
}

/// What others may see of a pool.
#[derive(Debug)]
pub(crate) struct PoolView {
    pub(crate) tenant: TenantId,
    pub(crate) lane: &'static str,
    pub(crate) user: String,
    pub(crate) size: usize,
    pub(crate) mode: PoolMode,
    pub(crate) figures: Figures,
    pub(crate) paused: bool,
    /// The newest that its server was met on.
    pub(crate) timeline: Option<u32>,
}

/// The third lane, which no session takes.
const LEDGER: &str = "ledger";

fn name(lane: Lane) -> &'static str {
    match lane {
        Lane::Read => "read",
        Lane::Write => "write",
    }
}

/// Whether all that the server would say of these settings is known without asking it.
fn is_plain(login: &Settings) -> bool {
    login.keys().all(|name| name == "application_name")
}

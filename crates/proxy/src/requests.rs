//! What people ask for on the console before they need it: a ticket for a text, and a grant. The rules decide as they would if
//! it came over the wire; nothing runs from here.

use std::rc::Rc;
use std::sync::Arc;

use gate::audit::Entry;
use gate::policy::{Hold, Verdict};
use gate::script::steps;
use gate::ticket::{Asked, Facts, Grant, Scope, Ticket, TimeOuts};
use gate::tickets::{NewTicket, Opened};
use gate::{
    Context, Digest, Journal, Judgement, Principal, Request, TenantId, Tickets, Wish, Work,
};
use session::Fault;
use sql::Class;

use crate::gatekeeper::Gatekeeper;
use crate::holding::open_fault;
use crate::world::World;

/// What a request on the console came to.
pub(crate) enum Asking {
    /// There is a ticket for it.
    Ticket(Box<Ticket>),
    /// It needs none: this rule lets it pass.
    Passes(Arc<str>),
}

/// Where, and why.
pub(crate) struct Place {
    pub(crate) tenant: TenantId,
    pub(crate) reason: Option<String>,
}

/// One statement of a script, for those who sign.
fn alone(text: &str) -> Asked {
    Asked {
        text: text.into(),
        parameters: Vec::new(),
    }
}

impl<W: World> Gatekeeper<W> {
    /// A ticket for a text, as it would be if a new session of `who` sent it to the tenant as one Query string (DESIGN ruling
    /// 16). The very bytes claim it.
    pub(crate) async fn request(
        &self,
        who: &Arc<Principal>,
        place: Place,
        sql: String,
    ) -> Result<Asking, Fault> {
        let request = Arc::new(self.read_for(who, &place, sql).await?);
        let version = self.version();
        let policy = &version.config.policy;
        let hold = match policy.judge_whole(&request, self.world.now_ms()) {
            Judgement::Hold(hold) => hold,
            Judgement::Allow(pass) => return Ok(Asking::Passes(Arc::clone(pass.rule()))),
            Judgement::Deny(denial) => return Err(Fault::denied(&denial)),
            Judgement::Apart(_) => return Err(Fault::protocol("a text was taken apart")),
        };
        let facts = policy.facts(&request);
        let mut new = self.new_ticket(hold, facts);
        if let ([reading], Work::Query(text)) = (request.readings.as_slice(), &request.work)
            && reading.statements.len() > 1
        {
            let opinions = policy.explain(&request, self.world.now_ms());
            let signed_for = |at: usize| {
                opinions
                    .get(at)
                    .is_none_or(|it| it.verdict != Verdict::Allow)
            };
            let (texts, steps) = steps(text, reading, signed_for);
            new.scope = Scope::Script { steps };
            new.asked = texts.into_iter().map(alone).collect();
        }
        self.open_for(who, new).await
    }

    /// The request that `sql` would be.
    async fn read_for(
        &self,
        who: &Arc<Principal>,
        place: &Place,
        sql: String,
    ) -> Result<Request, Fault> {
        let tenant = &place.tenant;
        let admitted = self.admit(tenant, &who.id, &self.plain).await;
        let admitted = admitted.ok_or_else(|| Fault::no_such_tenant(tenant.as_str()))?;
        let (lanes, admission) = admitted?;
        let now = self.world.now();
        let catalog = match lanes.knowledge.current(now) {
            Some(catalog) => catalog,
            None => Rc::clone(&lanes.knowledge).refreshed(now).await,
        };
        let reading = self.reader.read(sql.clone().into(), catalog).await;
        let search_path = admission.search_path.as_deref();
        let request = Request {
            principal: Arc::clone(who),
            context: Context {
                tenant: tenant.clone(),
                system_identifier: admission.system_identifier,
                principal: who.id.clone(),
                role: admission.role,
                settings: gate::context::beginning_with(&self.plain, search_path),
                state: None,
                isolation: None,
                in_transaction: false,
            },
            work: Work::Query(sql.into()),
            named: Vec::new(),
            readings: vec![reading],
            client: Arc::from("console"),
            wish: Arc::new(Wish {
                reason: place.reason.as_deref().map(Arc::from),
                ..Wish::default()
            }),
        };
        match lanes.walls().and_then(|it| it.denies(&request)) {
            Some(denial) => Err(Fault::denied(&denial)),
            None => Ok(request),
        }
    }

    /// A grant: it waits for those who would sign for what it may be used for.
    pub(crate) async fn request_grant(
        &self,
        who: &Arc<Principal>,
        place: Place,
        grant: Grant,
    ) -> Result<Asking, Fault> {
        let tenant = &place.tenant;
        let version = self.version();
        let config = &version.config;
        if config.tenants.find(tenant.as_str()).is_none() {
            return Err(Fault::no_such_tenant(tenant.as_str()));
        }
        let classes: Vec<&str> = grant.classes.iter().map(|it| it.name()).collect();
        let classes = classes.join(", ");
        let what = format!(
            "-- any request of these classes: {classes}; at most {}",
            grant.uses_max
        );
        // Grants that ask for the same are the same only while they wait; the time that they end tells them apart.
        let identity = format!("grant {tenant} {} {what} {}", who.id, grant.until_ms);
        let class = grant.classes.iter().max().copied().unwrap_or(Class::Opaque);
        let new = NewTicket {
            needs: config.policy.grant_needs(who, tenant, &grant.classes),
            scope: Scope::Grant(grant),
            must_exist: false,
            classes: Vec::new(),
            digest: Digest::of(identity.as_bytes()),
            tenant: place.tenant,
            requester: who.id.clone(),
            class: class.to_string(),
            rule: "grant".to_owned(),
            why: format!("grants {classes}"),
            asked: vec![Asked {
                text: what.into(),
                parameters: Vec::new(),
            }],
            role: String::new(),
            in_transaction: false,
            client: "console".to_owned(),
            reason: place.reason,
            time_outs: TimeOuts::default(),
            facts: Facts::default(),
            decide_within_ms: None,
            use_within_ms: None,
        };
        self.open_for(who, new).await
    }

    /// Opens it, in the journal before anybody hears of it.
    async fn open_for(&self, who: &Principal, new: NewTicket) -> Result<Asking, Fault> {
        let (tenant, digest) = (new.tenant.clone(), new.digest.to_string());
        let opened = self.tickets.open(new).await;
        let (Opened::Approved(ticket) | Opened::Pending(ticket)) =
            opened.map_err(|error| open_fault(&error))?;
        let entry = Entry::Requested {
            ticket: ticket.id,
            principal: who.id.clone(),
            tenant,
            digest,
        };
        let written = self.journal.write(entry).await;
        written.map_err(Fault::journal_down)?;
        Ok(Asking::Ticket(Box::new(ticket)))
    }

    /// What is held runs at once, before anybody signs, if a rule lets this person do that: it is on disk first, and a ticket
    /// for its review is open.
    pub(crate) async fn break_glass(&self, session: u64, hold: Hold) -> Result<Ticket, Fault> {
        let request = Arc::clone(&hold.request);
        let version = self.version();
        let policy = &version.config.policy;
        let rule = policy.break_glass(&request);
        let rule = rule.ok_or_else(Fault::no_break_glass)?;
        let reason = request.reason().map(str::to_owned);
        let reason = reason.ok_or_else(Fault::break_glass_needs_reason)?;
        let facts = policy.facts(&request);
        let new = NewTicket {
            scope: Scope::BreakGlass,
            rule: rule.name.to_string(),
            needs: vec![rule.review.clone()],
            ..self.new_ticket(hold, facts)
        };
        let digest = new.digest.to_string();
        let opened = self.tickets.open(new).await;
        let (Opened::Approved(ticket) | Opened::Pending(ticket)) =
            opened.map_err(|error| open_fault(&error))?;
        let entry = Entry::BrokeGlass {
            session,
            ticket: ticket.id,
            principal: request.principal.id.clone(),
            tenant: request.context.tenant.clone(),
            rule: ticket.rule.clone(),
            reason,
            digest,
        };
        let written = self.journal.write(entry).await;
        written.map_err(Fault::journal_down)?;
        tracing::warn!(ticket = %ticket.id, principal = %request.principal.id, "break-glass");
        Ok(ticket)
    }
}

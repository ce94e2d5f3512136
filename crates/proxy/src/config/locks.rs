//! `encryption_key`: with what the journal encrypts what each tenant asks. A gate takes keys up when it starts, and not later: nothing
//! is ever written in clear text of a tenant that has one. It never shows a key.

use store::{TenantKey, TenantKeys};

use super::files;
use super::problem::Flaw;
use super::reader::{Fields, Page, Span, Text};
use super::words::{covers, overlap};

/// The key of each tenant, where it has one, and where that stands.
#[derive(Default)]
pub(super) struct Locks<'a>(Vec<Lock<'a>>);

struct Lock<'a> {
    tenant: &'a str,
    key: Option<TenantKey>,
    page: &'a Page<'a>,
    span: Span,
}

impl<'a> Locks<'a> {
    /// What a tenant says of it.
    pub(super) fn add(&mut self, name: &Text<'a>, fields: &Fields<'a>) {
        let text = fields.text("encryption_key", "the path of a file");
        let key = text.and_then(|Text { text, span }| {
            let key = files::tenant_key(&fields.page.path(text));
            key.map_err(|flaw| fields.page.flaw(&span, flaw)).ok()
        });
        self.0.push(Lock {
            tenant: name.text,
            key,
            page: fields.page,
            span: fields.span_of("encryption_key"),
        });
    }

    /// All of them. What is otherwise in `standing`, the keys of a gate that runs, is a flaw. A tenant that is gone has no key, and
    /// needs none.
    pub(super) fn finish(self, standing: Option<&TenantKeys>) -> TenantKeys {
        let all = self.0.iter();
        let keys = TenantKeys::new(all.map(|it| (it.tenant.to_owned(), it.key.clone())));
        for lock in &self.0 {
            if let Some(before) = standing.and_then(|it| lock.before(&keys, it)) {
                lock.flaw(before);
            }
        }
        if keys.all().next().is_none() {
            return TenantKeys::default();
        }
        keys
    }
}

/// What a tenant had that has something else now.
#[derive(Clone, Copy)]
enum Before {
    Nothing,
    Key,
}

impl Lock<'_> {
    /// What this tenant had, or one that fits this pattern may have had, where that is not what it has in `keys`.
    fn before(&self, keys: &TenantKeys, standing: &TenantKeys) -> Option<Before> {
        if !self.tenant.contains('*') {
            return self.differs(standing.of(self.tenant));
        }
        let mut tenants = standing.names();
        let found = tenants.find_map(|name| {
            let here = keys.pattern(name) == Some(self.tenant);
            self.differs(standing.of(name)).filter(|_| here)
        });
        let mut patterns = standing.patterns();
        let fitted = patterns.find_map(|(other, key)| {
            let differs = self.differs(key)?;
            // Names that fit both are not of this one now, or were not of the other.
            let apart =
                keys.is_before(other, self.tenant) || standing.is_before(self.tenant, other);
            (overlap(self.tenant, other) && !apart).then_some(differs)
        });
        found.or(fitted).or_else(|| self.is_first(standing))
    }

    /// Whether this has a key, and names fit it that fitted none which had one.
    fn is_first(&self, standing: &TenantKeys) -> Option<Before> {
        let mut patterns = standing.patterns();
        let same = |it: Option<&TenantKey>| self.differs(it).is_none();
        let known = patterns.any(|(other, key)| covers(other, self.tenant) && same(key));
        (self.key.is_some() && !known).then_some(Before::Nothing)
    }

    fn differs(&self, before: Option<&TenantKey>) -> Option<Before> {
        let same = before.map(TenantKey::id) == self.key.as_ref().map(TenantKey::id);
        (!same).then_some(before.map_or(Before::Nothing, |_| Before::Key))
    }

    fn flaw(&self, before: Before) {
        let (tenant, had) = (self.tenant, "when this gate was started");
        let found = match (before, &self.key) {
            (Before::Nothing, _) => format!("tenant \"{tenant}\" had no \"encryption_key\" {had}"),
            (Before::Key, Some(_)) => {
                format!("tenant \"{tenant}\" had another \"encryption_key\" {had}")
            }
            (Before::Key, None) => format!("tenant \"{tenant}\" had an \"encryption_key\" {had}"),
        };
        let flaw = Flaw::found(found).expected("a restart, which alone takes keys up");
        self.page.flaw(&self.span, flaw);
    }
}

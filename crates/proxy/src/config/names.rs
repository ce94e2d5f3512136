//! The names of all tenants, as users and rules may name them: looked up, as there may be many thousands. It never knows where
//! one leads.

use std::collections::BTreeSet;
use std::ops::Bound;

use gate::policy::glob;

use super::problem::Flaw;
use super::reader::{Fields, Text};
use super::words::{nearest, overlap};

/// Names, and patterns of names.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    exact: BTreeSet<&'a str>,
    patterns: Vec<&'a str>,
}

impl<'a> Names<'a> {
    /// One more; those with a star are patterns.
    pub(super) fn add(&mut self, name: &'a str) {
        if name.contains('*') {
            self.patterns.push(name);
        } else {
            self.exact.insert(name);
        }
    }

    /// The patterns.
    pub(super) fn patterns(&self) -> impl Iterator<Item = &'a str> {
        self.patterns.iter().copied()
    }

    /// The names that fit a pattern.
    pub(super) fn within(&self, pattern: &str) -> impl Iterator<Item = &'a str> {
        let head = pattern.split('*').next().unwrap_or_default();
        let from = (Bound::Included(head), Bound::Unbounded);
        let near = self.exact.range::<str, _>(from);
        near.copied()
            .take_while(move |name| name.starts_with(head))
            .filter(move |name| glob(pattern, name))
    }

    /// Whether none is known, as in a policy of its own.
    pub(super) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.patterns.is_empty()
    }

    /// Whether a tenant may be meant by this name or pattern.
    fn has(&self, name: &str) -> bool {
        self.exact.contains(name)
            || self.patterns.iter().any(|it| overlap(it, name))
            || self.within(name).next().is_some()
    }

    /// Notes a tenant, or a pattern, that no configured tenant fits; nothing is unknown where there is none. `also` is known
    /// besides.
    pub(super) fn check(&self, top: &Fields<'_>, pattern: &Text<'_>, also: Option<&str>) {
        let Text { text, span } = pattern;
        let known = || self.has(text) || also.is_some_and(|it| overlap(it, text));
        if !self.is_empty() && !known() {
            let all = self.exact.iter().chain(&self.patterns).copied();
            let meant = nearest(text, all.chain(also));
            let flaw = Flaw::found(format!("unknown tenant \"{text}\""));
            top.page.flaw(span, flaw.meant(meant));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_patterns() {
        let mut names = Names::default();
        for name in ["shop_1", "shop_2", "shop", "acme", "eu_*", "zoo"] {
            names.add(name);
        }
        let within = |pattern| names.within(pattern).collect::<Vec<_>>();
        assert_eq!(within("shop_*"), ["shop_1", "shop_2"]);
        assert_eq!(within("shop*"), ["shop", "shop_1", "shop_2"]);
        assert_eq!(within("*o*"), ["shop", "shop_1", "shop_2", "zoo"]);
        assert_eq!(within("acme"), ["acme"]);
        for (name, has) in [
            ("acme", true),
            ("eu_7", true),
            ("eu*", true),
            ("shop_3", false),
            ("*_1", true),
            ("b*", false),
        ] {
            assert_eq!(names.has(name), has, "{name}");
        }
    }
}

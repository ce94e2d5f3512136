//! `hosts` of `[tls]`: host names that name a tenant. A client that asks for one of them by TLS must mean that tenant (DESIGN
//! ruling 23). It never says where a tenant leads.

use super::logins::PLACEHOLDER;
use super::problem::Flaw;
use super::reader::{Fields, Text};

const HOSTS: &str = "a host name with the tenant in it, such as \"{tenant}.db.example.com\"";

/// Host names, each with a place for the tenant's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts(Vec<(String, String)>);

impl Hosts {
    /// What `[tls]` says of it.
    pub(super) fn read(tls: &Fields<'_>) -> Self {
        let mut hosts = Vec::new();
        for Text { text, span } in tls.texts("hosts", HOSTS).unwrap_or_default() {
            let letter = |it: char| it.is_ascii_alphanumeric() || "-._".contains(it);
            match text.split_once(PLACEHOLDER) {
                Some((head, tail)) if (head.chars().chain(tail.chars())).all(letter) => {
                    hosts.push((head.to_ascii_lowercase(), tail.to_ascii_lowercase()));
                }
                _ => {
                    let flaw = Flaw::found(format!("\"hosts\" is the string {text:?}"));
                    tls.page.flaw(&span, flaw.expected(HOSTS));
                }
            }
        }
        Self(hosts)
    }

    /// The tenant that a host names, in small letters; none where it is none of these. A tenant is one label of it.
    pub fn tenant(&self, host: &str) -> Option<String> {
        let host = host.to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        let mut named = self.0.iter().filter_map(|(head, tail)| {
            let rest = host.strip_prefix(head.as_str())?;
            rest.strip_suffix(tail.as_str())
        });
        let tenant = named.find(|it| !it.is_empty() && !it.contains('.'))?;
        Some(tenant.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_names_a_tenant_or_none() {
        let of = |head: &str, tail: &str| (head.to_owned(), tail.to_owned());
        let hosts = Hosts(vec![of("", ".db.example.com"), of("pg-", ".example.org")]);
        for (host, tenant) in [
            ("acme.db.example.com", Some("acme")),
            ("ACME.DB.example.com.", Some("acme")),
            ("pg-shop_1.example.org", Some("shop_1")),
            ("db.example.com", None),
            (".db.example.com", None),
            ("a.b.db.example.com", None),
            ("pg-.example.org", None),
            ("gate.example.com", None),
        ] {
            assert_eq!(hosts.tenant(host).as_deref(), tenant, "{host}");
        }
        assert_eq!(Hosts::default().tenant("acme.db.example.com"), None);
    }
}

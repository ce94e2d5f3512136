//! Logins that somebody gives out: what a tenant comes to that says so, and what a pattern makes of a name.

use super::super::{Config, ConfigError};
use super::{Room, SOUND};

const VAULT: &str = "[vault]\naddress = 'http://127.0.0.1:8200'\ntoken_file = 'acme.password'\n";

fn parse(room: &Room, tenants: &str) -> Result<Config, ConfigError> {
    room.parse(&format!("{SOUND}\n{VAULT}{tenants}"))
}

fn shown(source: Option<&pool::LoginSource>) -> String {
    source.map_or_else(String::new, ToString::to_string)
}

#[test]
fn each_login_has_a_source_of_its_own() {
    let room = Room::new();
    let config = "[tenant.one]\nhost = 'h'\nuser = 'u'\nvault = 'database/creds/u'\nread_user = 'r'\n\
        read_password_command = ['bin/pass', 'r']\nledger_user = 'l'\nledger_aws_iam = 'eu-central-1'\n\
        sslrootcert = 'ca.crt'\n";
    let config = parse(&room, config).unwrap();
    let one = config.tenant("one").unwrap().unwrap();
    assert!(!one.has_one_login());
    assert_eq!(
        shown(one.write.source.as_ref()),
        "Vault at \"database/creds/u\""
    );
    let program = room.file("bin/pass");
    let wanted = format!("the command \"{}\"", program.display());
    assert_eq!(shown(one.read.source.as_ref()), wanted);
    let ledger = one.ledger.unwrap();
    assert_eq!(
        (&*ledger.user, &*shown(ledger.source.as_ref())),
        ("l", "AWS IAM in eu-central-1")
    );
    // What is read again is the same, and what is otherwise is not.
    let again = |text: &str| parse(&room, text).unwrap().tenant("one").unwrap().unwrap();
    let by = |path: &str| {
        again(&format!(
            "[tenant.one]\nhost = 'h'\nuser = 'u'\nsslmode = 'disable'\nvault = '{path}'\n"
        ))
    };
    assert_eq!(by("database/creds/u"), by("database/creds/u"));
    assert_ne!(by("database/creds/u"), by("database/creds/v"));
}

#[test]
fn a_pattern_asks_for_each_tenant_by_itself() {
    let room = Room::new();
    let config = "[tenant.'shop_*']\nhost = 'h'\nuser = 'u_{tenant}'\nsslmode = 'disable'\n\
        vault = 'database/creds/{tenant}'\nread_user = 'r'\nread_password_command = ['pass', 'a {tenant}']\n";
    let config = parse(&room, config).unwrap();
    let shop = config.tenant("shop_1").unwrap().unwrap();
    assert_eq!(
        shown(shop.write.source.as_ref()),
        "Vault at \"database/creds/shop_1\""
    );
    let words = ["pass", "a shop_1"].map(str::to_owned);
    let wanted = pool::LoginSource::Command(words.as_slice().into());
    assert_eq!(shop.read.source, Some(wanted));
}

/// A certificate is part of where a tenant leads: another one means other connections.
#[test]
fn a_certificate_is_shown_by_each_login() {
    let room = Room::new();
    let tenant = |more: &str| {
        let text = format!("[tenant.one]\nhost = 'h'\nuser = 'u'\nsslrootcert = 'ca.crt'\n{more}");
        parse(&room, &text).unwrap().tenant("one").unwrap().unwrap()
    };
    let plain = tenant("");
    let showing = tenant("sslcert = 'server.crt'\nsslkey = 'server.key'\n");
    assert!(showing.write.tls.shows_certificate() && showing.read.tls.shows_certificate());
    assert!(plain.write.tls != showing.write.tls);
    let reads =
        tenant("read_user = 'r'\nread_sslcert = 'server.crt'\nread_sslkey = 'server.key'\n");
    assert!(!reads.write.tls.shows_certificate() && reads.read.tls.shows_certificate());
    assert!(reads.read.tls == showing.write.tls);
}

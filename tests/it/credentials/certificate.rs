//! The gate shows a certificate: libpq's `sslcert` and `sslkey`, for each lane.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use harness::sandbox::ca::{Certificates, LOCAL_NAMES};
use harness::sandbox::{Options, Postgres, ServerTls};
use harness::stage::{Setup, Stage, portcullis};
use harness::{GateDir, options};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::secret;

/// A CA for clients, and a certificate that it has signed for each of these roles, with its key.
fn clients(roles: &[&str]) -> (String, Vec<(String, String)>) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let signed = roles.iter().map(|role| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, *role);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    });
    (issuer.pem(), signed.collect())
}

#[test]
fn each_lane_is_let_in_by_its_certificate_alone() {
    let server_side = Certificates::make(&LOCAL_NAMES).unwrap();
    let (clients_ca, signed) = clients(&["writer", "reader"]);
    let tls = ServerTls {
        // The server reads the CA of its clients from the same file.
        cert_pem: format!("{}{clients_ca}", server_side.cert_pem),
        key_pem: server_side.key_pem.clone(),
    };
    let hba = "host all postgres 127.0.0.1/32 scram-sha-256\nhostssl all all 127.0.0.1/32 cert\n";
    let server = Postgres::start(Options {
        tls: Some(tls),
        hba: Some(hba.to_owned()),
        ..options().set("ssl_ca_file", "server.crt")
    })
    .unwrap();
    let table = "create table t (id int); create role writer login; create role reader login; \
                 grant all on t to writer; grant select on t to reader";
    server.sql("postgres", table).unwrap();
    let directory = GateDir::new();
    let files = server_side
        .write(&directory.path().join("upstream"))
        .unwrap();
    for (name, (certificate, key)) in ["writer", "reader"].into_iter().zip(&signed) {
        directory.write(&format!("{name}.crt"), certificate);
        secret(&directory, &format!("{name}.key"), key);
    }
    let upstream = format!(
        "host = 'localhost'\nport = {}\ndatabase = 'postgres'\nuser = 'writer'\nsslcert = 'writer.crt'\n\
         sslkey = 'writer.key'\nsslrootcert = '{}'\n",
        server.port(),
        files.ca.display()
    );
    let setup = |more: &str| Setup {
        upstream: Some(format!("{upstream}{more}")),
        ..Setup::default()
    };
    let reads = "read_user = 'reader'\nread_sslcert = 'reader.crt'\nread_sslkey = 'reader.key'\n";
    let stage = setup(reads).start_in(directory);
    let who = |stage: &Stage, sql: &str| stage.psql("alice").query(sql).ok().stdout;
    assert_eq!(who(&stage, "select current_user"), "reader");
    assert_eq!(who(&stage, "begin; select current_user"), "BEGIN\nwriter");
    // Without one of its own the lane for reads shows the other's, and is not let in as somebody else.
    let config = setup("read_user = 'reader'\n").config(&stage.database);
    let mut stage = Stage {
        gate: stage.gate.restart_with(&config),
        database: stage.database,
    };
    let refused = stage.psql("alice").query("select 1").failed(1);
    assert!(refused.stderr.contains("57P03"), "{refused:?}");
    stage
        .gate
        .stderr()
        .wait_for("certificate authentication failed for user \"reader\"");
    // As with libpq: a key that others can read is no key.
    let directory = stage.gate.directory();
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(directory.file("writer.key"), open).unwrap();
    let config = directory.file("portcullis.toml");
    let said = portcullis(&["check", config.to_str().unwrap()]).failed(1);
    assert!(
        said.stderr.contains("has group or world access"),
        "{said:?}"
    );
}

//! Vault lends logins: they take on the configured role and own nothing, they are renewed and replaced before they end, and
//! given back when nobody needs them.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::raw::{self, Raw};
use harness::stage::{RULES, Stage, eventually, leave_approved, table};
use harness::vault::{ROOT_TOKEN, Vault};
use harness::{Database, GateDir, Login, psql};

use super::{nowhere, secret, stage, told};

const UPDATE: &str = "update t set note = 'new' where id = 1";
const TRIGGERS: &str = "update t set note = note where id = 1 returning pg_backend_pid()";
/// Who is logged in, and as whom statements run.
const WHO: &str = "select session_user || ' ' || current_user";

/// A gate that logs in to Vault as an AppRole, whose tokens are as `tokens` says.
#[track_caller]
fn by_app_role(vault: &Vault, database: Database, tokens: &[&str], more: &str) -> (Stage, String) {
    let directory = GateDir::new();
    let (id, proof) = vault.app_role(tokens);
    secret(&directory, "secret-id", &proof);
    let path = format!("vault = 'database/creds/{}'\n{more}", database.write.name);
    let stage = stage(directory, database, &path, |setup| {
        setup.more = format!(
            "[vault]\naddress = '{}'\nrole_id = '{id}'\nsecret_id_file = '{{dir}}/secret-id'\n",
            vault.address()
        );
        // What changes the schema waits here.
        setup.rules = RULES
            .split("[[rule]]")
            .take(2)
            .collect::<Vec<_>>()
            .join("[[rule]]");
    });
    (stage, proof)
}

/// The logins that Vault has made for this database and not dropped yet.
fn lent(database: &Database) -> Vec<String> {
    let role = &database.write.name;
    let sql = format!(
        "select r.rolname from pg_roles r join pg_auth_members m on m.member = r.oid \
         where m.roleid = '{role}'::regrole order by 1"
    );
    let names = database.sql(&sql);
    names.lines().map(str::to_owned).collect()
}

/// What Vault chose as passwords, by the server's own log.
fn passwords(logins: &[String]) -> Vec<String> {
    let log = fs::read_to_string(harness::postgres().log_path()).unwrap();
    let created = log.lines().filter(|line| line.contains("CREATE ROLE"));
    let ours = created.filter(|line| logins.iter().any(|it| line.contains(it)));
    let password = |line: &str| {
        let (_, behind) = line.split_once("PASSWORD '")?;
        Some(behind.split_once('\'')?.0.to_owned())
    };
    ours.filter_map(password).collect()
}

#[test]
fn a_lent_login_takes_on_the_role_and_owns_nothing() {
    let Some(vault) = Vault::start() else { return };
    let database = table();
    let role = database.write.name.clone();
    vault.lends(&role, &database, ["1h", "24h"]);
    let (mut stage, proof) = by_app_role(&vault, database, &[], "");
    let mut alice = stage.raw("alice");
    let who = told(&mut alice, WHO);
    let (login, runs_as) = who.split_once(' ').unwrap();
    assert_eq!(runs_as, role);
    assert_eq!(lent(&stage.database), [login]);
    // What is signed makes things that are the role's.
    let make = "create table made (id int)";
    leave_approved(&stage, make);
    assert_eq!(raw::tags(&alice.query(make)), "CZ");
    let owner = "select tableowner from pg_tables where tablename = 'made'";
    assert_eq!(stage.database.sql(owner), role);
    let pools = psql(&stage.console("carol"))
        .query("SHOW POOLS")
        .ok()
        .stdout;
    assert!(pools.contains(&role) && !pools.contains(login), "{pools}");
    let passwords = passwords(&[login.to_owned()]);
    let [password] = passwords.as_slice() else {
        panic!("{passwords:?}");
    };
    nowhere(&mut stage, &[password, &proof, ROOT_TOKEN]);
    // Given back, as it is not needed any more: it owns nothing, so it can be dropped.
    let Stage { gate, database } = stage;
    drop(gate);
    eventually("the login is dropped", || lent(&database).is_empty());
    assert_eq!(database.sql(owner), role);
}

/// A reset throws the role away with everything else.
#[test]
fn the_role_is_taken_on_again_behind_a_reset() {
    let Some(vault) = Vault::start() else { return };
    let database = table();
    let role = database.write.name.clone();
    database.sql(
        "create function f() returns trigger language plpgsql as 'begin return new; end'; \
         create trigger runs before update on t for each row execute function f()",
    );
    vault.lends(&role, &database, ["1h", "24h"]);
    let (mut stage, _) = by_app_role(&vault, database, &[], "pool_size = 1");
    let mut client = stage.raw("alice");
    // A trigger may have left anything.
    leave_approved(&stage, TRIGGERS);
    let written = client.query(TRIGGERS);
    assert_eq!(raw::tags(&written), "TDCZ");
    let pid = written[1].columns()[0].clone().unwrap();
    let again = told(&mut client, "select pg_backend_pid()");
    assert_eq!(again, pid, "{}", stage.gate.stderr().text());
    let who = told(&mut client, WHO);
    assert!(who.ends_with(&format!(" {role}")), "{who}");
    let log = fs::read_to_string(harness::postgres().log_path()).unwrap();
    for reset in ["DISCARD ALL", "RESET ROLE"] {
        let of_pid = |line: &str| line.contains(&format!("[{pid}]")) && line.ends_with(reset);
        assert!(log.lines().any(of_pid), "{reset} on {pid}");
    }
}

/// Asks all the time until it is told to stop: how often, and as whom. No answer may be an error.
fn ask_until(stop: &AtomicBool, login: &Login) -> (usize, Vec<String>) {
    let mut client = Raw::login(login);
    let (mut asked, mut logins) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let login = told(&mut client, "select session_user");
        assert_eq!(raw::tags(&client.query("select id from t")), "TDDDCZ");
        logins.push(login);
        logins.dedup();
        asked += 1;
    }
    (asked, logins)
}

/// Load over these terms of logins and tokens, until so many logins have been used.
fn under_load(times: [&str; 2], tokens: &[&str], at_least: usize) {
    let Some(vault) = Vault::start() else { return };
    let database = table();
    vault.lends(&database.write.name, &database, times);
    let (mut stage, _) = by_app_role(&vault, database, tokens, "");
    let (stop, login) = (AtomicBool::new(false), stage.login("alice"));
    let began = Instant::now();
    let seen = thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| ask_until(&stop, &login)))
            .collect();
        let used = "select count(distinct usename) from pg_stat_activity";
        while began.elapsed() < Duration::from_secs(14) {
            assert_ne!(stage.database.sql(used), "0");
            thread::sleep(Duration::from_millis(100));
        }
        stop.store(true, Ordering::Relaxed);
        clients
            .into_iter()
            .map(|it| it.join().unwrap())
            .collect::<Vec<_>>()
    });
    for (asked, logins) in seen {
        assert!(asked > 50, "asked {asked} times");
        assert!(logins.len() >= at_least, "{logins:?}");
    }
    let log = stage.gate.stderr().text();
    assert!(!log.contains("lent for longer"), "{log}");
    assert!(!log.contains("could not log in upstream"), "{log}");
}

#[test]
fn connections_move_to_another_login_before_theirs_ends() {
    under_load(["3s", "5s"], &[], 3);
}

#[test]
fn a_token_that_ends_takes_no_login_with_it_that_is_in_use() {
    under_load(["1h", "24h"], &["token_ttl=3s", "token_max_ttl=5s"], 3);
}

#[test]
fn a_login_is_renewed_while_it_can_be() {
    let Some(vault) = Vault::start() else { return };
    let database = table();
    vault.lends(&database.write.name, &database, ["6s", "1h"]);
    let (mut stage, _) = by_app_role(&vault, database, &[], "");
    let mut client = stage.raw("alice");
    let first = told(&mut client, WHO);
    for _ in 0..2 {
        stage.gate.stderr().wait_for("the login was renewed");
        assert_eq!(told(&mut client, WHO), first);
    }
    assert_eq!(lent(&stage.database).len(), 1);
}

/// DESIGN ruling 16: an approval is bound to the role as configured, not to the login of the moment.
#[test]
fn what_was_approved_runs_by_another_login() {
    let Some(vault) = Vault::start() else { return };
    let database = table();
    vault.lends(&database.write.name, &database, ["3s", "3s"]);
    let (stage, _) = by_app_role(&vault, database, &[], "");
    let mut client = stage.raw("alice");
    let first = told(&mut client, WHO);
    let ticket = leave_approved(&stage, UPDATE);
    eventually("another login is used", || told(&mut client, WHO) != first);
    assert_eq!(raw::tags(&client.query(UPDATE)), "CZ");
    assert_eq!(stage.state(&ticket), "done");
}

/// A moment without Vault is nobody's trouble, and a longer one is a wait.
#[test]
fn vault_may_be_away_for_a_while() {
    let Some(mut vault) = Vault::start() else {
        return;
    };
    let database = table();
    vault.lends(&database.write.name, &database, ["12s", "12s"]);
    let (mut stage, _) = by_app_role(&vault, database, &[], "connect = '1 s'\nwait = '60 s'");
    let ticket = leave_approved(&stage, UPDATE);
    let mut client = stage.raw("alice");
    let first = told(&mut client, WHO);
    vault.stop_answering();
    stage
        .gate
        .stderr()
        .wait_for("the login could not be renewed, and is good for");
    assert_eq!(told(&mut client, WHO), first);
    let login = first.split_once(' ').unwrap().0;
    let connected = format!("select count(*) from pg_stat_activity where usename = '{login}'");
    eventually("its connections are gone", || {
        stage.database.sql(&connected) == "0"
    });
    client.send(&raw::query(UPDATE));
    stage
        .gate
        .stderr()
        .wait_for("there is no login for the upstream");
    assert_eq!(stage.state(&ticket), "approved");
    vault.go_on();
    assert_eq!(raw::tags(&client.frames_until(b'Z')), "CZ");
    assert_eq!(stage.count("note = 'new'"), "1");
}

/// An operator takes the gate's token away, and with it all that was read with it.
#[test]
fn what_was_revoked_is_asked_for_anew() {
    let Some(vault) = Vault::start() else { return };
    let database = table();
    vault.lends(&database.write.name, &database, ["1h", "24h"]);
    let (stage, _) = by_app_role(&vault, database, &[], "");
    let mut client = stage.raw("alice");
    let first = told(&mut client, WHO);
    vault.run(&["token", "revoke", "-mode=path", "auth/approle"]);
    let login = first.split_once(' ').unwrap().0.to_owned();
    eventually("the login is dropped", || {
        !lent(&stage.database).contains(&login)
    });
    let role = &stage.database.write.name;
    stage.database.sql(&format!(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = '{}' and pid <> pg_backend_pid()",
        stage.database.name
    ));
    eventually("there is another login", || {
        let again = Raw::try_login(&stage.login("alice"), &[]);
        again.is_ok_and(|mut it| raw::tags(&it.query("select id from t")) == "TDDDCZ")
    });
    let second = told(&mut stage.raw("alice"), WHO);
    assert!(
        second != first && second.ends_with(&format!(" {role}")),
        "{second}"
    );
}

/// A token that somebody else got, and a lane for reads that has a login of its own.
#[test]
fn each_lane_has_a_login_of_its_own() {
    let Some(vault) = Vault::start() else { return };
    let (directory, database) = (GateDir::new(), table());
    let (role, reads) = (database.write.name.clone(), database.read.name.clone());
    vault.lends(&role, &database, ["1h", "24h"]);
    vault.lends(
        &reads,
        &Database {
            write: database.read.clone(),
            ..database.clone()
        },
        ["1h", "24h"],
    );
    secret(&directory, "token", ROOT_TOKEN);
    let proof = format!(
        "vault = 'database/creds/{role}'\nread_user = '{reads}'\nread_vault = 'database/creds/{reads}'"
    );
    let mut stage = stage(directory, database, &proof, |setup| {
        setup.more = format!(
            "[vault]\naddress = '{}'\ntoken_file = '{{dir}}/token'\n",
            vault.address()
        );
    });
    let mut client = stage.raw("alice");
    assert_eq!(raw::tags(&client.query("begin")), "CZ");
    let written = client.query("select current_user");
    assert_eq!(written[1].columns()[0].as_deref(), Some(&*role));
    client.query("commit");
    let read = client.query("select current_user");
    assert_eq!(read[1].columns()[0].as_deref(), Some(&*reads));
    nowhere(&mut stage, &[ROOT_TOKEN]);
}

//! A schema, a database and a server for each tenant (hazards section O: qualified names, PUBLIC, CONNECT, a reused address).

use super::{Case, Room, psql};
use harness::stage::{password, portcullis};
use harness::{Gate, Program, portcullis_binary};
use std::process::Command;

/// A schema for each of two tenants, and none for all.
pub(super) const SCHEMAS: &str = "revoke all on schema public from public; \
     create schema {team} authorization {o}; create table {team}.items (id int primary key, note text); \
     alter table {team}.items owner to {o}; insert into {team}.items values (1, 'ours'); \
     grant usage on schema {team} to {team}; grant all on all tables in schema {team} to {team}; \
     create schema {others} authorization {o}; create table {others}.items (id int primary key, note text); \
     insert into {others}.items values (1, 'theirs'); grant usage on schema {others} to {others}; \
     grant all on all tables in schema {others} to {others};";

const OUTSIDE: [Case; 15] = [
    (
        "alter role {w} superuser",
        "alter role {w} nosuperuser",
        "role {w}: is a superuser",
    ),
    (
        "grant usage on schema {others} to {w}",
        "revoke usage on schema {others} from {w}",
        "schema {others}: the login may use it, and it is not of the tenant",
    ),
    (
        "grant create on schema {others} to {team}",
        "revoke create on schema {others} from {team}",
        "schema {others}: the login may use it, and it is not of the tenant",
    ),
    (
        "grant usage on schema public to public",
        "revoke usage on schema public from public",
        "schema public: the login may use it, and it is not of the tenant",
    ),
    (
        "grant select on {others}.items to {r}",
        "revoke select on {others}.items from {r}",
        "table {others}.items: the login was given rights outside of its schemas",
    ),
    (
        "grant select (note) on {others}.items to {team}",
        "revoke select (note) on {others}.items from {team}",
        "column note of table {others}.items: the login was given rights outside of its schemas",
    ),
    (
        "alter table {others}.items owner to {w}",
        "alter table {others}.items owner to {o}",
        "table {others}.items: is owned by the login",
    ),
    (
        "alter schema {others} owner to {team}",
        "alter schema {others} owner to {o}",
        "schema {others}: is owned by the login",
    ),
    (
        "grant usage on schema {team} to public",
        "revoke usage on schema {team} from public",
        "schema {team}: PUBLIC may use it",
    ),
    (
        "grant usage on schema {team} to {x}",
        "revoke usage on schema {team} from {x}",
        "schema {team}: role {x} may use it",
    ),
    (
        "grant create on schema {team} to {others}",
        "revoke create on schema {team} from {others}",
        "schema {team}: role {others} may make things in it",
    ),
    (
        "create function {team}.peek() returns bigint language sql security definer as 'select count(*) from {others}.items'; \
         alter function {team}.peek() owner to {o}",
        "drop function {team}.peek()",
        "function {team}.peek(): runs with the rights of {o}",
    ),
    (
        "create view {team}.peek as select * from {others}.items; grant select on {team}.peek to {team}",
        "drop view {team}.peek",
        "view {team}.peek: shows what is outside of the tenant's schemas",
    ),
    (
        "alter schema {team} rename to gone",
        "alter schema gone rename to {team}",
        "schema {team}: there is none",
    ),
    (
        "grant create on database {db} to {team}",
        "revoke create on database {db} from {team}",
        "database {db}: the login may make schemas in it",
    ),
];

/// What the gate itself needs is no finding; what its third login has beyond that is (DESIGN ruling 10).
const LEDGER: [Case; 4] = [
    (
        "grant usage on schema {team} to {l}",
        "revoke usage on schema {team} from {l}",
        "schema {team}: the login of the ledger was given more than that",
    ),
    (
        "grant select on portcullis.ledger to {w}; grant select on {team}.items to {l}",
        "revoke select on portcullis.ledger from {w}; revoke select on {team}.items from {l}",
        "table {team}.items: the login of the ledger was given more than that",
    ),
    (
        "alter role {l} replication",
        "alter role {l} noreplication",
        "role {l}: has REPLICATION",
    ),
    (
        "grant {others} to {l}",
        "revoke {others} from {l}",
        "role {others}: has a member outside of the tenant",
    ),
];

#[test]
fn what_is_outside_of_a_schema_is_found() {
    let mut room = Room::new(SCHEMAS).start("isolation = 'schema'\n");
    // The gate says where names lead; the schema is called as the tenant is.
    assert_eq!(
        room.ask("select note from items").ok().stdout.trim(),
        "ours"
    );
    room.ask("reset search_path; select note from items").ok();
    room.finds(&OUTSIDE);
}

#[test]
fn schemas_are_those_that_are_listed() {
    let room = Room::new(SCHEMAS);
    room.sql("grant usage on schema public to public");
    let mut room = room.start(
        "isolation = 'schema'\nschemas = ['{team}', 'public']\n"
            .replace("{team}", "nowhere")
            .as_str(),
    );
    room.refuses("schema nowhere: there is none");
    let listed = room.fill("isolation = 'schema'\nschemas = ['{team}', 'public']\n");
    room.change(&listed);
    room.serves();
    room.finds(&[(
        "grant create on schema public to {others}",
        "revoke create on schema public from {others}",
        "schema public: role {others} may make things in it",
    )]);
}

#[test]
fn the_login_of_the_ledger_does_nothing_else() {
    let room = Room::new(SCHEMAS);
    room.sql("grant connect on database {db} to {l}");
    let mut room =
        room.start("isolation = 'schema'\nledger_user = '{l}'\nledger_password = 'pw'\n");
    let config = room.gate().directory().file("portcullis.toml");
    let tenant = room.fill("{team}");
    let program =
        Program::new(Command::new(portcullis_binary())).env("PGPASSWORD", room.postgres.password());
    let args = [
        "tenant",
        "install",
        &tenant,
        "--config",
        &config.to_string_lossy(),
        "--apply",
        "--as",
        "postgres",
    ];
    program.run(&args).ok();
    room.finds(&LEDGER);
}

const DATABASES: [Case; 9] = [
    (
        "grant connect on database {db} to public",
        "revoke connect on database {db} from public",
        "database {db}: PUBLIC may connect to it",
    ),
    (
        "grant connect on database {db} to {x}",
        "revoke connect on database {db} from {x}",
        "database {db}: role {x} may connect to it",
    ),
    (
        "create database {db}b",
        "drop database {db}b",
        "database {db}b: the login may connect to it",
    ),
    (
        "create database {db}b owner {w}",
        "drop database {db}b",
        "database {db}b: is owned by the login",
    ),
    (
        "grant pg_read_server_files to {w}",
        "revoke pg_read_server_files from {w}",
        "role pg_read_server_files: the login is a member of a predefined role",
    ),
    (
        "create extension dblink",
        "drop extension dblink",
        "function public.dblink(text): the login may call what leads out",
    ),
    (
        "create extension postgres_fdw; create server far foreign data wrapper postgres_fdw; grant usage on foreign server far to public",
        "drop extension postgres_fdw cascade",
        "foreign server far: the login may use it",
    ),
    (
        "create function peek() returns int language sql security definer as 'select 1'",
        "drop function peek()",
        "function public.peek(): runs with the rights of postgres",
    ),
    (
        "grant {team} to {x}",
        "revoke {team} from {x}",
        "role {team}: has a member outside of the tenant",
    ),
];

#[test]
fn ways_between_databases_are_found() {
    let room = Room::alone(
        "create table items (note text); insert into items values ('ours'); grant all on items to {team};",
    );
    // Nothing of a tenant is in "postgres", and tools expect it: everybody may connect to it.
    room.sql("grant all on schema public to {team}; create view all_items as select * from items; grant select on all_items to {team}");
    let mut room = room.start("isolation = 'database'\n");
    room.serves();
    assert_eq!(
        room.ask("select note from all_items").ok().stdout.trim(),
        "ours"
    );
    room.finds(&DATABASES);
}

/// Of those that claim nothing nothing is tested, and that is said in one line.
#[test]
fn a_check_counts_those_that_claim_nothing() {
    let room = Room::new("");
    let other = room.tenant("").replace("{team}", "globex");
    let other = other.replace(&room.fill("[tenant.{team}]"), "[tenant.globex]");
    let other = other
        .replace(&room.fill("{w}"), "w")
        .replace(&room.fill("{r}"), "r");
    let directory = harness::GateDir::new();
    let check = |tenants: &str, more: &[&str]| {
        let file = directory.write_config(&Room::config(tenants));
        let file = file.to_string_lossy();
        portcullis(&[&["check", &file], more].concat()).ok().stdout
    };
    let one = room.tenant("isolation = 'schema'\n");
    let said = check(&(one.clone() + &other), &[]);
    let line =
        "no \"isolation\" is said of 1 tenant (\"globex\"): how apart they are is not tested";
    assert!(said.contains(line), "{said}");
    let said = check(&one, &[]);
    assert!(!said.contains("isolation"), "{said}");
    let said = check(&one, &["--tenant", &room.fill("{team}")]);
    let line = room.fill("isolation schema: \"{team}\"");
    assert!(said.contains(&line), "{said}");
}

/// Hazards R64: a reused address, which no configuration shows.
#[test]
fn two_tenants_on_one_server_are_found() {
    let room = Room::alone("grant usage on schema public to {team}");
    let other = room
        .tenant("")
        .replace(&room.fill("[tenant.{team}]"), "[tenant.globex]")
        .replace("localhost", "127.0.0.1");
    let config = Room::config(&(room.tenant("isolation = 'instance'\n") + &other));
    let mut room = Room {
        gate: Some(Gate::start(&config)),
        ..room
    };
    room.finds(&[(
        "grant connect on database {db} to public",
        "revoke connect on database {db} from public",
        "database {db}: PUBLIC may connect to it",
    )]);
    // The other one is seen once somebody comes to it.
    let login = room.gate().login("alice", &password("alice"), "globex");
    psql(&login).query("select 1").ok();
    room.reload();
    room.refuses("server: tenant \"globex\" is on it, too");
    room.change("isolation = 'instance'\n");
    room.serves();
}

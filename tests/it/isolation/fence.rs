//! What a statement may not name where a tenant is kept in schemas, whatever the rules say (DESIGN ruling 11; hazards V11, V12, R17).

use super::{Room, models, shared};
use harness::raw;

/// Each with what is said of it.
const LEAD_OUT: [(&str, &str); 20] = [
    (
        "select * from {others}.items",
        "\"{others}\".\"items\" lies in schema",
    ),
    (
        "insert into {others}.items values (9, 'x')",
        "\"{others}\".\"items\" lies in schema",
    ),
    (
        "with x as (select 1 from {others}.items) select * from x",
        "\"{others}\".\"items\" lies in schema",
    ),
    (
        "create table {others}.mine (a int)",
        "\"{others}\".\"mine\" lies in schema",
    ),
    (
        "select {others}.peek()",
        "\"{others}\".\"peek\" lies in schema",
    ),
    (
        "prepare p as select * from {others}.items",
        "\"{others}\".\"items\" lies in schema",
    ),
    (
        "explain select * from {others}.items",
        "\"{others}\".\"items\" lies in schema",
    ),
    (
        "copy {others}.items to stdout",
        "\"{others}\".\"items\" lies in schema",
    ),
    (
        "set search_path = {others}",
        "search_path leads to schema \"{others}\"",
    ),
    (
        "set local search_path to {team}, {others}",
        "search_path leads to schema \"{others}\"",
    ),
    (
        "set schema '{others}'",
        "search_path leads to schema \"{others}\"",
    ),
    (
        "select set_config('search_path', '{team}, {others}', false)",
        "search_path leads to schema \"{others}\"",
    ),
    (
        "select set_config('search_path', '{oth' || 'ers}', false)",
        "set_config() is called and the text does not say for what",
    ),
    (
        "select set_config(name, 'x', false) from pg_settings",
        "set_config() is called and the text does not say for what",
    ),
    (
        "update pg_settings set setting = '{others}' where name = 'search_path'",
        "pg_settings is written",
    ),
    ("set app.tenant = '{others}'", "\"app.tenant\" is set"),
    (
        "set session \"App.Tenant\" = '{others}'",
        "\"app.tenant\" is set",
    ),
    ("reset app.tenant", "\"app.tenant\" is set"),
    (
        "select set_config('app.tenant', '{others}', true)",
        "\"app.tenant\"",
    ),
    (
        "select 1, set_config('app.tenant', '{others}', true) from items",
        "\"app.tenant\"",
    ),
];

const STAY: [&str; 9] = [
    "select count(*) from items",
    "select count(*) from pg_catalog.pg_class",
    "select count(*) from information_schema.tables",
    "set search_path = pg_catalog, {team}; select count(*) from items",
    "select pg_catalog.set_config('search_path', '', false)",
    "set timezone = 'UTC'; reset search_path; select count(*) from items",
    "set statement_timeout = '5s'",
    "show search_path",
    "begin; create temp table mine (a int); insert into pg_temp.mine values (1); rollback",
];

#[test]
fn what_leads_out_of_a_schema_is_denied_under_any_policy() {
    let room = Room::new(models::SCHEMAS).start("isolation = 'schema'\n");
    room.sql("grant temporary on database {db} to {team}");
    for (sql, said) in LEAD_OUT {
        let refused = room.ask(sql).failed(1);
        let said = room.fill(&format!(
            "this leads out of the schemas of the tenant: {said}"
        ));
        let denied = refused.stderr.contains("ZG001") || sql.starts_with("copy");
        // A name that is put together is known by nobody but the server.
        let said = if sql.contains("||") {
            "set_config()"
        } else {
            &said
        };
        assert!(
            denied && refused.stderr.contains(said),
            "{sql}: {}",
            refused.stderr
        );
    }
    for sql in STAY {
        room.ask(sql).ok();
    }
}

#[test]
fn a_tenant_of_shared_tables_names_no_other_schema_and_no_dotted_setting() {
    let room = Room::new(shared::TABLES);
    room.sql("create schema private; create table private.t (a int)");
    let room = room.start(shared::KEYS);
    for sql in [
        "select * from private.t",
        "set app.tenant = 'b'",
        "set search_path = private",
        "set search_path to \"$user\", public",
    ] {
        let refused = room.ask(sql).failed(1);
        assert!(
            refused.stderr.contains("ZG001"),
            "{sql}: {}",
            refused.stderr
        );
    }
    assert_eq!(
        room.ask("select note from public.items").ok().stdout.trim(),
        "ours"
    );
    // Values that are bound are not known when the text is read.
    let mut client = room.raw();
    client.send(
        &[
            raw::parse("", "select set_config('search_path', $1, false)"),
            raw::bind("", ""),
            raw::execute(""),
            raw::sync(),
        ]
        .concat(),
    );
    let answer = client.frames_until(b'Z');
    assert_eq!(raw::error(&answer).sqlstate(), "ZG001");
}

/// Hazards R17: the startup packet leads nowhere else either.
#[test]
fn a_login_brings_no_search_path_that_leads_out() {
    let room = Room::new(models::SCHEMAS).start("isolation = 'schema'\n");
    let login = room.gate().login(
        "alice",
        &harness::stage::password("alice"),
        &room.fill("{team}"),
    );
    let with = |options: &str| {
        harness::psql(&login)
            .env("PGOPTIONS", &room.fill(options))
            .query("select count(*) from items")
    };
    let refused = with("-c search_path={team},{others}").failed(2);
    let said =
        room.fill("FATAL:  search_path leads to schema \"{others}\", which is not the tenant's");
    assert!(refused.stderr.contains(&said), "{}", refused.stderr);
    assert_eq!(with("-c search_path={team}").ok().stdout.trim(), "1");
}

//! What a tenant that is kept in schemas may not name (DESIGN ruling 11; hazards V11, V12).
#![allow(clippy::unwrap_used, reason = "a panic is how a test says no")]

mod common;

use common::Asks;
use gate::{Isolation, Walls};
use proptest::prelude::*;

fn walls(isolation: Isolation, schemas: &[&str]) -> Walls {
    Walls {
        isolation,
        schemas: schemas.iter().map(|&it| it.to_owned()).collect(),
    }
}

fn acme() -> Walls {
    walls(Isolation::Schema, &["acme", "My Schema"])
}

fn denies(walls: &Walls, text: &str) -> Option<String> {
    let denial = walls.denies(&Asks::query(text).request());
    denial.map(|it| {
        assert_eq!(&*it.rule, "isolation");
        it.message
    })
}

/// Each with what is said of it.
const LEAD_OUT: [(&str, &str); 22] = [
    (
        "SELECT * FROM globex.items",
        "\"globex\".\"items\" lies in schema \"globex\"",
    ),
    (
        "UPDATE items SET a = (SELECT b FROM globex.items)",
        "\"globex\".\"items\"",
    ),
    ("SELECT globex.f(1)", "\"globex\".\"f\""),
    ("DROP TABLE globex.items", "\"globex\".\"items\""),
    (
        "SELECT 1; SELECT 2 FROM globex.items",
        "\"globex\".\"items\"",
    ),
    ("SELECT * FROM \"ACME\".items", "\"ACME\".\"items\""),
    (
        "SET search_path = globex",
        "search_path leads to schema \"globex\"",
    ),
    (
        "SET search_path = acme, public",
        "search_path leads to schema \"public\"",
    ),
    (
        "SET SESSION search_path TO 'acme, globex'",
        "search_path leads to schema \"acme, globex\"",
    ),
    (
        "SET LOCAL search_path = \"$user\"",
        "search_path leads to schema \"$user\"",
    ),
    (
        "SET SCHEMA 'globex'",
        "search_path leads to schema \"globex\"",
    ),
    (
        "SELECT set_config('search_path', 'acme, globex', false)",
        "search_path leads to schema \"globex\"",
    ),
    (
        "SELECT set_config('SEARCH_PATH', $1, false)",
        "search_path is set, and the text does not say to what",
    ),
    (
        "SELECT set_config('app.tenant', 'b', false)",
        "\"app.tenant\" is set",
    ),
    (
        "SELECT set_config('work_mem', '1MB', false), set_config('app.tenant', 'b', false)",
        "set_config() may set more than \"work_mem\"",
    ),
    (
        "WITH x AS (SELECT set_config('app.tenant', 'b', false)) SELECT * FROM x",
        "set_config() is called",
    ),
    (
        "SELECT set_config('app.' || 'tenant', 'b', false)",
        "set_config() is called",
    ),
    ("SET app.tenant = 'b'", "\"app.tenant\" is set"),
    ("SET \"App\".tenant = 'b'", "\"app.tenant\" is set"),
    ("RESET app.tenant", "\"app.tenant\" is set"),
    (
        "UPDATE pg_settings SET setting = 'b' WHERE name = 'search_path'",
        "pg_settings is written",
    ),
    (
        "UPDATE pg_catalog.pg_settings SET setting = 'b'",
        "pg_settings is written",
    ),
];

#[test]
fn what_leads_out_is_denied_and_the_message_says_what() {
    for (text, said) in LEAD_OUT {
        let message = denies(&acme(), text).unwrap_or_else(|| panic!("{text} passes"));
        assert!(message.contains(said), "{text}: {message}");
    }
}

#[test]
fn what_stays_within_is_for_the_rules() {
    for text in [
        "SELECT * FROM items, acme.items, \"My Schema\".t, pg_class, pg_catalog.pg_class, information_schema.tables",
        "SELECT acme.f(pg_catalog.now())",
        "SET search_path = acme, pg_catalog",
        "SET search_path = \"My Schema\", ''",
        "SET search_path TO DEFAULT",
        "RESET search_path",
        "RESET ALL",
        "SELECT set_config('search_path', 'acme, \"My Schema\"', false)",
        "SELECT set_config('timezone', 'UTC', false)",
        "SELECT set_config('timezone', $1, false)",
        "SET timezone = 'UTC'",
        "SET portcullis.reason = 'why'",
        "SHOW app.tenant",
        "SELECT current_setting('app.tenant')",
        "SELECT * FROM pg_settings",
        "CREATE TEMP TABLE t (a int)",
        "SELECT * FROM pg_temp.t",
        "DO $$ BEGIN END $$",
        "",
    ] {
        assert_eq!(denies(&acme(), text), None, "{text}");
    }
}

/// A path that the session had before the tenant was kept in anything, or that it logged in with (hazards R17).
#[test]
fn the_path_of_the_session_counts_as_well() {
    let asks = |path: &str| Asks::query("SELECT 1").set("search_path", path).request();
    assert!(acme().denies(&asks("acme, globex")).is_some());
    assert!(acme().denies(&asks("acme,")).is_some(), "it is no list");
    assert_eq!(acme().denies(&asks("Acme, \"My Schema\"")), None);
    assert_eq!(
        acme().outside("\"$user\"", "acme"),
        None,
        "the role's name is its own schema's"
    );
}

#[test]
fn a_database_of_its_own_has_no_fence() {
    for isolation in [Isolation::Database, Isolation::Instance] {
        let walls = walls(isolation, &[]);
        assert_eq!(
            denies(&walls, "SELECT * FROM globex.items; SET app.tenant = 'b'"),
            None
        );
        assert_eq!(walls.search_path(), None);
    }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]{1,2}", "[A-C \",$.é]{1,3}"]
}

proptest! {
    /// However a path is spelled, it passes where each schema of it is the tenant's, and nowhere else.
    #[test]
    fn a_path_passes_if_all_of_it_is_the_tenants(own in prop::collection::vec(name(), 1..4), path in prop::collection::vec(name(), 0..4)) {
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        let walls = walls(Isolation::Shared, &own);
        let quote = |it: &String| format!("\"{}\"", it.replace('"', "\"\""));
        let quoted: Vec<String> = path.iter().map(quote).collect();
        let all = path.iter().all(|it| own.contains(&it.as_str()));
        prop_assert_eq!(walls.outside(&quoted.join(", "), "role").is_none(), all);
        if !path.is_empty() {
            let set = format!("SET search_path = {}", quoted.join(", "));
            prop_assert_eq!(denies(&walls, &set).is_none(), all, "{}", set);
        }
        let given = walls.search_path().unwrap_or_default();
        prop_assert_eq!(walls.outside(&given, "role"), None);
    }
}

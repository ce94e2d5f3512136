//! What psql 15 sends for its backslash commands, recorded from the real one: every query is a read. Never a client's name
//! makes it pass, only what it holds.

use sql::Class;

#[test]
fn every_query_of_psql_is_a_read() {
    let recorded = include_str!("fixtures/psql15.sql");
    let mut count = 0;
    let mut held = Vec::new();
    for query in recorded.split("----\n").skip(1) {
        count += 1;
        let reading = sql::read(query);
        if reading.class() != Some(Class::Read) || !reading.single() {
            held.push(format!(
                "{:?}\n{query}",
                reading.statements.first().map(|s| &s.why)
            ));
        }
    }
    assert!(count > 250, "{count} queries");
    assert!(held.is_empty(), "{} held:\n{}", held.len(), held.join("\n"));
}

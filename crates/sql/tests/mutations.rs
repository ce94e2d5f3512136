//! Things that fool splitters and lexers, spliced into statements whose reading is known: a statement hidden behind one is still
//! counted, and a call hidden in one is still seen. `make judge` compares such texts with a server.

use sql::Class;

const READS: [&str; 6] = [
    "SELECT a, b FROM t WHERE c = 1",
    "SELECT lower(x) || 'y' FROM s.t ORDER BY 1",
    "WITH w AS (SELECT 1) SELECT * FROM w",
    "SELECT count(*) FILTER (WHERE a > 1) FROM t GROUP BY b",
    "VALUES (1, 'a'), (2, 'b')",
    "SELECT CASE WHEN a THEN 1 ELSE 2 END FROM t LIMIT 3",
];

/// Each is one blank to the server.
const BLANKS: [&str; 8] = [
    " ",
    "\n",
    "\x0c",
    " /* ; */ ",
    " /* /* ; */ ; */ ",
    " -- ;\n",
    " --'\r",
    "/*'*/",
];

#[test]
fn blanks_of_every_kind_change_nothing() {
    for text in READS {
        let plain = sql::read(text);
        for blank in BLANKS {
            // In front, behind, and for the first blank of the text.
            for mutant in [
                format!("{blank}{text}"),
                format!("{text}{blank}"),
                text.replacen(' ', blank, 1),
            ] {
                let reading = sql::read(&mutant);
                assert_eq!(reading.class(), plain.class(), "{mutant:?}");
                assert_eq!(reading.statements.len(), 1, "{mutant:?}");
            }
        }
    }
}

#[test]
fn what_stands_behind_is_counted() {
    for text in READS {
        for (hidden, statements) in [
            ("; DELETE FROM t", 2),
            (" /* /* */ ; */; DELETE FROM t", 2),
            (" -- x\n; DELETE FROM t", 2),
            (" --\r; DELETE FROM t --'", 2),
            (";;; DELETE FROM t; SELECT $$;$$", 3),
            ("; SELECT E'\\';'; DELETE FROM t --'", 3),
            ("; SELECT $a$ $b$ ; $b$ $a$; DELETE FROM t", 3),
            ("; SELECT 5-/*'*/3; DELETE FROM t; --'", 3),
        ] {
            let reading = sql::read(&format!("{text}{hidden}"));
            assert_eq!(reading.statements.len(), statements, "{text}{hidden}");
            assert!(reading.class() >= Some(Class::Write), "{text}{hidden}");
        }
    }
}

#[test]
fn what_is_called_is_seen() {
    for call in [
        "nextval('s')",
        "U&\"\\006eextval\"('s')",
        "\"nextval\"/*)*/('s')",
        "((nextval--(\n('s')))",
        "NextVal('s')",
        "pg_catalog . nextval ( U&'\\0073' )",
    ] {
        for around in [
            "SELECT {}",
            "SELECT 1 WHERE {} > 1",
            "VALUES (1, {})",
            "SELECT -{}, a FROM t",
        ] {
            let text = around.replace("{}", call);
            assert!(sql::read(&text).class() > Some(Class::Read), "{text}");
        }
    }
}

/// What is a letter to PostgreSQL ends no word and separates nothing.
#[test]
fn unicode_blanks_are_letters() {
    for letter in ['\u{a0}', '\u{2003}', '\u{37e}', '\u{feff}'] {
        let reading = sql::read(&format!("SELECT 1 AS a{letter}b"));
        assert_eq!(reading.class(), Some(Class::Read));
        let reading = sql::read(&format!("SELECT{letter}1; DELETE FROM t"));
        assert!(reading.class() >= Some(Class::Write));
    }
}

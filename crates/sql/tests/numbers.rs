//! Texts that differ only in their numbers: where the mask is the same and no number decides, the reading is the same, to the
//! last field. Held against what clients send, against every hiding place, and against texts nobody wrote.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy.toml lets tests panic, but does not count their helpers"
)]

mod places;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytestring::ByteString;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use sql::{Catalog, Class, Major, Reader, Reading, masked, read_for};

/// Other numbers that each text is read with.
const ROUNDS: usize = 4;

fn catalog(rows: &[[&str; 5]]) -> Catalog {
    Catalog::of_rows(Major::new(15), rows.iter().copied()).unwrap()
}

/// Known, and with nothing of the user's but plain tables.
fn plain() -> Catalog {
    catalog(&[
        ["relation", "public", "pgbench_accounts", "", ""],
        ["relation", "public", "pgbench_history", "", ""],
        ["relation", "public", "t", "counts", ""],
        [
            "relation",
            "public",
            "v",
            "v",
            "SELECT a FROM public.t WHERE b = 7",
        ],
    ])
}

/// With something of the user's behind many a name.
fn furnished() -> Catalog {
    catalog(&[
        ["function", "public", "abs", "1 1", "i sql f"],
        ["function", "public", "total", "1 2", "s sql f"],
        ["operator", "public", "+", "", "i sql f"],
        ["type", "public", "positive", "d", "(VALUE > 0)"],
        ["relation", "public", "t", "runs", ""],
        ["relation", "public", "far", "f", "postgres_fdw"],
        [
            "relation",
            "public",
            "s",
            "v",
            "SELECT abs(a) FROM public.t",
        ],
    ])
}

/// Throws the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

/// Other digits in the place of each that the mask does not tell from them. It asks the mask alone which those are.
fn renumbered(text: &str, dice: &mut Dice) -> String {
    let mask = masked(text);
    let mut other = text.as_bytes().to_vec();
    for at in 0..other.len() {
        let digit = other[at];
        if digit.is_ascii_digit() {
            other[at] = b"0123456789"[dice.below(10)];
            if masked(std::str::from_utf8(&other).unwrap()) != mask {
                other[at] = digit;
            }
        }
    }
    String::from_utf8(other).unwrap()
}

/// Whether a text is one that others are known by; then they read the same.
#[track_caller]
fn is_alike(text: &str, catalog: &Catalog, dice: &mut Dice) -> bool {
    if masked(text).is_none() {
        return false;
    }
    let reading = read_for(text, catalog);
    if reading.numbers_decide() {
        return false;
    }
    for _ in 0..ROUNDS {
        let other = renumbered(text, dice);
        assert_eq!(read_for(&other, catalog), reading, "{text}\n{other}");
    }
    true
}

const ALIKE: &[&str] = &[
    // pgbench's own.
    "SELECT abalance FROM pgbench_accounts WHERE aid = 12345;",
    "UPDATE pgbench_accounts SET abalance = abalance + -4321 WHERE aid = 12345;",
    "UPDATE pgbench_accounts SET abalance = abalance + 4321 WHERE aid = 12345;",
    "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 22, 333, -4444, CURRENT_TIMESTAMP);",
    // Others' shapes.
    "SELECT 1",
    "VALUES (1, 2), (3, 4)",
    "SELECT * FROM t WHERE a IN (1, 2, 30) AND b BETWEEN 4 AND 5 ORDER BY 1, 2 LIMIT 10 OFFSET 20",
    "SELECT a FROM t GROUP BY 1 HAVING count(*) > 5 FETCH FIRST 3 ROWS ONLY",
    "SELECT x.a, y.b FROM t x JOIN v y ON x.a = y.b WHERE y.b >= 7",
    "INSERT INTO t (a, b) VALUES (1, 2), (3, 4),(5,-6) ON CONFLICT (a) DO UPDATE SET b = 7 RETURNING a",
    "DELETE FROM t WHERE a=1 OR b<>22",
    "WITH w AS (SELECT a FROM t WHERE b < 3) SELECT sum(a) FROM w",
    "WITH gone AS (DELETE FROM t WHERE a = 5 RETURNING b) SELECT * FROM gone LIMIT 1",
    "MERGE INTO t USING v ON t.a = v.a WHEN MATCHED AND t.b > 9 THEN UPDATE SET b = 10",
    "SELECT generate_series(1, 10)",
    "SELECT n FROM generate_series(1, 10) AS n",
    "SELECT CASE a WHEN 1 THEN 2 ELSE 3 END, coalesce(b, 0) FROM t",
    "SELECT sum(a) OVER (ORDER BY b ROWS 3 PRECEDING) FROM t",
    "SELECT a FROM t WHERE a = 1 FOR UPDATE",
    "SELECT a FROM t WHERE b > 1.5 AND a = 7",
    "SELECT current_timestamp(3)",
    "SELECT a FROM t WHERE a = (SELECT max(b) FROM v WHERE b < 100)",
    "select t1.a from t as t1 where t1.a = 1 and t1.b = 1234567890",
];

/// Masked, and yet only the very text is known by its reading.
const EACH_ITS_OWN: &[&str] = &[
    // A number is what it says.
    "SELECT pg_cancel_backend(123)",
    "SELECT pg_terminate_backend(123)",
    "SET statement_timeout = 5",
    "SET LOCAL work_mem TO 64",
    "SELECT set_config(a, b, 1 = 1)",
    "SELECT lo_unlink(5)",
    "SELECT lo_create(5)",
    "SELECT lo_get(5)",
    "SELECT loread(1, 2)",
    "SELECT pg_sleep(1)",
    "SELECT pg_advisory_lock(5)",
    "SELECT pg_advisory_xact_lock(1, 2)",
    "SELECT pg_advisory_unlock(5)",
    "SELECT pg_table_size(1259)",
    "SELECT pg_get_viewdef(1234)",
    "SELECT setseed(0)",
    "SELECT txid_current() + 1 FROM t WHERE a = 1",
    "SELECT currval(1)",
    // Something of the user's.
    "SELECT nobodys(1)",
    "SELECT public.abs(1)",
    // Types, and what their numbers are.
    "SELECT CAST(1 AS regclass)",
    "SELECT CAST(1 AS oid)",
    "SELECT CAST(a AS float(24)) FROM t",
    "SELECT CAST(a AS bit(5)) FROM t",
    "SELECT CAST(a AS numeric(5, 2)) FROM t",
    "SELECT CAST(1 AS positive)",
    "SELECT CAST(a AS interval second (3)) FROM t",
    "SELECT regclass(1259)",
    "SELECT oid(5)",
    "SELECT text(5)",
    "SELECT * FROM json_to_record(a) AS x(b numeric(5, 2))",
    // Other clauses.
    "SELECT a FROM t TABLESAMPLE system (1)",
    "SELECT a FROM t TABLESAMPLE bernoulli (1) REPEATABLE (2)",
    "SELECT 1 INTO x",
    "SELECT make_interval(days => 5)",
    "SELECT (r).f FROM t r WHERE a = 1",
    "SELECT a COLLATE c FROM t WHERE a = 1",
    "SELECT JSON_ARRAY(1, 2)",
    "SELECT xmlelement(NAME a, 1)",
    "SELECT xmlforest(1 AS a)",
    "UPDATE t SET a = 1 WHERE CURRENT OF c",
    "UPDATE pg_settings SET setting = 1",
    "SELECT a FROM pg_file_settings WHERE b = 1",
    // Other statements.
    "EXPLAIN SELECT 1",
    "EXPLAIN ANALYZE SELECT a FROM t WHERE a = 1",
    "COPY (SELECT 1) TO STDOUT",
    "DECLARE c CURSOR FOR SELECT 1",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    "PREPARE p AS SELECT 1",
    "PREPARE p (numeric(5, 2)) AS SELECT 1",
    "EXECUTE p(1)",
    "FETCH 5 FROM c",
    "MOVE 5 FROM c",
    "CREATE TABLE x AS SELECT 1",
    "CREATE TABLE x (a float(24), b int DEFAULT 5 )",
    "CREATE SEQUENCE s START 5 CACHE 10",
    "ALTER SEQUENCE s RESTART 5",
    "ALTER TABLE t ALTER a SET STATISTICS 100",
    "VACUUM (PARALLEL 2) t",
    "CALL p(1)",
    "SELECT 1; SELECT 2",
    "SELECT 1; DELETE FROM t",
    "SELECT (1",
    "SELECT 1 2",
];

#[test]
fn plain_queries_are_alike() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for text in ALIKE {
        assert!(
            is_alike(text, &plain(), &mut dice),
            "{text}: {:?}",
            read_for(text, &plain())
        );
    }
}

#[test]
fn what_a_number_may_decide_is_not() {
    for text in EACH_ITS_OWN {
        assert!(masked(text).is_some(), "{text}");
        assert!(read_for(text, &plain()).numbers_decide(), "{text}");
    }
    // Nor what nothing is known of, and where something of the user's is at work.
    for text in [
        "SELECT abs(5)",
        "SELECT a + 5 FROM t",
        "SELECT a FROM far WHERE b = 5",
        "SELECT 5 FROM s",
    ] {
        assert!(sql::read(text).numbers_decide(), "{text}");
        assert!(read_for(text, &furnished()).numbers_decide(), "{text}");
        assert!(!read_for(text, &plain()).numbers_decide(), "{text}");
    }
}

/// Else the comparison would prove nothing.
#[test]
fn readings_show_what_a_number_decides() {
    for (one, other) in [
        (
            "SELECT pg_cancel_backend(123)",
            "SELECT pg_cancel_backend(124)",
        ),
        ("SELECT CAST(a AS float(24))", "SELECT CAST(a AS float(99))"),
        ("SELECT 1 2", "SELECT 1 3"),
    ] {
        assert_eq!(masked(one), masked(other));
        assert_ne!(read_for(one, &plain()), read_for(other, &plain()), "{one}");
    }
}

#[test]
fn what_clients_send_is_alike_where_it_may_be() {
    let directory =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/introspection");
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let mut alike = 0;
    for file in fs::read_dir(directory).unwrap() {
        let recorded = fs::read_to_string(file.unwrap().path()).unwrap();
        for text in recorded
            .split("\n=== ")
            .filter_map(|it| it.split_once('\n'))
        {
            alike += usize::from(is_alike(text.1.trim_end(), &plain(), &mut dice));
        }
    }
    assert!(alike > 0, "none of them");
}

#[test]
fn what_hides_is_never_taken_for_what_it_is_not() {
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    for place in places::places() {
        for text in place.spellings() {
            for catalog in [plain(), furnished()] {
                is_alike(&text, &catalog, &mut dice);
            }
        }
    }
}

/// Words that make queries likely, and such as numbers decide in.
fn fragment() -> impl Strategy<Value = String> {
    const WORDS: &str = "SELECT SELECT FROM FROM WHERE t v s a b * , , ( ) ( ) = < > <> + ; AS x AND OR NOT IN JOIN ON UPDATE SET \
        DELETE INSERT INTO VALUES RETURNING ORDER BY GROUP BY LIMIT OFFSET UNION CASE WHEN THEN END CAST(a AS float( CAST( ) int abs( \
        count(*) total( pg_cancel_backend( set_config( lo_get( generate_series( pg_sleep( ROWS PRECEDING OVER TABLESAMPLE system( \
        FETCH FIRST ROWS ONLY numeric( interval regclass( current_timestamp( FOR EXPLAIN WITH DISTINCT BETWEEN IS NULL 1.5 .5 5. \
        1e5 0x10 1_000 12abc a1 =- -- /* ' $1";
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let number =
        prop_oneof![3 => 0_u32..100, 1 => 0_u32..1_000_000_000].prop_map(|it| it.to_string());
    let negative = (0_u32..1_000_000_000).prop_map(|it| format!("-{it}"));
    prop_oneof![8 => prop::sample::select(words).prop_map(str::to_owned), 4 => number, 1 => negative, 1 => "[0-9._+-]{1,12}"]
}

/// What makes sense, so that it is read.
fn query() -> impl Strategy<Value = String> {
    let number = || {
        prop_oneof![
            (0_u32..1_000_000_000).prop_map(|it| it.to_string()),
            (0_u32..1_000).prop_map(|it| format!("-{it}"))
        ]
    };
    let term = prop_oneof![
        number(),
        number(),
        Just("a".to_owned()),
        Just("t.b".to_owned()),
        "[0-9]{1,11}",
        "[0-9]{1,3}\\.[0-9]{0,3}",
        number().prop_map(|it| format!("abs({it})")),
        number().prop_map(|it| format!("pg_cancel_backend({it})")),
        (10_u32..60).prop_map(|it| format!("CAST(a AS float({it}))")),
        number().prop_map(|it| format!("(SELECT max(b) FROM v WHERE a = {it})")),
    ];
    let sign = prop::sample::select(vec![
        "=",
        "<",
        ">",
        "<>",
        "<=",
        ">=",
        " = ",
        " + ",
        " * ",
        "+",
        ", ",
        " AND a = ",
    ]);
    let terms = prop::collection::vec((term, sign), 1..6);
    let terms = terms.prop_map(|it| {
        it.into_iter()
            .map(|(term, sign)| term + sign)
            .collect::<String>()
            + "1"
    });
    let shape = prop::sample::select(vec![
        "SELECT #",
        "SELECT a FROM t WHERE a IN (#)",
        "SELECT * FROM t ORDER BY # LIMIT 3",
        "UPDATE t SET a = 4 WHERE (#) IS NULL",
        "INSERT INTO t VALUES (#), (5)",
        "DELETE FROM t WHERE b = 77 OR (#) IS NULL",
        "EXPLAIN SELECT #",
        "PREPARE p AS SELECT #",
        "SELECT CASE WHEN (#) IS NULL THEN 12 END FROM t, v",
        "SELECT generate_series(#)",
        "SELECT count(*) FROM t GROUP BY #",
    ]);
    (shape, terms).prop_map(|(shape, terms)| shape.replace('#', &terms))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn near_sql_of_one_mask_reads_the_same(parts in prop::collection::vec(fragment(), 1..16), seed in 1_u64..) {
        let text = parts.join(" ");
        is_alike(&text, &plain(), &mut Dice(seed));
        is_alike(&text, &furnished(), &mut Dice(seed));
    }

    #[test]
    fn queries_of_one_mask_read_the_same(text in query(), seed in 1_u64..) {
        is_alike(&text, &plain(), &mut Dice(seed));
        is_alike(&text, &furnished(), &mut Dice(seed));
    }
}

/// That much of what is generated is alike at all.
#[test]
fn many_generated_queries_are_alike() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut dice = Dice(7);
    let alike = (0..200).filter(|_| {
        let text = query().new_tree(&mut runner).unwrap().current();
        is_alike(&text, &plain(), &mut dice)
    });
    assert!(alike.count() > 40);
}

fn here(reader: &Reader, text: &str, catalog: &Catalog) -> Arc<Reading> {
    reader.read_here(&ByteString::from(text), catalog).unwrap()
}

fn is_known(reader: &Reader, text: &str, catalog: &Catalog) -> bool {
    reader.known(&ByteString::from(text), catalog).is_some()
}

#[test]
fn a_shape_is_remembered_once_and_never_taken_for_a_text() {
    let (reader, catalog) = (Reader::start(1).unwrap(), plain());
    let (one, other) = (
        "SELECT a FROM t WHERE b = 12",
        "SELECT a FROM t WHERE b = 34",
    );
    let reading = here(&reader, one, &catalog);
    let bytes = reader.bytes();
    let found = reader.known_but_for_numbers(other, &catalog).unwrap();
    assert!(Arc::ptr_eq(&reading, &found));
    // Neither of the texts is known by it, nor the text that looks like the mask.
    for text in [one, other, "SELECT a FROM t WHERE b = 00"] {
        assert!(!is_known(&reader, text, &catalog), "{text}");
    }
    assert!(
        reader
            .known_but_for_numbers("SELECT a FROM t WHERE b = 345", &catalog)
            .is_none()
    );
    assert!(
        reader.known_but_for_numbers(other, &plain()).is_none(),
        "of another catalog"
    );
    assert_eq!(reader.bytes(), bytes);
    // Who wants the very text gets it, and gets it again.
    let exact = here(&reader, other, &catalog);
    assert!(!Arc::ptr_eq(&reading, &exact) && reading == exact);
    assert!(is_known(&reader, other, &catalog) && !is_known(&reader, one, &catalog));
    assert!(Arc::ptr_eq(&exact, &here(&reader, other, &catalog)));
}

#[test]
fn what_a_number_may_decide_is_remembered_by_its_text_alone() {
    let (reader, catalog) = (Reader::start(1).unwrap(), plain());
    for (one, other) in [
        ("SELECT pg_cancel_backend(1)", "SELECT pg_cancel_backend(2)"),
        ("SELECT 1 2", "SELECT 1 3"),
        ("EXPLAIN SELECT 1", "EXPLAIN SELECT 2"),
    ] {
        here(&reader, one, &catalog);
        assert!(is_known(&reader, one, &catalog));
        assert!(
            reader.known_but_for_numbers(other, &catalog).is_none(),
            "{one}"
        );
        assert!(
            reader.known_but_for_numbers(one, &catalog).is_none(),
            "{one}"
        );
    }
    let nobody = Catalog::unknown(None);
    assert_eq!(
        here(&reader, "SELECT 1", &nobody).class(),
        Some(Class::Read)
    );
    assert!(reader.known_but_for_numbers("SELECT 2", &nobody).is_none());
}

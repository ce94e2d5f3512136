//! What a database's own catalog shows behind a type, a cast or a table: what runs there without being written down (DESIGN
//! ruling 12; parser.md, rules of use 3).

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy.toml lets tests panic, but does not count their helpers"
)]

use sql::{Catalog, Class, Leaves, Major, read, read_for};

fn catalog(rows: &[[&str; 5]]) -> Catalog {
    Catalog::of_rows(Major::new(15), rows.iter().copied()).unwrap()
}

/// Casts that no text spells: `to_json` and its like look for one to json, `quote_literal` and `||` have one to text inside. A
/// new hiding place: even an explicit cast of the user's runs there.
#[test]
fn casts_that_nobody_writes_are_found() {
    const LOOKS: [&str; 4] = [
        "SELECT to_json('sad'::mood)",
        "SELECT quote_literal('sad'::mood)",
        "SELECT 'sad'::mood || 'der'",
        "SELECT row_to_json(t) FROM t",
    ];
    for (context, target, hides, hides_anywhere) in [
        ("e", "json", true, false),
        ("e", "text", true, false),
        ("e", "point", false, false),
        ("i", "json", true, true),
        ("i", "point", true, true),
        ("a", "point", true, true),
    ] {
        let facts = format!("{context} {target}");
        let row = ["cast", "public", "mood_as", &facts, "v plpgsql f"];
        let catalog = catalog(&[row, ["type", "public", "mood", "e", ""]]);
        let expected = |text: &&str| match *text {
            "SELECT 1, 'a'" => false,
            "SELECT * FROM t" | "SELECT lower('A')" => hides_anywhere,
            _ => hides,
        };
        let others = ["SELECT 1, 'a'", "SELECT * FROM t", "SELECT lower('A')"];
        for text in LOOKS.iter().chain(&others) {
            let reading = read_for(text, &catalog);
            let opaque = reading.class() == Some(Class::Opaque);
            assert_eq!(
                opaque,
                expected(text),
                "{text}, a cast to {target} ({context})"
            );
            if opaque {
                assert_eq!(reading.statements[0].why, "may convert by public.mood_as()");
            }
        }
    }
}

/// To a type of the user's only what is the user's converts: a table with such a column, a function, the type by name.
#[test]
fn a_cast_to_a_users_type_is_hidden_beside_what_is_the_users() {
    let catalog = catalog(&[
        ["cast", "public", "as_rank", "i rank", "v plpgsql f"],
        ["type", "public", "rank", "e", ""],
        ["function", "public", "above", "1 1", "i sql f"],
        ["relation", "public", "plain", "", ""],
        ["relation", "public", "ranked", "", "NULL::public.rank"],
    ]);
    for (text, class) in [
        ("SELECT 1 + 1, lower('A') FROM plain", Class::Read),
        ("SELECT id FROM ranked WHERE id = 1", Class::Opaque),
        ("SELECT above(1)", Class::Opaque),
        ("SELECT coalesce(1, NULL::rank)", Class::Opaque),
    ] {
        assert_eq!(read_for(text, &catalog).class(), Some(class), "{text}");
    }
}

/// What leads nowhere near the type of [`ranked`]'s cast, and what somebody could mean it by.
const CONVERSIONS: &[(&str, Class)] = &[
    ("SELECT 1 + 1, lower('A') FROM plain", Class::Read),
    ("SELECT plus(1) = 2, moody('sad'), 'sad'::mood", Class::Read),
    ("SELECT m FROM moods WHERE id IN (1, 2)", Class::Read),
    ("SELECT * FROM watched UNION SELECT 1", Class::Read),
    ("SELECT CASE id WHEN 1 THEN 2 END FROM calm", Class::Read),
    (
        "WITH ranks AS (SELECT 1 AS a) SELECT a FROM ranks",
        Class::Read,
    ),
    (
        "SELECT relname FROM pg_class, pg_catalog.pg_type",
        Class::Read,
    ),
    (
        "SELECT sum(a) OVER (ORDER BY a ROWS 1 PRECEDING) FROM plain",
        Class::Read,
    ),
    ("PREPARE p(int) AS SELECT $1 FROM plain", Class::Session),
    ("CREATE TABLE new (a int)", Class::Ddl),
    // By a function, an aggregate or an operator that takes it or gives it, in whatever form.
    ("SELECT above(1)", Class::Opaque),
    ("SELECT public.above(a) FROM plain", Class::Opaque),
    ("SELECT plain.above FROM plain", Class::Opaque),
    ("SELECT (p).above FROM plain p", Class::Opaque),
    ("SELECT * FROM every(1)", Class::Opaque),
    ("SELECT graded(1), 2", Class::Opaque),
    ("SELECT untold(1)", Class::Opaque),
    ("SELECT 1 <<< 2", Class::Opaque),
    ("SELECT 1 OPERATOR(public.<<<) 2", Class::Opaque),
    ("SELECT a FROM plain ORDER BY a USING <<<", Class::Opaque),
    ("SELECT 1 BETWEEN 0 AND 2", Class::Opaque),
    ("SELECT 1 %% 2", Class::Opaque),
    // By a column, in a table, behind a view, in a policy.
    ("SELECT id FROM ranked WHERE id = 1", Class::Opaque),
    ("SELECT r FROM ranked UNION SELECT 1", Class::Opaque),
    ("SELECT coalesce(r, 1) FROM public.ranked", Class::Opaque),
    ("SELECT 1 FROM arrays", Class::Opaque),
    ("SELECT 1 FROM domains", Class::Opaque),
    ("SELECT 1 FROM triggered", Class::Opaque),
    ("SELECT 1 FROM guarded", Class::Opaque),
    ("SELECT 1 FROM ranks", Class::Opaque),
    ("SELECT 1 FROM ranks_again", Class::Opaque),
    ("SELECT 1 FROM parent", Class::Opaque),
    ("SELECT 1 FROM far", Class::Opaque),
    ("SELECT 1 FROM nobodys", Class::Opaque),
    ("SELECT 1 FROM other.plain", Class::Opaque),
    // By the type's name, or that of what it is in.
    ("SELECT coalesce(1, NULL::rank)", Class::Opaque),
    ("SELECT 1 UNION SELECT NULL::public.rank", Class::Opaque),
    ("SELECT ARRAY[1, NULL::rank]", Class::Opaque),
    ("SELECT '{}'::rank[]", Class::Opaque),
    ("SELECT '{}'::_rank", Class::Opaque),
    ("SELECT '{}'::__rank", Class::Opaque),
    ("SELECT 1 UNION SELECT NULL::grade", Class::Opaque),
    ("SELECT '{}'::grade[]", Class::Opaque),
    ("SELECT row(1)::pair", Class::Opaque),
    ("SELECT '[1,2)'::span", Class::Opaque),
    ("SELECT NULL::shell", Class::Opaque),
    ("SELECT grade(1)", Class::Opaque),
    (
        "SELECT * FROM json_to_record('{}') AS x(a rank)",
        Class::Opaque,
    ),
    ("PREPARE p(rank) AS SELECT $1", Class::Opaque),
    // By what is not in the text.
    ("SELECT coalesce($1, 1)", Class::Opaque),
    (
        "SELECT sum(a) OVER (ORDER BY a RANGE 1 PRECEDING) FROM plain",
        Class::Opaque,
    ),
];

/// A database with a cast to a type of the user's that nobody writes and that writes, and things beside it.
fn ranked() -> Catalog {
    let table = |name, list| ["relation", "public", name, "", list];
    let within = |name, kind, list| ["type", "public", name, kind, list];
    let function = |name, types| ["function", "public", name, types, "i sql f"];
    let operator = |name, types| ["operator", "public", name, types, "i sql f"];
    catalog(&[
        ["cast", "public", "as_rank", "i rank", "v plpgsql f"],
        within("rank", "e", ""),
        within("mood", "e", ""),
        within("grade", "d", "NULL::public.rank IS NULL"),
        within("pair", "c", "NULL::public.grade[] IS NULL"),
        within("span", "r", "NULL::public.rank IS NULL"),
        within("shell", "p", ""),
        function("plus", "1 1 -"),
        function("moody", "1 1 NULL::public.mood"),
        function("above", "1 1 NULL::public.rank"),
        function("every", "1 * NULL::public.mood, NULL::public.rank[]"),
        function("graded", "0 3 NULL::public.grade"),
        function("untold", "1 1"),
        operator("=", "NULL::public.mood"),
        operator("+", "-"),
        operator("<<<", "NULL::public.rank"),
        operator(">=", "NULL::public.pair"),
        operator("%%", ""),
        table("plain", ""),
        table("moods", "NULL::public.mood"),
        ["relation", "public", "watched", "runs", "now()"],
        table("ranked", "NULL::public.rank"),
        table("arrays", "NULL::public.mood, NULL::public.rank[]"),
        table("domains", "NULL::public.grade"),
        [
            "relation",
            "public",
            "triggered",
            "runs",
            "NULL::public.rank",
        ],
        table("guarded", "public.above(id)"),
        table("parent", ""),
        ["child", "public", "parent", "public", "ranked"],
        [
            "relation",
            "public",
            "calm",
            "v",
            "SELECT id FROM public.plain",
        ],
        [
            "relation",
            "public",
            "ranks",
            "v",
            "SELECT id FROM public.ranked",
        ],
        [
            "relation",
            "public",
            "ranks_again",
            "v",
            "SELECT id FROM public.ranks",
        ],
        ["relation", "public", "far", "f", "postgres_fdw"],
    ])
}

/// PostgreSQL converts to a type only what somebody means to be of it: where no name leads there, nothing is.
#[test]
fn a_cast_is_hidden_where_its_type_can_be_meant() {
    let catalog = ranked();
    for (text, class) in CONVERSIONS {
        let reading = read_for(text, &catalog);
        let why = &reading.statements[0].why;
        assert_eq!(reading.class(), Some(*class), "{text}: {why}");
    }
    let held = "SELECT id FROM ranked";
    let why = &read_for(held, &catalog).statements[0].why;
    assert_eq!(why, "may convert by public.as_rank()");
}

/// What is PREPAREd with types is judged with them; what a client sends by itself says its types elsewhere.
#[test]
fn what_is_executed_is_of_the_types_that_it_was_prepared_with() {
    let catalog = ranked();
    let run = |inside: &str| {
        let inside = read_for(inside, &catalog);
        let execute = read_for("EXECUTE p(1)", &catalog);
        execute.with_inside(|_| Some(&inside)).class()
    };
    assert_eq!(run("PREPARE p(int) AS SELECT $1"), Some(Class::Read));
    assert_eq!(run("PREPARE p(rank) AS SELECT $1"), Some(Class::Opaque));
    assert_eq!(run("PREPARE p AS SELECT above($1)"), Some(Class::Opaque));
    assert_eq!(run("SELECT $1"), Some(Class::Opaque));
}

/// A type of the user's that is called as one of PostgreSQL's own hides no cast to that.
#[test]
fn a_name_is_no_proof_of_a_users_type() {
    let catalog = catalog(&[
        ["cast", "public", "as_point", "i point", "v plpgsql f"],
        ["type", "public", "point", "c", ""],
    ]);
    let reading = read_for("SELECT 1 + 1", &catalog);
    assert_eq!(reading.class(), Some(Class::Opaque));
}

/// Text, and what it leaves behind the tables of the test.
const WRITES: &[(&str, Leaves)] = &[
    ("INSERT INTO plain VALUES (1) RETURNING a", Leaves::Nothing),
    ("INSERT INTO other.plain VALUES (1)", Leaves::Residue),
    (
        "UPDATE plain SET a = upper(b) WHERE c IN (SELECT d FROM kept)",
        Leaves::Nothing,
    ),
    ("DELETE FROM public.plain USING serial", Leaves::Nothing),
    (
        "MERGE INTO plain USING watched w ON true WHEN MATCHED THEN DELETE",
        Leaves::Nothing,
    ),
    (
        "WITH x AS (DELETE FROM plain RETURNING *) SELECT * FROM x",
        Leaves::Nothing,
    ),
    ("SELECT * FROM plain FOR UPDATE", Leaves::Nothing),
    ("COPY plain FROM STDIN", Leaves::Nothing),
    ("INSERT INTO kept VALUES (1)", Leaves::Nothing),
    ("INSERT INTO serial VALUES (DEFAULT)", Leaves::Sequences),
    ("INSERT INTO identity DEFAULT VALUES", Leaves::Sequences),
    ("COPY identity FROM STDIN", Leaves::Sequences),
    ("SELECT nextval('s')", Leaves::Sequences),
    ("INSERT INTO plain SELECT nextval('s')", Leaves::Sequences),
    ("INSERT INTO watched VALUES (1)", Leaves::Residue),
    (
        "WITH x AS (DELETE FROM watched) DELETE FROM plain",
        Leaves::Residue,
    ),
    ("INSERT INTO own VALUES (1)", Leaves::Residue),
    ("INSERT INTO sets VALUES (1)", Leaves::Residue),
    ("INSERT INTO broken VALUES (1)", Leaves::Residue),
    ("INSERT INTO seen VALUES (1)", Leaves::Residue),
    ("INSERT INTO nobodys VALUES (1)", Leaves::Residue),
    ("INSERT INTO parts VALUES (1)", Leaves::Sequences),
    ("INSERT INTO part_1 VALUES (1)", Leaves::Nothing),
    (
        "INSERT INTO plain SELECT pg_advisory_lock(1)",
        Leaves::State,
    ),
    ("INSERT INTO plain SELECT setseed(1)", Leaves::State),
    ("TRUNCATE plain", Leaves::Residue),
    ("LOCK plain", Leaves::Residue),
];

/// DESIGN ruling 12: what a write leaves is known where all that stands behind its tables is.
#[test]
fn a_write_leaves_what_its_tables_run() {
    let table = |name, runs, list| ["relation", "public", name, runs, list];
    let catalog = catalog(&[
        ["function", "public", "run", "0 0", "v plpgsql f"],
        ["function", "public", "pure", "1 1", "i sql f"],
        table("plain", "", ""),
        table(
            "kept",
            "",
            "now(), (amount > 0), lower(name), public.pure(1)",
        ),
        table("serial", "", "nextval('public.serial_id_seq'::regclass)"),
        table("identity", "counts", ""),
        table("watched", "runs", ""),
        table("own", "", "public.run()"),
        table("sets", "", "set_config('a.b', 'c', false)"),
        table("broken", "", "(a b c"),
        table("parts", "", ""),
        ["child", "public", "parts", "public", "part_1"],
        ["child", "public", "parts", "public", "part_2"],
        table("part_1", "", ""),
        table("part_2", "counts", ""),
        [
            "relation",
            "public",
            "seen",
            "v",
            "SELECT * FROM public.plain",
        ],
    ]);
    for (text, leaves) in WRITES {
        let reading = read_for(text, &catalog);
        let statement = &reading.statements[0];
        assert_eq!(statement.leaves, *leaves, "{text}: {}", statement.why);
    }
    let unknown = &read("INSERT INTO plain VALUES (1)").statements[0];
    assert_eq!(unknown.leaves, Leaves::Residue);
}

/// A cast to a row or a range runs the CHECKs of what is in it, and so does filling a row from JSON.
#[test]
fn a_row_is_what_it_is_made_of() {
    let inside = |name| ["type", "public", name, "c", "NULL::public.counted IS NULL"];
    let catalog = catalog(&[
        [
            "type",
            "public",
            "counted",
            "d",
            "(nextval('s'::regclass) > 0)",
        ],
        ["type", "public", "plain", "c", ""],
        inside("pair"),
        [
            "type",
            "public",
            "pairs",
            "c",
            "NULL::public.pair[] IS NULL",
        ],
        [
            "type",
            "public",
            "span",
            "r",
            "NULL::public.counted IS NULL",
        ],
    ]);
    for (text, class) in [
        ("SELECT '(1)'::plain", Class::Read),
        ("SELECT '(1)'::pair", Class::Opaque),
        ("SELECT '{(1)}'::pair[]", Class::Opaque),
        ("SELECT '({(1)})'::pairs", Class::Opaque),
        ("SELECT '[1,2)'::span", Class::Opaque),
        (
            "SELECT * FROM json_populate_record(null::plain, '{}')",
            Class::Read,
        ),
        (
            "SELECT * FROM json_populate_recordset(null::pair, '[]')",
            Class::Opaque,
        ),
        (
            "SELECT * FROM jsonb_populate_recordset(null::record, '[]') AS x(a int)",
            Class::Read,
        ),
        (
            "SELECT * FROM json_to_record('{}') AS x(a counted)",
            Class::Opaque,
        ),
        ("SELECT json_populate_record(t, '{}') FROM t", Class::Opaque),
        (
            "SELECT json_populate_record(base => null::plain, from_json => '{}')",
            Class::Opaque,
        ),
        ("SELECT array_in('{}', 1, 1)", Class::Opaque),
        ("SELECT tsquery('a & b'), date('today')", Class::Read),
        ("SELECT counted(1)", Class::Opaque),
        ("SELECT tsquery('a', 'b')", Class::Opaque),
    ] {
        let reading = read_for(text, &catalog);
        let why = &reading.statements[0].why;
        assert_eq!(reading.class(), Some(class), "{text}: {why}");
    }
}

/// What runs the query that it is told runs none where it has an argument too many for that.
#[test]
fn what_a_function_is_told_goes_by_its_arguments() {
    let catalog = catalog(&[]);
    for (call, class) in [
        ("ts_rewrite('a & b', 'a'::tsquery, 'c')", Class::Read),
        ("ts_rewrite('a & b', 'SELECT t, s FROM u')", Class::Opaque),
        ("ts_rewrite('a', nextval('s')::text, 'c')", Class::Write),
    ] {
        let reading = read_for(&format!("SELECT {call}"), &catalog);
        let why = &reading.statements[0].why;
        assert_eq!(reading.class(), Some(class), "{call}: {why}");
    }
}

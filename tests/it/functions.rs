//! The lists of built-in functions against the real server: nothing that it can call is unjudged, and what is judged harmless
//! does no harm. The lists are read here from their files; what `sql` makes of them its own tests say.

use std::collections::{BTreeMap, BTreeSet};

use harness::{Database, database, postgres};

const GENERATED: &str = include_str!("../../crates/sql/data/functions.txt");
const HARMLESS: [&str; 2] = [
    include_str!("../../crates/sql/data/judged/pure.txt"),
    include_str!("../../crates/sql/data/judged/catalog.txt"),
];

/// A row for each count of arguments of each function; not of those that take or make what only the server has.
const CALLABLE: &str = "
    SELECT DISTINCT CASE nspname WHEN 'pg_catalog' THEN '' ELSE nspname || '.' END || proname || ' ' || count
        || CASE WHEN provariadic <> 0 THEN '+' ELSE '' END
    FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace,
        generate_series((pronargs - pronargdefaults)::int, (CASE provariadic WHEN 0 THEN pronargs ELSE pronargs - pronargdefaults END)::int) count
    WHERE nspname IN ('pg_catalog', 'information_schema') AND NOT EXISTS (
        SELECT FROM pg_type t WHERE t.oid = ANY (proargtypes::oid[] || prorettype)
        AND (typname IN ('internal', 'trigger', 'event_trigger', 'pg_ddl_command') OR typname LIKE '%\\_handler'))";

/// Names in the words of a file, which `--` comments on.
fn words(text: &'static str) -> impl Iterator<Item = &'static str> {
    let lines = text.lines().filter(|line| !line.starts_with("--"));
    lines.flat_map(str::split_whitespace)
}

fn harmless() -> BTreeSet<&'static str> {
    HARMLESS.into_iter().flat_map(words).collect()
}

/// The counts of arguments in the list that this major takes, by name.
fn listed(major: u32) -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let within = |run: &str| {
        let (from, to) = run.split_once('-').unwrap_or((run, run));
        let from: u32 = from.parse().unwrap();
        from <= major && (to.is_empty() || major <= to.parse().unwrap())
    };
    let lines = GENERATED.lines().filter(|line| !line.starts_with("--"));
    let entry = |line: &'static str| {
        let mut words = line.split(' ');
        let name = words.next().unwrap();
        let counts = words
            .skip(4)
            .filter_map(|count| match count.split_once('@') {
                None => Some(count),
                Some((count, majors)) => majors.split(',').any(within).then_some(count),
            });
        (name, counts.collect())
    };
    lines.map(entry).collect()
}

#[test]
fn what_the_server_has_is_what_the_list_has() {
    let callable = database().sql(CALLABLE);
    let of_server: BTreeSet<String> = callable.lines().map(str::to_owned).collect();
    let mut of_list = BTreeSet::new();
    for (name, counts) in listed(postgres().major()) {
        of_list.extend(counts.iter().map(|count| format!("{name} {count}")));
    }
    let unlisted: Vec<_> = of_server.difference(&of_list).collect();
    let gone: Vec<_> = of_list.difference(&of_server).collect();
    assert!(
        unlisted.is_empty() && gone.is_empty(),
        "unlisted: {unlisted:?}, gone: {gone:?}; run `make functions`"
    );
}

/// What PostgreSQL keeps from ordinary roles is not for everybody.
#[test]
fn what_public_may_not_call_is_not_judged_harmless() {
    let database = database();
    let kept = database.sql(&format!(
        "SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace \
         AND NOT has_function_privilege('{}', oid, 'EXECUTE')",
        database.read.name
    ));
    assert!(kept.contains("pg_read_file"), "{kept}");
    let harmless = harmless();
    let both: Vec<_> = kept
        .lines()
        .filter(|name| harmless.contains(name))
        .collect();
    assert!(both.is_empty(), "{both:?}");
}

/// Runs calls in a READ ONLY transaction and says what each left: a row that it wanted to write, a transaction id, an advisory
/// lock, a channel, a setting. The first row says how many calls came to an end.
const TRACES: &str = "
    CREATE FUNCTION settings() RETURNS text LANGUAGE sql AS
        $$ SELECT md5(string_agg(name || setting, ' ' ORDER BY name)) FROM pg_settings $$;
    CREATE FUNCTION traces(calls text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
    DECLARE
        call text;
        ended int := 0;
        before text := settings();
    BEGIN
        FOREACH call IN ARRAY calls LOOP
            BEGIN
                EXECUTE 'SELECT ' || call;
                ended := ended + 1;
            EXCEPTION
                WHEN read_only_sql_transaction THEN RETURN NEXT call || ' wanted to write';
                WHEN OTHERS THEN NULL;
            END;
            IF pg_current_xact_id_if_assigned() IS NOT NULL THEN
                RETURN NEXT call || ' made the transaction one that writes';
                EXIT;
            END IF;
            IF EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) THEN
                RETURN NEXT call || ' left a lock';
                EXIT;
            END IF;
        END LOOP;
        IF settings() <> before THEN
            RETURN NEXT 'one of ' || cardinality(calls) || ' calls left a setting, ' || calls[1] || ' is the first';
        END IF;
        RETURN NEXT ended || ' ended';
    END $$;";

/// A call of every function whose arguments can all be made up, by name.
const CALLS: &str = r#"
    WITH made(type, value) AS (VALUES
        ('any', '1'), ('anyelement', '1'), ('anynonarray', '1'), ('anycompatible', '1'), ('anycompatiblenonarray', '1'),
        ('anyarray', 'ARRAY[1]'), ('anycompatiblearray', 'ARRAY[1]'), ('record', 'ROW(1)'), ('cstring', '''1'''),
        ('anyrange', 'int4range(1, 2)'), ('anymultirange', 'int4multirange(int4range(1, 2))'),
        ('anycompatiblerange', 'int4range(1, 2)'), ('bool', 'true'), ('bytea', '''\x31'''), ('text', '''1'''), ('name', '''1'''),
        ('bpchar', '''1'''), ('varchar', '''1'''), ('char', '''1'''), ('json', '''{"a": [1]}'''), ('jsonb', '''{"a": [1]}'''),
        ('jsonpath', '''$'''), ('xml', '''<a/>'''), ('int2', '1'), ('int4', '1'), ('int8', '1'), ('float4', '1'), ('float8', '1'),
        ('numeric', '1'), ('money', '1'), ('oid', '1259'), ('regclass', '''pg_class'''), ('xid', '''3'''), ('xid8', '''3'''),
        ('cid', '''1'''), ('tid', '''(0,1)'''), ('pg_lsn', '''0/1'''), ('date', '''2000-01-01'''), ('time', '''1:00'''),
        ('timetz', '''1:00'''), ('timestamp', '''2000-01-01'''), ('timestamptz', '''2000-01-01'''), ('interval', '''1 day'''),
        ('inet', '''10.0.0.1'''), ('cidr', '''10.0.0.1'''), ('macaddr', '''08:00:2b:01:02:03'''), ('uuid', 'gen_random_uuid()'),
        ('macaddr8', '''08:00:2b:01:02:03:04:05'''), ('point', '''(1,1)'''), ('box', '''(1,1),(2,2)'''), ('path', '''((1,1),(2,2))'''),
        ('lseg', '''(1,1),(2,2)'''), ('line', '''{1,1,1}'''), ('polygon', '''((1,1),(2,2))'''), ('circle', '''<(1,1),1>'''),
        ('bit', 'B''1'''), ('varbit', 'B''1'''), ('tsvector', '''a'''), ('tsquery', '''a'''), ('regconfig', '''simple'''),
        ('regdictionary', '''simple'''), ('regtype', '''int4'''), ('regproc', '''now'''), ('regprocedure', '''now()'''),
        ('regoper', '''!!'''), ('regoperator', '''+(int4,int4)'''), ('regnamespace', '''public'''), ('regrole', '''postgres'''),
        ('regcollation', '''"C"'''), ('aclitem', '''postgres=r/postgres'''), ('_text', '''{1}'''), ('_int4', '''{1}'''),
        ('_aclitem', '''{postgres=r/postgres}'''), ('oidvector', '''1'''), ('int2vector', '''1'''), ('_float8', '''{1,1,1}'''),
        ('txid_snapshot', '''1:1:'''), ('pg_snapshot', '''1:1:'''), ('int4range', '''[1,2)'''), ('refcursor', '''1'''))
    SELECT DISTINCT nspname || '.' || proname || E'\t' || format('%I.%I(%s)%s', nspname, proname, arguments,
        CASE prokind WHEN 'w' THEN ' OVER ()' ELSE '' END)
    FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace, LATERAL (
        SELECT string_agg(CASE WHEN typtype = 'p' THEN value ELSE format('%s::%s', value, t.oid::regtype) END, ', ' ORDER BY place),
            count(value)
        FROM unnest(proargtypes) WITH ORDINALITY AS a(type, place) JOIN pg_type t ON t.oid = a.type
            LEFT JOIN made ON made.type = typname
    ) AS _(arguments, made_up)
    WHERE nspname IN ('pg_catalog', 'information_schema') AND made_up = pronargs"#;

fn traces(database: &Database, calls: &[&str]) -> Vec<String> {
    let quoted: Vec<String> = calls.iter().map(|call| call.replace('\'', "''")).collect();
    let run = format!(
        "BEGIN READ ONLY; SELECT traces('{{}}'::text[] || ARRAY['{}']); COMMIT",
        quoted.join("','")
    );
    database.sql(&run).lines().map(str::to_owned).collect()
}

#[test]
fn what_is_judged_harmless_leaves_no_trace() {
    let database = database();
    database.sql(TRACES);
    let harmless = harmless();
    let calls = database.sql(CALLS);
    let harmless_calls: Vec<&str> = calls
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .filter(|(name, _)| harmless.contains(name.strip_prefix("pg_catalog.").unwrap_or(name)))
        .map(|(_, call)| call)
        .collect();
    let mut ended = 0;
    for some in harmless_calls.chunks(500) {
        let said = traces(&database, some);
        let [last] = said.as_slice() else {
            panic!("{said:#?}");
        };
        ended += last.split_once(' ').unwrap().0.parse::<usize>().unwrap();
    }
    println!("{ended} of {} calls ended", harmless_calls.len());
    assert!(
        ended > 1700,
        "only {ended} of {} calls ended",
        harmless_calls.len()
    );
}

/// Otherwise the test above would say nothing. And volatility would say nothing either: the last three are stable and safe beside
/// others, says `pg_proc`; the domain's CHECK writes.
#[test]
fn traces_are_seen() {
    let database = database();
    database.sql(TRACES);
    database.sql(
        "CREATE SEQUENCE s;
         CREATE FUNCTION writes(int) RETURNS bool LANGUAGE sql AS $$ SELECT nextval('s') > 0 $$;
         CREATE DOMAIN d AS int CHECK (writes(value));
         CREATE TYPE pair AS (a d);",
    );
    for call in [
        "nextval('s')",
        "pg_current_xact_id()",
        "pg_advisory_lock(1)",
        "set_config('work_mem', '7MB', false)",
        "array_in('{1}', 'd'::regtype, -1)",
        "record_in('(1)', 'pair'::regtype, -1)",
        "json_populate_record(NULL::pair, '{\"a\": 1}')",
    ] {
        let said = traces(&database, &["lower('A')", call]);
        assert_eq!(said.len(), 2, "{call}: {said:?}");
        assert!(
            said[0].contains(call) || said[0].contains("left a setting"),
            "{said:?}"
        );
    }
    assert_eq!(traces(&database, &["lower('A')"]), ["1 ended"]);
}

# The checks of psql, of any version. Source checks.sh first.

# rows SQL, or rows '' for a script from standard input: unaligned, the first error ends it.
rows() {
    if [ -n "$1" ]; then
        psql -XAtq -v ON_ERROR_STOP=1 -c "$1"
    else
        psql -XAtq -v ON_ERROR_STOP=1 -f -
    fi
}

types_as_text() {
    equal "$(rows "select 1::int2, '-2147483648'::int4, 1.50::numeric, 'NaN'::float8, true, null,
        '\\x00ff'::bytea, '2026-02-28 12:00+02'::timestamptz at time zone 'UTC', '{1,NULL,3}'::int[],
        '{\"a\": 1}'::jsonb, '[1,5)'::int4range, interval '1 day 2 hours', 'žluťoučký 🐘'")" \
        '1|-2147483648|1.50|NaN|t||\x00ff|2026-02-28 10:00:00|{1,NULL,3}|{"a": 1}|[1,5)|1 day 02:00:00|žluťoučký 🐘'
}

describes() {
    rows "create schema d; create table d.t (id int primary key, note text not null default 'x');
        create index on d.t (note); create view d.v as select * from d.t; create sequence d.s;
        comment on table d.t is 'what is here'; create function d.f(a int) returns int
        language sql as 'select a'" >/dev/null
    for command in '\d d.t|PRIMARY KEY' '\d+ d.v|View definition' '\dt+ d.*|what is here' '\dn|d' \
        '\df d.*|f' '\ds d.*|s' '\di d.*|t_pkey' '\l|UTF8' '\du|' '\dT|' '\dx|plpgsql' '\dp d.*|t' \
        '\sf d.f|CREATE OR REPLACE' '\sv d.v|SELECT' '\dO|' '\db|pg_default' '\dc|' '\ddp|' '\dF|english'
    do
        contains "$(psql -X -v ON_ERROR_STOP=1 -c "${command%|*}")" "${command#*|}"
    done
}

queries_of_psql() {
    said=$(rows '' <<'SQL'
select 1 as one, 'x'::varchar(3) as two \gdesc
select 'create table g' || i || ' (id int)' from generate_series(1, 3) i \gexec
select count(*) as tables from pg_class where relname ~ '^g[0-9]$' \gset
\echo :tables
select 'a' as r, 'b' as c, 1 as v \crosstabview
\set name 'O''Reilly'
select :'name', :{?name};
select 1 \; select 2;
SQL
)
    contains "$said" "one|integer" "two|character varying(3)" "3
" "a|1" "O'Reilly|t" "1
2"
}

copy_both_ways_of_12_mb() {
    rows "create table c (id int, note text)"
    rows "copy (select i, repeat('x', 1000) || i from generate_series(1, 12000) i) to stdout" >"$scratch/c"
    rows "\\copy c from '$scratch/c'"
    rows "\\copy (select * from c order by id) to '$scratch/d'"
    cmp "$scratch/c" "$scratch/d"
    rows "\\copy c to '$scratch/e' (format csv, header)"
    equal "$(wc -l <"$scratch/e")" 12001
    rows "\\copy c to '$scratch/f' (format binary)"
    rows "truncate c"
    rows "\\copy c from '$scratch/f' (format binary)"
    equal "$(rows "select count(*), sum(id) from c")" "12000|72006000"
}

copy_that_fails() {
    rows "create table cf (id int primary key)"
    said=$(printf '1\n2\nthree\n' | fails 1 rows "copy cf from stdin") || { echo "$said"; return 1; }
    contains "$said" "invalid input syntax" "COPY cf, line 3"
    printf 'copy cf from stdin;\n1\n2\n\\.\nselect count(*) from cf;\n' | rows '' | grep -qx 2
}

fetch_count() {
    for count in 10 100000; do
        equal "$(psql -XAtq -v FETCH_COUNT=$count -c "select generate_series(1, 25000)" | tail -n 1)" 25000
    done
}

transactions_and_savepoints() {
    said=$(psql -XAtq 2>&1 <<'SQL'
create table tr (id int primary key);
begin; insert into tr values (1); savepoint a; insert into tr values (1);
select 1;
rollback to a; insert into tr values (2); release a; commit;
begin isolation level repeatable read read only; select count(*) from tr; insert into tr values (3); rollback;
\set AUTOCOMMIT off
insert into tr values (4);
rollback;
insert into tr values (5);
commit;
\set ON_ERROR_ROLLBACK on
insert into tr values (6);
insert into tr values (6);
commit;
select string_agg(id::text, ' ' order by id) from tr;
SQL
)
    contains "$said" "duplicate key" "current transaction is aborted" "read-only transaction" "1 2 5 6"
}

errors_have_a_sqlstate() {
    for case in 'selec 1|42601' 'select * from nowhere|42P01' 'select 1/0|22012' "select 'x'::int|22P02"; do
        said=$(psql -Xq -v VERBOSITY=sqlstate -c "${case%|*}" 2>&1) && return 1
        equal "$said" "ERROR:  ${case#*|}"
    done
    said=$(psql -Xq -c "select 1, nothing" 2>&1) && return 1
    contains "$said" 'column "nothing" does not exist' "LINE 1: select 1, nothing" "          ^"
}

several_statements_in_one() {
    said=$(fails 1 psql -XAtq -c "create table several (id int); insert into several values (1); select 1/0")
    contains "$said" "division by zero"
    # They were one transaction.
    contains "$(fails 1 psql -XAtq -c "table several")" "does not exist"
    equal "$(psql -XAtq -c "select 1; select 2; begin; select 3; commit")" "1
2
3"
}

scripts() {
    printf 'create table sc (id int);\ninsert into sc values (1);\ninsert into nowhere values (1);\n' >"$scratch/s.sql"
    contains "$(fails 3 psql -Xq -1 -v ON_ERROR_STOP=1 -f "$scratch/s.sql")" "s.sql:3: ERROR"
    equal "$(rows "select to_regclass('sc') is null")" t
}

prepared() {
    equal "$(rows '' <<'SQL'
prepare double(int) as select $1 * 2;
execute double(21);
select name, parameter_types from pg_prepared_statements where name = 'double';
deallocate double;
select count(*) from pg_prepared_statements where name = 'double';
SQL
)" "42
double|{integer}
0"
}

cursors() {
    equal "$(rows '' <<'SQL'
begin;
declare c scroll cursor for select generate_series(1, 10);
fetch 2 from c;
move 5 in c;
fetch prior from c;
close c;
commit;
SQL
)" "1
2
6"
}

notices() {
    said=$(psql -Xq -c "do \$\$ begin raise notice 'one ž' using detail = 'more', hint = 'do'; end \$\$" 2>&1)
    equal "$said" "NOTICE:  one ž
DETAIL:  more
HINT:  do"
}

listen_and_notify() {
    said=$(rows '' <<'SQL'
listen news;
notify news, 'to myself ž';
unlisten news;
SQL
)
    contains "$said" 'Asynchronous notification "news" with payload "to myself ž" received from server process'
}

settings_and_temporary_tables() {
    equal "$(rows '' <<'SQL'
set timezone = 'Asia/Tokyo';
set search_path = pg_catalog, public;
create temp table scratch as select generate_series(1, 3) as id;
show timezone;
select count(*) from scratch;
show search_path;
select current_setting('application_name');
SQL
)" "Asia/Tokyo
3
pg_catalog, public
psql"
}

# The server's own word that the statement runs; then Ctrl-C.
cancel_by_interrupt() {
    psql -XAtq -c "select 'cancelled', pg_sleep(60)" >"$scratch/cancel" 2>&1 &
    running=$!
    until [ "$(rows "select count(*) from pg_stat_activity where state = 'active' and query ~ '^select .cancelle[d]'")" = 1 ]; do
        kill -0 "$running"
    done
    kill -INT "$running"
    wait "$running" && return 1
    contains "$(cat "$scratch/cancel")" "canceling statement due to user request"
}

large_results() {
    equal "$(rows "select i, repeat('x', 100) from generate_series(1, 100000) i" | wc -lc | tr -s ' ')" " 100000 10688895"
}

connects_again() {
    said=$(rows '' <<'SQL'
\conninfo
create temp table mine (id int);
\c
select to_regclass('mine') is null;
\encoding
\c -reuse-previous=on "application_name=again"
show application_name;
SQL
)
    contains "$said" "$PGUSER" "t
UTF8" "again"
}

wrong_database() {
    contains "$(fails 2 psql -Xq -d nosuchdatabase -c "select 1")" FATAL
    contains "$(PGPASSWORD=wrong fails 2 psql -Xq -w -c "select 1")" "password authentication failed"
}

hold_approved() {
    approving marker-1 psql -XAt -c "insert into held values (1, 'marker-1')" >"$scratch/out" 2>"$scratch/err"
    equal "$(cat "$scratch/out")" "INSERT 0 1"
    contains "$(cat "$scratch/err")" "held as ticket"
    equal "$(rows "select note from held where id = 1")" marker-1
}

hold_in_a_transaction() {
    said=$(approving marker-2 psql -XAtq <<'SQL' 2>/dev/null
\set AUTOCOMMIT off
select count(*) from held where id = 2;
insert into held values (2, 'marker-2') returning note;
commit;
SQL
)
    equal "$said" "0
marker-2"
    equal "$(rows "select note from held where id = 2")" marker-2
}

hold_own_time_out() {
    psql -XAtq -c "insert into held values (3, 'marker-3')" >"$scratch/cancel" 2>&1 &
    running=$!
    equal "$("$TICKET_STATE" marker-3)" pending
    kill -INT "$running"
    wait "$running" && return 1
    contains "$(cat "$scratch/cancel")" "canceling statement due to user request"
    equal "$("$TICKET_STATE" marker-3 withdrawn)" withdrawn
    equal "$(rows "select count(*) from held where id = 3")" 0
}

echo "version $(psql --version | sed 's/[^0-9]*\([0-9.]*\).*/\1/')"
if [ -z "${HOLD:-}" ]; then
    for name in types_as_text describes queries_of_psql copy_both_ways_of_12_mb copy_that_fails \
        fetch_count transactions_and_savepoints errors_have_a_sqlstate several_statements_in_one \
        scripts prepared cursors notices listen_and_notify settings_and_temporary_tables \
        large_results connects_again wrong_database
    do
        check "$(echo $name | tr _ ' ')" $name
    done
    check_needs 2 "cancel by interrupt" cancel_by_interrupt
else
    check "hold: approved" hold_approved
    echo "sees: at once, on stderr: $(paste -s -d/ "$scratch/err" | sed 's|/| / |g')"
    check "hold: in a transaction" hold_in_a_transaction
    check "hold: own time-out" hold_own_time_out
fi

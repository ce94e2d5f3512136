"""psycopg2: everything by simple queries, COPY by files, named cursors, two-phase calls, its pool."""

import datetime as dt
import decimal
import io
import select
import threading
import uuid

import psycopg2
import psycopg2.errors as errors
import psycopg2.extras as extras
from psycopg2 import extensions, sql
from psycopg2.pool import ThreadedConnectionPool

from checks import CONNECTIONS, approving, check, equal, hold, needs, raises, run, sees, ticket_state, told_of_a_hold

extras.register_uuid()


def connect(autocommit=True, **options):
    connection = psycopg2.connect("", **options)
    connection.autocommit = autocommit
    return connection


def rows(connection, query, values=None):
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall() if cursor.description else cursor.rowcount


@check
def types():
    connection = connect()
    for kind, value in [
        ("int8", 1 - 2**63), ("float8", 1.5e300), ("numeric", decimal.Decimal("-1234567890123.000000001")),
        ("bool", True), ("text", "žluťoučký 🐘 \\ ' % \n"), ("text", ""), ("text", None),
        ("date", dt.date(4713, 1, 1)), ("timestamp", dt.datetime(1, 1, 1, 0, 0, 0, 1)),
        ("interval", dt.timedelta(days=-3, microseconds=7)), ("uuid", uuid.UUID(int=2**127 + 5)),
        ("int4[]", [1, None, 3]), ("text[]", [["a", "b"], ["{,}", 'c"']]),
    ]:
        equal(rows(connection, f"select %s::{kind}", (value,)), [(value,)])
    data = bytes(range(256)) * 10
    equal(bytes(rows(connection, "select %s::bytea", (data,))[0][0]), data)
    thing = {"a": [1, None, "ž"]}
    equal(rows(connection, "select %s::jsonb", (extras.Json(thing),)), [(thing,)])
    equal(rows(connection, "select %s", ((1, 2),)), [("(1,2)",)])
    equal(rows(connection, "select '[1,5)'::int4range")[0][0], extras.NumericRange(1, 5))


@check
def types_of_ones_own():
    connection = connect()
    rows(connection, "create type pair as (x int, y text)")
    extras.register_composite("pair", connection)
    equal(tuple(rows(connection, "select row(1, 'ž')::pair")[0][0]), (1, "ž"))


@check
def executemany_and_its_fast_ways():
    connection = connect(autocommit=False)
    rows(connection, "create table many (id int, note text)")
    values = [(number, f"n{number}'") for number in range(1000)]
    with connection.cursor() as cursor:
        cursor.executemany("insert into many values (%s, %s)", values)
        extras.execute_batch(cursor, "insert into many values (%s, %s)", values, page_size=200)
        extras.execute_values(cursor, "insert into many values %s", values, page_size=300)
    connection.commit()
    equal(rows(connection, "select count(*), count(distinct id) from many"), [(3000, 1000)])


@check
def copy_both_ways_of_12_mb():
    connection = connect()
    rows(connection, "create table copied (id int, note text)")
    text = "".join(f"{number}\t{number} {'x' * 1000}\n" for number in range(12000))
    with connection.cursor() as cursor:
        cursor.copy_from(io.StringIO(text), "copied")
        equal(cursor.rowcount, 12000)
        back = io.StringIO()
        cursor.copy_expert("copy (select * from copied order by id) to stdout", back)
        equal(back.getvalue() == text, True)
        with raises(errors.InvalidTextRepresentation, "22P02"):
            cursor.copy_expert("copy copied from stdin", io.StringIO("x\ty\n"))
    equal(rows(connection, "select count(*) from copied"), [(12000,)])


@check
def named_cursors():
    connection = connect(autocommit=False)
    with connection.cursor("chunks") as cursor:
        cursor.itersize = 100
        cursor.execute("select generate_series(1, %s)", (1050,))
        equal(sum(row[0] for row in cursor), 1050 * 1051 // 2)
    kept = connection.cursor("kept", withhold=True)
    kept.execute("select generate_series(1, 5)")
    connection.commit()
    equal(kept.fetchmany(2), [(1,), (2,)])
    kept.close()
    connection.commit()


@check
def transactions_and_savepoints():
    connection = connect(autocommit=False)
    with connection:
        rows(connection, "create table saved (id int primary key)")
    with raises(errors.UniqueViolation, "23505"), connection:
        rows(connection, "insert into saved values (1)")
        rows(connection, "insert into saved values (1)")
    rows(connection, "insert into saved values (2)")
    rows(connection, "savepoint a")
    with raises(errors.UniqueViolation):
        rows(connection, "insert into saved values (2)")
    with raises(errors.InFailedSqlTransaction, "25P02"):
        rows(connection, "select 1")
    rows(connection, "rollback to a")
    rows(connection, "insert into saved values (3)")
    connection.commit()
    equal(rows(connection, "select id from saved order by id"), [(2,), (3,)])
    connection.rollback()
    connection.set_session(isolation_level="serializable", readonly=True, deferrable=True)
    with raises(errors.ReadOnlySqlTransaction, "25006"):
        rows(connection, "insert into saved values (4)")
    equal(connection.status, extensions.STATUS_IN_TRANSACTION)
    connection.rollback()


@check
def errors_say_all():
    connection = connect()
    rows(connection, "create table pairs (one int constraint few check (one < 3))")
    try:
        rows(connection, "insert into pairs values (%s)", (5,))
    except errors.CheckViolation as error:
        found = (error.pgcode, error.diag.table_name, error.diag.constraint_name)
        equal(found, ("23514", "pairs", "few"))
    for query, state in [("selec 1", "42601"), ("select * from nowhere", "42P01"), ("select 1/0", "22012")]:
        with raises(psycopg2.Error, state):
            rows(connection, query)


@check
def notices():
    connection = connect()
    rows(connection, "do $$ begin raise notice 'one ž'; raise warning 'two'; end $$")
    equal(connection.notices, ["NOTICE:  one ž\n", "WARNING:  two\n"])


@check
def listen_and_notify():
    needs(2)
    ears, mouth = connect(), connect()
    rows(ears, "listen news")
    rows(mouth, "notify news, 'first ž'")
    while not ears.notifies:
        equal(bool(select.select([ears], [], [], 20)[0]), True)
        ears.poll()
    equal([(it.channel, it.payload) for it in ears.notifies], [("news", "first ž")])


@check
def cancel():
    connection = connect()
    later = threading.Timer(0.5, connection.cancel)
    later.start()
    with raises(errors.QueryCanceled, "57014"):
        rows(connection, "select pg_sleep(60)")
    later.join()
    equal(rows(connection, "select 1"), [(1,)])


@check
def asynchronous():
    connection = psycopg2.connect("", async_=True)
    extras.wait_select(connection)
    cursor = connection.cursor()
    cursor.execute("select %s", (42,))
    extras.wait_select(connection)
    equal(cursor.fetchone(), (42,))


@check
def several_results_and_composed_sql():
    connection = connect()
    equal(rows(connection, "select 1; select 2"), [(2,)])
    query = sql.SQL("select {} as {}").format(sql.Literal("ž'"), sql.Identifier('odd "name'))
    with connection.cursor(cursor_factory=extras.RealDictCursor) as cursor:
        cursor.execute(query)
        equal(dict(cursor.fetchone()), {'odd "name': "ž'"})


@check
def settings_and_temporary_tables():
    needs(2)
    connection, other = connect(options="-c search_path=pg_catalog"), connect()
    connection.set_client_encoding("UTF8")
    rows(connection, "set datestyle = 'German'")
    rows(connection, "create temp table scratch as select 1 as id")
    for _ in range(3):
        equal(rows(other, "select current_date::text ~ '[.]'"), [(False,)])
        equal(rows(connection, "select current_date::text ~ '[.]'"), [(True,)])
        equal(rows(connection, "show search_path"), [("pg_catalog",)])
        equal(rows(connection, "select id from scratch"), [(1,)])
    connection.reset()
    equal(rows(connection, "show search_path"), [("pg_catalog",)])


@check
def large_results():
    found = rows(connect(), "select i, repeat('x', 200) from generate_series(1, 50000) i")
    equal(sum(len(text) for _, text in found), 10_000_000)


@check
def pool_and_reconnect():
    pool = ThreadedConnectionPool(1, 4, "")
    for number in range(20):
        connection = pool.getconn()
        with connection:
            equal(rows(connection, "select %s", (number,)), [(number,)])
        pool.putconn(connection, close=number % 3 == 0)
    pool.closeall()


@check
def backend_pid_and_parameters():
    connection = connect()
    # Before the gate it is the gate's, and pg_backend_pid() is the server's; either can be cancelled.
    pid = connection.info.backend_pid
    equal(rows(connect(), "select pg_cancel_backend(%s)", (pid,)), [(True,)])
    equal(connection.info.parameter_status("standard_conforming_strings"), "on")
    equal(connection.info.ssl_in_use, True)
    equal(connection.server_version // 10000 >= 14, True)


def note(connection, number):
    return [text for (text,) in rows(connection, "select note from held where id = %s", (number,))]


@hold("approved")
def hold_approved():
    connection = connect()
    with approving("marker-1"):
        equal(rows(connection, "insert into held values (%s, 'marker-1')", (1,)), 1)
    equal(note(connection, 1), ["marker-1"])
    sees("nothing, unless the program reads connection.notices: " + told_of_a_hold(connection.notices[0]))


@hold("in a transaction")
def hold_in_a_transaction():
    connection, other = connect(autocommit=False), connect()
    equal(note(connection, 2), [])
    with approving("marker-2"):
        rows(connection, "insert into held values (%s, 'marker-2')", (2,))
    if CONNECTIONS > 1:
        equal(note(other, 2), [])
    connection.commit()
    equal(note(other, 2), ["marker-2"])


@hold("own time-out")
def hold_own_time_out():
    connection = connect()
    later = threading.Timer(3, connection.cancel)
    later.start()
    with raises(errors.QueryCanceled, "57014"):
        rows(connection, "insert into held values (3, 'marker-3')")
    later.join()
    equal(ticket_state("marker-3", "withdrawn"), "withdrawn")
    equal(note(connection, 3), [])


run(psycopg2.__version__.split()[0])

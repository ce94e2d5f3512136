"""psqlODBC through pyodbc: its protocols of rollback, prepared or inlined, cursors by DECLARE, the catalog."""

import datetime as dt
import decimal
import os
import threading
import uuid

import pyodbc

from checks import CACHE, CONNECTIONS, approving, check, equal, hold, needs, run, say, sees, ticket_state, told_of_a_hold

pyodbc.pooling = False
DRIVER = f"{CACHE}/psqlodbc/usr/lib/psqlodbcw.so"


def connect(autocommit=True, **options):
    """`options` are psqlODBC's; Protocol=7.4-N says what an error in a transaction takes back:
    0 leaves it to the application, 1 the transaction, 2 the statement, by savepoints."""
    if root := os.environ.get("PGSSLROOTCERT"):
        options.setdefault("pqopt", f"{{sslrootcert={root}}}")
    words = {
        "Driver": DRIVER,
        "Servername": os.environ["PGHOST"],
        "Port": os.environ["PGPORT"],
        "Database": os.environ["PGDATABASE"],
        "UID": os.environ["PGUSER"],
        "PWD": os.environ["PGPASSWORD"],
        "SSLmode": os.environ.get("PGSSLMODE", "prefer"),
        **options,
    }
    return pyodbc.connect(";".join(f"{key}={value}" for key, value in words.items()), autocommit=autocommit)


def fails(sqlstate, function, *arguments):
    try:
        function(*arguments)
    except pyodbc.Error as error:
        equal(error.args[0], sqlstate)
        return str(error)
    raise AssertionError(f"nothing failed, {sqlstate} was expected")


@check
def tables():
    connection = connect()
    connection.execute("drop table if exists odbc_t")
    connection.execute("create table odbc_t (id int primary key, note text, at timestamp)")


def types(**options):
    connection = connect(**options)
    values = [
        7, -(2**31), 2**62, decimal.Decimal("-12345678901234567890.0001"), 1.5e300, "it's \\ \"quoted\" ? 漢 😀",
        bytes(range(256)), dt.date(1999, 12, 31), dt.datetime(2024, 2, 29, 12, 34, 56, 789000), "", None,
    ]
    kinds = ["int2", "int4", "int8", "numeric", "float8", "text", "bytea", "date", "timestamp", "text", "int4"]
    query = "select " + ", ".join(f"?::{kind}" for kind in kinds)
    for _ in range(6):
        row = connection.execute(query, values).fetchone()
        equal(list(row), values)
    equal(connection.execute("select ?::text::uuid::text", str(uuid.UUID(int=5))).fetchval(), str(uuid.UUID(int=5)))


@check
def types_prepared_on_the_server():
    types(UseServerSidePrepare=1)


@check
def types_written_into_the_text():
    types(UseServerSidePrepare=0)


@check
def the_same_statement_again():
    connection = connect()
    cursor = connection.cursor()
    for number in range(30):
        equal(cursor.execute("select ?::int * 2", number).fetchval(), number * 2)
        equal(connection.execute("select 'between'").fetchval(), "between")


@check
def executemany():
    connection = connect()
    rows = [(number, None if number % 7 == 0 else f"note '{number}") for number in range(500)]
    for fast in (False, True):
        cursor = connection.cursor()
        cursor.fast_executemany = fast
        cursor.executemany("insert into odbc_t (id, note) values (?, ?)", rows)
        equal(tuple(connection.execute("select count(*), count(note) from odbc_t").fetchone()), (500, 428))
        equal(connection.execute("delete from odbc_t").rowcount, 500)


@check
def several_statements_in_one_text():
    cursor = connect().cursor()
    cursor.execute("select 1; insert into odbc_t (id) values (1); delete from odbc_t; select 'two', 3")
    found = []
    while True:
        found.append([tuple(row) for row in cursor.fetchall()] if cursor.description else cursor.rowcount)
        if not cursor.nextset():
            break
    equal(found, [[(1,)], 1, 1, [("two", 3)]])


@check
def commit_and_rollback():
    needs(2)
    one, other = connect(autocommit=False), connect()
    one.execute("insert into odbc_t (id, note) values (1, 'kept')")
    equal(other.execute("select count(*) from odbc_t").fetchval(), 0)
    one.commit()
    one.execute("delete from odbc_t")
    one.rollback()
    equal(other.execute("select note from odbc_t").fetchval(), "kept")
    one.execute("delete from odbc_t")
    one.commit()
    one.commit()


def rows_left_by_an_error(level):
    """Two inserts with an error between them, and what a commit keeps of them."""
    connection = connect(autocommit=False, Protocol=f"7.4-{level}")
    connection.execute("insert into odbc_t (id) values (1)")
    fails("22012", connection.execute, "select 1 / ?::int", 0)
    try:
        connection.execute("insert into odbc_t (id) values (?)", 2)
    except pyodbc.Error as error:
        say(f"# after the error: {error.args[1][:100]}")
    try:
        connection.commit()
    except pyodbc.Error as error:
        say(f"# at commit: {error.args[1][:100]}")
    connection.close()
    other = connect()
    found = [row[0] for row in other.execute("select id from odbc_t order by id")]
    other.execute("delete from odbc_t")
    return found


@check
def an_error_takes_back_nothing_by_itself():
    equal(rows_left_by_an_error(0), [])


@check
def an_error_takes_back_the_transaction():
    equal(rows_left_by_an_error(1), [2])


@check
def an_error_takes_back_its_statement():
    equal(rows_left_by_an_error(2), [1, 2])


@check
def isolation_and_read_only():
    connection = connect(autocommit=False)
    connection.set_attr(pyodbc.SQL_ATTR_TXN_ISOLATION, pyodbc.SQL_TXN_SERIALIZABLE)
    equal(connection.execute("show transaction_isolation").fetchval(), "serializable")
    connection.rollback()
    connection.execute("set transaction read only")
    fails("25006", connection.execute, "delete from odbc_t")
    connection.rollback()


@check
def cursors_by_declare():
    connection = connect(autocommit=False, UseDeclareFetch=1, Fetch=100)
    for _ in range(3):
        one = connection.execute("select generate_series(1, 1050)")
        two = connection.cursor().execute("select generate_series(1050, 1, -1)")
        for number in range(1, 1051):
            equal((one.fetchval(), two.fetchval()), (number, 1051 - number))
        equal(one.fetchone(), None)
    connection.commit()
    # With it goes what a cursor that outlives its transaction keeps of the server.
    connection.close()
    connection = connect(UseDeclareFetch=1, Fetch=100)
    equal(sum(row[0] for row in connection.execute("select generate_series(1, 1050)")), 1050 * 1051 // 2)


@check
def the_catalog():
    cursor = connect().cursor()
    equal([row.table_name for row in cursor.tables(table="odbc%", tableType="TABLE")], ["odbc_t"])
    equal([row.column_name for row in cursor.columns(table="odbc_t")], ["id", "note", "at"])
    equal([row.column_name for row in cursor.primaryKeys("odbc_t")], ["id"])
    equal({row.index_name for row in cursor.statistics("odbc_t") if row.index_name}, {"odbc_t_pkey"})
    assert len(list(cursor.getTypeInfo())) > 10
    assert len(list(cursor.tables())) > 0
    assert len(list(cursor.procedures())) >= 0
    about = connect()
    equal(about.getinfo(pyodbc.SQL_DBMS_NAME), "PostgreSQL")


@check
def errors_say_their_sqlstate():
    connection = connect()
    connection.execute("insert into odbc_t (id) values (1)")
    assert "already exists" in fails("23505", connection.execute, "insert into odbc_t (id) values (?)", 1)
    fails("42P01", connection.execute, "select * from odbc_nowhere")
    fails("42601", connection.execute, "select from where")
    fails("22P02", connection.execute, "select ?::text::int", "x")
    equal(connection.execute("delete from odbc_t").rowcount, 1)
    fails("08001", lambda: connect(PWD="wrong"))


@check
def notices():
    cursor = connect().cursor()
    cursor.execute("do $$ begin raise notice 'first'; end $$")
    assert "first" in str(cursor.messages), cursor.messages


@check
def cancel():
    connection = connect()
    cursor = connection.cursor()
    ended = threading.Event()

    def cancel_until_it_ends():
        # Again and again: a cancel before the statement has begun is lost, with every server.
        while not ended.wait(0.2):
            cursor.cancel()

    other = threading.Thread(target=cancel_until_it_ends)
    other.start()
    try:
        fails("57014", cursor.execute, "select pg_sleep(60)")
    finally:
        ended.set()
        other.join()
    equal(connection.execute("select 1").fetchval(), 1)


@check
def settings():
    connection = connect(ConnSettings="set+time+zone+'Asia/Tokyo'")
    query = "select ('2024-01-01 00:00Z'::timestamptz)::text"
    equal(connection.execute(query).fetchval(), "2024-01-01 09:00:00+09")
    connection.execute("set search_path = pg_catalog")
    equal(connection.execute("show search_path").fetchval(), "pg_catalog")
    connection.execute("set statement_timeout = 200")
    fails("57014", connection.execute, "select pg_sleep(60)")


@check
def large_results():
    connection = connect(MaxLongVarcharSize=-4)
    rows = connection.execute("select i, repeat('x', 100) from generate_series(1, 50000) i").fetchall()
    equal((len(rows), rows[-1][0]), (50000, 50000))
    text = "portcullis" * 300_000
    equal(connection.execute("select ?::text", text).fetchval() == text, True)


@check
def tables_go():
    connect().execute("drop table odbc_t")


def notes(connection, text):
    return [row[0] for row in connection.execute("select note from held where note like ?", text)]


@hold("approved")
def hold_approved():
    cursor = connect().cursor()
    with approving("odbc approved"):
        cursor.execute("insert into held values (301, 'odbc approved')")
    equal(cursor.rowcount, 1)
    sees("nothing while it waits; SQL_SUCCESS_WITH_INFO afterwards: " + told_of_a_hold(str(cursor.messages)))
    with approving("odbc with parameters"):
        cursor.execute("insert into held values (?, ?) /* odbc with parameters */", 302, "odbc 漢")
    equal(notes(cursor, "odbc%"), ["odbc approved", "odbc 漢"])


@hold("in a transaction")
def hold_in_a_transaction():
    for level in (0, 1, 2):
        one, other = connect(autocommit=False, Protocol=f"7.4-{level}"), connect()
        with approving(f"odbc tx {level}"):
            one.execute(f"insert into held values (31{level}, 'odbc tx {level}')")
        if CONNECTIONS > 1:
            equal(notes(other, f"odbc tx {level}"), [])
        equal(notes(one, f"odbc tx {level}"), [f"odbc tx {level}"])
        one.commit()
        # With it goes what its DEALLOCATE, between two savepoints, keeps of the server.
        one.close()
        equal(notes(other, f"odbc tx {level}"), [f"odbc tx {level}"])


@hold("own time-out")
def hold_own_time_out():
    """psqlODBC refuses pyodbc's `timeout`, so a program's own time-out is a cancel from a thread."""
    connection = connect()
    cursor = connection.cursor()

    def cancel_when_held():
        ticket_state("odbc too late", "pending")
        cursor.cancel()

    other = threading.Thread(target=cancel_when_held)
    other.start()
    fails("57014", cursor.execute, "insert into held values (320, 'odbc too late')")
    other.join()
    equal(ticket_state("odbc too late", "withdrawn"), "withdrawn")
    equal(notes(connection, "odbc too late"), [])


connection = connect()
run(f"{connection.getinfo(pyodbc.SQL_DRIVER_VER)} (pyodbc {pyodbc.version})")

"""psycopg 3: sync, async, pipelines, binary, prepared statements, COPY, server-side cursors."""

import asyncio
import contextlib
import datetime as dt
import decimal
import hashlib
import ipaddress
import threading
import uuid

import psycopg
from psycopg import IsolationLevel, errors, sql
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.enum import EnumInfo, register_enum
from psycopg.types.json import Json, Jsonb
from psycopg.types.range import Range
from psycopg_pool import ConnectionPool

from checks import ALONE, approving, check, equal, hold, raises, run, sees, ticket_state, together


def connect(**options):
    options.setdefault("autocommit", True)
    return psycopg.connect("", **options)


VALUES = [
    ("int2", -32768), ("int4", 2147483647), ("int8", -(2**63)), ("float8", 1.5e300),
    ("numeric", decimal.Decimal("-12345678901234567890.000000001")), ("bool", True),
    ("text", "žluťoučký 🐘 \\ ' \" \n\t"), ("bytea", bytes(range(256))), ("text", ""),
    ("date", dt.date(4713, 1, 1)), ("time", dt.time(23, 59, 59, 999999)),
    ("timestamp", dt.datetime(1, 1, 1, 0, 0, 0, 1)),
    ("timestamptz", dt.datetime(2026, 2, 28, 12, tzinfo=dt.timezone.utc)),
    ("interval", dt.timedelta(days=-3, microseconds=7)), ("uuid", uuid.UUID(int=2**127 + 5)),
    ("inet", ipaddress.ip_interface("10.1.2.3/8")), ("cidr", ipaddress.ip_network("::/0")),
    ("int4[]", [1, None, 3]), ("text[]", [["a", "b"], ["{,}", 'c"']]), ("int4[]", []),
    ("int4range", Range(1, 5, "[)")), ("text", None), ("int4", None),
]


def round_trip(binary):
    with connect() as connection:
        mark = "%b" if binary else "%t"
        for kind, value in VALUES:
            cursor = connection.cursor(binary=binary)
            if isinstance(value, list) and binary and not value:
                continue
            query = sql.SQL(f"select {mark if value is not None else '%s'}::{kind}")
            equal(cursor.execute(query, (value,)).fetchone()[0], value)


@check
def types_in_text():
    round_trip(binary=False)


@check
def types_in_binary():
    round_trip(binary=True)


@check
def json_and_types_of_ones_own():
    with connect() as connection:
        connection.execute("create type mood as enum ('sad', 'ok', 'šťastný')")
        connection.execute("create type point3 as (x int, y int, name text)")
        register_composite(CompositeInfo.fetch(connection, "point3"), connection)
        info = EnumInfo.fetch(connection, "mood")
        register_enum(info, connection)
        thing = {"a": [1, None, "ž"], "b": {"c": True}}
        for binary in (False, True):
            cursor = connection.cursor(binary=binary)
            row = cursor.execute(
                "select %s, %s::jsonb, %s::mood, row(1, null, 'n')::point3",
                (Json(thing), Jsonb(thing), info.enum.ok),
            ).fetchone()
            equal(row[:3], (thing, thing, info.enum.ok))
            equal(tuple(row[3]), (1, None, "n"))


@check
def many_parameters():
    with connect() as connection:
        numbers = list(range(2000))
        query = "select " + "+".join(["%s::int8"] * len(numbers))
        equal(connection.execute(query, numbers).fetchone()[0], sum(numbers))


@check
def prepared_and_used_again():
    with connect(prepare_threshold=2) as connection:
        connection.execute("create table prepared (id int primary key, note text)")
        for number in range(20):
            connection.execute("insert into prepared values (%s, %s)", (number, f"n{number}"))
        for number in range(20):
            row = connection.execute("select note from prepared where id = %s", (number,)).fetchone()
            equal(row, (f"n{number}",))
        connection.execute("alter table prepared add more int default 7")
        row = connection.execute("select * from prepared where id = %s", (3,)).fetchone()
        equal(row, (3, "n3", 7))


@check
def prepared_more_than_are_kept():
    with connect(prepare_threshold=0) as connection:
        connection.prepared_max = 5
        for turn in range(3):
            for number in range(12):
                query = f"select {number} + %s::int"
                equal(connection.execute(query, (turn,)).fetchone(), (number + turn,))


@check
def prepared_survives_discard():
    with connect(prepare_threshold=0) as connection:
        equal(connection.execute("select %s::int", (1,)).fetchone(), (1,))
        connection.execute("deallocate all")
        connection.prepare_threshold = None
        equal(connection.execute("select %s::int", (2,)).fetchone(), (2,))


@check
def prepared_in_many_connections():
    connections = [connect(prepare_threshold=0) for _ in range(5)]
    for turn in range(4):
        for number, connection in enumerate(connections):
            row = connection.execute("select %s::int * 10", (number + turn,)).fetchone()
            equal(row, ((number + turn) * 10,))
    for connection in connections:
        connection.close()


@check
def pipeline_of_many():
    with connect() as connection, connection.pipeline():
        cursors = [connection.execute("select %s::int", (number,)) for number in range(500)]
        equal([cursor.fetchone()[0] for cursor in cursors], list(range(500)))


@check
def pipeline_with_an_error_in_the_middle():
    with connect() as connection:
        connection.execute("create table piped (id int primary key)")
        with raises(errors.UniqueViolation, "23505"):
            with connection.pipeline() as pipeline:
                connection.execute("insert into piped values (%s)", (1,))
                pipeline.sync()
                connection.execute("insert into piped values (%s)", (2,))
                connection.execute("insert into piped values (%s)", (1,))
                connection.execute("insert into piped values (%s)", (3,))
                pipeline.sync()
        # What stands between two syncs is one transaction, and its error undoes it.
        rows = connection.execute("select id from piped order by id").fetchall()
        equal(rows, [(1,)])


@check
def pipeline_goes_on_after_an_error():
    with connect() as connection, connection.pipeline() as pipeline:
        first = connection.execute("select 1")
        # It is told with the sync, or before: as soon as the answer is there.
        with raises(errors.DivisionByZero, "22012"):
            connection.execute("select %s / 0", (1,))
            connection.execute("select 3")
            pipeline.sync()
        # Told before, it was not sent yet.
        with contextlib.suppress(errors.PipelineAborted):
            pipeline.sync()
        last = connection.execute("select 4")
        pipeline.sync()
        equal(first.fetchone(), (1,))
        equal(last.fetchone(), (4,))


@check
def executemany():
    with connect() as connection:
        connection.execute("create table many (id serial primary key, note text)")
        cursor = connection.cursor()
        notes = [(f"note {number}",) for number in range(1000)]
        cursor.executemany("insert into many (note) values (%s)", notes)
        equal(cursor.rowcount, 1000)
        cursor.executemany("insert into many (note) values (%s) returning id", notes[:3], returning=True)
        found = [cursor.fetchone()[0]]
        while cursor.nextset():
            found.append(cursor.fetchone()[0])
        equal(found, [1001, 1002, 1003])


@check
def copy_both_ways_of_12_mb():
    line = "x" * 1000
    digest = hashlib.sha256()
    with connect() as connection:
        connection.execute("create table copied (id int, note text)")
        with connection.cursor().copy("copy copied from stdin") as copy:
            for number in range(12000):
                copy.write_row((number, f"{number} {line}"))
        with connection.cursor().copy("copy (select * from copied order by id) to stdout") as copy:
            for number, row in enumerate(copy.rows()):
                equal(row, (str(number), f"{number} {line}"))
                digest.update(row[1].encode())
        equal(number, 11999)
        with connection.cursor().copy("copy copied to stdout (format binary)") as copy:
            equal(sum(len(block) for block in copy), 19 + 12000 * 14 + 2 + sum(
                len(f"{number} {line}") for number in range(12000)))


@check
def copy_that_fails():
    with connect() as connection:
        connection.execute("create table strict (id int primary key)")
        with raises(errors.InvalidTextRepresentation, "22P02"):
            with connection.cursor().copy("copy strict from stdin") as copy:
                copy.write(b"1\n2\nthree\n")
        with raises(ZeroDivisionError):
            with connection.cursor().copy("copy strict from stdin") as copy:
                copy.write(b"1\n")
                1 / 0
        equal(connection.execute("select count(*) from strict").fetchone(), (0,))


@check
def server_side_cursor():
    with connect(autocommit=False) as connection:
        with connection.cursor("chunks") as cursor:
            cursor.itersize = 100
            cursor.execute("select generate_series(1, %s)", (1050,))
            equal(sum(row[0] for row in cursor), 1050 * 1051 // 2)
        with connection.cursor("scrolled", scrollable=True) as cursor:
            cursor.execute("select generate_series(1, 10)")
            cursor.scroll(5)
            equal(cursor.fetchone(), (6,))
            cursor.scroll(0, mode="absolute")
            equal(cursor.fetchmany(2), [(1,), (2,)])


@check
def cursor_that_outlives_its_transaction():
    with connect(autocommit=False) as connection:
        cursor = connection.cursor("kept", withhold=True)
        cursor.execute("select generate_series(1, 5)")
        equal(cursor.fetchmany(2), [(1,), (2,)])
        connection.commit()
        equal(cursor.fetchall(), [(3,), (4,), (5,)])
        cursor.close()


@check
def transactions_and_savepoints():
    with connect(autocommit=False) as connection:
        connection.execute("create table saved (id int primary key)")
        connection.commit()
        with connection.transaction():
            connection.execute("insert into saved values (1)")
            with raises(errors.UniqueViolation):
                with connection.transaction():
                    connection.execute("insert into saved values (2)")
                    connection.execute("insert into saved values (1)")
            with connection.transaction(force_rollback=True):
                connection.execute("insert into saved values (3)")
            connection.execute("insert into saved values (4)")
        connection.execute("insert into saved values (5)")
        connection.rollback()
        rows = connection.execute("select id from saved order by id").fetchall()
        equal(rows, [(1,), (4,)])
        with raises(errors.UniqueViolation):
            connection.execute("insert into saved values (1)")
        with raises(errors.InFailedSqlTransaction, "25P02"):
            connection.execute("select 1")
        connection.rollback()


@check
def isolation_and_read_only():
    with connect(autocommit=False) as connection:
        connection.isolation_level = IsolationLevel.SERIALIZABLE
        connection.read_only = True
        connection.deferrable = True
        equal(connection.execute("show transaction_isolation").fetchone(), ("serializable",))
        with raises(errors.ReadOnlySqlTransaction, "25006"):
            connection.execute("create table nothing ()")
        connection.rollback()


@check
def two_transactions_see_their_own():
    together()
    with connect(autocommit=False) as one, connect(autocommit=False) as other:
        one.execute("create table own (id int)")
        one.commit()
        one.execute("insert into own values (1)")
        equal(other.execute("select count(*) from own").fetchone(), (0,))
        other.commit()
        one.commit()
        equal(other.execute("select count(*) from own").fetchone(), (1,))


@check
def errors_say_all():
    with connect() as connection:
        connection.execute("create table pairs (one int constraint few check (one < 3))")
        try:
            connection.execute("insert into pairs values (%s)", (5,))
        except errors.CheckViolation as error:
            said = error.diag
            found = (said.sqlstate, said.severity_nonlocalized, said.table_name, said.constraint_name)
            equal(found, ("23514", "ERROR", "pairs", "few"))
        with raises(errors.SyntaxError, "42601"):
            connection.execute("selec 1")
        with raises(errors.UndefinedTable, "42P01"):
            connection.execute("select * from nowhere where a = %s", (1,))
        try:
            connection.execute("select 1, nothing from pg_class")
        except errors.UndefinedColumn as error:
            equal(error.diag.statement_position, "11")


@check
def notices():
    heard = []
    with connect() as connection:
        connection.add_notice_handler(lambda it: heard.append((it.severity, it.message_primary)))
        connection.execute("do $$ begin raise notice 'one ž'; raise warning 'two'; end $$")
    equal(heard, [("NOTICE", "one ž"), ("WARNING", "two")])


@check
def listen_and_notify():
    together()
    with connect() as ears, connect() as mouth:
        ears.execute("listen news")
        mouth.execute("notify news, 'first'")
        mouth.execute("select pg_notify('news', 'second ž')")
        heard = []
        for notify in ears.notifies(timeout=20, stop_after=2):
            heard.append((notify.channel, notify.payload))
        equal(heard, [("news", "first"), ("news", "second ž")])
        ears.execute("unlisten news")


@check
def cancel():
    for how in ("cancel_safe", "cancel"):
        with connect() as connection:
            later = threading.Timer(0.5, getattr(connection, how))
            later.start()
            with raises(errors.QueryCanceled, "57014"):
                connection.execute("select pg_sleep(30)")
            later.join()
            equal(connection.execute("select 1").fetchone(), (1,))


@check
def statement_timeout():
    with connect(options="-c statement_timeout=300") as connection:
        with raises(errors.QueryCanceled, "57014"):
            connection.execute("select pg_sleep(30)")
        connection.execute("set statement_timeout = 0")
        equal(connection.execute("select 1").fetchone(), (1,))


@check
def settings_stay_with_their_session():
    with connect() as one, connect() as other:
        one.execute("set search_path = pg_catalog")
        one.execute("set timezone = 'Asia/Tokyo'")
        one.execute("set application_name = 'one ž'")
        for _ in range(3):
            equal(other.execute("show timezone").fetchone() == ("Asia/Tokyo",), False)
            equal(one.execute("show timezone").fetchone(), ("Asia/Tokyo",))
            equal(one.execute("show search_path").fetchone(), ("pg_catalog",))
            equal(other.execute("show search_path").fetchone(), ('"$user", public',))
        equal(one.info.timezone.key, "Asia/Tokyo")


@check
def temporary_tables():
    with connect() as connection:
        connection.execute("create temp table scratch (id int)")
        connection.execute("insert into scratch select generate_series(1, 5)")
        for _ in range(3):
            equal(connection.execute("select count(*) from scratch").fetchone(), (5,))
    with connect() as connection:
        with raises(errors.UndefinedTable):
            connection.execute("select * from scratch")


@check
def large_results():
    with connect() as connection:
        count = length = 0
        query = "select i, repeat('x', 200) from generate_series(1, %s) i"
        for number, text in connection.cursor().stream(query, (50000,)):
            count += 1
            length += len(text)
        equal((count, length), (50000, 10_000_000))
        rows = connection.execute("select repeat('y', 3000000)").fetchall()
        equal(len(rows[0][0]), 3_000_000)


@check
def connect_again_and_again():
    for number in range(20):
        with connect(autocommit=False) as connection:
            equal(connection.execute("select %s::int", (number,)).fetchone(), (number,))


@check
def pool():
    with ConnectionPool("", min_size=2, max_size=4, kwargs={"autocommit": True}) as pool:
        found = []

        def work(number):
            with pool.connection() as connection:
                found.append(connection.execute("select %s::int", (number,)).fetchone()[0])

        threads = [threading.Thread(target=work, args=(number,)) for number in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        equal(sorted(found), list(range(30)))


@check
async def asynchronous():
    async def one(number):
        connection = await psycopg.AsyncConnection.connect("", autocommit=True)
        async with connection:
            cursor = await connection.execute("select %s::int, pg_sleep(0.05)", (number,))
            return (await cursor.fetchone())[0]

    equal(sorted(await asyncio.gather(*map(one, range(12)))), list(range(12)))
    connection = await psycopg.AsyncConnection.connect("")
    async with connection, connection.pipeline():
        cursors = [await connection.execute("select %s::int", (number,)) for number in range(50)]
        equal([(await cursor.fetchone())[0] for cursor in cursors], list(range(50)))


@check
async def asynchronous_time_out():
    connection = await psycopg.AsyncConnection.connect("", autocommit=True)
    async with connection:
        with raises(TimeoutError):
            await asyncio.wait_for(connection.execute("select pg_sleep(30)"), 0.5)
        cursor = await connection.execute("select 1")
        equal(await cursor.fetchone(), (1,))


def note(connection, number):
    rows = connection.execute("select note from held where id = %s", (number,)).fetchall()
    return [text for (text,) in rows]


@hold("approved")
def hold_approved():
    heard = []
    with connect() as connection:
        connection.add_notice_handler(lambda it: heard.append(f"{it.severity}: {it.message_primary}"))
        with approving("marker-1"):
            cursor = connection.execute("insert into held values (%s, 'marker-1')", (1,))
        equal(cursor.rowcount, 1)
        equal(note(connection, 1), ["marker-1"])
    sees(f"nothing, unless the program has add_notice_handler: {heard[0]}")


@hold("in a transaction")
def hold_in_a_transaction():
    with connect(autocommit=False) as connection, connect() as other:
        with connection.transaction():
            equal(note(connection, 2), [])
            with approving("marker-2"):
                connection.execute("insert into held values (%s, 'marker-2')", (2,))
            equal(note(connection, 2), ["marker-2"])
            if not ALONE:
                equal(note(other, 2), [])
        equal(note(other, 2), ["marker-2"])


@hold("in a pipeline")
def hold_in_a_pipeline():
    with connect() as connection:
        with approving("marker-4"), connection.pipeline():
            first = connection.execute("select %s::int", (1,))
            connection.execute("insert into held values (%s, 'marker-4')", (4,))
            last = connection.execute("select count(*) from held where id = %s", (4,))
        equal(first.fetchone(), (1,))
        equal(last.fetchone(), (1,))


@hold("own time-out")
async def hold_own_time_out():
    connection = await psycopg.AsyncConnection.connect("", autocommit=True)
    async with connection:
        with raises(TimeoutError):
            insert = connection.execute("insert into held values (3, 'marker-3')")
            await asyncio.wait_for(insert, 3)
        equal(ticket_state("marker-3", "withdrawn"), "withdrawn")
        cursor = await connection.execute("select count(*) from held where id = 3")
        equal(await cursor.fetchone(), (0,))


run(psycopg.__version__)

"""Transactions, errors, settings, cancels, many sessions at a time."""

import asyncio
import threading

import psycopg
from psycopg import IsolationLevel, errors
from psycopg_pool import ConnectionPool

from checks import check, equal, needs, raises
from server import connect


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
    needs(2)
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
    needs(2)
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

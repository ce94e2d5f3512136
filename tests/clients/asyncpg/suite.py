"""asyncpg: named statements and its cache, binary types, cursors, COPY, listeners, pools, time-outs."""

import asyncio
import datetime as dt
import decimal
import hashlib
import ipaddress
import uuid

import asyncpg

from checks import CONNECTIONS, approving, check, equal, hold, needs, raises, run, sees, ticket_state, told_of_a_hold


class Connection:
    """`async with Connection() as connection`"""

    def __init__(self, **options):
        self.options = options

    async def __aenter__(self):
        self.connection = await asyncpg.connect(**self.options)
        return self.connection

    async def __aexit__(self, *_):
        await self.connection.close(timeout=20)


@check
async def types_in_binary():
    async with Connection() as connection:
        for kind, value in [
            ("int2", -32768), ("int4", 2147483647), ("int8", -(2**63)), ("float8", 1.5e300),
            ("numeric", decimal.Decimal("-12345678901234567890.000000001")), ("bool", True),
            ("text", "žluťoučký 🐘 \\ ' \n"), ("bytea", bytes(range(256))), ("text", ""), ("text", None),
            ("date", dt.date(4713, 1, 1)), ("time", dt.time(23, 59, 59, 999999)),
            ("timestamp", dt.datetime(1, 1, 1, 0, 0, 0, 1)),
            ("timestamptz", dt.datetime(2026, 2, 28, 12, tzinfo=dt.timezone.utc)),
            ("interval", dt.timedelta(days=-3, microseconds=7)), ("uuid", uuid.UUID(int=2**127 + 5)),
            ("inet", ipaddress.ip_interface("10.1.2.3/8")), ("jsonb", '{"a": [1, null]}'),
            ("int4[]", [1, None, 3]), ("text[]", [["a", "b"], ["{,}", 'c"']]), ("int4[]", []),
            ("int4range", asyncpg.Range(1, 5)), ("bit(3)", asyncpg.BitString("101")),
        ]:
            equal(await connection.fetchval(f"select $1::{kind}", value), value)


@check
async def types_of_ones_own():
    async with Connection() as connection:
        await connection.execute(
            "create type mood as enum ('ok', 'šťastný'); "
            "create type pair as (x int, label mood); create domain positive as int check (value > 0)"
        )
        row = await connection.fetchrow(
            "select $1::mood a, $2::mood[] b, $3::pair c, $4::positive d, array[row(1,'ok')::pair] e",
            "ok", ["ok", "šťastný"], (7, "šťastný"), 5,
        )
        equal(tuple(row), ("ok", ["ok", "šťastný"], (7, "šťastný"), 5, [(1, "ok")]))
        await connection.set_type_codec(
            "jsonb", schema="pg_catalog", encoder=lambda it: f'"{it}"', decoder=lambda it: it[::-1]
        )
        equal(await connection.fetchval("select $1::jsonb", "ab"), '"ba"')


@check
async def statement_cache():
    async with Connection(statement_cache_size=5) as connection:
        for turn in range(4):
            for number in range(12):
                query = f"select {number} + $1::int"
                equal(await connection.fetchval(query, turn), number + turn)


@check
async def prepared_statement():
    async with Connection() as connection:
        await connection.execute("create table prepared (id int primary key, note text)")
        statement = await connection.prepare("insert into prepared values ($1, $2) returning note")
        equal([it.type.name for it in [p for p in statement.get_attributes()]], ["text"])
        equal([it.name for it in statement.get_parameters()], ["int4", "text"])
        for number in range(20):
            equal(await statement.fetchval(number, f"n{number}"), f"n{number}")
        select = await connection.prepare("select * from prepared where id = $1")
        equal(tuple(await select.fetchrow(3)), (3, "n3"))


@check
async def schema_changes_under_the_cache():
    async with Connection() as connection, Connection() as other:
        await connection.execute("create table changing (id int); insert into changing values (1)")
        equal(tuple(await connection.fetchrow("select * from changing")), (1,))
        await other.execute("alter table changing add more text default 'm'")
        with raises(asyncpg.InvalidCachedStatementError):
            async with connection.transaction():
                await connection.fetchrow("select * from changing")
        equal(tuple(await connection.fetchrow("select * from changing")), (1, "m"))


@check
async def executemany_and_fetchmany():
    async with Connection() as connection:
        await connection.execute("create table many (id int primary key, note text)")
        rows = [(number, f"note {number}") for number in range(3000)]
        await connection.executemany("insert into many values ($1, $2)", rows)
        equal(await connection.fetchval("select count(*) from many"), 3000)
        with raises(asyncpg.UniqueViolationError, "23505"):
            await connection.executemany("insert into many values ($1, 'x')", [(5000,), (1,), (5001,)])
        equal(await connection.fetchval("select count(*) from many"), 3000)
        back = await connection.fetchmany("update many set note = 'z' where id = $1 returning id", [(1,), (2,)])
        equal([row[0] for row in back], [1, 2])


@check
async def several_statements_in_one():
    async with Connection() as connection:
        with raises(asyncpg.DivisionByZeroError, "22012"):
            await connection.execute("create table several (id int); select 1/0")
        equal(await connection.fetchval("select to_regclass('several')"), None)
        await connection.execute("create table several (id int); insert into several values (1), (2)")
        equal(await connection.fetchval("select count(*) from several"), 2)


@check
async def copy_both_ways_of_12_mb():
    records = [(number, f"{number} " + "x" * 1000) for number in range(12000)]
    digest = hashlib.sha256()

    async def take(data):
        digest.update(data)
        take.length += len(data)

    take.length = 0
    async with Connection() as connection:
        await connection.execute("create table copied (id int, note text)")
        equal(await connection.copy_records_to_table("copied", records=records), "COPY 12000")
        equal(await connection.copy_from_query("select * from copied order by id", output=take), "COPY 12000")
        text = "".join(f"{number}\t{note}\n" for number, note in records).encode()
        equal(digest.hexdigest(), hashlib.sha256(text).hexdigest())

        async def source():
            for start in range(0, len(text), 65536):
                yield text[start : start + 65536]

        equal(await connection.copy_to_table("copied", source=source()), "COPY 12000")
        equal(await connection.fetchval("select count(*) from copied"), 24000)


@check
async def copy_that_fails():
    async with Connection() as connection:
        await connection.execute("create table strict (id int primary key)")
        with raises(asyncpg.UniqueViolationError, "23505"):
            await connection.copy_records_to_table("strict", records=[(1,), (1,)])

        async def broken():
            yield b"1\n"
            raise ZeroDivisionError

        with raises(ZeroDivisionError):
            await connection.copy_to_table("strict", source=broken())
        equal(await connection.fetchval("select count(*) from strict"), 0)


@check
async def cursors():
    async with Connection() as connection, connection.transaction():
        found = [row[0] async for row in connection.cursor("select generate_series(1, $1::int)", 1050, prefetch=100)]
        equal(found, list(range(1, 1051)))
        cursor = await connection.cursor("select generate_series(1, 10)")
        equal([row[0] for row in await cursor.fetch(3)], [1, 2, 3])
        equal(await cursor.forward(2), 2)
        equal((await cursor.fetchrow())[0], 6)


@check
async def transactions_and_savepoints():
    async with Connection() as connection:
        await connection.execute("create table saved (id int primary key)")
        async with connection.transaction():
            await connection.execute("insert into saved values (1)")
            with raises(asyncpg.UniqueViolationError):
                async with connection.transaction():
                    await connection.execute("insert into saved values (2)")
                    await connection.execute("insert into saved values (1)")
            await connection.execute("insert into saved values ($1)", 3)
        with raises(ZeroDivisionError):
            async with connection.transaction():
                await connection.execute("insert into saved values (4)")
                raise ZeroDivisionError
        equal([row[0] for row in await connection.fetch("select id from saved order by id")], [1, 3])
        async with connection.transaction(isolation="serializable", readonly=True, deferrable=True):
            equal(await connection.fetchval("show transaction_isolation"), "serializable")
            with raises(asyncpg.ReadOnlySQLTransactionError, "25006"):
                await connection.execute("insert into saved values (9)")


@check
async def errors_say_all():
    async with Connection() as connection:
        await connection.execute("create table pairs (one int constraint few check (one < 3))")
        try:
            await connection.execute("insert into pairs values ($1)", 5)
        except asyncpg.CheckViolationError as error:
            equal((error.sqlstate, error.table_name, error.constraint_name), ("23514", "pairs", "few"))
        with raises(asyncpg.UndefinedTableError, "42P01"):
            await connection.fetch("select * from nowhere where id = $1", 1)
        with raises(asyncpg.PostgresSyntaxError, "42601"):
            await connection.fetch("selec 1")
        with raises(asyncpg.DataError):
            await connection.fetch("select $1::int", "x")
        equal(await connection.fetchval("select 1"), 1)


@check
async def notices_and_status():
    heard = []
    async with Connection(server_settings={"application_name": "suite", "timezone": "Asia/Tokyo"}) as connection:
        connection.add_log_listener(lambda _, it: heard.append((it.severity, it.message)))
        await connection.execute("do $$ begin raise notice 'one ž'; raise warning 'two'; end $$")
        await asyncio.sleep(0)
        equal(heard, [("NOTICE", "one ž"), ("WARNING", "two")])
        equal(await connection.fetchval("show timezone"), "Asia/Tokyo")
        equal(connection.get_settings().TimeZone, "Asia/Tokyo")
        equal(await connection.fetchval("show application_name"), "suite")
        equal(await connection.execute("create table status (id int)"), "CREATE TABLE")
        equal(await connection.execute("insert into status select generate_series(1, 3)"), "INSERT 0 3")


@check
async def listen_and_notify():
    needs(2)
    heard = asyncio.Queue()
    async with Connection() as ears, Connection() as mouth:
        await ears.add_listener("news", lambda _, pid, channel, payload: heard.put_nowait((channel, payload)))
        await mouth.execute("notify news, 'first'")
        await mouth.execute("select pg_notify('news', $1)", "second ž")
        async with asyncio.timeout(20):
            equal([await heard.get(), await heard.get()], [("news", "first"), ("news", "second ž")])


@check
async def time_out_and_cancel():
    async with Connection() as connection:
        with raises(TimeoutError):
            await connection.fetch("select pg_sleep(60)", timeout=0.5)
        equal(await connection.fetchval("select 1"), 1)
        task = asyncio.create_task(connection.fetch("select pg_sleep(60)"))
        await asyncio.sleep(0.5)
        task.cancel()
        with raises(asyncio.CancelledError):
            await task
        equal(await connection.fetchval("select 2"), 2)
    async with Connection(command_timeout=0.5) as connection:
        with raises(TimeoutError):
            await connection.execute("select pg_sleep(60)")


@check
async def large_results():
    async with Connection() as connection:
        rows = await connection.fetch("select i, repeat('x', 200) t from generate_series(1, 50000) i")
        equal(sum(len(row["t"]) for row in rows), 10_000_000)
        equal(len(await connection.fetchval("select repeat('y', 3000000)")), 3_000_000)


@check
async def pool():
    async with asyncpg.create_pool(min_size=2, max_size=4) as pool:

        async def work(number):
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute("select set_config('application_name', $1, false)", f"w{number}")
                await connection.fetchval("select pg_sleep(0.01)")
                equal(await connection.fetchval("show application_name"), f"w{number}")
                return number

        equal(sorted(await asyncio.gather(*map(work, range(40)))), list(range(40)))
        # What a connection is given back with is gone.
        async with pool.acquire() as connection:
            await connection.execute("set timezone = 'Asia/Tokyo'; listen gone; create temp table if not exists pt ()")
        for _ in range(4):
            equal(await pool.fetchval("show timezone") == "Asia/Tokyo", False)


@check
async def connect_again_and_again():
    for number in range(20):
        async with Connection() as connection:
            equal(await connection.fetchval("select $1::int", number), number)
    connection = await asyncpg.connect()
    connection.terminate()
    async with Connection() as connection:
        await connection.reset()
        equal(await connection.fetchval("select 1"), 1)


async def note(connection, number):
    return [row[0] for row in await connection.fetch("select note from held where id = $1", number)]


@hold("approved")
async def hold_approved():
    heard = []
    async with Connection() as connection:
        connection.add_log_listener(lambda _, it: heard.append(it))
        with approving("marker-1"):
            status = await connection.execute("insert into held values ($1, 'marker-1')", 1)
            equal(status, "INSERT 0 1")
        equal(await note(connection, 1), ["marker-1"])
    said = heard[0]
    sees(f"nothing, unless the program has add_log_listener: {said.severity}: {told_of_a_hold(said.message)}")


@hold("in a transaction")
async def hold_in_a_transaction():
    async with Connection() as connection, Connection() as other:
        async with connection.transaction():
            equal(await note(connection, 2), [])
            with approving("marker-2"):
                await connection.execute("insert into held values ($1, 'marker-2')", 2)
            equal(await note(connection, 2), ["marker-2"])
            if CONNECTIONS > 1:
                equal(await note(other, 2), [])
        equal(await note(other, 2), ["marker-2"])


@hold("executemany")
async def hold_executemany():
    async with Connection() as connection:
        with approving("marker-4"):
            rows = [(4, "marker-4"), (5, "marker-5"), (6, "marker-6")]
            await connection.executemany("insert into held values ($1, $2)", rows)
        equal(await connection.fetchval("select count(*) from held where id between 4 and 6"), 3)


@hold("own time-out")
async def hold_own_time_out():
    async with Connection() as connection:
        with raises(TimeoutError):
            await connection.execute("insert into held values ($1, 'marker-3')", 3, timeout=3)
        # The cancel goes out in the background, which must not be kept waiting.
        equal(await asyncio.to_thread(ticket_state, "marker-3", "withdrawn"), "withdrawn")
        equal(await note(connection, 3), [])


run(asyncpg.__version__)

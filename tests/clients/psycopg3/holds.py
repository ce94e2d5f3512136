"""What a hold is to a program that uses psycopg."""

import asyncio

import psycopg

from checks import CONNECTIONS, approving, equal, hold, raises, sees, ticket_state, told_of_a_hold
from server import connect


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
    sees(f"nothing, unless the program has add_notice_handler: {told_of_a_hold(heard[0])}")


@hold("in a transaction")
def hold_in_a_transaction():
    with connect(autocommit=False) as connection, connect() as other:
        with connection.transaction():
            equal(note(connection, 2), [])
            with approving("marker-2"):
                connection.execute("insert into held values (%s, 'marker-2')", (2,))
            equal(note(connection, 2), ["marker-2"])
            if CONNECTIONS > 1:
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

"""psycopg: it connects, and asks for the types that are not PostgreSQL's own."""

import asyncio

import psycopg
from psycopg.types import TypeInfo
from psycopg.types.composite import CompositeInfo
from psycopg.types.enum import EnumInfo
from psycopg.types.hstore import register_hstore
from psycopg.types.multirange import MultirangeInfo
from psycopg.types.range import RangeInfo
from psycopg_pool import ConnectionPool

print("version", psycopg.__version__)
print("did connect, TypeInfo and its like by name and by regtype, the pool's check, read-only and other transactions")

KINDS = [(TypeInfo, "hstore"), (EnumInfo, "shop.mood"), (CompositeInfo, "shop.pair"), (RangeInfo, "shop.span"),
         (MultirangeInfo, "shop.span_multirange"), (TypeInfo, "shop.price")]


async def asynchronous():
    async with await psycopg.AsyncConnection.connect() as connection:
        for kind, name in KINDS:
            await kind.fetch(connection, name)


with psycopg.connect() as connection:
    for kind, name in KINDS:
        found = kind.fetch(connection, name)
        if name == "hstore":
            register_hstore(found, connection)
        kind.fetch(connection, psycopg.sql.Identifier(*name.split(".")))
with psycopg.connect(autocommit=True) as connection:
    connection.read_only = True
    connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    connection.deferrable = True
    with connection.transaction(), connection.transaction():
        connection.execute("select 1")
with ConnectionPool(min_size=1, check=ConnectionPool.check_connection, open=True) as pool, pool.connection() as connection:
    connection.execute("select 1")
asyncio.run(asynchronous())

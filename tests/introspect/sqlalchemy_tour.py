"""SQLAlchemy: it connects, asks its inspector everything, and reflects every table."""

import asyncio
import inspect as signatures
import sys

import sqlalchemy as sa
from sqlalchemy.engine.reflection import ObjectKind, ObjectScope
from sqlalchemy.ext.asyncio import create_async_engine

DRIVER = sys.argv[1]
TABLE = {None: "plain", "shop": "orders", "pg_catalog": "pg_class"}


def ask_everything(connection):
    inspector = sa.inspect(connection)
    for schema, table in TABLE.items():
        view = {"shop": "dear"}.get(schema, "pg_views")
        answers = {
            "schema": schema, "table_name": table, "table_names": [table, "nowhere"], "view_name": view, "view_names": [view],
            "sequence_name": "tickets", "sequence_names": ["tickets"], "index_name": "orders_note", "schema_name": "shop",
            "type_name": "mood", "kind": ObjectKind.ANY, "scope": ObjectScope.ANY, "filter_names": None,
        }
        for name, method in signatures.getmembers(inspector, signatures.ismethod):
            wants = signatures.signature(method).parameters
            # There is no such view there, which it says with an exception.
            if not name.startswith(("get_", "has_")) or name == "get_view_definition" and schema != "shop":
                continue
            inspector.clear_cache()
            method(**{wanted: answers[wanted] for wanted in wants if wanted in answers})
    for table in ("orders", "people", "parts", "away", "sums", "dear"):
        sa.Table(table, sa.MetaData(), schema="shop", autoload_with=connection, resolve_fks=True)
    for schema in ("shop", None):
        sa.MetaData().reflect(connection, schema=schema, views=True)
    connection.dialect.has_type(connection, "mood", schema="shop")
    connection.get_isolation_level()


async def asynchronous():
    engine = create_async_engine("postgresql+asyncpg://", connect_args={"ssl": False})
    async with engine.connect() as connection:
        await connection.run_sync(ask_everything)
    await engine.dispose()


def blocking():
    engine = sa.create_engine(f"postgresql+{DRIVER}://", pool_pre_ping=True)
    for _ in range(2):
        with engine.connect() as connection:
            connection.scalar(sa.select(1))
    with engine.connect() as connection:
        ask_everything(connection)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT", postgresql_readonly=True) as connection:
        connection.scalar(sa.select(1))
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        connection.scalar(sa.select(1))
    engine.dispose()


print("version", sa.__version__)
print("did connect, every method of the inspector in three schemas, Table and MetaData reflection, with", DRIVER)
if DRIVER == "asyncpg":
    asyncio.run(asynchronous())
else:
    blocking()

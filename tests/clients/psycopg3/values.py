"""Values there and back, as text and in binary."""

import datetime as dt
import decimal
import ipaddress
import uuid

from psycopg import sql
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.enum import EnumInfo, register_enum
from psycopg.types.json import Json, Jsonb
from psycopg.types.range import Range

from checks import check, equal
from server import connect

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

"""psycopg 3 before the gate: every way it talks, with a hold in each.

It prints `held T-1` for each hold that its notice handler hears of, and `whole` at the end.
"""

import re

import psycopg

held = []


def hear(notice):
    found = re.match(r"held as ticket (T-\d+):", notice.message_primary)
    if found:
        assert notice.sqlstate == "ZG000", notice.sqlstate
        held.append(found[1])
        print("held", found[1], flush=True)


def connect(**options):
    connection = psycopg.connect("", **options)
    connection.add_notice_handler(hear)
    return connection


def holds(count):
    """Expects that so many holds were heard of since the last time."""
    assert len(held) == count, held
    held.clear()


def notes(connection):
    rows = connection.execute("select note from t order by id").fetchall()
    return [note for (note,) in rows]


def plain():
    with connect(autocommit=True) as connection:
        assert connection.execute("select 1, null, 'x'").fetchall() == [(1, None, "x")]
        assert connection.execute("update t set note = 'one' where id = 1").rowcount == 1
        holds(1)
        assert notes(connection) == ["one", "2", "3"]


def parameters():
    with connect(autocommit=True) as connection:
        row = connection.execute(
            "select %s::int + 1, %s::text, %s::bytea, %s::int[]",
            (41, None, b"\0\xff", [1, 2]),
        ).fetchone()
        assert row == (42, None, b"\0\xff", [1, 2]), row
        cursor = connection.cursor(binary=True)
        assert cursor.execute("select %b::int8, %b::text", (7, "x")).fetchone() == (7, "x")
        update = "update t set note = %s where id = %s returning note"
        assert connection.execute(update, ("two", 2)).fetchall() == [("two",)]
        holds(1)


def prepared():
    """From the 6th run on: `P S |`, then `B DP E S`."""
    with connect(autocommit=True) as connection:
        for number in range(8):
            row = connection.execute("select %s::int * 2", (number,)).fetchone()
            assert row == (number * 2,), row
        update = "update t set note = %s where id = 3"
        for note in ("a", "b"):
            assert connection.execute(update, (note,), prepare=True).rowcount == 1
        holds(2)
        assert notes(connection)[2] == "b"


def transactions():
    """psycopg sends BEGIN by itself, in a Query of its own."""
    with connect() as connection:
        assert connection.execute("select count(*) from t").fetchone() == (3,)
        connection.execute("insert into t values (4, 'kept')")
        connection.commit()
        connection.execute("insert into t values (5, 'undone')")
        connection.rollback()
        holds(2)
        with connection.transaction():
            connection.execute("insert into t values (6, 'kept')")
            with connection.transaction():
                connection.execute("insert into t values (7, 'undone')")
                raise psycopg.Rollback
        holds(2)
        assert notes(connection)[3:] == ["kept", "kept"], notes(connection)


def pipeline():
    with connect(autocommit=True) as connection:
        with connection.pipeline():
            first = connection.execute("select %s::int", (1,))
            changed = connection.execute("update t set note = %s where id = 1", ("1",))
            last = connection.execute("select note from t where id = 1")
        assert first.fetchone() == (1,)
        assert changed.rowcount == 1
        assert last.fetchone() == ("1",)
        assert len(held) >= 1, held
        held.clear()


for step in (plain, parameters, prepared, transactions, pipeline):
    print("step", step.__name__, flush=True)
    step()
print("whole", flush=True)

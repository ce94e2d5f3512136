"""Prepared statements, pipelines, COPY, cursors on the server."""

import contextlib
import hashlib

from psycopg import errors

from checks import check, equal, raises
from server import connect


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

"""SQLAlchemy over psycopg, psycopg2 and asyncpg: the ORM, reflection, insertmanyvalues, pools."""

import asyncio
import datetime as dt
import decimal
import enum
import importlib.metadata
import os
import uuid

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import create_async_engine

from checks import approving, check, equal, hold, raises, run, sees, ticket_state, told_of_a_hold

DRIVERS = ["psycopg", "psycopg2", "asyncpg"]


def engine(driver="psycopg", **options):
    # Host, user, password and TLS come from the environment, which all three drivers read.
    return sa.create_engine(f"postgresql+{driver}://", **options)


def async_engine(**options):
    return create_async_engine("postgresql+asyncpg://", **options)


class Base(orm.DeclarativeBase):
    pass


class Mood(enum.Enum):
    sad = "sad"
    happy = "happy"


class Person(Base):
    __tablename__ = "person"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(50), unique=True)
    mood: orm.Mapped[Mood | None]
    born: orm.Mapped[dt.date | None]
    details: orm.Mapped[dict | None] = orm.mapped_column(pg.JSONB)
    tags: orm.Mapped[list[str] | None] = orm.mapped_column(pg.ARRAY(sa.Text))
    token: orm.Mapped[uuid.UUID | None]
    wealth: orm.Mapped[decimal.Decimal | None] = orm.mapped_column(sa.Numeric(12, 2))
    orders: orm.Mapped[list["Order"]] = orm.relationship(back_populates="person", cascade="all, delete-orphan")


class Order(Base):
    __tablename__ = "order"
    __table_args__ = (sa.CheckConstraint("amount > 0", name="some"), sa.Index("big", "amount", postgresql_where=sa.text("amount > 100")))
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    amount: orm.Mapped[int]
    person_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("person.id", ondelete="CASCADE"))
    person: orm.Mapped[Person] = orm.relationship(back_populates="orders")


@check
def orm_of_the_drivers():
    for driver in DRIVERS[:2]:
        door = engine(driver)
        Base.metadata.drop_all(door)
        Base.metadata.create_all(door)
        Base.metadata.create_all(door)  # asks which are there
        with orm.Session(door) as session:
            jana = Person(
                name="Jana Žluťoučká 🐘", mood=Mood.happy, born=dt.date(1999, 2, 28), details={"a": [1, None]},
                tags=["a", "b'"], token=uuid.UUID(int=5), wealth=decimal.Decimal("10.50"),
                orders=[Order(amount=number) for number in (5, 500)],
            )
            session.add(jana)
            session.commit()
            found = session.scalars(sa.select(Person).options(orm.selectinload(Person.orders))).one()
            equal([it.amount for it in found.orders], [5, 500])
            equal((found.mood, found.details, found.tags), (Mood.happy, {"a": [1, None]}, ["a", "b'"]))
            found.orders.pop()
            found.name = "Jana"
            session.commit()
            equal(session.scalar(sa.select(sa.func.count()).select_from(Order)), 1)
            with raises(sa.exc.IntegrityError):
                session.add(Order(amount=-1, person=found))
                session.commit()
            session.rollback()
            with session.begin_nested() as savepoint:
                session.add(Order(amount=7, person=found))
                session.flush()
                savepoint.rollback()
            session.commit()
            equal(session.scalar(sa.select(sa.func.count()).select_from(Order)), 1)
        door.dispose()


@check
def many_rows_at_once():
    door = engine()
    table = sa.Table("many", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("note", sa.Text))
    table.create(door)
    with door.begin() as connection:
        values = [{"note": f"n{number}"} for number in range(2500)]
        found = connection.execute(table.insert().returning(table.c.id), values).scalars().all()
        equal(len(set(found)), 2500)
        upsert = pg.insert(table).values(id=1, note="new")
        upsert = upsert.on_conflict_do_update(index_elements=["id"], set_={"note": upsert.excluded.note})
        connection.execute(upsert)
        equal(connection.scalar(sa.select(table.c.note).where(table.c.id == 1)), "new")


@check
def reflection():
    for driver in DRIVERS[:2]:
        door = engine(driver)
        with door.begin() as connection:
            connection.execute(sa.text(
                "drop schema if exists far cascade; create schema far; create table far.away (a int, b text, primary key (a, b)); "
                "comment on table far.away is 'distant'; create view far.seen as select a from far.away; "
                "create table if not exists near (id int generated always as identity primary key, "
                "n numeric(10,2) default 1.5 not null, d int generated always as (1 + 1) stored, "
                "t timestamptz, c varchar(7) unique, constraint less check (n < 100)); "
                "create index if not exists near_c on near (lower(c)) where n > 1"
            ))
        Base.metadata.create_all(door)
        meta = sa.MetaData()
        meta.reflect(door)
        equal({"person", "order", "near"} <= set(meta.tables), True)
        equal(list(meta.tables["order"].foreign_keys)[0].column.table.name, "person")
        seen = sa.inspect(door)
        equal(seen.get_table_names("far"), ["away"])
        equal(seen.get_view_names("far"), ["seen"])
        equal(seen.get_pk_constraint("away", "far")["constrained_columns"], ["a", "b"])
        equal(seen.get_table_comment("away", "far")["text"], "distant")
        equal({it["name"] for it in seen.get_check_constraints("near")}, {"less"})
        columns = {it["name"]: it for it in seen.get_columns("near")}
        equal((columns["n"]["type"].scale, columns["c"]["type"].length, columns["n"]["nullable"]), (2, 7, False))
        equal(bool(columns["id"]["identity"] and columns["d"]["computed"]), True)
        equal([it["name"] for it in seen.get_enums()], ["mood"])
        equal({it["name"] for it in seen.get_indexes("near")} >= {"near_c"}, True)
        equal(seen.get_unique_constraints("person")[0]["column_names"], ["name"])
        equal("far" in seen.get_schema_names(), True)
        equal(seen.has_table("near"), True)
        equal("SELECT" in seen.get_view_definition("seen", "far"), True)
        equal(seen.has_sequence("person_id_seq"), True)
        door.dispose()


@check
def server_side_cursors_and_streaming():
    with engine().connect() as connection:
        result = connection.execution_options(yield_per=100).execute(sa.text("select generate_series(1, 1050)"))
        equal(sum(result.scalars()), 1050 * 1051 // 2)


@check
def isolation_levels_and_autocommit():
    door = engine()
    for level in ("SERIALIZABLE", "REPEATABLE READ", "READ COMMITTED", "AUTOCOMMIT"):
        with door.connect().execution_options(isolation_level=level) as connection:
            equal(connection.scalar(sa.text("select 1")), 1)
            if level != "AUTOCOMMIT":
                equal(connection.scalar(sa.text("show transaction_isolation")), level.lower())
    with door.connect().execution_options(postgresql_readonly=True) as connection:
        with raises(sa.exc.InternalError):
            connection.execute(sa.text("create table nothing ()"))


@check
def pool_and_ping():
    door = engine(pool_size=2, max_overflow=2, pool_pre_ping=True)
    for number in range(20):
        with door.connect() as connection:
            equal(connection.scalar(sa.text("select :n"), {"n": number}), number)
    door.dispose()


@check
def errors_keep_their_sqlstate():
    with engine().connect() as connection:
        with raises(sa.exc.ProgrammingError):
            connection.execute(sa.text("select * from nowhere"))
        connection.rollback()
        try:
            connection.execute(sa.text("select 1/0"))
        except sa.exc.DataError as error:
            equal(error.orig.sqlstate, "22012")


@check
async def asynchronous():
    door = async_engine(pool_size=3)

    async def work(number):
        async with door.begin() as connection:
            return await connection.scalar(sa.text("select cast(:n as int)"), {"n": number})

    equal(await asyncio.gather(*map(work, range(12))), list(range(12)))
    async with door.connect() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
        names = await connection.run_sync(lambda it: sa.inspect(it).get_table_names())
        equal("person" in names, True)
        result = await connection.stream(sa.text("select generate_series(1, 500)"))
        equal(len([row async for row in result]), 500)
    await door.dispose()


HELD = sa.Table("held", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("note", sa.Text))


def note(connection, number):
    return list(connection.scalars(sa.select(HELD.c.note).where(HELD.c.id == number)))


@hold("approved")
def hold_approved():
    heard = []
    door = engine(isolation_level="AUTOCOMMIT")
    with door.connect() as connection:
        raw = connection.connection.driver_connection
        raw.add_notice_handler(lambda it: heard.append(it.message_primary))
        with approving("marker-1"):
            connection.execute(HELD.insert(), {"id": 1, "note": "marker-1"})
        equal(note(connection, 1), ["marker-1"])
    sees(f"nothing, unless the program listens at the driver's connection: {told_of_a_hold(heard[0])}")


@hold("in a transaction")
def hold_in_a_transaction():
    door = engine()
    with door.begin() as connection:
        equal(note(connection, 2), [])
        with approving("marker-2"):
            connection.execute(HELD.insert(), {"id": 2, "note": "marker-2"})
        equal(note(connection, 2), ["marker-2"])
    with door.connect() as connection:
        equal(note(connection, 2), ["marker-2"])


@hold("own time-out")
async def hold_own_time_out():
    door = async_engine(connect_args={"command_timeout": 3})
    with raises(TimeoutError):
        async with door.begin() as connection:
            await connection.execute(HELD.insert(), {"id": 3, "note": "marker-3"})
    equal(ticket_state("marker-3", "withdrawn"), "withdrawn")
    with engine().connect() as connection:
        equal(note(connection, 3), [])
    await door.dispose()


run(importlib.metadata.version("sqlalchemy"))

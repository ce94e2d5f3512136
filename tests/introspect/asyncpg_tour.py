"""asyncpg: it connects, and meets the types that are not PostgreSQL's own."""

import asyncio

import asyncpg


async def tour():
    connection = await asyncpg.connect(ssl=False)
    statement = await connection.prepare("select p.best, p.mood, o.price, p.reach, p.more"
                                         " from shop.people p join shop.orders o on o.person = p.id")
    await statement.fetch()
    await connection.reload_schema_state()
    await connection.set_type_codec("hstore", schema="public", encoder=str, decoder=str)
    await connection.set_builtin_type_codec("hstore", schema="public", codec_name="pg_contrib.hstore")
    await connection.set_type_codec("mood", schema="shop", encoder=str, decoder=str)
    await connection.reset_type_codec("mood", schema="shop")
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        async for _ in connection.cursor("select 1"):
            pass
    await connection.close()
    async with asyncpg.create_pool(ssl=False, min_size=1) as pool, pool.acquire() as lent:
        await lent.fetchval("select 1")


print("version", asyncpg.__version__)
print("did connect, its look-up of types of one's own by number and by name, read-only transactions, the pool's reset")
asyncio.run(tour())

// postgres.js: tagged templates, its fetched types, cursors, COPY, begin, listen, cancel.

import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import { approving, check, equal, fails, hold, login, needs, ofAHold, require, run, sees, ticketState, tls, version } from "../checks.mjs";

const postgres = require("postgres");

// Runs the work with a pool of its own.
async function connected(work, more = {}) {
  const sql = postgres({ ...login, username: login.user, ssl: tls, max: 3, onnotice: () => {}, ...more });
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

check("types and parameters", () =>
  connected(async (sql) => {
    const [row] = await sql`select ${5}::int a, ${"žluťoučký 🐘 ' \\"} b, ${null}::text c, ${true}::bool d, ${sql.json({ a: [1, null] })}::jsonb e,
      ${[1, 2, 3]}::int[] f, ${new Date("2026-02-28T12:00:00Z")}::timestamptz g, ${Buffer.from([0, 255])}::bytea h, ${"123"}::int8 i`;
    equal({ ...row }, {
      a: 5, b: "žluťoučký 🐘 ' \\", c: null, d: true, e: { a: [1, null] }, f: [1, 2, 3],
      g: new Date("2026-02-28T12:00:00Z"), h: Buffer.from([0, 255]), i: "123",
    });
  }));

// It reads them when it connects, and knows none that came later.
check("arrays of types of one's own", async () => {
  await connected(async (sql) => {
    await sql`create type mood as enum ('sad', 'šťastný')`;
    equal((await sql`select array['sad', 'šťastný']::mood[] as m`)[0].m, "{sad,šťastný}");
  });
  await connected(async (sql) => equal((await sql`select array['sad']::mood[] as m`)[0].m, ["sad"]));
});

check("helpers and fragments", () =>
  connected(async (sql) => {
    await sql`create table people (id int primary key, name text)`;
    const people = Array.from({ length: 500 }, (_, id) => ({ id, name: `n${id}` }));
    equal((await sql`insert into people ${sql(people)}`).count, 500);
    equal((await sql`update people set ${sql({ name: "x" })} where id in ${sql([1, 2, 3])} returning id`).length, 3);
    const only = sql`where name = ${"x"}`;
    equal((await sql`select ${sql(["id", "name"])} from ${sql("people")} ${only} order by id`).map((it) => it.id), [1, 2, 3]);
  }));

check("prepared and used again", async () => {
  for (const prepare of [true, false]) {
    await connected(async (sql) => {
      for (let number = 0; number < 20; number++) equal([...(await sql`select ${number}::int as n`)], [{ n: number }]);
    }, { prepare });
  }
});

check("many at once", () =>
  connected(async (sql) => {
    const numbers = Array.from({ length: 300 }, (_, number) => number);
    const found = await Promise.all(numbers.map(async (number) => (await sql`select ${number}::int as n`)[0].n));
    equal(found, numbers);
  }));

check("an error in the middle of many", () =>
  connected(async (sql) => {
    const asked = [1, 0, 2].map((number) => sql`select 10 / ${number}::int as n`);
    const found = await Promise.allSettled(asked);
    equal(found.map((it) => it.value?.[0].n ?? it.reason.code), [10, "22012", 5]);
  }, { max: 1 }));

check("simple queries", () =>
  connected(async (sql) => {
    const results = await sql`create table several (id int); insert into several values (1), (2); select * from several`.simple();
    equal(results.slice(-2).map((it) => it.command), ["INSERT", "SELECT"]);
    await sql.unsafe("insert into several values ($1)", [3]);
    equal((await sql.unsafe("select count(*)::int as n from several"))[0].n, 3);
  }));

check("transactions and savepoints", () =>
  connected(async (sql) => {
    await sql`create table saved (id int primary key)`;
    await sql.begin("isolation level serializable", async (sql) => {
      await sql`insert into saved values (1)`;
      await sql.savepoint(async (sql) => {
        await sql`insert into saved values (${2})`;
        await sql`insert into saved values (1)`;
      }).catch((error) => equal(error.code, "23505"));
      await sql`insert into saved values (3)`;
    });
    await fails(sql.begin(async (sql) => {
      await sql`insert into saved values (4)`;
      throw new Error("undone");
    }), { message: "undone" });
    equal((await sql`select id from saved order by id`).map((it) => it.id), [1, 3]);
    const both = await sql.begin((sql) => [sql`select 1 as n`, sql`select 2 as n`]);
    equal(both.map((it) => it[0].n), [1, 2]);
  }));

check("cursors", () =>
  connected(async (sql) => {
    let sum = 0;
    for await (const rows of sql`select generate_series(1, ${1050}::int) as n`.cursor(100)) for (const { n } of rows) sum += n;
    equal(sum, (1050 * 1051) / 2);
    let seen = 0;
    await sql`select generate_series(1, 1000) as n`.cursor(10, () => (++seen === 3 ? sql.CLOSE : undefined));
    equal(seen, 3);
    let each = 0;
    await sql`select generate_series(1, 500) as n`.forEach(() => each++);
    equal(each, 500);
  }));

check("copy both ways of 12 MB", () =>
  connected(async (sql) => {
    await sql`create table copied (id int, note text)`;
    const lines = Array.from({ length: 12000 }, (_, id) => `${id}\t${id} ${"x".repeat(1000)}\n`);
    await pipeline(Readable.from(lines), await sql`copy copied from stdin`.writable());
    const chunks = [];
    for await (const chunk of await sql`copy (select * from copied order by id) to stdout`.readable()) chunks.push(chunk);
    equal(Buffer.concat(chunks).toString() === lines.join(""), true);
  }));

check("errors with their fields", () =>
  connected(async (sql) => {
    await sql`create table pairs (one int constraint few check (one < 3))`;
    await fails(sql`insert into pairs values (${5})`, { code: "23514", table_name: "pairs", constraint_name: "few" });
    await fails(sql`selec 1`, { code: "42601" });
    await fails(sql`select * from nowhere`, { code: "42P01" });
  }));

check("notices, listen and notify", async () => {
  needs(2);
  const heard = [];
  await connected(async (sql) => {
    await sql`do $$ begin raise notice 'one ž'; end $$`;
    equal(heard, ["one ž"]);
    const news = new Promise((resolve, reject) => sql.listen("news", resolve).then(() => sql.notify("news", "first ž"), reject));
    equal(await news, "first ž");
  }, { onnotice: (it) => heard.push(it.message) });
});

check("describe", () =>
  connected(async (sql) => {
    const { columns, types } = await sql`select ${1}::int as a, ${"x"}::text as b`.describe();
    equal([columns.map((it) => it.name), types], [["a", "b"], [23, 25]]);
  }));

check("cancel", () =>
  connected(async (sql) => {
    needs(2);
    const asleep = sql`select pg_sleep(60)`.execute();
    const running = async () => (await sql`select count(*)::int as n from pg_stat_activity where state = 'active' and query ~ '^select pg_slee[p]'`)[0].n;
    while ((await running()) === 0);
    asleep.cancel();
    await fails(asleep, { code: "57014" });
    equal([...(await sql`select 1 as n`)], [{ n: 1 }]);
  }));

check("large results", () =>
  connected(async (sql) => {
    const rows = await sql`select i, repeat('x', 200) t from generate_series(1, 50000) i`;
    equal(rows.reduce((sum, row) => sum + row.t.length, 0), 10_000_000);
  }));

check("reserved connections and settings", () =>
  connected(async (sql) => {
    needs(2);
    const one = await sql.reserve();
    await one`set search_path = pg_catalog`;
    await one`create temp table scratch as select 1 as id`;
    equal((await one`show search_path`)[0].search_path, "pg_catalog");
    equal((await sql`show search_path`)[0].search_path, '"$user", public');
    equal([...(await one`select id from scratch`)], [{ id: 1 }]);
    one.release();
    equal((await sql`show application_name`)[0].application_name, "suite");
  }, { connection: { application_name: "suite" } }));

const note = async (sql, id) => (await sql`select note from held where id = ${id}`).map((row) => row.note);

hold("approved", async () => {
  const heard = [];
  await connected(async (sql) => {
    await approving("marker-1", () => sql`insert into held values (${1}, 'marker-1')`);
    equal(await note(sql, 1), ["marker-1"]);
  }, { onnotice: (it) => heard.push(`${it.severity}: ${it.message}`) });
  sees(`the notice as an object on the console of the program: ${ofAHold(heard)}`);
});

hold("in a transaction", () =>
  connected(async (sql) => {
    await sql.begin(async (sql) => {
      equal(await note(sql, 2), []);
      await approving("marker-2", () => sql`insert into held values (${2}, 'marker-2')`);
      equal(await note(sql, 2), ["marker-2"]);
    });
    equal(await note(sql, 2), ["marker-2"]);
  }));

// It has no time-out of its own for statements; a program that wants one cancels.
hold("own time-out", () =>
  connected(async (sql) => {
    const held = sql`insert into held values (${3}, 'marker-3')`.execute();
    const failed = fails(held, { code: "57014" });
    equal(await ticketState("marker-3"), "pending");
    held.cancel();
    await failed;
    equal(await ticketState("marker-3", "withdrawn"), "withdrawn");
    equal(await note(sql, 3), []);
  }));

run(version("postgres"));

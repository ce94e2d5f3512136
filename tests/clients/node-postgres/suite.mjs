// node-postgres: text and parameters, named statements, its pool, cursors, streams, COPY, time-outs.

import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import { CONNECTIONS, approving, check, equal, fails, hold, login, needs, ofAHold, require, run, sees, ticketState, tls, version } from "../checks.mjs";

const pg = require("pg");
const Cursor = require("pg-cursor");
const QueryStream = require("pg-query-stream");
const copy = require("pg-copy-streams");

const options = { ...login, ssl: tls };

// Runs the work with a client of its own.
async function connected(work, more = {}) {
  const client = new pg.Client({ ...options, ...more });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

const value = async (client, text, values) => Object.values((await client.query(text, values)).rows[0])[0];

check("types and parameters", () =>
  connected(async (client) => {
    const cases = [
      ["int4", 2147483647], ["int8", "-9223372036854775808"], ["float8", 1.5e300], ["numeric", "-1234567890.000000001"],
      ["bool", true], ["text", "žluťoučký 🐘 \\ ' \n"], ["text", ""], ["text", null], ["jsonb", { a: [1, null] }],
      ["int4[]", [1, null, 3]], ["text[]", [["a", "b"], ["{,}", 'c"']]], ["uuid", "00000000-0000-0000-0000-000000000005"],
      ["timestamptz", new Date("2026-02-28T12:00:00.123Z")], ["bytea", Buffer.from([0, 1, 254, 255])],
    ];
    for (const [type, it] of cases) equal(await value(client, `select $1::${type}`, [it]), it);
    const many = Array.from({ length: 2000 }, (_, number) => number);
    const sum = `select ${many.map((number) => `$${number + 1}::int`).join("+")}`;
    equal(await value(client, sum, many), 1999000);
  }));

check("binary results", () =>
  connected(async (client) => {
    const row = await client.query({ text: "select 5::int4, 'ž'::text, true, 1.5::float8", binary: true, rowMode: "array" });
    equal(row.rows, [[5, "ž", true, 1.5]]);
  }));

check("named statements used again", () =>
  connected(async (client) => {
    await client.query("create table prepared (id int primary key, note text)");
    for (let id = 0; id < 20; id++) {
      await client.query({ name: "insert", text: "insert into prepared values ($1, $2)", values: [id, `n${id}`] });
    }
    for (let id = 0; id < 20; id++) {
      const found = await client.query({ name: "select", text: "select note from prepared where id = $1", values: [id] });
      equal(found.rows, [{ note: `n${id}` }]);
    }
  }));

check("named statements of many clients at once", async () => {
  const work = (offset) =>
    connected(async (client) => {
      for (let number = 0; number < 10; number++) {
        const found = await client.query({ name: "same", text: `select $1::int + ${offset} as n`, values: [number] });
        equal(found.rows, [{ n: number + offset }]);
      }
    });
  await Promise.all([0, 100, 200, 300].map(work));
});

check("several statements in one", () =>
  connected(async (client) => {
    const results = await client.query("create table several (id int); insert into several values (1), (2); table several");
    equal(results.map((it) => it.command), ["CREATE", "INSERT", "SELECT"]);
    equal(results[2].rowCount, 2);
  }));

check("queries queued without waiting", () =>
  connected(async (client) => {
    const numbers = Array.from({ length: 300 }, (_, number) => number);
    const found = await Promise.all(numbers.map((number) => value(client, "select $1::int", [number])));
    equal(found, numbers);
  }));

check("errors with their fields", () =>
  connected(async (client) => {
    await client.query("create table pairs (one int constraint few check (one < 3))");
    await fails(client.query("insert into pairs values ($1)", [5]), { code: "23514", table: "pairs", constraint: "few", severity: "ERROR" });
    await fails(client.query("selec 1"), { code: "42601", position: "1" });
    await fails(client.query("select * from nowhere where a = $1", [1]), { code: "42P01" });
    await fails(client.query("select $1::int", ["x"]), { code: "22P02" });
    equal(await value(client, "select 1"), 1);
  }));

check("transactions and savepoints", () =>
  connected(async (client) => {
    await client.query("create table saved (id int primary key)");
    await client.query("begin isolation level serializable");
    await client.query("insert into saved values ($1)", [1]);
    await client.query("savepoint a");
    await fails(client.query("insert into saved values ($1)", [1]), { code: "23505" });
    await fails(client.query("select 1"), { code: "25P02" });
    await client.query("rollback to a");
    await client.query("insert into saved values (2)");
    await client.query("commit");
    await client.query("begin; insert into saved values (3)");
    await client.query("rollback");
    equal((await client.query("select id from saved order by id")).rows, [{ id: 1 }, { id: 2 }]);
  }));

check("pool", async () => {
  const pool = new pg.Pool({ ...options, max: 4, idleTimeoutMillis: 100 });
  const numbers = Array.from({ length: 40 }, (_, number) => number);
  equal(await Promise.all(numbers.map((number) => value(pool, "select $1::int", [number]))), numbers);
  await fails(pool.query("select 1/0"), { code: "22012" });
  equal(await value(pool, "select 7"), 7);
  await pool.end();
});

check("cursor", () =>
  connected(async (client) => {
    const cursor = client.query(new Cursor("select generate_series(1, $1::int) as n", [1050]));
    let sum = 0;
    for (let rows = await cursor.read(100); rows.length; rows = await cursor.read(100)) for (const { n } of rows) sum += n;
    equal(sum, (1050 * 1051) / 2);
    const closed = client.query(new Cursor("select generate_series(1, 1000)"));
    equal((await closed.read(10)).length, 10);
    await closed.close();
    equal(await value(client, "select 1"), 1);
  }));

check("query stream", () =>
  connected(async (client) => {
    let length = 0;
    const stream = client.query(new QueryStream("select repeat('x', 200) t from generate_series(1, $1)", [20000], { batchSize: 500 }));
    for await (const row of stream) length += row.t.length;
    equal(length, 4_000_000);
  }));

check("copy both ways of 12 MB", () =>
  connected(async (client) => {
    await client.query("create table copied (id int, note text)");
    const lines = Array.from({ length: 12000 }, (_, id) => `${id}\t${id} ${"x".repeat(1000)}\n`);
    const into = client.query(copy.from("copy copied from stdin"));
    await pipeline(Readable.from(lines), into);
    equal(into.rowCount, 12000);
    const out = client.query(copy.to("copy (select * from copied order by id) to stdout"));
    const chunks = [];
    for await (const chunk of out) chunks.push(chunk);
    equal(Buffer.concat(chunks).toString() === lines.join(""), true);
    const broken = client.query(copy.from("copy copied from stdin"));
    await fails(pipeline(Readable.from(["x\ty\n"]), broken), { code: "22P02" });
    equal(Number(await value(client, "select count(*) from copied")), 12000);
  }));

check("notices and notifications", () =>
  connected(async (client) => {
    needs(2);
    const heard = [];
    client.on("notice", (it) => heard.push(it.message));
    const news = new Promise((resolve) => client.on("notification", (it) => resolve([it.channel, it.payload])));
    await client.query("do $$ begin raise notice 'one ž'; raise warning 'two'; end $$");
    equal(heard, ["one ž", "two"]);
    await client.query("listen news");
    await connected((other) => other.query("select pg_notify('news', $1)", ["first ž"]));
    equal(await news, ["news", "first ž"]);
  }));

check("large results", () =>
  connected(async (client) => {
    const { rows } = await client.query("select i, repeat('x', 200) t from generate_series(1, 50000) i");
    equal(rows.reduce((sum, row) => sum + row.t.length, 0), 10_000_000);
  }));

check("statement time-out", () =>
  connected(
    async (client) => {
      await fails(client.query("select pg_sleep(60)"), { code: "57014" });
      equal(await value(client, "select 1"), 1);
    },
    { statement_timeout: 500, lock_timeout: 1000, idle_in_transaction_session_timeout: 60000, application_name: "suite" },
  ));

check("own time-out, and the connection goes", async () => {
  const client = new pg.Client({ ...options, query_timeout: 500 });
  await client.connect();
  client.on("error", () => {});
  await fails(client.query("select pg_sleep(60)"), { message: "Query read timeout" });
  client.connection.stream.destroy();
  await connected(async (other) => equal(await value(other, "select 1"), 1));
});

check("connect again and again", async () => {
  for (let number = 0; number < 15; number++) {
    await connected(async (client) => equal(await value(client, "select $1::int", [number]), number));
  }
  await fails(connected(() => {}, { password: "wrong" }), { code: "28P01" });
});

const note = async (client, id) => (await client.query("select note from held where id = $1", [id])).rows.map((row) => row.note);

hold("approved", () =>
  connected(async (client) => {
    const heard = [];
    client.on("notice", (it) => heard.push(`${it.severity}: ${it.message}`));
    const done = await approving("marker-1", () => client.query("insert into held values ($1, 'marker-1')", [1]));
    equal(done.rowCount, 1);
    equal(await note(client, 1), ["marker-1"]);
    sees(`nothing, unless the program has client.on("notice"): ${ofAHold(heard)}`);
  }));

hold("in a transaction", () =>
  connected(async (client) => {
    await client.query("begin");
    equal(await note(client, 2), []);
    await approving("marker-2", () => client.query("insert into held values ($1, 'marker-2')", [2]));
    equal(await note(client, 2), ["marker-2"]);
    if (CONNECTIONS > 1) await connected(async (other) => equal(await note(other, 2), []));
    await client.query("commit");
    await connected(async (other) => equal(await note(other, 2), ["marker-2"]));
  }));

// query_timeout asks for no cancel: the statement waits on, until its connection goes.
hold("own time-out", async () => {
  const client = new pg.Client({ ...options, query_timeout: 3000 });
  await client.connect();
  client.on("error", () => {});
  await fails(client.query("insert into held values ($1, 'marker-3')", [3]), { message: "Query read timeout" });
  client.connection.stream.destroy();
  console.log(`# the ticket is left ${await ticketState("marker-3")}`);
  equal(await ticketState("marker-3"), "pending");
  await connected(async (other) => equal(await note(other, 3), []));
});

run(version("pg"));

// Prisma over its adapter for node-postgres: the client, nested writes, both kinds of transactions.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { approving, check, equal, fails, hold, login, ofAHold, place, require, run, sees, Skip, ticketState, tls, version } from "../checks.mjs";

const { Pool } = require("pg");
const { PrismaPg } = require("@prisma/adapter-pg");
const { PrismaClient } = require(`${place}/generated`);

// What `prisma db push` makes of schema.prisma.
const schema = readFileSync(new URL("schema.sql", import.meta.url), "utf8");

async function connected(work, onConnect = () => {}) {
  const pool = new Pool({ ...login, ssl: tls }).on("connect", onConnect);
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool, { disposeExternalPool: true }) });
  try {
    return await work(prisma);
  } finally {
    await prisma.$disconnect();
  }
}

check("migrations", async () => {
  try {
    const env = { ...process.env, PGSSLROOTCERT: "", CHECKPOINT_DISABLE: "1" };
    execFileSync(`${place}/node_modules/.bin/prisma`, ["db", "push"], { cwd: place, env, stdio: "pipe" });
  } catch (error) {
    if (!/binaries.prisma.sh/.test(`${error.stdout}${error.stderr}`)) throw new Error(`${error.stderr}`);
    await connected((prisma) => prisma.$executeRawUnsafe(schema.replace(/^--.*$/gm, "").trim()));
    throw new Skip("the schema engine cannot be downloaded from binaries.prisma.sh here");
  }
});

check("records and relations", () =>
  connected(async (prisma) => {
    const data = {
      name: "Jana Žluťoučká 🐘", mood: "sad", details: { a: [1, null] }, tags: ["a", "b'"], token: "00000000-0000-0000-0000-000000000005",
      wealth: "10.50", born: new Date("1999-02-28T12:00:00.123Z"), photo: new Uint8Array([0, 255]), big: 2n ** 62n,
      orders: { create: [{ amount: 5 }, { amount: 500 }] },
    };
    const made = await prisma.person.create({ data, include: { orders: true } });
    const found = await prisma.person.findUnique({ where: { name: data.name }, include: { orders: { orderBy: { id: "asc" } } } });
    equal(found.orders.map((it) => it.amount), [5, 500]);
    equal([found.mood, found.details, found.tags, String(found.wealth), found.born, found.big, [...found.photo]],
      ["sad", { a: [1, null] }, ["a", "b'"], "10.5", data.born, 2n ** 62n, [0, 255]]);
    equal((await prisma.order.updateMany({ where: { amount: { gt: 10 } }, data: { amount: { increment: 1 } } })).count, 1);
    equal((await prisma.order.aggregate({ _sum: { amount: true } }))._sum.amount, 506);
    await prisma.person.upsert({ where: { name: "Other" }, create: { name: "Other" }, update: {} });
    await prisma.person.upsert({ where: { name: "Other" }, create: { name: "Other" }, update: { mood: "sad" } });
    equal(await prisma.person.count({ where: { mood: "sad" } }), 2);
    await prisma.person.delete({ where: { id: made.id } });
    equal(await prisma.order.count(), 0);
  }));

check("many at once", () =>
  connected(async (prisma) => {
    const person = await prisma.person.create({ data: { name: "many" } });
    const data = Array.from({ length: 2000 }, (_, amount) => ({ amount, personId: person.id }));
    equal((await prisma.order.createMany({ data })).count, 2000);
    equal((await prisma.order.createManyAndReturn({ data: data.slice(0, 3) })).length, 3);
    const counts = await Promise.all(Array.from({ length: 30 }, () => prisma.order.count()));
    equal(new Set(counts), new Set([2003]));
    const groups = await prisma.order.groupBy({ by: ["personId"], _count: true });
    equal(groups[0]._count, 2003);
  }));

check("transactions", () =>
  connected(async (prisma) => {
    const [one, count] = await prisma.$transaction([prisma.person.create({ data: { name: "batched" } }), prisma.person.count()]);
    equal([one.name, count > 0], ["batched", true]);
    await fails(prisma.$transaction([prisma.person.create({ data: { name: "lost" } }), prisma.person.create({ data: { name: "lost" } })]), { code: "P2002" });
    equal(await prisma.person.count({ where: { name: "lost" } }), 0);
    await fails(prisma.$transaction(async (tx) => {
      await tx.person.create({ data: { name: "undone" } });
      throw new Error("undo");
    }), { message: "undo" });
    await prisma.$transaction((tx) => tx.person.create({ data: { name: "kept" } }), { isolationLevel: "Serializable", timeout: 30000 });
    equal(await prisma.person.count({ where: { name: { in: ["undone", "kept"] } } }), 1);
  }));

check("raw queries and errors", () =>
  connected(async (prisma) => {
    equal(await prisma.$queryRaw`select ${"ž"}::text as a, ${5}::int as b, now() > '2020-01-01' as c`, [{ a: "ž", b: 5, c: true }]);
    equal(await prisma.$executeRaw`update "Person" set mood = 'sad' where name = ${"kept"}`, 1);
    await fails(prisma.$queryRaw`select 1/0`, { code: "P2010", message: /22012/ });
    await fails(prisma.person.create({ data: { name: "kept" } }), { code: "P2002" });
    await fails(prisma.order.create({ data: { amount: 1, personId: -1 } }), { code: "P2003" });
    await fails(prisma.person.update({ where: { id: -1 }, data: { mood: "sad" } }), { code: "P2025" });
  }));

check("large results, again and again", async () => {
  for (let number = 0; number < 5; number++) {
    await connected(async (prisma) => {
      const rows = await prisma.$queryRaw`select i, repeat('x', 200) t from generate_series(1, 10000) i`;
      equal(rows.length, 10000);
    });
  }
});

const note = async (prisma, id) => (await prisma.held.findMany({ where: { id } })).map((it) => it.note);

hold("approved", async () => {
  const heard = [];
  const listen = (client) => client.on("notice", (it) => heard.push(`${it.severity}: ${it.message}`));
  await connected(async (prisma) => {
    await approving("marker-1", () => prisma.held.create({ data: { id: 1, note: "marker-1" } }));
    equal(await note(prisma, 1), ["marker-1"]);
  }, listen);
  sees(`nothing, unless the program listens at the pool that it hands to Prisma: ${ofAHold(heard)}`);
});

hold("in a transaction", () =>
  connected(async (prisma) => {
    await prisma.$transaction(async (tx) => {
      equal(await note(tx, 2), []);
      await approving("marker-2", () => tx.held.create({ data: { id: 2, note: "marker-2" } }));
      equal(await note(tx, 2), ["marker-2"]);
    }, { timeout: 60000 });
    equal(await note(prisma, 2), ["marker-2"]);
  }));

// An interactive transaction ends by itself after 5 s, unless it is told otherwise: it is rolled back
// behind the held statement, which then was for nothing.
hold("own time-out", () =>
  connected(async (prisma) => {
    const held = prisma.$transaction(async (tx) => {
      await tx.held.create({ data: { id: 3, note: "marker-3" } });
      await tx.held.count();
    }, { timeout: 3000 });
    const failed = fails(held, { code: "P2028" });
    equal(await ticketState("marker-3"), "pending");
    await new Promise((resolve) => setTimeout(resolve, 4000));
    await approving("marker-3", () => failed);
    equal(await note(prisma, 3), []);
  }));

run(version("@prisma/client"));

// TypeORM: synchronisation, migrations forth and back, repositories, streams, its query runner.

import { approving, check, equal, fails, hold, login, ofAHold, require, run, sees, ticketState, tls, version } from "../checks.mjs";

require("reflect-metadata");
const { DataSource, EntitySchema, MoreThan } = require("typeorm");

const Person = new EntitySchema({
  name: "person",
  columns: {
    id: { type: Number, primary: true, generated: true },
    name: { type: "varchar", length: 50, unique: true },
    mood: { type: "enum", enum: ["sad", "šťastný"], default: "sad" },
    details: { type: "jsonb", nullable: true },
    tags: { type: "text", array: true, nullable: true },
    token: { type: "uuid", generated: "uuid" },
    wealth: { type: "numeric", precision: 12, scale: 2, nullable: true },
    photo: { type: "bytea", nullable: true },
    made: { type: "timestamptz", createDate: true },
  },
  relations: { orders: { type: "one-to-many", target: "order", inverseSide: "person", cascade: true } },
});

const Order = new EntitySchema({
  name: "order",
  columns: { id: { type: Number, primary: true, generated: true }, amount: { type: Number } },
  relations: { person: { type: "many-to-one", target: "person", inverseSide: "orders", onDelete: "CASCADE", joinColumn: true } },
  indices: [{ name: "big", columns: ["amount"], where: "amount > 100" }],
  checks: [{ name: "some", expression: "amount > 0" }],
});

class Move1700000000000 {
  name = "Move1700000000000";
  async up(runner) {
    await runner.query("create table moved (id int primary key, note text)");
    await runner.query("insert into moved values ($1, $2)", [1, "ž"]);
  }
  async down(runner) {
    await runner.dropTable("moved");
  }
}

async function connected(work, more = {}) {
  const source = new DataSource({
    type: "postgres", ...login, username: login.user, ssl: tls, poolSize: 4, installExtensions: false, uuidExtension: "pgcrypto",
    entities: [Person, Order], migrations: [Move1700000000000], ...more,
  });
  await source.initialize();
  try {
    return await work(source);
  } finally {
    if (source.isInitialized) await source.destroy();
  }
}

check("synchronisation, twice", async () => {
  await connected(() => {}, { synchronize: true });
  await connected(async (source) => {
    const needed = await source.driver.createSchemaBuilder().log();
    equal(needed.upQueries.map((it) => it.query), []);
  });
});

check("migrations forth and back", () =>
  connected(async (source) => {
    for (const transaction of ["all", "each", "none"]) {
      equal((await source.runMigrations({ transaction })).length, 1);
      equal(await source.query("select * from moved"), [{ id: 1, note: "ž" }]);
      equal(await source.showMigrations(), false);
      await source.undoLastMigration({ transaction });
      equal(await source.showMigrations(), true);
    }
  }));

check("reflection", () =>
  connected(async (source) => {
    const runner = source.createQueryRunner();
    const table = await runner.getTable("person");
    equal(table.findColumnByName("wealth").scale, 2);
    equal(table.findColumnByName("mood").enum, ["sad", "šťastný"]);
    equal((await runner.getTable("order")).foreignKeys[0].onDelete, "CASCADE");
    equal(await runner.hasColumn("order", "amount"), true);
    await runner.release();
  }));

check("repositories", () =>
  connected(async (source) => {
    const people = source.getRepository("person");
    const orders = source.getRepository("order");
    const jana = await people.save({
      name: "Jana Žluťoučká 🐘 '", mood: "šťastný", details: { a: [1, null] }, tags: ["a", "b'"], wealth: "10.50", photo: Buffer.from([0, 255]),
      orders: [{ amount: 5 }, { amount: 500 }],
    });
    const found = await people.findOne({ where: { name: jana.name }, relations: { orders: true }, order: { orders: { id: "ASC" } } });
    equal(found.orders.map((it) => it.amount), [5, 500]);
    equal([found.mood, found.details, found.tags, found.wealth, [...found.photo]], ["šťastný", { a: [1, null] }, ["a", "b'"], "10.50", [0, 255]]);
    equal((await orders.update({ amount: 5 }, { amount: 6 })).affected, 1);
    await orders.insert(Array.from({ length: 1000 }, (_, number) => ({ amount: number + 1, person: { id: jana.id } })));
    equal((await orders.findAndCount({ where: { amount: MoreThan(100) }, take: 5 }))[1], 901);
    const sum = await orders.createQueryBuilder("o").select("sum(o.amount)", "sum").where("o.amount < :most", { most: 10 }).getRawOne();
    equal(sum, { sum: "51" });
    await people.upsert({ name: jana.name, mood: "sad" }, ["name"]);
    equal((await people.findOneByOrFail({ name: jana.name })).mood, "sad");
    await fails(orders.save({ amount: -1, person: jana }), { code: "23514", constraint: "some" });
    await people.delete({ id: jana.id });
    equal(await orders.count(), 0);
  }));

check("transactions and savepoints", () =>
  connected(async (source) => {
    await source.transaction("SERIALIZABLE", async (manager) => {
      await manager.save("person", { name: "outer" });
      await fails(manager.transaction((inner) => inner.insert("person", { name: "outer" })), { code: "23505" });
      equal(await manager.countBy("person", { name: "outer" }), 1);
    });
    await fails(source.transaction(async (manager) => {
      await manager.save("person", { name: "undone" });
      throw new Error("undo");
    }), { message: "undo" });
    equal((await source.getRepository("person").find()).map((it) => it.name), ["outer"]);
  }));

check("raw queries and errors", () =>
  connected(async (source) => {
    equal(await source.query("select $1::text as a, $2::int as b", ["ž", 5]), [{ a: "ž", b: 5 }]);
    await fails(source.query("select 1/0"), { code: "22012" });
    await fails(source.query("select * from nowhere"), { code: "42P01" });
    const numbers = await Promise.all(Array.from({ length: 30 }, (_, number) => source.query("select $1::int as n", [number])));
    equal(numbers.map(([row]) => row.n), Array.from({ length: 30 }, (_, number) => number));
  }));

check("again and again", async () => {
  for (let number = 0; number < 6; number++) await connected(async (source) => equal(await source.query("select 1 as n"), [{ n: 1 }]));
});

const note = async (hands, id) => (await hands.query("select note from held where id = $1", [id])).map((it) => it.note);
const insert = (hands, id) => hands.query("insert into held values ($1, $2)", [id, `marker-${id}`]);

hold("approved", async () => {
  const said = [];
  const logger = { log: (_, text) => said.push(text), logQuery() {}, logQueryError() {}, logQuerySlow() {}, logSchemaBuild() {}, logMigration() {} };
  await connected(async (source) => {
    await approving("marker-1", () => insert(source, 1));
    equal(await note(source, 1), ["marker-1"]);
  }, { logNotifications: true, logger });
  sees(`with logNotifications, in its log: ${ofAHold(said)}`);
});

hold("in a transaction", () =>
  connected(async (source) => {
    await source.transaction(async (manager) => {
      equal(await note(manager, 2), []);
      await approving("marker-2", () => insert(manager, 2));
      equal(await note(manager, 2), ["marker-2"]);
    });
    equal(await note(source, 2), ["marker-2"]);
  }));

// As with node-postgres: it stops waiting, and the ticket stays.
hold("own time-out", async () => {
  const source = connected((it) => fails(insert(it, 3), { message: /Query read timeout/ }), { extra: { query_timeout: 3000 }, poolSize: 1 });
  await source;
  equal(await ticketState("marker-3"), "pending");
  await connected(async (it) => equal(await note(it, 3), []));
});

run(version("typeorm"));

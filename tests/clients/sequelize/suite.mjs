// Sequelize: sync, its query interface as migrations use it, models, transactions, its pool.

import { approving, check, equal, fails, hold, login, ofAHold, require, run, sees, ticketState, tls, version } from "../checks.mjs";

const { DataTypes, Op, QueryTypes, Sequelize } = require("sequelize");

async function connected(work, more = {}) {
  const options = { ...login, username: login.user, dialect: "postgres", logging: false, pool: { max: 4 }, ...more };
  const sequelize = new Sequelize({ ...options, dialectOptions: { ssl: tls, ...more.dialectOptions } });
  try {
    return await work(sequelize);
  } finally {
    await sequelize.close();
  }
}

function models(sequelize) {
  const Person = sequelize.define("person", {
    name: { type: DataTypes.STRING(50), unique: true, allowNull: false },
    mood: DataTypes.ENUM("sad", "šťastný"),
    details: DataTypes.JSONB,
    tags: DataTypes.ARRAY(DataTypes.TEXT),
    token: { type: DataTypes.UUID, defaultValue: DataTypes.UUIDV4 },
    wealth: DataTypes.DECIMAL(12, 2),
    born: DataTypes.DATEONLY,
    photo: DataTypes.BLOB,
    span: DataTypes.RANGE(DataTypes.INTEGER),
  });
  const Order = sequelize.define("order", { amount: { type: DataTypes.INTEGER, allowNull: false } }, { indexes: [{ fields: ["amount"], where: { amount: { [Op.gt]: 100 } } }] });
  Person.hasMany(Order, { onDelete: "CASCADE" });
  Order.belongsTo(Person);
  return { Person, Order };
}

check("sync, twice and altering", () =>
  connected(async (sequelize) => {
    models(sequelize);
    await sequelize.sync({ force: true });
    await sequelize.sync();
    sequelize.models.person.init({ ...sequelize.models.person.getAttributes(), nick: DataTypes.STRING(9) }, { sequelize, modelName: "person" });
    await sequelize.sync({ alter: true });
    equal("nick" in (await sequelize.getQueryInterface().describeTable("people")), true);
    await sequelize.authenticate();
  }));

check("migrations by the query interface", () =>
  connected(async (sequelize) => {
    const hands = sequelize.getQueryInterface();
    await sequelize.transaction(async (transaction) => {
      await hands.createTable("moves", { id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true }, note: DataTypes.TEXT }, { transaction });
      await hands.addColumn("moves", "more", { type: DataTypes.INTEGER, defaultValue: 7 }, { transaction });
      await hands.addIndex("moves", ["more"], { name: "moves_more", transaction });
      await hands.renameColumn("moves", "note", "words", { transaction });
    });
    await hands.changeColumn("moves", "words", { type: DataTypes.STRING(20), allowNull: false });
    await hands.addConstraint("moves", { type: "unique", fields: ["words"], name: "moves_words" });
    await hands.bulkInsert("moves", [{ words: "a" }, { words: "ž" }]);
    equal((await hands.showIndex("moves")).map((it) => it.name).sort(), ["moves_more", "moves_pkey", "moves_words"]);
    equal((await hands.describeTable("moves")).words.allowNull, false);
    equal((await hands.showAllTables()).includes("moves"), true);
    await hands.removeConstraint("moves", "moves_words");
    await hands.removeColumn("moves", "more");
    await hands.dropTable("moves");
  }));

check("models", () =>
  connected(async (sequelize) => {
    const { Person, Order } = models(sequelize);
    await sequelize.sync({ force: true });
    const jana = await Person.create({
      name: "Jana Žluťoučká 🐘 '", mood: "šťastný", details: { a: [1, null] }, tags: ["a", "b'"], wealth: "10.50", born: "1999-02-28",
      photo: Buffer.from([0, 255]), span: [1, 5], orders: [{ amount: 5 }, { amount: 500 }],
    }, { include: [Order] });
    const found = await Person.findOne({ where: { name: { [Op.startsWith]: "Jana" } }, include: Order, order: [[Order, "id"]] });
    equal(found.orders.map((it) => it.amount), [5, 500]);
    equal([found.mood, found.details, found.tags, found.wealth, found.born, [...found.photo]],
      ["šťastný", { a: [1, null] }, ["a", "b'"], "10.50", "1999-02-28", [0, 255]]);
    equal((await Order.update({ amount: 6 }, { where: { amount: 5 }, returning: true }))[0], 1);
    const rows = Array.from({ length: 1500 }, (_, amount) => ({ amount, personId: jana.id }));
    equal((await Order.bulkCreate(rows)).length, 1500);
    await Person.upsert({ name: jana.name, mood: "sad" });
    equal((await Order.findAndCountAll({ limit: 10, offset: 20 })).count, 1502);
    equal(await Person.count({ where: { "details.a": { [Op.ne]: null } } }), 1);
    await jana.destroy();
    equal(await Order.count(), 0);
  }));

check("transactions and savepoints", () =>
  connected(async (sequelize) => {
    const { Person } = models(sequelize);
    await sequelize.sync({ force: true });
    await sequelize.transaction({ isolationLevel: "SERIALIZABLE" }, async (transaction) => {
      await Person.create({ name: "outer" }, { transaction });
      await fails(sequelize.transaction({ transaction }, (inner) => Person.create({ name: "outer" }, { transaction: inner })), { name: "SequelizeUniqueConstraintError" });
      equal((await Person.findOne({ where: { name: "outer" }, lock: true, transaction })).name, "outer");
    });
    await fails(sequelize.transaction(async (transaction) => {
      await Person.create({ name: "undone" }, { transaction });
      throw new Error("undo");
    }), { message: "undo" });
    equal((await Person.findAll()).map((it) => it.name), ["outer"]);
  }));

check("raw queries and errors", () =>
  connected(async (sequelize) => {
    equal(await sequelize.query("select :a::text as a, :b::int as b", { replacements: { a: "ž'", b: 5 }, type: QueryTypes.SELECT }), [{ a: "ž'", b: 5 }]);
    equal(await sequelize.query("select $1::int as a", { bind: [5], type: QueryTypes.SELECT }), [{ a: 5 }]);
    await fails(sequelize.query("select 1/0"), { code: "22012" });
    await fails(sequelize.query("select * from nowhere"), { name: "SequelizeDatabaseError", code: "42P01" });
  }));

check("its pool, and time zones", () =>
  connected(async (sequelize) => {
    const zone = async () => (await sequelize.query("select current_setting('timezone') as z, pg_sleep(0.01)", { type: QueryTypes.SELECT }))[0].z;
    const zones = await Promise.all(Array.from({ length: 20 }, zone));
    equal(new Set(zones).size, 1);
    equal(zones[0], "<+02>-02");
  }, { timezone: "+02:00" }));

check("statement time-out", () =>
  connected((sequelize) => fails(sequelize.query("select pg_sleep(60)"), { code: "57014" }), { dialectOptions: { statement_timeout: 500 } }));

const note = async (sequelize, id, more) => (await sequelize.query("select note from held where id = $1", { bind: [id], type: QueryTypes.SELECT, ...more })).map((it) => it.note);
const insert = (sequelize, id, more) => sequelize.query("insert into held values ($1, $2)", { bind: [id, `marker-${id}`], ...more });

hold("approved", () =>
  connected(async (sequelize) => {
    const heard = [];
    sequelize.addHook("afterConnect", (client) => client.on("notice", (it) => heard.push(`${it.severity}: ${it.message}`)));
    await approving("marker-1", () => insert(sequelize, 1));
    equal(await note(sequelize, 1), ["marker-1"]);
    sees(`nothing, unless the program listens at the driver's connection, in a hook afterConnect: ${ofAHold(heard)}`);
  }));

hold("in a transaction", () =>
  connected(async (sequelize) => {
    await sequelize.transaction(async (transaction) => {
      equal(await note(sequelize, 2, { transaction }), []);
      await approving("marker-2", () => insert(sequelize, 2, { transaction }));
      equal(await note(sequelize, 2, { transaction }), ["marker-2"]);
    });
    equal(await note(sequelize, 2), ["marker-2"]);
  }));

// The driver gives up waiting, and asks for no cancel: the statement waits on, on a connection that the
// pool still has. It is gone with the pool.
hold("own time-out", async () => {
  await connected((sequelize) => fails(insert(sequelize, 3), { message: "Query read timeout" }), { dialectOptions: { query_timeout: 3000 }, pool: { max: 1 } });
  equal(await ticketState("marker-3"), "pending");
  await connected(async (sequelize) => equal(await note(sequelize, 3), []));
});

run(version("sequelize"));

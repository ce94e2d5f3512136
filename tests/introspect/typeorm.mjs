// TypeORM: it connects, compares its entities with what is there (schema:log), and looks which migrations are to be run.

import { login, require, told } from "./node.mjs";

require("reflect-metadata");
const { DataSource, EntitySchema } = require("typeorm");

told("typeorm", "connect with extensions looked for, schema:log, migration:show, every question of the query runner");

const Person = new EntitySchema({
  name: "person",
  columns: {
    id: { type: Number, primary: true, generated: true },
    name: { type: "varchar", length: 50, unique: true },
    mood: { type: "enum", enum: ["sad", "ok", "happy"], default: "ok" },
    token: { type: "uuid", generated: "uuid" },
  },
});
const View = new EntitySchema({ name: "seen", type: "view", expression: "select id from person", columns: { id: { type: Number } } });
class Move1700000000000 {
  name = "Move1700000000000";
  async up() {}
  async down() {}
}

const source = new DataSource({
  type: "postgres", ...login, username: login.user, installExtensions: false, entities: [Person, View], migrations: [Move1700000000000],
});
await source.initialize();
await source.driver.createSchemaBuilder().log();
await source.showMigrations();
const runner = source.createQueryRunner();
await runner.getCurrentDatabase();
await runner.getCurrentSchema();
await runner.getDatabases();
await runner.getSchemas("shop");
await runner.hasDatabase("shop");
await runner.hasSchema("shop");
for (const table of ["shop.orders", "shop.people", "shop.parts", "plain"]) {
  await runner.hasTable(table);
  await runner.hasColumn(table, "id");
  await runner.getTable(table);
}
await runner.getTables();
await runner.getView("shop.dear");
await runner.getViews(["shop.sums"]);
await runner.getVersion?.();
await runner.startTransaction("REPEATABLE READ");
await runner.rollbackTransaction();
await runner.release();
await source.destroy();

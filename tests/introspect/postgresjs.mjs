// postgres.js: it connects, and looks for the types of arrays.

import { login, require, told } from "./node.mjs";

const postgres = require("postgres");

told("postgres", "connect with its look-up of array types, describe, a read-only transaction");

const sql = postgres({ ...login, username: login.user, onnotice: () => {} });
await sql`select mood from shop.people where id = any (${[1, 2]})`;
await sql`select * from shop.people where id = ${1}`.describe();
await sql.begin("read only", (sql) => sql`select 1`);
await sql.end();

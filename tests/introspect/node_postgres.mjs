// node-postgres: it connects and asks nothing by itself; its pool and pg-cursor neither.

import { login, require, told } from "./node.mjs";

const { Client, Pool } = require("pg");
const Cursor = require("pg-cursor");

told("pg", "connect, a pool, a cursor, parameters, a named statement");

const client = new Client(login);
await client.connect();
await client.query("select 1");
await client.query("select * from shop.people where id = $1", [1]);
await client.query({ name: "named", text: "select * from shop.people where id = any ($1)", values: [[1, 2]] });
await client.query(new Cursor("select * from shop.people")).read(1);
await client.end();
const pool = new Pool({ ...login, idleTimeoutMillis: 1 });
await pool.query("select now()");
await pool.end();

// Prisma over its adapter for node-postgres: it connects. `db pull` wants an engine that is a download of its own.

import { execFileSync } from "node:child_process";
import { login, place, require, told } from "./node.mjs";

const { Pool } = require("pg");
const { PrismaPg } = require("@prisma/adapter-pg");
const { PrismaClient } = require(`${place}/generated`);

let pulled = "db pull";
try {
  const env = { ...process.env, PGSSLMODE: "disable", PGSSLROOTCERT: "", CHECKPOINT_DISABLE: "1" };
  execFileSync(`${place}/node_modules/.bin/prisma`, ["db", "pull", "--print"], { cwd: place, env, stdio: "pipe" });
} catch (error) {
  if (!/binaries.prisma.sh/.test(`${error.stdout}${error.stderr}`)) throw error;
  pulled = "no db pull: its engine cannot be downloaded here";
}
told("prisma", `connect, reads by the client, both kinds of transactions; ${pulled}`);

const pool = new Pool(login);
const prisma = new PrismaClient({ adapter: new PrismaPg(pool, { disposeExternalPool: true }) });
await prisma.$connect();
await prisma.$queryRaw`select 1 as one`;
await prisma.$transaction([prisma.$queryRaw`select 2 as two`]);
await prisma.$transaction((inside) => inside.$queryRaw`select 3 as three`, { isolationLevel: "RepeatableRead" });
await prisma.$disconnect();

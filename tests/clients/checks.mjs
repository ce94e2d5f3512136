// What the suites in JavaScript share: checks by name, the lines they print, the second person.
// A check is an async function that fails by throwing. Those of `hold` run only before a gate that
// holds writes, all others only elsewhere. Packages come from the suite's place in $CLIENTS_CACHE.

import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { promisify } from "node:util";
import assert from "node:assert/strict";

export const HOLD = process.env.HOLD === "1";
// To the server, which all sessions have in common; straight, as many as anybody wants.
export const CONNECTIONS = Number(process.env.POOL || 100);
export const place = process.env.PLACE;
export const require = createRequire(`${place}/`);

export class Skip extends Error {}

const checks = [];
const run_file = promisify(execFile);

export const check = (name, body) => HOLD || checks.push([name, body]);
export const hold = (name, body) => HOLD && checks.push([`hold: ${name}`, body]);
export const equal = (found, expected) => assert.deepEqual(found, expected);
export const sees = (text) => console.log(`sees: ${text.split("\n").join(" / ")}`);
export const version = (name) => JSON.parse(readFileSync(`${place}/node_modules/${name}/package.json`)).version;

// Host, user, database and TLS as the drivers here want them.
export const login = {
  host: process.env.PGHOST,
  port: Number(process.env.PGPORT),
  user: process.env.PGUSER,
  password: process.env.PGPASSWORD,
  database: process.env.PGDATABASE,
};
export const tls = { ca: readFileSync(process.env.PGSSLROOTCERT, "utf8") };
// Their own words for it would be read beside these.
for (const name of ["PGSSLMODE", "PGSSLROOTCERT"]) delete process.env[name];

// For a check whose sessions keep so many connections to the server from each other: by transactions that are open at
// the same time, or by something that a session has to itself.
export function needs(connections) {
  if (CONNECTIONS < connections) throw new Skip(`needs ${connections} connections to the server at a time, and the gate has ${CONNECTIONS}`);
}

// The notice of a hold, of all that a client was told.
export function ofAHold(heard) {
  const found = heard.find((it) => /held as ticket T-/.test(it));
  assert(found, `not told of the hold, but ${JSON.stringify(heard)}`);
  return found;
}

export async function fails(promise, matches) {
  try {
    await promise;
  } catch (error) {
    for (const [key, value] of Object.entries(matches)) {
      const found = error[key] ?? error.original?.[key] ?? error.driverError?.[key] ?? error.cause?.[key];
      if (value instanceof RegExp) assert.match(String(found), value);
      else equal(found, value);
    }
    return error;
  }
  throw new Error(`no error ${JSON.stringify(matches)}`);
}

// Runs the work while somebody else waits for a ticket with this text and approves it.
export async function approving(text, work) {
  const approved = run_file(process.env.APPROVE, [text]);
  const [result] = await Promise.all([work(), approved]);
  return result;
}

export async function ticketState(text, toCome) {
  const { stdout } = await run_file(process.env.TICKET_STATE, toCome ? [text, toCome] : [text]);
  return stdout.trim();
}

// A driver may lose an error of its own; the check that waits for it must not be the last.
process.on("unhandledRejection", (why) => console.error("not handled:", why));

function limited(work) {
  const late = (_, reject) => setTimeout(reject, 60000, new Error("not within a minute")).unref();
  return Promise.race([work, new Promise(late)]);
}

export async function run(its_version) {
  console.log(`version ${its_version}`);
  let failed = 0;
  for (const [name, body] of checks) {
    try {
      await limited(body());
      console.log(`ok ${name}`);
    } catch (why) {
      if (why instanceof Skip) {
        console.log(`skip ${name}: ${why.message}`);
        continue;
      }
      failed += 1;
      console.error(why);
      const where = /suite\.mjs:(\d+)/.exec(why.stack ?? "")?.[1];
      const said = [why.message ?? why, why.cause?.message].filter(Boolean).join(" / ");
      console.log(`not ok ${name}: ${said.replace(/\s+/g, " ").slice(0, 300)} (line ${where})`);
    }
  }
  process.exit(failed ? 1 : 0);
}

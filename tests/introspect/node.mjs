// What the tours in JavaScript share: the client's packages, its version, and the way to the server.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

export const place = process.env.PLACE;
export const require = createRequire(`${place}/`);
export const login = {
  host: process.env.PGHOST,
  port: Number(process.env.PGPORT),
  user: process.env.PGUSER,
  password: process.env.PGPASSWORD,
  database: process.env.PGDATABASE,
};
// Their own words for it would be read beside these.
delete process.env.PGSSLMODE;

export function told(name, did) {
  console.log(`version ${JSON.parse(readFileSync(`${place}/node_modules/${name}/package.json`)).version}`);
  console.log(`did ${did}`);
}

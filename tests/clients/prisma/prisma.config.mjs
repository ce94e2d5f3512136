import { defineConfig } from "prisma/config";

const { PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGSSLROOTCERT } = process.env;

export default defineConfig({
  schema: "schema.prisma",
  datasource: {
    url: `postgres://${PGUSER}:${PGPASSWORD}@${PGHOST}:${PGPORT}/${PGDATABASE}?sslmode=require&sslcert=${PGSSLROOTCERT}`,
  },
});

#!/bin/sh
# pg_dump and pg_dumpall of what a database is made of, without its rows.
echo "version $(pg_dump --version | sed 's/[^0-9]*\([0-9.]*\).*/\1/')"
echo "did pg_dump -s of the database, of a schema and of a table; pg_dumpall -s; pg_isready"
set -e
pg_dump -s >"$SCRATCH/all"
pg_dump -s -n shop >"$SCRATCH/schema"
pg_dump -s -t shop.orders --quote-all-identifiers >"$SCRATCH/table"
pg_dumpall -s >"$SCRATCH/cluster"
pg_isready -q

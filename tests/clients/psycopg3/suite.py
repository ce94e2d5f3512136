"""psycopg 3: sync, async, pipelines, binary, prepared statements, COPY, server-side cursors."""

import psycopg

from checks import run

# Their checks are made in this order.
import values
import statements
import sessions
import holds

run(psycopg.__version__)

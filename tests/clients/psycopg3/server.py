"""The way to the server that libpq's variables name."""

import psycopg


def connect(**options):
    options.setdefault("autocommit", True)
    return psycopg.connect("", **options)

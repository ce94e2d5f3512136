"""Django: it connects, writes models for what is there, and looks which migrations are to be run."""

import io
import os

import django
from django.conf import settings

DATABASE = {
    "ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"], "HOST": os.environ["PGHOST"],
    "PORT": os.environ["PGPORT"], "USER": os.environ["PGUSER"], "PASSWORD": os.environ["PGPASSWORD"],
}
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "django.contrib.postgres"],
    DATABASES={
        "default": DATABASE | {"OPTIONS": {"options": "-c search_path=shop,public"}},
        # The same by bound parameters, and at another level.
        "bound": DATABASE | {"OPTIONS": {"server_side_binding": True, "isolation_level": 2}, "CONN_HEALTH_CHECKS": True},
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", USE_TZ=True,
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402
from django.db.migrations.executor import MigrationExecutor  # noqa: E402

print("version", django.__version__)
print("did connect, inspectdb with partitions and views, every method of introspection, showmigrations, migrate --plan, check")

for alias in ("default", "bound"):
    nowhere = io.StringIO()
    call_command("inspectdb", database=alias, include_partitions=True, include_views=True, stdout=nowhere)
    call_command("inspectdb", "plain", database=alias, stdout=nowhere)
    call_command("showmigrations", database=alias, stdout=nowhere)
    call_command("migrate", database=alias, plan=True, stdout=nowhere)
    call_command("check", databases=[alias], stdout=nowhere, stderr=nowhere)
    connection = connections[alias]
    MigrationExecutor(connection)
    with connection.cursor() as cursor:
        hand = connection.introspection
        # A foreign table's rows are on a server that is not there.
        tables = [it.name for it in hand.get_table_list(cursor) if it.name != "away"]
        hand.table_names(cursor, include_views=True)
        for table in tables:
            hand.get_table_description(cursor, table)
            hand.get_sequences(cursor, table)
            hand.get_relations(cursor, table)
            hand.get_primary_key_column(cursor, table)
            hand.get_primary_key_columns(cursor, table)
            hand.get_constraints(cursor, table)
        hand.sequence_list()
    connection.is_usable()
    connection.pg_version
    connection.close()

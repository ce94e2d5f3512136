"""psqlODBC through pyodbc: it connects, and every function of the catalog is asked."""

import os

import pyodbc

pyodbc.pooling = False


def connect(**options):
    words = {
        "Driver": f"{os.environ['PLACE']}/usr/lib/psqlodbcw.so", "Servername": os.environ["PGHOST"], "Port": os.environ["PGPORT"],
        "Database": os.environ["PGDATABASE"], "UID": os.environ["PGUSER"], "PWD": os.environ["PGPASSWORD"], "SSLmode": "disable",
        **options,
    }
    return pyodbc.connect(";".join(f"{key}={value}" for key, value in words.items()), autocommit=True)


def ask_everything(connection):
    cursor = connection.cursor()
    for schema, table in (("shop", "orders"), ("shop", "people"), ("shop", "%"), ("public", "plain"), (None, None)):
        for ask in (
            lambda: cursor.tables(table=table, schema=schema), lambda: cursor.tables(table=table, schema=schema, tableType="VIEW"),
            lambda: cursor.columns(table=table, schema=schema), lambda: cursor.procedures(procedure=table, schema=schema),
            lambda: cursor.procedureColumns(procedure=table, schema=schema),
        ):
            ask().fetchall()
        if table and table != "%":
            for ask in (
                lambda: cursor.primaryKeys(table, schema=schema), lambda: cursor.statistics(table, schema=schema, unique=False, quick=False),
                lambda: cursor.foreignKeys(table=table, schema=schema), lambda: cursor.foreignKeys(foreignTable=table, foreignSchema=schema),
                lambda: cursor.rowIdColumns(table, schema=schema), lambda: cursor.rowVerColumns(table, schema=schema),
            ):
                ask().fetchall()
    cursor.tables(catalog="%", schema="", table="").fetchall()
    cursor.tables(catalog="", schema="%", table="").fetchall()
    cursor.tables(catalog="", schema="", table="", tableType="%").fetchall()
    cursor.getTypeInfo().fetchall()
    cursor.execute("select id, name, token from shop.people where id = ?", 1).fetchall()


for options in ({}, {"UseServerSidePrepare": "0"}, {"UseDeclareFetch": "1"}, {"ShowSystemTables": "1", "RowVersioning": "1"}):
    connection = connect(**options)
    ask_everything(connection)
    version = connection.getinfo(pyodbc.SQL_DRIVER_VER)
    connection.autocommit = False
    connection.execute("select 1").fetchall()
    connection.rollback()
    connection.close()
print("version", version)
print("did connect with and without server-side preparation and cursors, every function of the catalog")

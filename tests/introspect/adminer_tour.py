"""Adminer: somebody logs in and opens every page that shows something, and every form, without sending one."""

import contextlib
import glob
import os
import tempfile

from browser import served, window
from checks import CACHE

HOME = f"{CACHE}/adminer"
VERSION = open(glob.glob(f"{HOME}/usr/share/adminer/adminer/include/version.inc.php")[0]).read().split('"')[1]
TABLES = ["orders", "people", "parts", "parts_1", "cats", "scratch", "away", "dear", "sums"]
FORMS = ["create", "indexes", "foreign", "trigger", "edit"]


@contextlib.contextmanager
def adminer():
    """A page of somebody who has logged in."""
    with tempfile.TemporaryDirectory() as sessions:
        [extensions] = glob.glob(f"{HOME}/usr/lib/php/2*")
        php = [f"{HOME}/usr/bin/php8.2", "-n", "-d", f"extension_dir={extensions}", "-d", "extension=pgsql",
               "-d", f"session.save_path={sessions}", "-S", "127.0.0.1:{port}", f"{HOME}/adminer.php"]
        with served(php, {}) as port, window() as page:
            page.goto(f"http://127.0.0.1:{port}/?pgsql=")
            page.select_option("[name='auth[driver]']", "pgsql")
            page.fill("[name='auth[server]']", f"{os.environ['PGHOST']}:{os.environ['PGPORT']}")
            page.fill("[name='auth[username]']", os.environ["PGUSER"])
            page.fill("[name='auth[password]']", os.environ["PGPASSWORD"])
            page.click("input[type=submit][value=Login]")
            page.wait_for_selector("#logout")
            yield page


def pages():
    """What stands behind the address of the server: of it, of its database, of a schema."""
    yield from ("", "&database=", "&processlist=", "&variables=", "&sql=")
    yield from (f"&db=shop{page}" for page in ("", "&database=", "&scheme=", "&sql=", "&dump="))
    for schema in ("shop", "public", "pg_catalog", "information_schema"):
        here = f"&db=shop&ns={schema}"
        yield from (here, f"{here}&schema=", f"{here}&dump=", f"{here}&scheme={schema}", f"{here}&create=", f"{here}&view=")
        yield from (f"{here}&sequence=", f"{here}&type=", f"{here}&select=pg_class" if schema == "pg_catalog" else here)
    here = "&db=shop&ns=shop"
    for table in TABLES:
        yield from (f"{here}&table={table}", f"{here}&view={table}")
        if table != "away":
            yield from (f"{here}&select={table}", *(f"{here}&{form}={table}" for form in FORMS), f"{here}&dump={table}")
    yield from (f"{here}&trigger=orders&name=touch", f"{here}&foreign=orders&name=orders_person_fkey", f"{here}&sequence=tickets",
                f"{here}&type=mood", f"{here}&view=sums&materialized=1", f"{here}&edit=people&where%5Bid%5D=1",
                f"{here}&select=people&where%5B0%5D%5Bcol%5D=&where%5B0%5D%5Bop%5D=LIKE+%25%25&where%5B0%5D%5Bval%5D=a",
                f"{here}&function=total", f"{here}&function=")


with adminer() as page:
    base = page.url.split("?")[0]
    login = f"?pgsql={os.environ['PGHOST']}:{os.environ['PGPORT']}&username={os.environ['PGUSER']}"
    for address in pages():
        page.goto(f"{base}{login}{address}")
        page.wait_for_load_state("networkidle")
print("version", VERSION)
print("did log in, every page of server, database, schema, table and view, every form without sending it")

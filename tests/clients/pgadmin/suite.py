"""pgAdmin 4 in a browser: log in, open the tree, run SQL in a query tool, and wait for a signature."""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from importlib import metadata, util

from playwright.sync_api import TimeoutError as TooLate

from browser import served, window
from checks import approving, check, equal, hold, run, sees, ticket_state

# A second double click closes what the first has opened, late.
PATIENCE_MS = 20_000
HOME = util.find_spec("pgadmin4").submodule_search_locations[0]


@contextlib.contextmanager
def serving():
    """Runs pgAdmin for all checks; it takes its time to start."""
    with tempfile.TemporaryDirectory() as home:
        # Its dialog for the password may come twice, and the second covers the tree.
        with open(f"{home}/pgpass", "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(f"*:*:*:*:{os.environ['PGPASSWORD']}\n")
        with open(f"{home}/servers.json", "w") as file:
            json.dump({"Servers": {"1": {
                "Name": "the server", "Group": "Servers",
                "Host": os.environ["PGHOST"], "Port": int(os.environ["PGPORT"]),
                "MaintenanceDB": os.environ["PGDATABASE"], "Username": os.environ["PGUSER"],
                # The tree shows what fits the window, and others have databases here, too.
                "DBRestriction": os.environ["PGDATABASE"],
                "ConnectionParameters": {
                    "sslmode": os.environ.get("PGSSLMODE", "prefer"),
                    "sslrootcert": os.environ.get("PGSSLROOTCERT", ""), "connect_timeout": 10,
                    "passfile": f"{home}/pgpass",
                },
            }}}, file)
        # What libpq would take from the environment is what pgAdmin is to be told by a person.
        alone = {"HOME": home, "PGADMIN_SERVER_MODE": "OFF", "PGPASSWORD": ""}
        serve = ["/bin/sh", "-c", f"PGADMIN_INT_PORT={{port}} exec {sys.executable} {HOME}/pgAdmin4.py"]
        load = [sys.executable, f"{HOME}/setup.py", "load-servers", f"{home}/servers.json",
                "--sqlite-path", f"{home}/.pgadmin/pgadmin4.db"]
        with served(serve, alone) as port:
            subprocess.run(load, env={**os.environ, **alone}, check=True, stdout=subprocess.DEVNULL)
            yield port


@contextlib.contextmanager
def pgadmin():
    """A page of somebody who has opened the server.

    pgAdmin remembers how the tree looked, and puts it back over what was opened in the meantime: so it is let remember
    nothing. What does not open all the same is loaded again.
    """
    with window() as page:
        page.route("**/save_tree_state/**", lambda it: it.fulfill(content_type="application/json", body="{}"))
        for last in [False, False, True]:
            page.goto(f"http://127.0.0.1:{PORT}/browser/")
            try:
                unfold(page, "Servers", "the server", 2)
                unfold(page, "the server", "Databases", 2)
                break
            except AssertionError:
                if last:
                    raise
        yield page


def node(page, name):
    return page.locator(".file-entry .file-name", has_text=re.compile(rf"^{re.escape(name)}( \(\d+\))?$")).first


def unfold(page, name, child, times=5):
    """Opens a node of the tree, unless pgAdmin has opened it by itself."""
    entry = node(page, name).locator("xpath=ancestor::*[contains(@class, 'file-entry')]")
    toggle = entry.locator(".directory-toggle")
    for _ in range(times):
        with contextlib.suppress(TooLate):
            # Neither open nor loading.
            if toggle.get_attribute("class", timeout=PATIENCE_MS).split() == ["directory-toggle"]:
                node(page, name).dblclick(timeout=PATIENCE_MS)
            node(page, child).wait_for(timeout=PATIENCE_MS)
            return
    raise AssertionError(f"there is no {child} below {name}")


def query_tool(page):
    """Opens one for the database; it lives in a frame of its own."""
    unfold(page, "Databases", os.environ["PGDATABASE"])
    node(page, os.environ["PGDATABASE"]).click()
    page.locator("button[aria-label^='Query Tool']:not([aria-label*='Workspace'])").first.click()
    tool = page.frame_locator("iframe").last
    tool.locator(".cm-content").first.wait_for()
    return tool


def write(page, tool, text):
    tool.locator(".cm-content").first.click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(text)
    page.keyboard.press("F5")


def shows(tool, text):
    """Waits until the query tool shows this, in its rows or among its messages."""
    tool.get_by_text(text).first.wait_for()


def messages(tool, part):
    """What the tab "Messages" says, once this is part of it."""
    tool.locator(".dock-tab", has_text="Messages").first.click(force=True)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        texts = tool.locator("textarea[readonly]").evaluate_all("all => all.map(it => it.value)")
        if part in (text := "\n".join(texts).strip()):
            return text
        time.sleep(0.2)
    raise AssertionError(f"{part!r} is not in {texts!r:.300}")


@check
def log_in_and_open_the_tree():
    with pgadmin() as page:
        unfold(page, "Databases", os.environ["PGDATABASE"])
        unfold(page, os.environ["PGDATABASE"], "Schemas")
        unfold(page, "Schemas", "public")
        unfold(page, "public", "Tables")


@check
def the_query_tool():
    with pgadmin() as page:
        tool = query_tool(page)
        write(page, tool, "drop table if exists pgadmin_t; create table pgadmin_t as select 6 * 7 as answer")
        shows(tool, "Query returned successfully")
        write(page, tool, "select answer, 'ž 漢 😀' || 'word' as word from pgadmin_t")
        shows(tool, "ž 漢 😀word")
        write(page, tool, "select * from pgadmin_nowhere")
        shows(tool, 'relation "pgadmin_nowhere" does not exist')
        write(page, tool, "do $$ begin raise notice 'told %', 'here'; end $$")
        shows(tool, "told here")
        write(page, tool, "drop table pgadmin_t")
        shows(tool, "DROP TABLE")


@hold("approved")
def hold_approved():
    with pgadmin() as page:
        tool = query_tool(page)
        write(page, tool, "insert into held values (701, 'pgadmin approved')")
        equal(ticket_state("pgadmin approved", "pending"), "pending")
        shows(tool, "Waiting for the query to complete")
        told = messages(tool, "held as ticket")
        with approving("pgadmin approved"):
            pass
        shows(tool, "Query returned successfully")
        messages(tool, "INSERT 0 1")
        write(page, tool, "select 'found ' || note as note from held where id = 701")
        shows(tool, "found pgadmin approved")
        sees(f"\"Waiting for the query to complete...\", and at once behind the tab \"Messages\": {told}")


@hold("in a transaction")
def hold_in_a_transaction():
    with pgadmin() as page:
        tool = query_tool(page)
        with approving("pgadmin tx"):
            write(page, tool, "begin; insert into held values (702, 'pgadmin tx'); commit")
        shows(tool, "Query returned successfully")
        messages(tool, "held as ticket")
        write(page, tool, "select 'found ' || note as note from held where id = 702")
        shows(tool, "found pgadmin tx")


@hold("own time-out")
def hold_own_time_out():
    """Nothing times out here: a person presses Cancel, which pgAdmin says with pg_cancel_backend."""
    with pgadmin() as page:
        tool = query_tool(page)
        write(page, tool, "insert into held values (703, 'pgadmin too late')")
        equal(ticket_state("pgadmin too late", "pending"), "pending")
        tool.locator("button[aria-label^='Cancel query']").first.click()
        equal(ticket_state("pgadmin too late", "withdrawn"), "withdrawn")
        shows(tool, "canceling statement due to user request")
        write(page, tool, "select 'rows ' || count(*) as rows from held where id = 703")
        shows(tool, "rows 0")


with serving() as PORT:
    run(metadata.version("pgadmin4"))

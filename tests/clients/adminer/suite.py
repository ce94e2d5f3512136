"""Adminer in a browser: log in, look at tables, run SQL, edit a row, and wait for a signature."""

import contextlib
import glob
import os
import tempfile

from playwright.sync_api import TimeoutError as TooLate

from browser import served, window
from checks import CACHE, approving, check, equal, hold, run, sees, ticket_state

HOME = f"{CACHE}/adminer"
VERSION = open(glob.glob(f"{HOME}/usr/share/adminer/adminer/include/version.inc.php")[0]).read().split('"')[1]


@contextlib.contextmanager
def adminer():
    """A page of somebody who has logged in."""
    with tempfile.TemporaryDirectory() as sessions:
        [extensions] = glob.glob(f"{HOME}/usr/lib/php/2*")
        php = [f"{HOME}/usr/bin/php8.2", "-n", "-d", f"extension_dir={extensions}", "-d", "extension=pgsql",
               "-d", f"session.save_path={sessions}", "-S", "127.0.0.1:{port}", f"{HOME}/adminer.php"]
        # One worker would be busy with a statement that is held, and the next page with it.
        with served(php, {"PHP_CLI_SERVER_WORKERS": "4"}) as port, window() as page:
            page.goto(f"http://127.0.0.1:{port}/?pgsql=")
            page.select_option("[name='auth[driver]']", "pgsql")
            page.fill("[name='auth[server]']", f"{os.environ['PGHOST']}:{os.environ['PGPORT']}")
            page.fill("[name='auth[username]']", os.environ["PGUSER"])
            page.fill("[name='auth[password]']", os.environ["PGPASSWORD"])
            page.fill("[name='auth[db]']", os.environ["PGDATABASE"])
            page.click("input[type=submit][value=Login]")
            page.wait_for_selector("#logout")
            yield page


def open_page(page, query):
    """Another page of the same database and schema."""
    base = page.url.split("?")[0]
    user, database = os.environ["PGUSER"], os.environ["PGDATABASE"]
    server = f"{os.environ['PGHOST']}:{os.environ['PGPORT']}"
    page.goto(f"{base}?pgsql={server}&username={user}&db={database}&ns=public&{query}")


def sql(page, text, results=1):
    """Runs a text on the page "SQL command" and says all that the page then shows of it."""
    type_sql(page, text)
    execute(page)
    return answer(page, results)


def type_sql(page, text):
    open_page(page, "sql=")
    # Adminer shows an editor of its own over the field, and copies it on submit.
    page.evaluate("text => { document.querySelector('textarea[name=query]').value = text;"
                  " const shown = document.querySelector('pre.sqlarea');"
                  " if (shown) shown.textContent = text; }", text)


def execute(page):
    """Presses the button; playwright's own click would wait for the page that a hold keeps back."""
    page.evaluate("document.querySelector('#form input[type=submit][value=Execute]').click()")


def answer(page, results=1):
    """Statement by statement it comes, each with its time, unless one fails."""
    page.wait_for_function("results => document.querySelectorAll('#content .time').length >= results"
                           " || document.querySelector('#content p.error')", arg=results)
    return page.inner_text("#content")


def warnings(page, statement=1):
    """What is behind the link beside the time of this statement."""
    page.click(f"a[href='#warnings-{statement}']")
    return page.inner_text(f"#warnings-{statement}")


def says(text, part):
    assert part in text, f"{part!r} is not in {text!r:.600}"


@check
def log_in_and_look_around():
    with adminer() as page:
        sql(page, "drop table if exists adminer_t; create table adminer_t (id serial primary key, note text)", 2)
        sql(page, "create index adminer_note on adminer_t (note)")
        open_page(page, "")
        says(page.inner_text("#content"), "adminer_t")
        open_page(page, "table=adminer_t")
        says(page.inner_text("#content"), "Auto Increment")
        says(page.inner_text("#content"), "PRIMARY")


@check
def a_wrong_password():
    with adminer() as page:
        page.click("#logout")
        page.fill("[name='auth[password]']", "wrong")
        page.click("input[type=submit][value=Login]")
        says(page.inner_text("#content"), "password authentication failed")


@check
def select_and_errors():
    with adminer() as page:
        text = sql(page, "select 6 * 7 as answer, null as nothing, 'ž 漢 😀' as word; select generate_series(1, 3)", 2)
        for part in ("answer", "42", "NULL", "ž 漢 😀", "3 rows"):
            says(text, part)
        says(sql(page, "select * from adminer_nowhere"), 'relation "adminer_nowhere" does not exist')


@check
def insert_edit_and_delete_a_row():
    with adminer() as page:
        open_page(page, "edit=adminer_t")
        page.fill("[name='fields[note]']", "it's the \\ first")
        page.click("input[type=submit][value=Save]")
        says(page.inner_text("#content"), "Item")
        open_page(page, "edit=adminer_t&where[id]=1")
        equal(page.input_value("[name='fields[note]']"), "it's the \\ first")
        page.fill("[name='fields[note]']", "changed")
        page.click("input[type=submit][value=Save]")
        open_page(page, "select=adminer_t")
        says(page.inner_text("#content"), "changed")
        says(sql(page, "delete from adminer_t"), "1 row affected")


@check
def the_other_pages():
    with adminer() as page:
        for query in ("schema=", "dump=", "privileges=", "variables=", "indexes=adminer_t", "create=adminer_t",
                      "sequence=adminer_t_id_seq", "processlist=", "type="):
            open_page(page, query)
            assert page.query_selector("#content .error:visible") is None, (query, page.inner_text("#content")[:300])
            page.wait_for_selector("#content h2")
        says(sql(page, "drop table adminer_t"), "OK")


@hold("approved")
def hold_approved():
    with adminer() as page:
        type_sql(page, "insert into held values (401, 'adminer approved')")
        with approving("adminer approved"):
            execute(page)
            text = answer(page)
        says(text, "1 row affected")
        notice = warnings(page)
        # Of several notices Adminer has the last.
        says(notice, "ticket T-")
        sees(f"a page that goes on loading, without a word; then, behind its link \"Warnings\": {notice}")
        says(sql(page, "select note from held where id = 401"), "adminer approved")


@hold("in a transaction")
def hold_in_a_transaction():
    with adminer() as page:
        type_sql(page, "begin; insert into held values (402, 'adminer in a transaction'); commit")
        with approving("adminer in a transaction"):
            execute(page)
            text = answer(page, results=3)
        says(text, "1 row affected")
        says(warnings(page, 2), "ticket T-")
        says(sql(page, "select note from held where id = 402"), "adminer in a transaction")


@hold("own time-out")
def hold_own_time_out():
    """Whoever closes the page goes on holding: PHP notices it only when it has something to say. When PHP's own
    end comes, nothing has run, and the ticket is still there for the same bytes."""
    with adminer() as page:
        type_sql(page, "insert into held values (403, 'adminer too late')")
        execute(page)
        equal(ticket_state("adminer too late", "pending"), "pending")
        try:
            page.wait_for_selector("#content .time", timeout=1000)
            raise AssertionError("the page came without a signature")
        except TooLate:
            page.goto("about:blank")
    equal(ticket_state("adminer too late", "pending"), "pending")
    with adminer() as page:
        says(sql(page, "select count(*) as found from held where id = 403"), "\n0\n")


run(f"{VERSION} (PHP 8.2)")

"""pgcli on a terminal: completion at connect, its own commands, transactions, Ctrl-C."""

import importlib.metadata
import os
import re
import signal
import tempfile

import pexpect

from checks import CACHE, approving, check, equal, hold, run, sees, ticket_state

HOME = tempfile.TemporaryDirectory()
PROMPT = "asks>"


class Terminal:
    """`with Terminal() as it`: a pgcli that talks. A dumb terminal gets no completion, and no colours."""

    def __init__(self, kind="dumb"):
        self.kind = kind

    def __enter__(self):
        with open(f"{HOME.name}/config", "w") as config:
            config.write(
                "[main]\nenable_pager = False\nless_chatty = True\nsmart_completion = True\n"
                "table_format = psql_unicode\nkeyring = False\nuse_local_timezone = False\n"
                "destructive_warning = \nmulti_line = False\non_error = STOP\n"
                f"history_file = {HOME.name}/history\nlog_file = {HOME.name}/log\n[colors]\n"
            )
        env = dict(os.environ, HOME=HOME.name, TERM=self.kind, PROMPT_TOOLKIT_NO_CPR="1")
        program = f"{CACHE}/pgcli/bin/pgcli"
        self.process = pexpect.spawn(
            program, ["--pgclirc", f"{HOME.name}/config", "--prompt", PROMPT + " ", "--warn", "off"],
            env=env, encoding="utf-8", timeout=30, dimensions=(100, 250),
            # A shell that runs this in the background has its children ignore Ctrl-C, and Python obeys.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.process.expect_exact(PROMPT)
        return self

    def __exit__(self, *_):
        self.process.close(force=True)

    def send(self, line):
        # \x15 empties the line.
        self.process.send("\x15" + line + "\r")

    def until(self, text):
        """What it prints up to there, without the terminal's own commands."""
        self.process.expect_exact(text)
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.process.before) + text

    def ask(self, line, text):
        self.send(line)
        return self.until(text)


@check
def queries():
    with Terminal() as it:
        it.ask("select 'answer ' || 6 * 7 as a, null as n", "answer 42")
        it.ask("select 'žluť' || 'oučký'", "žluťoučký")
        it.ask("create table t (id int primary key, note text)", "CREATE TABLE")
        it.ask("insert into t select i, 'n' || i from generate_series(1, 20) i", "INSERT 0 20")
        it.ask("select 'sum ' || sum(id) from t", "sum 210")
        it.ask("select 1; select 'second ' || 2", "second 2")


@check
def its_own_commands():
    with Terminal() as it:
        it.ask("create table if not exists described (id int primary key, words text)", "CREATE TABLE")
        it.ask(r"\d described", "described_pkey")
        it.ask(r"\dt", "described")
        it.ask(r"\l", "UTF8")
        it.ask(r"\dn", "public")
        it.ask(r"\df", "Schema")
        it.ask(r"\du", "postgres")
        it.ask(r"\x", "Expanded display")
        it.ask("select 5 as five", "RECORD")


@check
def completion():
    with Terminal("xterm") as it:
        it.ask("create table completable (id int)", "CREATE TABLE")
        # The names come in the background, by queries on a connection of its own.
        for _ in range(30):
            it.process.send("\x15select 1 from completa\t")
            if it.process.expect(["completable", pexpect.TIMEOUT], timeout=1) == 0:
                return
        raise AssertionError("the table is never offered")


@check
def transactions_and_errors():
    with Terminal() as it:
        it.ask("create table tr (id int primary key)", "CREATE TABLE")
        it.ask("begin", "BEGIN")
        it.ask("insert into tr values (1)", "INSERT 0 1")
        it.ask("insert into tr values (1)", "duplicate key value")
        it.ask("select 5", "current transaction is aborted")
        it.ask("rollback", "ROLLBACK")
        it.ask("select 'rows ' || count(*) from tr", "rows 0")
        it.ask("selec 1", "syntax error")


@check
def notices():
    with Terminal() as it:
        it.ask("do $$ begin raise notice 'one % ž', 1; end $$", "one 1 ž")


@check
def interrupt():
    with Terminal() as it:
        it.send("select pg_sleep(60)")
        it.until("pg_sleep(60)")
        for _ in range(30):
            it.process.sendintr()
            if it.process.expect(["cancelled query|canceling statement", pexpect.TIMEOUT], timeout=1) == 0:
                break
        it.ask("select 'alive ' || 1", "alive 1")


@hold("approved")
def hold_approved():
    with Terminal() as it, approving("marker-1"):
        shown = it.ask("insert into held values (1, 'marker-1')", "INSERT 0 1")
    sees("at once, in the terminal: " + re.search(r"held as ticket[^\r\n]*", shown)[0])
    with Terminal() as it:
        it.ask("select 'note ' || note from held where id = 1", "note marker-1")


@hold("in a transaction")
def hold_in_a_transaction():
    with Terminal() as it:
        it.ask("begin", "BEGIN")
        it.ask("select 'rows ' || count(*) from held where id = 2", "rows 0")
        with approving("marker-2"):
            it.ask("insert into held values (2, 'marker-2')", "INSERT 0 1")
        it.ask("commit", "COMMIT")
        it.ask("select 'note ' || note from held where id = 2", "note marker-2")


@hold("own time-out")
def hold_own_time_out():
    with Terminal() as it:
        it.send("insert into held values (3, 'marker-3')")
        equal(ticket_state("marker-3"), "pending")
        it.process.sendintr()
        it.process.expect(["cancelled query|canceling statement"])
        equal(ticket_state("marker-3", "withdrawn"), "withdrawn")
        it.ask("select 'rows ' || count(*) from held where id = 3", "rows 0")


run(importlib.metadata.version("pgcli"))

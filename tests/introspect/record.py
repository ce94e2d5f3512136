"""Records what real clients send when they connect and look around, into tests/fixtures/introspection.

It starts a PostgreSQL of its own, furnishes a database with one of everything, and lets each tour loose on a copy of it,
straight. The server's log says what came. It never touches a fixture of another client or version.

    record.py [CLIENT...]        all of them, or these
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUITES = HERE.parent / "clients"
FIXTURES = HERE.parent / "fixtures" / "introspection"
CACHE = Path(os.environ.get("CLIENTS_CACHE") or HERE.parent.parent / "target" / "clients")
BIN = Path(os.environ.get("PORTCULLIS_PG_BIN") or "/usr/lib/postgresql/15/bin")

# A tour: its name, the suite in tests/clients whose setup gets the client, and how it is run.
TOURS = {
    "psql": ("psql", ["sh", "psql.sh"]),
    "psql18": ("psql18", ["sh", "psql.sh"]),
    "psql-completion": ("pgcli", ["{python}", "psql_completion.py"]),
    "pg_dump": ("pg_dump", ["sh", "pg_dump.sh"]),
    "pgcli": ("pgcli", ["{python}", "pgcli_tour.py"]),
    "pgadmin": ("pgadmin", ["{python}", "pgadmin_tour.py"]),
    "adminer": ("adminer", ["{python}", "adminer_tour.py"]),
    "pgjdbc": ("pgjdbc", ["sh", "pgjdbc.sh"]),
    "psqlodbc": ("psqlodbc", ["sh", "psqlodbc.sh"]),
    "sqlalchemy-psycopg": ("sqlalchemy", ["{python}", "sqlalchemy_tour.py", "psycopg"]),
    "sqlalchemy-psycopg2": ("sqlalchemy", ["{python}", "sqlalchemy_tour.py", "psycopg2"]),
    "sqlalchemy-asyncpg": ("sqlalchemy", ["{python}", "sqlalchemy_tour.py", "asyncpg"]),
    "django": ("django", ["{python}", "django_tour.py"]),
    "psycopg": ("psycopg3", ["{python}", "psycopg_tour.py"]),
    "asyncpg": ("asyncpg", ["{python}", "asyncpg_tour.py"]),
    "sequelize": ("sequelize", ["node", "sequelize.mjs"]),
    "typeorm": ("typeorm", ["node", "typeorm.mjs"]),
    "prisma": ("prisma", ["node", "prisma.mjs"]),
    "postgresjs": ("postgresjs", ["node", "postgresjs.mjs"]),
    "node-postgres": ("node-postgres", ["node", "node_postgres.mjs"]),
    "tokio-postgres": ("tokio-postgres", ["sh", "suite.sh"]),
    "sqlx": ("sqlx", ["sh", "suite.sh"]),
}

PASSWORD = "tour"
TEMPLATE = "template_of_tours"
RECORDER = "recorder"

# What differs from run to run, and what stands for it.
VARYING = [
    (re.compile(r"(\bpid\s*(?:=|in \()\s*'?)\d+"), r"\g<1>4242"),
    (re.compile(r"(pg_(?:cancel|terminate)_backend\()\d+"), r"\g<1>4242"),
    (re.compile(r"_django_curs_\w+"), "_django_curs_1"),
    (re.compile(r"\bs\d{6,}_x(\d+)"), r"s1_x\1"),
    (re.compile(r"__asyncpg_\w+__"), "__asyncpg_1__"),
    (re.compile(r"SQL_CUR0x[0-9a-f]+"), "SQL_CUR0x1"),
    (re.compile(r"(127\.0\.0\.1|localhost):\d+"), r"\1:5432"),
]
# What is kept of a suite, which does other things, too.
LOOK_UP = re.compile(r"\bpg_(type|enum|range|attribute|constraint|index)\b")
SEPARATOR = re.compile(r"^=== \d+$", re.MULTILINE)


class Server:
    """A PostgreSQL that logs every text it is sent, for as long as the block is open."""

    def __init__(self, place):
        self.place, self.data = place, place / "data"
        # It refuses to run as root.
        self.user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.read_up_to = 0

    def __enter__(self):
        (self.place / "password").write_text(PASSWORD)
        if self.user:
            for path in (self.place, self.place / "password"):
                shutil.chown(path, "postgres", "postgres")
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "scram-sha-256", "--locale=C.UTF-8", "-E", "UTF8",
                  f"--pwfile={self.place}/password")
        settings = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.place, "fsync": "off",
            "wal_level": "logical", "logging_collector": "on", "log_destination": "jsonlog", "log_rotation_age": 0,
            "log_directory": self.place, "log_filename": "log", "log_rotation_size": 0,
            # Not what clients want, so that they say what they want.
            "timezone": "Europe/Prague",
            # The first says every text that is run, the second those that are only parsed, too.
            "log_statement": "all", "log_min_duration_statement": 0, "autovacuum": "off",
        }
        with open(self.data / "postgresql.conf", "a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        self._run("pg_ctl", "-D", self.data, "-w", "-l", self.place / "start", "start")
        return self

    def __exit__(self, *_):
        self._run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def _run(self, program, *arguments):
        subprocess.run([BIN / program, *arguments], check=True, stdout=subprocess.DEVNULL, cwd=self.place, **self.user)

    def environment(self, database):
        return {
            "PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "postgres", "PGPASSWORD": PASSWORD,
            "PGDATABASE": database, "PGSSLMODE": "disable",
        }

    def psql(self, *arguments, database="postgres"):
        more = {"PGAPPNAME": RECORDER, "PGOPTIONS": "-c client_min_messages=error"}
        command = [BIN / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", *arguments]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True,
                              env={**os.environ, **self.environment(database), **more})
        return done.stdout.strip()

    def furnish(self):
        self.psql("-c", f"create database {TEMPLATE}")
        self.psql("-f", HERE / "furnish.sql", database=TEMPLATE)

    def heard(self):
        """The texts that have come since the last time, in order, without the recorder's own."""
        with open(self.place / "log.json", encoding="utf-8") as file:
            file.seek(self.read_up_to)
            # One entry at a time, up to the last that is whole.
            while (line := file.readline()).endswith("\n"):
                self.read_up_to = file.tell()
                entry = json.loads(line)
                if entry.get("backend_type") == "client backend" and entry.get("application_name") != RECORDER:
                    yield from texts_of(entry)


def texts_of(entry):
    """What an entry of the log says that somebody sent."""
    if entry["error_severity"] == "ERROR" and "statement" in entry:
        yield entry["statement"]
    said = re.match(r"(?:duration: [\d.]+ ms  )?(?:statement|(?:parse|execute) [^:]*): (.*)", entry.get("message", ""), re.DOTALL)
    if said and not re.match(r"execute fetch from ", entry["message"]):
        yield said[1]


def distinct(texts):
    """Each once, where it came first. Those that differ in an object's number only are one."""
    seen = {}
    for text in texts:
        for pattern, stand_in in VARYING:
            text = pattern.sub(stand_in, text)
        if text.strip():
            seen.setdefault(re.sub(r"\d{4,}", "N", text), text)
    return list(seen.values())


def version_of(server):
    return server.psql("-c", "show server_version").split()[0]


def environment_of(name, suite, server, scratch):
    environment = {**os.environ, **server.environment("shop"), "CLIENTS_CACHE": str(CACHE), "SCRATCH": str(scratch)}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": f"{SUITES}:{SUITES}/adminer", "PLACE": str(CACHE / suite)}
    if name == "psql18":
        found = [it for it in (CACHE / "psql18").rglob("psql") if it.parent.name == "bin" and os.access(it, os.X_OK)]
        environment["PATH"] = f"{found[0].parent}:{environment['PATH']}"
    return environment


def record(name, server):
    """One tour: its client's version and how many statements there were, or why there are none."""
    suite, command = TOURS[name]
    setup = SUITES / suite / "setup"
    if setup.exists():
        got = subprocess.run(["./setup"], cwd=setup.parent, env={**os.environ, "CLIENTS_CACHE": str(CACHE)})
        if got.returncode:
            return f"{name}: not recorded, its setup ended with {got.returncode}"
    server.psql("-c", "drop database if exists shop", "-c", f"create database shop template {TEMPLATE}",
                "-c", "alter role manager in database shop set work_mem = '8MB'")
    list(server.heard())
    with tempfile.TemporaryDirectory() as scratch:
        command = [word.format(python=CACHE / suite / "bin" / "python") for word in command]
        done = subprocess.run(command, cwd=HERE, env=environment_of(name, suite, server, scratch),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=900)
    if done.returncode:
        return f"{name}: not recorded, the tour ended with {done.returncode}: {done.stderr[-2000:]}"
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines() if line.startswith(("version ", "did ")))
    texts = distinct(server.heard())
    if command == ["sh", "suite.sh"]:
        texts = [text for text in texts if LOOK_UP.search(text)]
    write(name, said["version"], version_of(server), said["did"], texts)
    return f"{name} {said['version']}: {len(texts)} statements"


def write(name, version, server, did, texts):
    for text in texts:
        if SEPARATOR.search(text):
            raise AssertionError(f"the separator is in a text of {name}")
    with open(FIXTURES / f"{name}-{version}.sql", "w", encoding="utf-8", newline="") as file:
        file.write(f"client: {name}\nversion: {version}\nserver: PostgreSQL {server}\nsource: recorded\ndid: {did}\n")
        for number, text in enumerate(texts, 1):
            file.write(f"=== {number}\n{text}\n")


def main(names):
    FIXTURES.mkdir(parents=True, exist_ok=True)
    failed = False
    place = Path(tempfile.mkdtemp())
    with contextlib.ExitStack() as at_last:
        at_last.callback(shutil.rmtree, place, ignore_errors=True)
        server = at_last.enter_context(Server(place))
        server.furnish()
        for name in names or TOURS:
            told = record(name, server)
            failed |= "not recorded" in told
            print(told, flush=True)
    return failed


sys.exit(main(sys.argv[1:]))

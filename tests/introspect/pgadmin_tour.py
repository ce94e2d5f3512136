"""pgAdmin 4: somebody opens the server, the tree down to the last leaf, every tab of each, the dashboard, a query tool.

What its pages ask of it over HTTP is asked here; what it asks the server is its own.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from importlib import metadata, util

from browser import served

HOME = util.find_spec("pgadmin4").submodule_search_locations[0]
# Of many alike, a few are looked at; what somebody has made is among them.
ALIKE_MAX = 4
OURS = {"shop", "orders", "people", "parts", "animals", "dear", "sums", "away", "scratch", "clerk", "manager"}
TABS = ["obj", "sql", "stats", "dependency", "dependent"]


class Pages:
    """A browser's half of the talk."""

    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}"
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self.asked = self.failed = 0
        self.token = ""
        self.ask("/browser/")
        found = re.search(r"csrf_token'?\]?\s*[=:]\s*['\"]([^'\"]+)", self.ask("/browser/js/utils.js"))
        self.token = found[1]

    def ask(self, path, body=None):
        """What a page gets; nothing where there is no such page, as for some tabs of some nodes."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json", "X-pgA-CSRFToken": self.token})
        self.asked += 1
        try:
            with self.opener.open(request, timeout=60) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            self.failed += error.code >= 500
            if error.code >= 500:
                print(error.code, path, error.read()[:200], file=sys.stderr)
            return ""

    def nodes(self, path):
        """What an answer lists, which some nodes call its data and others its result."""
        answer = json.loads(self.ask(path) or "{}")
        return answer.get("data") or answer.get("result") or []


def walk(pages, node, above):
    """Opens a node of the tree: a thing, or a collection of things of a kind."""
    kind, ids = node["_type"], "/".join(above)
    if kind.startswith("coll-"):
        kind = kind.removeprefix("coll-")
        kind = node.get("nodes", [kind])[0]
        pages.ask(f"/browser/{kind}/obj/{ids}/")
        pages.ask(f"/browser/{kind}/stats/{ids}/")
        found = pages.nodes(f"/browser/{kind}/nodes/{ids}/")
        ours = [it for it in found if it["label"].split("(")[0] in OURS]
        if kind == "database":
            ours = found = [it for it in found if it["label"] == "shop"]
        for it in (ours + [it for it in found if it not in ours])[:max(ALIKE_MAX, len(ours))]:
            walk(pages, it, above)
        return
    below = [*above, str(node["_id"])]
    ids = "/".join(below)
    if kind == "database":
        pages.ask(f"/browser/database/connect/{ids}", {})
    for tab in TABS:
        pages.ask(f"/browser/{kind}/{tab}/{ids}")
    if node.get("inode"):
        for child in pages.nodes(f"/browser/{kind}/children/{ids}"):
            walk(pages, child, below)


def dashboard(pages, did):
    charts = "session_stats,tps_stats,ti_stats,to_stats,bio_stats"
    for ids in ("1", f"1/{did}"):
        pages.ask(f"/dashboard/dashboard_stats/{ids}?chart_names={charts}")
        for page in ("activity", "locks", "prepared"):
            pages.ask(f"/dashboard/{page}/{ids}")
    for page in ("config", "replication_slots", "replication_stats"):
        pages.ask(f"/dashboard/{page}/1")
    pages.ask("/dashboard/system_statistics/1?chart_names=pg_stats,os_cpu")


def query_tool(pages, did):
    pages.ask(f"/sqleditor/initialize/sqleditor/4711/1/1/{did}", {"user": None, "role": None, "password": None, "dbname": "shop"})
    pages.ask("/sqleditor/autocomplete/4711", ["select * from shop.", "select * from shop."])
    pages.ask("/sqleditor/autocomplete/4711", ["select orders. from shop.orders", "select orders."])
    pages.ask("/sqleditor/query_tool/start/4711", {"sql": "select * from shop.orders", "explain_plan": None})
    for _ in range(100):
        if '"Busy"' not in pages.ask("/sqleditor/poll/4711"):
            break
        time.sleep(0.1)
    pages.ask("/sqleditor/status/4711")


def tour(port):
    pages = Pages(port)
    pages.ask("/browser/server/connect/1/1", {"password": os.environ["PGPASSWORD"], "save_password": False})
    [server] = pages.nodes("/browser/server/nodes/1/")
    for tab in TABS:
        pages.ask(f"/browser/server/{tab}/1/1")
    did = None
    for child in pages.nodes("/browser/server/children/1/1"):
        walk(pages, child, ["1", "1"])
        if child["_type"] == "coll-database":
            [did] = [it["_id"] for it in pages.nodes("/browser/database/nodes/1/1/") if it["label"] == "shop"]
    dashboard(pages, did)
    query_tool(pages, did)
    print(pages.asked, "asked,", pages.failed, "failed", file=sys.stderr)
    if pages.failed * 20 > pages.asked:
        raise AssertionError("more of it failed than pgAdmin's own defects explain")


with tempfile.TemporaryDirectory() as home:
    with open(f"{home}/servers.json", "w") as file:
        json.dump({"Servers": {"1": {
            "Name": "the server", "Group": "Servers", "Host": os.environ["PGHOST"], "Port": int(os.environ["PGPORT"]),
            "MaintenanceDB": "postgres", "Username": os.environ["PGUSER"],
            "ConnectionParameters": {"sslmode": "disable", "connect_timeout": 10},
        }}}, file)
    # What libpq would take from the environment is what pgAdmin is to be told by a person.
    alone = {"HOME": home, "PGADMIN_SERVER_MODE": "OFF", "PGDATABASE": ""}
    serve = ["/bin/sh", "-c", f"PGADMIN_INT_PORT={{port}} exec {sys.executable} {HOME}/pgAdmin4.py"]
    load = [sys.executable, f"{HOME}/setup.py", "load-servers", f"{home}/servers.json",
            "--sqlite-path", f"{home}/.pgadmin/pgadmin4.db"]
    with served(serve, alone) as port:
        subprocess.run(load, env={**os.environ, **alone}, check=True, stdout=subprocess.DEVNULL)
        tour(port)

print("version", metadata.version("pgadmin4"))
print("did connect, open the tree to its last leaf with every tab, the dashboard, a query tool with completions")

"""What the suites in Python share: checks by name, the lines they print, the second person.

A check is a function, plain or async; it fails by raising. Those of `@hold` run only before a gate
that holds writes, all others only elsewhere.
"""

import asyncio
import contextlib
import inspect
import os
import subprocess
import sys
import traceback

HOLD = os.environ.get("HOLD") == "1"
MODE = os.environ.get("MODE", "session")
# To the server, which all sessions have in common; straight, as many as anybody wants.
CONNECTIONS = int(os.environ.get("POOL") or 100)
CACHE = os.environ["CLIENTS_CACHE"]
# Where the suite is.
HERE = os.path.dirname(os.path.abspath(sys.argv[0]))

_checks = []


class Skip(Exception):
    """Raised by a check that cannot be made here, with the reason."""


def check(function):
    if not HOLD:
        _checks.append((function.__name__.replace("_", " "), function))
    return function


def hold(name):
    def register(function):
        if HOLD:
            _checks.append((f"hold: {name}", function))
        return function

    return register


def say(line):
    print(line, flush=True)


def sees(text):
    """What a person sees while their statement is held, on one line."""
    say("sees: " + " / ".join(line.strip() for line in text.strip().splitlines()))


def run(version):
    say(f"version {version}")
    failed = 0
    for name, function in _checks:
        try:
            if inspect.iscoroutinefunction(function):
                asyncio.run(function())
            else:
                function()
            say(f"ok {name}")
        except Skip as why:
            say(f"skip {name}: {why}")
        except Exception as why:
            failed += 1
            traceback.print_exc()
            lines = str(why).splitlines() or [""]
            places = traceback.extract_tb(why.__traceback__)
            place = ([it for it in places if it.filename.startswith(HERE)] or places)[-1]
            say(f"not ok {name}: {type(why).__name__}: {lines[0]} (line {place.lineno}: {place.line})")
    sys.exit(1 if failed else 0)


def equal(found, expected):
    if found != expected:
        raise AssertionError(f"{found!r:.300} is not {expected!r:.300}")


def needs(connections):
    """For a check whose sessions keep so many connections to the server from each other: by transactions that are
    open at the same time, or by something that a session has to itself."""
    if CONNECTIONS < connections:
        raise Skip(f"needs {connections} connections to the server at a time, and the gate has {CONNECTIONS}")


def told_of_a_hold(text):
    """Expects that this is, or contains, the notice of a hold; what there was of it comes back."""
    assert "held as ticket T-" in text, f"not told of the hold, but {text!r:.300}"
    return text


@contextlib.contextmanager
def raises(kind, sqlstate=None):
    """Expects an exception, of a server with this SQLSTATE."""
    try:
        yield
    except kind as error:
        if sqlstate:
            found = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
            equal(found, sqlstate)
    else:
        raise AssertionError(f"no {kind.__name__} {sqlstate or ''}")


@contextlib.contextmanager
def approving(text):
    """Meanwhile somebody else waits for a ticket with this text and approves it."""
    program = subprocess.Popen(
        [os.environ["APPROVE"], text],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    try:
        yield
        out, err = program.communicate(timeout=60)
        if program.returncode:
            raise AssertionError(f"not approved: {err.strip()[:300]}")
    finally:
        program.kill()
        program.wait()


def ticket_state(text, to_come=None):
    """The state of the ticket with this text, once it is there; `to_come` is waited for."""
    state = [os.environ["TICKET_STATE"], text] + ([to_come] if to_come else [])
    return subprocess.run(state, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

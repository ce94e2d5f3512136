"""pgcli at a terminal: it starts, reads all that it completes with, and runs its backslash commands."""

import importlib.metadata
import os
import tempfile

import pexpect

# The look-up for completions goes on beside what follows it.
COMMANDS = [r"\refresh"] + [
    rf"\{command}{letter}{pattern}"
    for command in ("d", "dt", "dv", "dm", "ds", "di", "df", "dn", "du", "dp", "dx", "dT", "dD", "db", "dE", "ddp", "dF", "l", "z")
    for letter in ("", "+")
    for pattern in ("", " shop.*", " *o*")
] + [r"\d shop.orders", r"\d+ shop.people", r"\d+ shop.dear", r"\d shop.tickets", r"\d shop.parts", r"\d+ shop.away", r"\sf shop.total",
     r"\conninfo"]

print("version", importlib.metadata.version("pgcli"))
print("did a start at a terminal with everything that it completes with, its backslash commands, \\refresh")

with tempfile.TemporaryDirectory() as home:
    with open(f"{home}/config", "w") as file:
        # Nothing but what is asked for, and a prompt that nothing else looks like.
        file.write("[main]\nprompt = 'tour> '\nenable_pager = False\nkeyring = False\nless_chatty = True\n"
                   "multi_line = False\nsmart_completion = True\ntable_format = plain\nsyntax_style = bw\n")
    environment = {**os.environ, "HOME": home, "TERM": "dumb", "PROMPT_TOOLKIT_NO_CPR": "1"}
    program = os.path.join(os.environ["PLACE"], "bin", "pgcli")
    process = pexpect.spawn(program, ["--pgclirc", f"{home}/config"], env=environment, encoding="utf-8", timeout=60,
                            dimensions=(200, 200))
    process.expect("tour> ")
    for number, command in enumerate(COMMANDS):
        process.send(command + "\r")
        # Its own word that it has come so far; what is typed does not look like it.
        process.send(f"select 'so far' || ' {number};'\r")
        process.expect(f"so far {number};")
        process.expect("tour> ")
    process.send("\\q\r")
    process.expect(pexpect.EOF)

"""A browser without a screen, and a web server of a suite's own beside it; both end with their block."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

from playwright.sync_api import sync_playwright

from checks import CACHE

DEADLINE_MS = 60_000

# A suite that is told to end leaves its blocks, and with them its servers.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


@contextlib.contextmanager
def served(command, environment):
    """Runs a web server, `{port}` standing for a free port, and yields the port once it listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [word.format(port=port) for word in command]
    server = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + DEADLINE_MS / 1000
        while not listens(port):
            if server.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{command[0]} does not serve: exit {server.poll()}")
            time.sleep(0.1)
        yield port
    finally:
        # Its workers, too.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@contextlib.contextmanager
def window():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=f"{CACHE}/chromium/browser", args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            page = browser.new_page(viewport={"width": 1600, "height": 1000})
            page.set_default_timeout(DEADLINE_MS)
            yield page
        finally:
            browser.close()


def listens(port):
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port)).close()
        return True
    return False

"""A real browser, and a port of this machine that no page may reach."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-proxy-server", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions",
)  # fmt: skip
SECONDS = 60
"""What a browser may take for a page."""


@cache
def browser() -> str:
    """The browser's program, or nothing where there is none."""
    return next((found for name in _NAMES if (found := shutil.which(name))), "")


def loaded(page: Path, profile: Path) -> str:
    """What a page consists of after it was loaded and its scripts ran, as HTML."""
    command = [browser(), *_QUIET, f"--user-data-dir={profile}", "--virtual-time-budget=2000", "--dump-dom"]
    found = subprocess.run([*command, page.as_uri()], capture_output=True, timeout=SECONDS, check=True)
    return found.stdout.decode(errors="replace")


@dataclass
class Port:
    """A listening socket; `reached` are the first bytes of whoever connected."""

    number: int
    reached: list[bytes] = field(default_factory=list)


@contextmanager
def listening() -> Iterator[Port]:
    """A port of this machine that remembers who connects, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = Port(server.getsockname()[1])
        thread = threading.Thread(target=_remember, args=(server, port), daemon=True)
        thread.start()
        try:
            yield port
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _remember(server: socket.socket, port: Port) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:  # shut down
            return
        with connection:
            connection.settimeout(1)
            try:
                port.reached.append(connection.recv(200))
            except TimeoutError:
                port.reached.append(b"")

"""A real browser, for tests of pages."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-proxy-server", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions",
)  # fmt: skip
_DEADLINE = 600
"""Seconds, against hanging."""


@cache
def browser() -> str:
    """The path of a browser; empty if none is installed."""
    return next((path for name in _NAMES if (path := shutil.which(name))), "")


def loaded(page: Path, profile: Path) -> str:
    """The HTML of a page after it was loaded and its scripts ran."""
    command = [browser(), *_QUIET, f"--user-data-dir={profile}", "--virtual-time-budget=2000", "--dump-dom"]
    result = subprocess.run([*command, page.as_uri()], capture_output=True, timeout=_DEADLINE, check=True)
    return result.stdout.decode(errors="replace")

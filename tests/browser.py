"""A real browser, for tests of pages."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-proxy-server", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions",
)  # fmt: skip
_DEADLINE = 600
"""Seconds, against hanging."""
NATURAL_WIDTHS = "(page) => [...page.images].map((image) => image.naturalWidth)"
"""The pixels of every picture across; 0 if the browser cannot show it."""
_FRAME = '<iframe title="{name}" width="{width}" height="{height}" srcdoc="{page}"></iframe>'
_ASKING = """<script>
const ask = (frame) => ({look})(frame.contentDocument, frame.contentWindow);
addEventListener("load", () => {{
  const found = {{}};
  for (const frame of document.querySelectorAll("iframe")) (found[frame.title] ??= []).push(ask(frame));
  document.querySelector("pre").textContent = JSON.stringify(found);
}});
</script>"""


@cache
def browser() -> str:
    """The path of a browser; empty if none is installed."""
    return next((path for name in _NAMES if (path := shutil.which(name))), "")


def loaded(page: Path, profile: Path) -> str:
    """The HTML of a page after it was loaded and its scripts ran."""
    command = [browser(), *_QUIET, f"--user-data-dir={profile}", "--virtual-time-budget=2000", "--dump-dom"]
    result = subprocess.run([*command, page.as_uri()], capture_output=True, timeout=_DEADLINE, check=True)
    return result.stdout.decode(errors="replace")


def seen(
    pages: Mapping[str, Path], look: str, folder: Path, windows: Sequence[tuple[int, int]] = ((1200, 900),)
) -> dict[str, list[Any]]:
    """What a function finds on every page, in every window, of one browser; pages keep their own policy.

    Args:
        pages: by name.
        look: a JavaScript function of the document and its window, whose value is JSON.
        folder: for the browser's files.
        windows: width and height in pixels.
    """
    frames = [
        _FRAME.format(name=html.escape(name), width=width, height=height, page=html.escape(page.read_text("utf-8")))
        for name, page in pages.items()
        for width, height in windows
    ]
    harness = folder / "harness.html"
    body = "".join(["<!doctype html><meta charset=utf-8><pre></pre>", *frames, _ASKING.format(look=look)])
    harness.write_text(body, encoding="utf-8")
    (found,) = re.findall(r"<pre>(.*?)</pre>", loaded(harness, folder / "profile"), re.DOTALL)[:1]
    values: dict[str, list[Any]] = json.loads(html.unescape(found))
    return values

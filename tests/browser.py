"""A real browser, for tests of pages."""

from __future__ import annotations

import base64
import fcntl
import html
import json
import os
import re
import shutil
import subprocess
import time
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


def loaded(page: Path, profile: Path, *options: str) -> str:
    """The HTML of a page after it was loaded and its scripts ran."""
    command = [browser(), *_QUIET, f"--user-data-dir={profile}", "--virtual-time-budget=2000", "--dump-dom", *options]
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


class Tab:
    """A page that stays open, driven through the browser's debugging pipe.

    Args:
        address: of the page.
        folder: for the browser's files.
        window: width and height in pixels.
    """

    def __init__(self, address: str, folder: Path, window: tuple[int, int] = (1200, 900)) -> None:
        (reads, asks), (answers, writes) = os.pipe(), os.pipe()
        theirs = [fcntl.fcntl(each, fcntl.F_DUPFD, 10) for each in (reads, writes)]
        # The browser reads from its descriptor 3 and writes to 4.
        script = 'exec "$@" 3<&{} 4>&{}'.format(*theirs)
        command = [browser(), *_QUIET, f"--user-data-dir={folder / 'profile'}", "--remote-debugging-pipe"]
        self._process = subprocess.Popen(
            ["bash", "-c", script, "bash", *command], pass_fds=theirs, stderr=subprocess.DEVNULL
        )
        for each in (reads, writes, *theirs):
            os.close(each)
        self._out, self._in, self._number, self._session = os.fdopen(asks, "wb"), os.fdopen(answers, "rb"), 0, ""
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.resize(*window)
        self._ask("Page.navigate", url=address)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def __enter__(self) -> Tab:
        return self

    def __exit__(self, *_error: object) -> None:
        self._ask("Browser.close")
        self._process.wait(_DEADLINE)
        self._out.close()
        self._in.close()

    def resize(self, width: int, height: int, *, scale: float = 1.0, is_dark: bool = False) -> None:
        """The size of the window, and whether its reader wants dark pages."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
        self._ask("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])

    def value(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page; a promise is awaited."""
        options = {"awaitPromise": True, "returnByValue": True, "userGesture": True}
        answer = self._ask("Runtime.evaluate", expression=expression, **options)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, expression: str) -> Any:
        """The first value of an expression that is true."""
        end = time.monotonic() + _DEADLINE
        while not (value := self.value(expression)):
            assert time.monotonic() < end, expression
            time.sleep(0.05)
        return value

    def press(self, key: str) -> None:
        """Press a key and let it go."""
        text = {"Space": " ", "Enter": "\r"}.get(key, key if len(key) == 1 else "")
        for kind in ("keyDown", "keyUp"):
            event = {"type": kind, "key": text if key == "Space" else key, "code": key}
            self._ask("Input.dispatchKeyEvent", **event, **({"text": text} if text and kind == "keyDown" else {}))

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Save a picture of the window, or of the whole page."""
        shot = self._ask("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        self._out.flush()
        while True:
            answer = json.loads(self._read())
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                found: dict[str, Any] = answer["result"]
                return found

    def _read(self) -> bytes:
        parts = bytearray()
        while (byte := self._in.read(1)) != b"\0":
            assert byte, "the browser is gone"
            parts += byte
        return bytes(parts)

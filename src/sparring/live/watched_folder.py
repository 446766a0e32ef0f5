"""The page of a run or of a folder of runs, served while they train.

The page is drawn again when the files of a run have changed and a browser asks for it. Nothing is written.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

from sparring.core.files import PREFIX
from sparring.live.server import LocalServer, PageRequest, PageResponse
from sparring.report import page_of
from sparring.runs.folder import RunFolder

_UNSEEN = {"checkpoints", "tb"}
"""Folders of a run that no page shows."""


class WatchedFolder:
    """A folder whose page is drawn when it is asked for, once for every state of its files.

    Args:
        path: a run, a sweep, an evaluation, or a folder of runs.

    Raises:
        UsageError, CorruptInput: there is nothing to show, or it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        self._version = self._state()
        self._page = self._drawn()

    def answer(self, request: PageRequest) -> PageResponse:
        """The page as it is now."""
        with self._lock:
            state = self._state()
            if state != self._version:
                self._page, self._version = self._drawn(), state
            return PageResponse(self._page, version=f'"{self._version}"')

    def _drawn(self) -> str:
        return page_of(self.path).html("watch.js", packages=("sparring.live",), connects="'self'")

    def _state(self) -> str:
        """A digest of names, sizes and times of the files that a page may show, and of which runs train."""
        return hashlib.sha256("\n".join(_facts(self.path)).encode()).hexdigest()[:16]


def watch(path: Path | str, *, port: int = 0) -> LocalServer:
    """A server of the page of a run, kept up to date; start it with `serve_forever`, or `serve_until_stopped`.

    Args:
        path: a run, a sweep, an evaluation, or a folder of runs.
        port: of 127.0.0.1; 0 takes any that is free.

    Raises:
        UsageError: there is nothing to show, or the port is taken.
        CorruptInput: it cannot be read.
    """
    return LocalServer({("GET", "/"): WatchedFolder(Path(path)).answer}, port)


def _facts(path: Path) -> Iterator[str]:
    for folder, inner, files in os.walk(path):
        inner[:] = sorted(name for name in inner if name not in _UNSEEN and not name.startswith(PREFIX))
        for name in sorted(files):
            if name != "report.html" and not name.startswith("."):
                found = os.stat(os.path.join(folder, name))
                yield f"{folder}/{name} {found.st_size} {found.st_mtime_ns}"
        if "recipe.yaml" in files:
            yield f"{folder} {RunFolder(Path(folder)).is_owned()}"

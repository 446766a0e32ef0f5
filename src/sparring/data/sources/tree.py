"""The folder of a stranger: what leads out of it, and what is neither file nor folder, is a fault and never opened.

Names are relative to the folder and come in the order of their parts. Hidden ones are passed over, and so is what
macOS packs beside every file. Links to files within the folder are followed, links to folders never: they may lead
in circles.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from sparring.data.faults import Faults, first_line
from sparring.data.sources.images import SUFFIXES

_IGNORED = "__MACOSX"
_FILE, _FOLDER = "file", "folder"
_LINKED = "a link to a folder; put the folder itself in its place"


class Tree:
    """A folder and all below it.

    Args:
        root: the folder; it may be reached by a link, since the user named it.
        faults: what is found is added, once.
    """

    def __init__(self, root: Path, faults: Faults) -> None:
        self.root = root
        self._real = os.path.realpath(root)
        self._faults = faults
        self._told: set[str] = set()

    def files(self, fits: Callable[[str], bool], inside: str = "", *, nested: bool = True) -> Iterator[str]:
        """The files below a folder whose own name fits; those directly in it if not nested."""
        waiting = self._first(inside)[::-1]
        while waiting:
            name, kind = waiting.pop()
            if kind == _FOLDER:
                if nested:
                    waiting += self._entries(name)[::-1]
            elif kind == _LINKED:
                if nested:
                    self._tell(name, kind)
            elif fits(os.path.basename(name)):
                if kind == _FILE:
                    yield name
                else:
                    self._tell(name, kind)

    def images(self, inside: str = "", *, nested: bool = True) -> Iterator[str]:
        """The files that are called as images."""
        return self.files(lambda name: os.path.splitext(name)[1].lower() in SUFFIXES, inside, nested=nested)

    def folders(self, inside: str = "") -> list[str]:
        """The names of the folders directly in a folder."""
        found = []
        for name, kind in self._first(inside):
            if kind == _FOLDER:
                found.append(os.path.basename(name))
            elif kind == _LINKED:
                self._tell(name, kind)
        return found

    def _tell(self, name: str, what: str) -> None:
        if name not in self._told:
            self._told.add(name)
            self._faults.add("links, pipes and devices", f"{name}: {what}")

    def _first(self, inside: str) -> list[tuple[str, str]]:
        """What lies directly in a folder that is not yet known to be reached without a link."""
        if os.path.realpath(self.root / inside) != os.path.normpath(os.path.join(self._real, inside)):
            self._tell(inside, _LINKED)
            return []
        return self._entries(inside)

    def _entries(self, inside: str) -> list[tuple[str, str]]:
        """Name and kind of what lies directly in a folder, sorted: a file, a folder, or what it is instead."""
        try:
            with os.scandir(self.root / inside) as entries:
                return sorted(
                    (os.path.join(inside, entry.name), self._kind(entry))
                    for entry in entries
                    if not entry.name.startswith(".") and entry.name != _IGNORED
                )
        except OSError as error:
            self._tell(inside or ".", f"cannot be listed ({first_line(error)})")
            return []

    def _kind(self, entry: os.DirEntry[str]) -> str:
        if entry.is_symlink():
            return self._kind_of_link(entry)
        if entry.is_dir():
            return _FOLDER
        return _FILE if entry.is_file() else "a pipe, a socket or a device"

    def _kind_of_link(self, entry: os.DirEntry[str]) -> str:
        real = os.path.realpath(entry.path)
        try:
            mode = os.stat(real).st_mode
        except OSError as error:
            return f"a link that leads nowhere ({first_line(error)})"
        if stat.S_ISDIR(mode):
            return _LINKED
        if os.path.commonpath([real, self._real]) != self._real:
            return "a link that leads out of the source; put the file itself in its place"
        return _FILE if stat.S_ISREG(mode) else "a link to a pipe, a socket or a device"

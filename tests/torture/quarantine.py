"""A command of the library in a process of its own, where all that a payload could do is watched and bounded.

The process is forked from this one, which has imported everything, so that what it takes in memory is the command's.
"""

from __future__ import annotations

import functools
import importlib
import io
import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import typer
from PIL import Image

import sparring.cli

for name in (
    "pyarrow.compute",
    "pyarrow.parquet",
    "scipy.io",
    "sparring.cli.terminal",
    "sparring.data",
    "sparring.training.loop",
):
    importlib.import_module(name)
for name in ("evaluation", "cli.tables", "recipes", "report"):
    importlib.import_module(f"sparring.{name}")
Image.init()

_MADE = functools.cache(typer.main.get_command)
"""The command line is made once, as in a process of its own."""

SECONDS = 60
"""After which a command hangs."""

_ROOM = 4 << 30
"""Bytes of address space for the command: more than any bound of a promise, less than this machine has."""
_LARGEST_FILE = 1 << 30

_FORBIDDEN = (
    "os.system",
    "os.exec",
    "os.spawn",
    "os.posix_spawn",
    "os.fork",
    "pty.spawn",
    "subprocess.Popen",
    "socket.connect",
    "socket.bind",
    "pickle.find_class",
    "webbrowser.open",
)
_CHANGING = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.chmod", "os.truncate")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True)
class Outcome:
    """What a command came to.

    Args:
        code: its exit code; the negative number of the signal that killed it.
        text: all that it printed, undecoded.
        memory: bytes by which it grew at its largest.
        misdeeds: processes, connections, pickles, and writing outside of where it may.
    """

    code: int
    text: bytes
    memory: int
    misdeeds: tuple[str, ...]


def quarantined(arguments: Sequence[str], *, work: Path, printed: Path, allowed: Path, secret: Path) -> Outcome:
    """Run `sparring ARGUMENTS`.

    Args:
        arguments: of the command.
        work: the working folder.
        printed: the file for what it prints.
        allowed: where it may write, and below.
        secret: nothing here may be opened.
    """
    _MADE(sparring.cli.app)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read)
            found = _run(arguments, work, printed, str(allowed), str(secret))
            os.write(write, json.dumps(found).encode())
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    text = printed.read_bytes()
    if os.WIFSIGNALED(status) or not answer:
        return Outcome(-os.WTERMSIG(status), text, 0, ())
    found = json.loads(answer)
    return Outcome(found["code"], text, found["memory"], tuple(found["misdeeds"]))


def _run(arguments: Sequence[str], work: Path, printed: Path, allowed: str, secret: str) -> dict[str, Any]:
    handle = os.open(printed, os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(handle, stream)
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8", "strict", write_through=True)
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), "utf-8", "backslashreplace", write_through=True)
    torch.set_num_threads(1)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(SECONDS)
    os.chdir(work)
    _bound()
    misdeeds: list[str] = []
    before = _status("VmRSS")
    sys.addaudithook(_watch(misdeeds, allowed, secret))
    sys.argv = ["sparring", *arguments]
    code = 0
    try:
        with mock.patch.object(typer.main, "get_command", _MADE):
            sparring.cli.main()
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    return {"code": code, "memory": _status("VmHWM") - before, "misdeeds": misdeeds}


def _bound() -> None:
    for limit, most in (
        (resource.RLIMIT_AS, _status("VmSize") + _ROOM),
        (resource.RLIMIT_FSIZE, _LARGEST_FILE),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))


def _status(field: str) -> int:
    """Bytes that the kernel counts for this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def _watch(misdeeds: list[str], allowed: str, secret: str) -> Any:
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(_FORBIDDEN):
            misdeeds.append(f"{event} {arguments!r}"[:300])
        elif event == "open" and isinstance(arguments[0], str | bytes):
            name = os.path.abspath(os.fsdecode(arguments[0]))
            if _below(name, secret) or (arguments[2] & _WRITING and not _below(name, allowed) and name != "/dev/null"):
                misdeeds.append(f"open {name} {arguments[1:]!r}")
        elif event in _CHANGING and isinstance(arguments[0], str | bytes | os.PathLike):
            name = os.path.join(_folder(event, arguments), os.fsdecode(arguments[0]))
            if not _below(os.path.abspath(name), allowed):
                misdeeds.append(f"{event} {name}")

    return hook


def _folder(event: str, arguments: tuple[Any, ...]) -> str:
    """What a name is relative to, where `shutil.rmtree` names it by a handle."""
    handle = arguments[-1] if event in ("os.remove", "os.rmdir") else -1
    return os.readlink(f"/proc/self/fd/{handle}") if handle >= 0 else ""


def _below(name: str, folder: str) -> bool:
    return name == folder or name.startswith(folder + os.sep)

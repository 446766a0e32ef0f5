"""The command line within this process: its exit code, what it prints, and the processor time that it takes."""

from __future__ import annotations

import contextlib
import functools
import io
import signal
import sys
import time
from dataclasses import dataclass
from unittest import mock

import typer

from sparring.cli import main

_MADE = functools.cache(typer.main.get_command)
"""The command line is made once, as in a process of its own."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class Outcome:
    """What a command came to; `seconds` are those of the processor, which a busy machine does not lengthen."""

    code: int
    out: str
    err: str
    seconds: float


def sparring(*arguments: str) -> Outcome:
    """Run `sparring ARGUMENTS` as its own process would, without the time that one takes to start."""
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    out, err, code = io.StringIO(), io.StringIO(), 0
    began = time.process_time()
    with (
        mock.patch.object(sys, "argv", ["sparring", *arguments]),
        mock.patch.object(sys, "path", list(sys.path)),
        mock.patch.object(typer.main, "get_command", _MADE),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else int(left.code is not None)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
    return Outcome(code, out.getvalue(), err.getvalue(), time.process_time() - began)

"""The command `sparring`, and `python -m sparring`: handles signals from before the long imports to the end."""

from __future__ import annotations

import os
import sys

from sparring.core.errors import SparringError, print_error
from sparring.core.process import process_count
from sparring.core.signals import Terminated, ignore_signals, terminate_on_signals


def main() -> None:
    """Run the command line and exit with the code of its outcome."""
    try:
        _run()
    except SystemExit as end:
        if process_count() > 1 and isinstance(end.code, int):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code)  # in exit handlers, a torch thread that frees a tensor meanwhile aborts the process
        raise


def _run() -> None:
    terminate_on_signals()
    try:
        try:
            from sparring.cli import main as run

            run()
        finally:
            ignore_signals()  # the exit code is decided: none interrupts the interpreter's exit handlers
    except Terminated as stop:
        number = stop.signal
    print_error(SparringError(f"stopped by {number.name}", "run it again; `sparring resume` continues a run"))
    sys.exit(128 + number)


if __name__ == "__main__":
    main()

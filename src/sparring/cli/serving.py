"""Verbs that serve a page on this machine until Ctrl-C: watch, play."""

from __future__ import annotations

import webbrowser
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated

import typer

from sparring.cli.terminal import AsJson, print_json, set_threads
from sparring.core.errors import SparringError, print_note, print_text
from sparring.core.signals import StopSignal

if TYPE_CHECKING:
    from sparring.live import LocalServer

Port = Annotated[
    int, typer.Option(min=0, max=65535, help="A port of 127.0.0.1, up to 65535.", show_default="any free port")
]


def watch(
    path: Annotated[
        Path, typer.Argument(help="A run folder, a sweep, or a folder of run folders.", show_default=False)
    ],
    opens: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    port: Port = 0,
    as_json: AsJson = False,
) -> None:
    """Serve the page of a run while it trains, brought up to date at every logged round; Ctrl-C ends it."""
    from sparring.live import watch as watch_folder
    from sparring.report.read import find_runs, read_run

    server = watch_folder(path, port=port)
    statuses: dict[str, str] = {}
    with suppress(SparringError):  # the page says what cannot be read, and what is not there yet
        for run in find_runs(path):
            with suppress(SparringError):
                statuses[str(run.path)] = read_run(run).status.text
    if as_json:
        print_json({"address": server.address, "runs": statuses})
    else:
        print_text("\n".join(f"{run}: {status}" for run, status in statuses.items()))
    _serve(server, opens=opens, quiet=as_json)


def _serve(server: LocalServer, *, opens: bool, quiet: bool) -> None:
    """Say where the page is and answer until a stop signal, which is the exit code."""
    from sparring.live import serve_until_stopped

    if not quiet:
        print_text(f"{server.address}  (Ctrl-C ends it)")
    if opens:  # a browser of the terminal keeps its caller until it is closed
        Thread(target=webbrowser.open, args=(server.address,), daemon=True).start()
    try:
        serve_until_stopped(server)
    except StopSignal as stop:
        print_note(f"stopped by {stop.signal.name}")
        raise typer.Exit(128 + stop.signal) from None


def play(
    opens: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="The seed of both games, from 0.")] = 0,
    port: Port = 0,
    as_json: AsJson = False,
) -> None:
    """Serve a page on which two games on the ring train side by side and are changed meanwhile; Ctrl-C ends it."""
    from sparring.live import play as serve_games

    set_threads(1)  # small games are no faster on several
    server = serve_games(seed, port=port)
    if as_json:
        print_json({"address": server.address})
    _serve(server, opens=opens, quiet=as_json)

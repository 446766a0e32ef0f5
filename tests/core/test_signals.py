"""The first stop signal is a request, a second one acts; promise 5 tries them on runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from sparring.core.signals import STOPS, Stopped, StopRequest, Terminated, stop_request, terminate_on_signals


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before, hook = {number: signal.getsignal(number) for number in (*STOPS, signal.SIGALRM)}, sys.unraisablehook
    yield
    sys.unraisablehook = hook
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOPS)
def test_the_first_signal_is_a_request_and_the_second_acts(number: signal.Signals) -> None:
    heard: list[int] = []
    signal.signal(number, lambda number, _frame: heard.append(number))
    with stop_request() as request:
        signal.raise_signal(number)
        assert request.signal == number and not heard
        signal.raise_signal(number)
        assert heard == [number]


@pytest.mark.parametrize("early", [True, False])
def test_an_interruptible_block_is_interrupted(early: bool) -> None:
    done = []

    def work(request: StopRequest) -> None:
        with request.interruptible():
            done.append("begun")
            signal.raise_signal(signal.SIGTERM)
            done.append("ended")

    with stop_request() as request:
        if early:
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Stopped) as stop:
            work(request)
    assert stop.value.signal == signal.SIGTERM
    assert done == ([] if early else ["begun"])


def test_after_an_interruptible_block_a_signal_is_a_request_again() -> None:
    with stop_request() as request:
        with request.interruptible():
            pass
        signal.raise_signal(signal.SIGINT)
        assert request.signal == signal.SIGINT


def test_ignored_signals_stay_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with stop_request() as request, request.interruptible():
        signal.raise_signal(signal.SIGHUP)
    assert request.signal is None
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_handlers_are_restored() -> None:
    before = [signal.getsignal(number) for number in STOPS]
    with stop_request():
        assert before != [signal.getsignal(number) for number in STOPS]
    assert before == [signal.getsignal(number) for number in STOPS]


def test_a_thread_receives_nothing() -> None:
    requests: list[StopRequest] = []

    def listen() -> None:
        with stop_request() as request:
            requests.append(request)

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert requests[0].signal is None


@pytest.mark.parametrize(("processes", "leaves"), [("1", True), ("2", False)])
@pytest.mark.parametrize(("verb", "code"), [("list", 0), ("nothing", 2)])
def test_one_of_several_processes_skips_the_exit_handlers_of_python(
    processes: str, leaves: bool, verb: str, code: int
) -> None:
    """A thread of a torch process group may abort them."""
    script = (
        "import atexit, sys; atexit.register(lambda: print('exit handlers'));"
        f"sys.argv = ['sparring', '{verb}', 'objectives']; from sparring.__main__ import main; main()"
    )
    environment = os.environ | {"WORLD_SIZE": processes, "RANK": "0"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == code
    assert ("wasserstein" in done.stdout) == (code == 0)
    assert ("exit handlers" in done.stdout) == leaves


class _Finalised:
    """Receives a signal, or fails, where Python drops exceptions."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def __del__(self) -> None:
        if self.error:
            raise self.error
        signal.raise_signal(signal.SIGTERM)


def test_a_termination_that_python_drops_is_raised_again(capsys: pytest.CaptureFixture[str]) -> None:
    terminate_on_signals()

    def work() -> None:
        _Finalised()
        time.sleep(600)

    with pytest.raises(Terminated) as stop:
        work()
    assert stop.value.signal == signal.SIGTERM
    assert not capsys.readouterr().err


def test_during_an_import_a_termination_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.11 replaces what is raised in `__set_name__` by a RuntimeError; others drop it."""
    lines = ["import signal", "signal.raise_signal(signal.SIGTERM)", "import json", "done = True"]
    (tmp_path / "interrupted_import.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    terminate_on_signals()

    def work() -> None:
        import_module("interrupted_import")
        time.sleep(600)

    with pytest.raises(Terminated):
        work()
    assert sys.modules.pop("interrupted_import").done


def test_a_stop_that_python_drops_stays_requested(capsys: pytest.CaptureFixture[str]) -> None:
    terminate_on_signals()
    with stop_request() as request, request.interruptible():
        _Finalised()
        time.sleep(0.1)
    assert request.signal == signal.SIGTERM
    assert not capsys.readouterr().err


def test_other_exceptions_that_python_drops_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    terminate_on_signals()
    _Finalised(OSError("no space"))
    assert "no space" in capsys.readouterr().err

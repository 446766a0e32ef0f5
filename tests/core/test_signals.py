"""How signals are heard; what that is good for is promise 5."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from sparring.core.signals import STOPS, Stopped, StopWish, stop_wish


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in STOPS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOPS)
def test_the_first_signal_is_a_wish_and_the_second_acts(number: signal.Signals) -> None:
    heard: list[int] = []
    signal.signal(number, lambda number, _frame: heard.append(number))
    with stop_wish() as wish:
        signal.raise_signal(number)
        assert wish.signal == number and not heard
        signal.raise_signal(number)
        assert heard == [number]


@pytest.mark.parametrize("early", [True, False])
def test_what_is_not_waited_for_is_cut_at_once(early: bool) -> None:
    done = []

    def work(wish: StopWish) -> None:
        with wish.at_once():
            done.append("begun")
            signal.raise_signal(signal.SIGTERM)
            done.append("ended")

    with stop_wish() as wish:
        if early:
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Stopped) as stop:
            work(wish)
    assert stop.value.signal == signal.SIGTERM
    assert done == ([] if early else ["begun"])


def test_after_the_block_a_signal_is_waited_for_again() -> None:
    with stop_wish() as wish:
        with wish.at_once():
            pass
        signal.raise_signal(signal.SIGINT)
        assert wish.signal == signal.SIGINT


def test_what_the_process_was_started_to_ignore_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with stop_wish() as wish, wish.at_once():
        signal.raise_signal(signal.SIGHUP)
    assert wish.signal is None
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in STOPS]
    with stop_wish():
        assert before != [signal.getsignal(number) for number in STOPS]
    assert before == [signal.getsignal(number) for number in STOPS]


def test_a_thread_hears_nothing() -> None:
    wishes: list[StopWish] = []

    def listen() -> None:
        with stop_wish() as wish:
            wishes.append(wish)

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert wishes[0].signal is None


@pytest.mark.parametrize(("processes", "leaves"), [("1", True), ("2", False)])
@pytest.mark.parametrize(("verb", "code"), [("list", 0), ("nothing", 2)])
def test_a_process_of_several_leaves_without_pythons_way_out(
    processes: str, leaves: bool, verb: str, code: int
) -> None:
    """What torch's threads of a process group may abort."""
    script = (
        "import atexit, sys; atexit.register(lambda: print('the way out'));"
        f"sys.argv = ['sparring', '{verb}', 'objectives']; from sparring.__main__ import main; main()"
    )
    environment = os.environ | {"WORLD_SIZE": processes, "RANK": "0"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == code
    assert ("wasserstein" in done.stdout) == (code == 0)
    assert ("the way out" in done.stdout) == leaves

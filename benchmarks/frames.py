"""A picture of `sparring play`: rounds of both games within their budget of time, everything that is seen, as JSON."""

from __future__ import annotations

import statistics
import time

from benchmarks.case import Case, Line
from benchmarks.ceiling import Ceiling
from sparring.live.live_game import GameSettings
from sparring.live.playground import Playground
from sparring.live.server import PageRequest

_TURNS, _WARM = 50, 5
_ASKED = PageRequest("", b'{"rounds": 100000}')
_SETTINGS = {
    "log and linear, clip, plain": GameSettings(),
    "symmetric, WGAN-GP": GameSettings(regime="symmetric", lipschitz="gradient_penalty", strength=10.0),
}


def _frames(_ceiling: Ceiling) -> list[Line]:
    return [_frame(name, ground) for name, ground in _grounds().items()]


def _grounds() -> dict[str, Playground]:
    grounds = dict[str, Playground]()
    for name, settings in _SETTINGS.items():
        grounds[name] = ground = Playground()
        for index, game in enumerate(ground.games):
            ground.change(index, settings.model_copy(update={"objective": game.settings.objective}))
    return grounds


def _frame(name: str, ground: Playground) -> Line:
    for _ in range(_WARM):
        ground.answer_frame(_ASKED)
    before, seconds = ground.step, list[float]()
    for _ in range(_TURNS):
        began = time.perf_counter()
        ground.answer_frame(_ASKED)
        seconds.append(time.perf_counter() - began)
    rounds = (ground.step - before) / _TURNS
    return Line(f"{name}: {rounds:.0f} rounds of both games", 1e3 * statistics.median(seconds), "ms a picture")


CASES = [Case("play", "a picture of `sparring play` on one core, median of 50; aim: at most 100 ms", _frames)]

"""Packed games: a round of R games at once, against a round of each of the same games in a loop."""

from __future__ import annotations

from functools import partial

import torch

from benchmarks.case import Candidate, Case, Line, compared
from benchmarks.ceiling import Ceiling
from benchmarks.games import rounds_of
from benchmarks.timing import Work
from sparring.gan.state import GANState
from sparring.recipes import Recipe, load, require_game

_GAMES = 16
_CPU = torch.device("cpu")


def _packed_rounds(recipe: str, *overrides: str) -> Work:
    return rounds_of(_game(_recipe(recipe, *overrides)))


def _loop(recipe: str, *overrides: str) -> Work:
    whole = _recipe(recipe, *overrides)
    singles = [rounds_of(_game(whole.single(game))) for game in range(_GAMES)]

    def run() -> None:
        for single in singles:
            single()

    return run


def _without_onednn(work: Work) -> Work:
    """The work with torch's own matrix products instead of oneDNN's."""

    def run() -> None:
        setattr(torch.backends.mkldnn, "enabled", False)  # noqa: B010 - typed as what it is in the class
        try:
            work()
        finally:
            setattr(torch.backends.mkldnn, "enabled", True)  # noqa: B010

    return run


def _recipe(recipe: str, *overrides: str) -> Recipe:
    return require_game(load(recipe, [*overrides, f"replicas={_GAMES}"]), recipe)


def _game(recipe: Recipe) -> GANState:
    return GANState(recipe, recipe.data.open(_CPU), _CPU)


def _packed(recipe: str, ceiling: Ceiling) -> list[Line]:
    candidates = [
        Candidate(f"{_GAMES} games in a loop, fp32, torch's own products", _without_onednn(_loop(recipe))),
        Candidate(f"{_GAMES} games in a loop, fp32", _loop(recipe)),
        Candidate("packed, fp32", _packed_rounds(recipe)),
        Candidate(f"{_GAMES} games in a loop, bf16", _loop(recipe, "precision=bf16"), "bf16"),
        Candidate("packed, bf16", _packed_rounds(recipe, "precision=bf16"), "bf16"),
    ]
    return compared(candidates, ceiling, unit="s a round of all", turns=15)


CASES = tuple(
    Case(f"packed-{name}", f"{_GAMES} packed games of {recipe}", partial(_packed, recipe))
    for name, recipe in (("ring-small", "dishonest/ring-small"), ("ring", "dishonest/ring"))
)

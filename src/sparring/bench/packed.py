"""Packed games: a round of R games as one, against a round of each of the same games one after another."""

from __future__ import annotations

from functools import partial

import torch

from sparring.bench.case import Candidate, Case, Line, compared
from sparring.bench.ceiling import Ceiling
from sparring.bench.games import rounds_of
from sparring.bench.timing import Work
from sparring.gan.state import GANState
from sparring.recipes import Recipe, load, require_game

_GAMES = 16
_CPU = torch.device("cpu")


def _together(recipe: str, *overrides: str) -> Work:
    return rounds_of(_game(_recipe(recipe, *overrides)))


def _in_a_loop(recipe: str, *overrides: str) -> Work:
    whole = _recipe(recipe, *overrides)
    singles = [rounds_of(_game(whole.single(game))) for game in range(_GAMES)]

    def play() -> None:
        for single in singles:
            single()

    return play


def _without_onednn(work: Work) -> Work:
    """The work, with all products of matrices torch's own."""

    def play() -> None:
        setattr(torch.backends.mkldnn, "enabled", False)  # noqa: B010 - typed as what it is in the class
        try:
            work()
        finally:
            setattr(torch.backends.mkldnn, "enabled", True)  # noqa: B010

    return play


def _recipe(recipe: str, *overrides: str) -> Recipe:
    return require_game(load(recipe, [*overrides, f"replicas={_GAMES}"]), recipe)


def _game(recipe: Recipe) -> GANState:
    return GANState(recipe, recipe.data.open(_CPU), _CPU)


def _packed(recipe: str, ceiling: Ceiling) -> list[Line]:
    candidates = [
        Candidate(f"{_GAMES} games in a loop, fp32, torch's own products", _without_onednn(_in_a_loop(recipe))),
        Candidate(f"{_GAMES} games in a loop, fp32", _in_a_loop(recipe)),
        Candidate("packed, fp32", _together(recipe)),
        Candidate(f"{_GAMES} games in a loop, bf16", _in_a_loop(recipe, "precision=bf16"), "bf16"),
        Candidate("packed, bf16", _together(recipe, "precision=bf16"), "bf16"),
    ]
    return compared(candidates, ceiling, unit="s a round of all", turns=15)


CASES = tuple(
    Case(f"packed-{name}", f"{_GAMES} packed games of {recipe}", partial(_packed, recipe))
    for name, recipe in (("ring-small", "dishonest/ring-small"), ("ring", "dishonest/ring"))
)

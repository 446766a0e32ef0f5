"""The bench: how fast a game is played in some variants, measured in turns, and how much arithmetic a round is."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from sparring.engine import Game, play_round
from sparring.engine.environment import choose_device
from sparring.errors import NonFinite, UsageError
from sparring.recipes import Recipe, load, parse_yaml, require_game

WARM_UP = 3
"""Rounds of every variant that are not timed."""


@dataclass(frozen=True)
class Timing:
    """One variant.

    Args:
        variant: the varied key with its value.
        seconds: of a round, the median over turns.
        relative: rounds a second as a multiple of the first variant's, the median over turns.
        low, high: quartiles of `relative` over turns.
        multiply_adds: of one round, in billions: products of matrices and convolutions, forward and backward.
    """

    variant: str
    seconds: float
    relative: float
    low: float
    high: float
    multiply_adds: float


def bench(
    recipe: str,
    vary: str,
    *,
    overrides: Sequence[str] = (),
    turns: int = 10,
    rounds: int = 10,
    device: str = "auto",
    played: Callable[[int, int], None] | None = None,
) -> list[Timing]:
    """Play the variants of a game in turns, so that whatever else the machine does falls on all of them alike.

    Args:
        recipe: a recipe's name or path.
        vary: `KEY=A,B,...`, a dotted key and its values in YAML; the first is what the others are compared with.
        overrides: further `KEY=VALUE`.
        turns: how often every variant comes up.
        rounds: played and timed in each turn.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        played: told of every turn.

    Raises:
        UsageError: fewer than two variants, or what `load` refuses.
        NonFinite: a game's numbers turned non-finite.
    """
    key, _, values = vary.partition("=")
    variants = [json.dumps(value) for value in parse_yaml(f"[{values}]", vary)]
    if len(variants) < 2:
        raise UsageError(f"bench: {vary} leaves nothing to compare", "give at least two values: regime=plain,mixed")
    place = choose_device(device)
    require_game(load(recipe, [*overrides]), recipe)
    games = [_Player(require_game(load(recipe, [*overrides, f"{key}={value}"]), recipe), place) for value in variants]
    arithmetic = [game.multiply_adds() for game in games]
    seconds: list[list[float]] = [[] for _ in games]
    for turn in range(turns):
        for game, spent in zip(games, seconds, strict=True):
            spent.append(game.timed(rounds))
        if played:
            played(turn + 1, turns)
    return [
        _timing(f"{key}={variant}".replace('"', ""), spent, seconds[0], work)
        for variant, spent, work in zip(variants, seconds, arithmetic, strict=True)
    ]


class _Player:
    """A game that goes on for as many rounds as asked."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self.game, self.device, self.step = Game(recipe, recipe.data.open(device), device), device, 0
        self.play(WARM_UP)

    def play(self, rounds: int) -> None:
        for _ in range(rounds):
            play_round(self.game, self.step % self.game.recipe.steps)
            self.step += 1
            site = self.game.watch.first_bad()
            if site:
                raise NonFinite(f"bench: not finite: {site}", "lower the learning rates")

    def timed(self, rounds: int) -> float:
        """Seconds a round."""
        self._wait()
        began = time.perf_counter()
        self.play(rounds)
        self._wait()
        return (time.perf_counter() - began) / rounds

    def multiply_adds(self) -> float:
        """Of one round, in billions; the counter counts a multiply-add as two operations."""
        with _Counting() as counter:
            self.play(1)
        billions: float = counter.operations / 2e9
        return billions

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up torch's own operation counts; its FlopCounterMode refuses gradients of leaves, which attacks take."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        count = flop_registry.get(func.overloadpacket)
        self.operations += count(*args, **(kwargs or {}), out_val=out) if count else 0
        return out


def _timing(variant: str, spent: Sequence[float], first: Sequence[float], multiply_adds: float) -> Timing:
    ratios = [theirs / mine for mine, theirs in zip(spent, first, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [ratios[0]] * 3
    return Timing(variant, statistics.median(spent), middle, low, high, multiply_adds)

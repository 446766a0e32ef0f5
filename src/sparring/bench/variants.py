"""How fast a recipe's game is played in some variants, measured in turns, and how much arithmetic a round is."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from sparring.bench.timing import Played, awaited, billions, ratio_of, seconds_in_turns
from sparring.core.errors import NonFinite, UsageError
from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.recipes import Recipe, load, parse_yaml, require_game
from sparring.runs.environment import choose_device

WARM_UP = 5
"""Rounds of every variant that are not timed, beside the one whose products are counted."""


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
    played: Played | None = None,
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
    arithmetic = [billions(game.play_one) for game in games]
    for game in games:
        game.play(WARM_UP)
    seconds = seconds_in_turns([game.turn(rounds) for game in games], turns, played=played)
    return [
        _timing(f"{key}={variant}".replace('"', ""), spent, seconds[0], rounds, work)
        for variant, spent, work in zip(variants, seconds, arithmetic, strict=True)
    ]


class _Player:
    """A game that goes on for as many rounds as asked."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self.game, self.device, self.step = GANState(recipe, recipe.data.open(device), device), device, 0
        self.play_one()

    def play(self, rounds: int) -> None:
        for _ in range(rounds):
            play_round(self.game, self.step % self.game.recipe.steps)
            self.step += 1
            site = self.game.log.first_bad()
            if site:
                raise NonFinite(f"bench: not finite: {site}", "lower the learning rates")

    def play_one(self) -> None:
        self.play(1)

    def turn(self, rounds: int) -> Callable[[], None]:
        """What is timed."""

        return awaited(lambda: self.play(rounds), self.device)


def _timing(variant: str, spent: Sequence[float], first: Sequence[float], rounds: int, multiply_adds: float) -> Timing:
    ratio = ratio_of(first, spent)
    return Timing(variant, statistics.median(spent) / rounds, ratio.median, ratio.low, ratio.high, multiply_adds)

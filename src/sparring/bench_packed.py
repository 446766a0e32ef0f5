"""The bench of packed games: R games as one against the same R games one after another, measured in turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from sparring.bench import _Player
from sparring.engine.environment import choose_device
from sparring.recipes import load, require_game


@dataclass(frozen=True)
class Packing:
    """How much packing saves.

    Args:
        recipe: what is played.
        games: how many.
        packed, loop: seconds of a round of all games, medians over turns.
        ratio: loop over packed, the median over turns.
        low, high: its quartiles.
        multiply_adds: of a round of all games, in billions.
    """

    recipe: str
    games: int
    packed: float
    loop: float
    ratio: float
    low: float
    high: float
    multiply_adds: float


def packed_case(
    recipe: str = "dishonest/ring-small",
    *,
    games: int = 16,
    overrides: Sequence[str] = (),
    loop_overrides: Sequence[str] | None = None,
    turns: int = 5,
    rounds: int = 5,
    device: str = "auto",
) -> Packing:
    """Play packed games, and the same games one after another, in turns.

    Args:
        recipe: a recipe's name or path.
        games: how many.
        overrides: further `KEY=VALUE`.
        loop_overrides: those of the single games where they are others, such as another precision.
        turns: how often both ways come up.
        rounds: played and timed in each turn.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        UsageError: what `load` refuses, or networks that do not pack.
        NonFinite: a game's numbers turned non-finite.
    """
    place = choose_device(device)
    whole = require_game(load(recipe, [*overrides, f"replicas={games}", "vary={}"]), recipe)
    own = overrides if loop_overrides is None else loop_overrides
    alone = [
        require_game(load(recipe, [*own, "replicas=1", "vary={}", f"seed={seed}"]), recipe) for seed in whole.seeds
    ]
    packed, singles = _Player(whole, place), [_Player(single, place) for single in alone]
    arithmetic = packed.multiply_adds()
    spent = [(packed.timed(rounds), sum(single.timed(rounds) for single in singles)) for _ in range(turns)]
    ratios = [loop / together for together, loop in spent]
    low, middle, high = quantiles(ratios, n=4) if turns > 1 else ratios * 3
    together, loop = (median(each) for each in zip(*spent, strict=True))
    return Packing(recipe, games, together, loop, middle, low, high, arithmetic)

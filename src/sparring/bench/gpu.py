"""Rounds on a GPU in every precision, and hundreds of packed games against the same games one after another.

The ceilings are the GPU's own. Where there is no GPU, the lines say so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from sparring.bench.case import Candidate, Case, Line, compared
from sparring.bench.ceiling import Ceiling, Precision, measured_ceiling
from sparring.bench.games import REGIMES, game_of_noise, rounds_of
from sparring.bench.timing import Work, awaited
from sparring.gan.state import GANState
from sparring.recipes import Recipe, load, require_game

_GPU = torch.device("cuda")
_BATCHES = (64, 256, 512)
_ROUNDS = 20
_GAMES = 256
_REGIME_OF = {"dcgan32": "symmetric", "resnet32": "replace"}
_BF16 = ("precision=bf16", "memory_format=channels_last")


@dataclass(frozen=True)
class _Variant:
    """One way to train a game.

    Args:
        name: in the table.
        overrides: of the recipe.
        precision: of its products.
    """

    name: str
    overrides: tuple[str, ...] = ()
    precision: Precision = "fp32"


def _work(games: Sequence[GANState], rounds: int) -> Work:
    """So many rounds of each of the games."""
    works = [rounds_of(game) for game in games]

    def play() -> None:
        for _ in range(rounds):
            for work in works:
                work()

    return awaited(play, games[0].device)


def _measured(
    variants: Sequence[_Variant], work: Callable[[_Variant], Work], unit: str, ceiling: Ceiling | None
) -> list[Line]:
    if ceiling is None:
        return [Line(variant.name, None, unit, note="not measured: no GPU") for variant in variants]
    candidates = [Candidate(variant.name, work(variant), variant.precision) for variant in variants]
    return compared(candidates, ceiling, unit=unit)


def _gpu_ceiling() -> Ceiling | None:
    return measured_ceiling(_GPU) if torch.cuda.is_available() else None


def _rounds(networks: str, _ceiling: Ceiling) -> list[Line]:
    variants = [_Variant("fp32"), _Variant("tf32", ("precision=tf32",), "tf32"), _Variant("bf16", _BF16, "bf16")]
    ceiling, regime, lines = _gpu_ceiling(), REGIMES[_REGIME_OF[networks]], list[Line]()
    for batch in _BATCHES:
        named = [replace(variant, name=f"batch {batch}: {variant.name}") for variant in variants]

        def work(variant: _Variant, batch: int = batch) -> Work:
            game = game_of_noise(networks, regime, f"batch_size={batch}", *variant.overrides, device=_GPU)
            return _work([game], _ROUNDS)

        lines += _measured(named, work, f"s for {_ROUNDS} rounds", ceiling)
    return lines


def _packed(recipe: str, _ceiling: Ceiling) -> list[Line]:
    variants = [
        _Variant(f"{_GAMES} games in a loop, fp32"),
        _Variant("packed, fp32"),
        _Variant("packed, tf32", ("precision=tf32",), "tf32"),
        _Variant("packed, bf16", ("precision=bf16",), "bf16"),
    ]

    def work(variant: _Variant) -> Work:
        whole = require_game(load(recipe, [*variant.overrides, f"replicas={_GAMES}"]), recipe)
        played = [whole.single(game) for game in range(_GAMES)] if variant is variants[0] else [whole]
        return _work([_game(each) for each in played], 1)

    return _measured(variants, work, "s a round of all", _gpu_ceiling())


def _game(recipe: Recipe) -> GANState:
    return GANState(recipe, recipe.data.open(_GPU), _GPU)


CASES = (
    *(
        Case(f"gpu-round-{networks}", f"a round of {regime} on a GPU, {networks}", partial(_rounds, networks))
        for networks, regime in _REGIME_OF.items()
    ),
    Case("gpu-packed", f"{_GAMES} packed games of dishonest/ring on a GPU", partial(_packed, "dishonest/ring")),
)

"""Rounds on a GPU: one captured graph against one operation after the other, and hundreds of packed games.

The ceilings are the GPU's own. Where there is no GPU, the lines say so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch

from sparring.bench.case import Candidate, Case, Line, compared
from sparring.bench.ceiling import Ceiling, Precision, measured_ceiling
from sparring.bench.games import REGIMES, game_of_noise
from sparring.bench.timing import Work, awaited, billions
from sparring.gan.rounds import WARM_UP, Plain, Rounds, chosen_rounds
from sparring.gan.state import Game
from sparring.recipes import Recipe, load, require_game

_GPU = torch.device("cuda")
_BATCHES = (64, 256, 512)
_ROUNDS = 20
_GAMES = 256
_REGIME_OF = {"dcgan32": "symmetric", "resnet32": "replace"}
_BF16 = ("precision=bf16", "memory_format=channels_last")


@dataclass(frozen=True)
class _Way:
    """One way to play a game.

    Args:
        variant: its name.
        overrides: of the recipe.
        precision: of its products.
        rounds: of the game, and whom they tell of what stands in their way.
        told: what they told.
    """

    variant: str
    overrides: tuple[str, ...] = ()
    precision: Precision = "fp32"
    rounds: Callable[[Game, Callable[[str], None]], Rounds] = chosen_rounds
    told: list[str] = field(default_factory=list)

    def work(self, games: Sequence[Game], rounds: int) -> Work:
        """So many rounds of each of the games."""
        ways, step = [self.rounds(game, self.told.append) for game in games], iter(range(1 << 30))

        def play() -> None:
            for _ in range(rounds):
                number = next(step)
                for way in ways:
                    way.play(number)
                    way.game.watch.first_bad()

        return awaited(play, games[0].device)


def _plain(game: Game, _tell: Callable[[str], None]) -> Rounds:
    return Plain(game)


def _measured(ways: Sequence[_Way], works: Callable[[_Way], Work], ceiling: Ceiling, unit: str) -> list[Line]:
    each = [works(way) for way in ways]
    counted = billions(each[0])  # once for all: the replay of a graph dispatches nothing that could be counted
    candidates = [
        Candidate(way.variant, work, way.precision, warm_up=WARM_UP + 1, multiply_adds=counted)
        for way, work in zip(ways, each, strict=True)
    ]
    lines = compared(candidates, ceiling, unit=unit)
    return [replace(line, note="; ".join(way.told)) for line, way in zip(lines, ways, strict=True)]


def _not_measured(ways: Sequence[_Way], unit: str) -> list[Line]:
    return [Line(way.variant, None, unit, note="not measured: no GPU") for way in ways]


def _ways_of_a_round(batch: int) -> list[_Way]:
    tf32 = ("precision=tf32",)
    ways = [
        _Way("one by one, fp32", rounds=_plain),
        _Way("graph, fp32"),
        _Way("graph, tf32", tf32, "tf32"),
        _Way("one by one, bf16", _BF16, "bf16", _plain),
        _Way("graph, bf16", _BF16, "bf16"),
    ]
    return [replace(way, variant=f"batch {batch}: {way.variant}") for way in ways]


def _rounds(networks: str, _ceiling: Ceiling) -> list[Line]:
    unit, lines, there = f"s for {_ROUNDS} rounds", [], torch.cuda.is_available()
    ceiling = measured_ceiling(_GPU) if there else {}
    for batch in _BATCHES:
        ways, regime = _ways_of_a_round(batch), REGIMES[_REGIME_OF[networks]]

        def work(way: _Way, regime: str = regime, batch: int = batch) -> Work:
            game = game_of_noise(networks, regime, f"batch_size={batch}", *way.overrides, device=_GPU)
            return way.work([game], _ROUNDS)

        lines += _measured(ways, work, ceiling, unit) if there else _not_measured(ways, unit)
    return lines


def _packed(recipe: str, _ceiling: Ceiling) -> list[Line]:
    unit = "s a round of all"
    ways = [
        _Way(f"{_GAMES} games in a loop, one by one, fp32", rounds=_plain),
        _Way("packed, one by one, fp32", rounds=_plain),
        _Way("packed, graph, fp32"),
        _Way("packed, graph, tf32", ("precision=tf32",), "tf32"),
        _Way("packed, graph, bf16", ("precision=bf16",), "bf16"),
    ]
    if not torch.cuda.is_available():
        return _not_measured(ways, unit)

    def work(way: _Way) -> Work:
        whole = require_game(load(recipe, [*way.overrides, f"replicas={_GAMES}"]), recipe)
        played = [whole.single(game) for game in range(_GAMES)] if way is ways[0] else [whole]
        return way.work([_game(each) for each in played], 1)

    return _measured(ways, work, measured_ceiling(_GPU), unit)


def _game(recipe: Recipe) -> Game:
    return Game(recipe, recipe.data.open(_GPU), _GPU)


CASES = (
    *(
        Case(f"gpu-round-{networks}", f"a round of {regime} on a GPU, {networks}", partial(_rounds, networks))
        for networks, regime in _REGIME_OF.items()
    ),
    Case("gpu-packed", f"{_GAMES} packed games of dishonest/ring on a GPU", partial(_packed, "dishonest/ring")),
)

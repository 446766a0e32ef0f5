"""Packed games that have diverged: they stand still while the others go on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class DivergedGames:
    """The packed games with a loss, gradient or logged number that was not finite, and the round of each.

    Args:
        replicas: number of packed games; 0 for a single game, which ends instead.

    Attributes:
        round: the current round, counted from 1.
        since: the round of every game that has diverged.
    """

    def __init__(self, replicas: int) -> None:
        self.replicas = replicas
        self.round = 0
        self.since: dict[int, int] = {}

    def add(self, games: Iterable[int]) -> None:
        """These games have diverged in the current round, unless they had before."""
        self.since |= {game: self.round for game in games if game not in self.since}

    @property
    def games(self) -> list[int]:
        """Every game that has diverged."""
        return list(self.since)

    def step(self, optimizer: torch.optim.Optimizer, parameters: Sequence[nn.Parameter]) -> None:
        """A step of the optimizer that leaves the parameters of these games as they are."""
        games = self.games
        moved = [parameter for parameter in parameters if parameter.grad is not None]
        before = [parameter.detach()[games] for parameter in moved]
        for parameter in moved:
            assert parameter.grad is not None
            parameter.grad[games] = 0.0  # so that moments stay finite
        optimizer.step()
        with torch.no_grad():
            for parameter, held in zip(moved, before, strict=True):
                parameter[games] = held

    def blank(self, numbers: Mapping[str, Any]) -> dict[str, Any]:
        """Numbers of all games by name, with None for those of these games."""
        if not self.since:
            return dict(numbers)
        return {
            name: [None if game in self.since else value for game, value in enumerate(values)]
            for name, values in numbers.items()
        }

    def state(self) -> dict[str, Tensor]:
        """The round of every game's divergence, 0 for games that go on; empty for a single game."""
        if not self.replicas:
            return {}
        return {"diverged": torch.tensor([self.since.get(game, 0) for game in range(self.replicas)])}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from `state`; without one, all games go on."""
        rounds = state["diverged"].tolist() if "diverged" in state else []
        self.since = {game: number for game, number in enumerate(rounds) if number}

"""Optimizers and learning-rate schedules of the two players.

All are elementwise in the parameters, so that one optimizer steps R packed games exactly as R would.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from typing import Annotated, Any, final

import torch
from pydantic import Field
from torch import nn

from sparring.core.pieces import Piece, piece
from sparring.core.records import NonNegative, PerGame, Positive, Probability

Momentum = Annotated[float, Field(ge=0, lt=1)]
Parameters = Iterable[nn.Parameter] | Iterable[dict[str, Any]]
"""Parameters, or groups of them as torch's optimizers take them."""


class Schedule(Piece, family="schedule"):
    """A learning rate over time."""

    @abstractmethod
    def factor(self, progress: float) -> float:
        """What the base rate is multiplied with when this share of the rounds, in [0, 1), has been played."""


@piece("constant")
class ConstantRate(Schedule):
    """The base rate throughout."""

    def factor(self, progress: float) -> float:
        return 1.0


@piece("linear")
class LinearDecay(Schedule):
    """The base rate until `start`, then linearly down to `end` times the base rate.

    Args:
        start: share of the rounds after which the decay begins.
        end: the final factor.
    """

    start: Probability = 0.0
    end: Probability = 0.0

    def factor(self, progress: float) -> float:
        if progress <= self.start:
            return 1.0
        return 1.0 + (self.end - 1.0) * (progress - self.start) / (1.0 - self.start)


@piece("steps")
class StepDecay(Schedule):
    """The base rate, times `drop` from every one of these shares of the rounds on.

    Args:
        after: shares of the rounds.
        drop: what the rate is multiplied with.
    """

    after: Annotated[tuple[Probability, ...], Field(strict=False)] = (1 / 3, 2 / 3)
    drop: Probability = 0.1

    def factor(self, progress: float) -> float:
        return self.drop ** sum(progress >= share for share in self.after)


class Optimizer(Piece, family="optimizer"):
    """How a player turns gradients into steps.

    Args:
        lr: the base rate; unlike other numbers, games with different ones are stepped apart, by `build_packed`.
        schedule: what becomes of it.
    """

    lr: PerGame[Positive]
    schedule: Schedule = ConstantRate()

    @abstractmethod
    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        """The torch optimizer over these parameters."""

    @final
    def build_packed(self, parameters: Iterable[nn.Parameter], rates: Sequence[float]) -> torch.optim.Optimizer:
        """The torch optimizer of packed games, each with a base rate of its own.

        Neighbours of equal rate are a group, whose parameters are those rows of the stacked ones, in the same memory.

        Args:
            parameters: `(replicas, ...)`.
            rates: of every game.
        """
        stacked = list(parameters)
        lengths = [len(list(alike)) for _, alike in groupby(rates)]
        ends = [0, *(sum(lengths[: number + 1]) for number in range(len(lengths)))]
        rows = [slice(*pair) for pair in pairwise(ends)]
        views = {part.start: [nn.Parameter(each.data[part]) for each in stacked] for part in rows}
        groups = [{"params": views[part.start], "lr": rates[part.start]} for part in rows]

        def hand_out(*_: object) -> None:
            for part in rows:
                for whole, view in zip(stacked, views[part.start], strict=True):
                    view.grad = None if whole.grad is None else whole.grad[part]

        optimizer = self.build(groups)
        optimizer.register_step_pre_hook(hand_out)
        return optimizer

    def set_rate(self, optimizer: torch.optim.Optimizer, progress: float) -> None:
        """Set the rates that the schedule gives at this share of the rounds."""
        factor = self.schedule.factor(progress)
        for group in optimizer.param_groups:
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor


@piece("adam")
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015)."""

    beta1: Momentum = 0.5
    beta2: Momentum = 0.999
    epsilon: Positive = 1e-8

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        betas = (self.beta1, self.beta2)
        return torch.optim.Adam(parameters, lr=self.lr, betas=betas, eps=self.epsilon, fused=True)


@piece("rmsprop")
class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton 2012)."""

    alpha: Momentum = 0.99
    epsilon: Positive = 1e-8

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(parameters, lr=self.lr, alpha=self.alpha, eps=self.epsilon)


@piece("sgd")
class SGD(Optimizer):
    """Stochastic gradient steps, with momentum and weight decay where asked."""

    momentum: Momentum = 0.0
    weight_decay: NonNegative = 0.0

    def build(self, parameters: Parameters) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)

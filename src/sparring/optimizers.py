"""Optimizers and learning-rate schedules.

All are elementwise in the parameters, so one optimizer steps R packed games exactly as R optimizers would, unless the
number of axes of a parameter decides: see `packs`.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, model_validator
from torch import nn

from sparring.core.eager_optimizers import EagerAdam, EagerOptimizer, EagerSGD
from sparring.core.pieces import Piece, piece
from sparring.core.records import NonNegative, Positive, Probability

Momentum = Annotated[float, Field(ge=0, lt=1)]


class Schedule(Piece, family="schedule"):
    """A learning rate over time."""

    @abstractmethod
    def factor(self, progress: float) -> float:
        """The factor of the base rate when this share of the rounds, in [0, 1), is complete."""


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
        drop: factor of the rate at each.
    """

    after: Annotated[tuple[Probability, ...], Field(strict=False)] = (1 / 3, 2 / 3)
    drop: Probability = 0.1

    def factor(self, progress: float) -> float:
        return self.drop ** sum(progress >= share for share in self.after)


@piece("cosine")
class CosineDecay(Schedule):
    """Up linearly to the base rate, then half a cosine down to `end` times the base rate (Loshchilov and Hutter 2017).

        end + (1 - end) (1 + cos(pi t)) / 2,    t the share of the rounds after the warm-up that is complete

    Args:
        warmup: share of the rounds of the rise from zero.
        end: the final factor.
    """

    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0
    end: Probability = 0.0

    def factor(self, progress: float) -> float:
        if progress < self.warmup:
            return progress / self.warmup
        angle = math.pi * (progress - self.warmup) / (1.0 - self.warmup)
        return self.end + (1.0 - self.end) * (1.0 + math.cos(angle)) / 2.0


@piece("one_cycle")
class OneCycle(Schedule):
    """Linearly up to the base rate at `peak`, then linearly down (Smith 2017; Wong et al. 2020).

    Args:
        peak: share of the rounds at which the rate is largest.
        start, end: the first and the last factor of the base rate.
    """

    peak: Annotated[float, Field(gt=0, lt=1)] = 0.4
    start: Probability = 0.0
    end: Probability = 0.0

    def factor(self, progress: float) -> float:
        if progress < self.peak:
            return self.start + (1.0 - self.start) * progress / self.peak
        return 1.0 + (self.end - 1.0) * (progress - self.peak) / (1.0 - self.peak)


class Optimizer(Piece, family="optimizer"):
    """An optimizer with its schedule.

    Args:
        lr: the base rate.
        schedule: of the rate.
    """

    lr: Positive
    schedule: Schedule = ConstantRate()

    @property
    def packs(self) -> bool:
        """Whether it steps packed games as it steps each of them alone."""
        return True

    @abstractmethod
    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The torch optimizer over these parameters."""

    def set_rate(self, optimizer: torch.optim.Optimizer, progress: float) -> None:
        """Set the rates that the schedule gives at this share of the rounds."""
        factor = self.schedule.factor(progress)
        for group in optimizer.param_groups:
            group["lr"] = group.setdefault("initial_lr", self.lr) * factor


@piece("adam")
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015)."""

    beta1: Momentum = 0.5
    beta2: Momentum = 0.999
    epsilon: Positive = 1e-8

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        betas = (self.beta1, self.beta2)
        return EagerAdam(parameters, lr=self.lr, betas=betas, eps=self.epsilon, fused=True)


@piece("rmsprop")
class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton 2012).

        v <- alpha v + (1 - alpha) g^2
        x <- x - lr g / (sqrt(v) + epsilon), or x - lr g / sqrt(v + epsilon)

    The defaults are those of torch. TensorFlow 1 has alpha 0.9, epsilon 1e-10 inside the root, and v = 1 at the start,
    which shortens the first steps.

    Args:
        alpha: decay of the mean square v.
        epsilon: guards against division by zero.
        epsilon_inside_root: whether epsilon is added to v and not to its root.
        initial_square: v before the first step.
    """

    alpha: Momentum = 0.99
    epsilon: Positive = 1e-8
    epsilon_inside_root: bool = False
    initial_square: NonNegative = 0.0

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return RMSpropSteps(parameters, self)


class RMSpropSteps(EagerOptimizer):
    """The steps of `RMSprop`; with its defaults equal to the bit to those of `torch.optim.RMSprop`."""

    def __init__(self, parameters: Iterable[nn.Parameter], settings: RMSprop) -> None:
        super().__init__(parameters, {"lr": settings.lr})
        self._settings = settings

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        settings = self._settings
        for group in self.param_groups:
            moved = [parameter for parameter in group["params"] if parameter.grad is not None]
            for parameter in moved:
                if not self.state[parameter]:
                    self.state[parameter]["square_avg"] = torch.full_like(parameter, settings.initial_square)
            gradients = [parameter.grad for parameter in moved]
            squares = [self.state[parameter]["square_avg"] for parameter in moved]
            torch._foreach_mul_(squares, settings.alpha)
            torch._foreach_addcmul_(squares, gradients, gradients, value=1 - settings.alpha)
            if settings.epsilon_inside_root:
                divisors = torch._foreach_sqrt(torch._foreach_add(squares, settings.epsilon))
            else:
                divisors = torch._foreach_add(torch._foreach_sqrt(squares), settings.epsilon)
            torch._foreach_addcdiv_(moved, gradients, divisors, value=-group["lr"])


@piece("sgd")
class SGD(Optimizer):
    """Stochastic gradient steps, with momentum and weight decay where asked.

        g <- gradient + weight_decay x,    v <- momentum v + g
        x <- x - lr v, or x - lr (g + momentum v) with Nesterov's momentum

    Args:
        nesterov: whether the momentum is Nesterov's.
        decayed: the parameters that decay: all, or `kernels`, those with more than one axis, which leaves out biases
            and normalisation layers. Games are not packed with it, as every parameter would have one more axis.
    """

    momentum: Momentum = 0.0
    nesterov: bool = False
    weight_decay: NonNegative = 0.0
    decayed: Literal["all", "kernels"] = "all"

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> SGD:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov: there is no momentum; set it to 0.9, say")
        return self

    @property
    def packs(self) -> bool:
        return self.decayed == "all"

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        every = list(parameters)
        others = [parameter for parameter in every if self.decayed == "kernels" and parameter.dim() <= 1]
        groups: list[dict[str, Any]] = [{"params": every}]
        if others:
            kernels = [parameter for parameter in every if parameter.dim() > 1]
            groups = [{"params": kernels}, {"params": others, "weight_decay": 0.0}]
        return EagerSGD(
            groups, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay, nesterov=self.nesterov
        )

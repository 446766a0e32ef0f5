"""Perturbations psi of D's feedback, as stable maps on the score: s' = logit(psi(sigmoid(s))).

Each member gives the same psi twice: `score`, which trains (finite slopes everywhere, no probability is formed), and
`probability`, which the exact theory uses, ends 0 and 1 included.

Source: Xu, Li, Jegelka, section 3.1, definition 2.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor

from sparring.core.pieces import Piece, import_object, piece
from sparring.core.records import Positive
from sparring.core.shapes import Scores


class Perturbation(Piece, family="perturbation"):
    """A function psi from [0, 1] to [0, 1] that an adversary may apply to D's output."""

    @abstractmethod
    def score(self, score: Scores) -> Scores:
        """logit(psi(sigmoid(score))), elementwise, fp32 or fp64."""

    @abstractmethod
    def probability(self, theta: Tensor) -> Tensor:
        """psi(theta), elementwise in fp64, on the closed interval."""


@piece("honest")
class Honest(Perturbation):
    """psi(d) = d."""

    def score(self, score: Scores) -> Scores:
        return score

    def probability(self, theta: Tensor) -> Tensor:
        return theta


@piece("flip")
class Flip(Perturbation):
    """psi(d) = 1 - d, on scores -s (equation 2.2)."""

    def score(self, score: Scores) -> Scores:
        return -score

    def probability(self, theta: Tensor) -> Tensor:
        return 1 - theta


class PowerMap(Perturbation):
    """psi(d) = d^a for a fixed a > 0.

    On scores, with u = log d = logsigmoid(s): s' = a u - [logsigmoid(-s) + log(expm1(a u) / expm1(u))]. The slope lies
    between min(1, a) and max(1, a): the infinite derivative of a root at 0 is gone.
    """

    @property
    @abstractmethod
    def power(self) -> float:
        """a."""

    def score(self, score: Scores) -> Scores:
        a = self.power
        u = F.logsigmoid(score)
        # expm1(a u) / expm1(u) is 0 / 0 as u -> 0: its series there, and a safe argument for the other branch.
        near = u > -1e-4
        series = math.log(a) + (a - 1) * u / 2 + (a * a - 1) * u * u / 24
        safe = torch.where(near, torch.full_like(u, -1.0), u)
        ratio = torch.log(torch.expm1(a * safe) / torch.expm1(safe))
        return a * u - (F.logsigmoid(-score) + torch.where(near, series, ratio))

    def probability(self, theta: Tensor) -> Tensor:
        return theta**self.power


@piece("power")
class Power(PowerMap):
    """psi(d) = d^exponent."""

    exponent: Positive

    @property
    def power(self) -> float:
        return self.exponent


@piece("sqrt")
class Sqrt(PowerMap):
    """psi(d) = sqrt(d): fakes look more real than they are."""

    @property
    def power(self) -> float:
        return 0.5


@piece("square")
class Square(PowerMap):
    """psi(d) = d^2: fakes look less real than they are."""

    @property
    def power(self) -> float:
        return 2.0


@piece("constant")
class Constant(Perturbation):
    """psi(d) = value: no information; the gradient is zero.

    Args:
        value: in (0, 1); at the ends the score would be infinite.
    """

    value: Annotated[float, Field(gt=0, lt=1)] = 0.5

    def score(self, score: Scores) -> Scores:
        return 0 * score + (math.log(self.value) - math.log1p(-self.value))

    def probability(self, theta: Tensor) -> Tensor:
        return torch.full_like(theta, self.value)


@piece("function")
class Function(Perturbation):
    """A user's own psi, a differentiable torch function on [0, 1] at `package.module:function`.

    psi is evaluated in fp64 at scores within [-20, 20], where 1 - sigmoid(s) still has eight digits, and continued
    with its slope outside: a power law stays a power law, a constant stays constant.

    Args:
        psi: reference to the function, which maps a tensor of values in [0, 1] to one of the same shape.
    """

    psi: str

    @field_validator("psi")
    @classmethod
    def _importable(cls, value: str) -> str:
        try:
            found: Any = import_object(value)
        except ImportError as error:
            raise ValueError(f"should be an importable package.module:function ({error})") from None
        if not callable(found):
            raise ValueError("should name a function")
        return value

    def score(self, score: Scores) -> Scores:
        wide = score.double()
        with torch.enable_grad():
            inside = wide.clamp(-20.0, 20.0)
            inside = inside if inside.requires_grad else inside.detach().requires_grad_()
            # A psi that ignores its argument leaves no graph to differentiate.
            value = self._logit(inside) + 0 * inside
            (slope,) = torch.autograd.grad(value.sum(), inside, create_graph=True)
        extended = value + slope * (wide - inside)
        return (extended if score.requires_grad else extended.detach()).to(score.dtype)

    def probability(self, theta: Tensor) -> Tensor:
        value: Tensor = import_object(self.psi)(theta)
        return value

    def _logit(self, score: Tensor) -> Tensor:
        theta = self.probability(torch.sigmoid(score)).clamp(1e-300, 1 - 2.0**-53)
        return torch.log(theta) - torch.log1p(-theta)

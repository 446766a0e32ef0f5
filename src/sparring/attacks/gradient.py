"""The gradient attack: start, direction, projection. FGSM, BIM and PGD are settings of it.

    x_0 = confine(x + start),    x_{k+1} = confine(x_k + step(gradient of loss at x_k))

Source: Goodfellow et al. 2015 (FGSM), Kurakin et al. 2017 (BIM), Madry et al. 2018 (PGD); Li, Xia, Li, equation (10).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from pydantic import model_validator

from sparring.attacks.base import Attack, Epsilon, LossFunction, batch_axes_of
from sparring.attacks.estimators import Autograd, GradientEstimator, WhiteBox
from sparring.core.balls import L2, Ball, Linf, Unbounded
from sparring.core.pieces import Piece, piece
from sparring.core.randomness import Rng
from sparring.core.records import Count
from sparring.core.shapes import Samples, Space

_LINF, _L2, _GRADIENT = Linf(), L2(), Autograd()


class Start(Piece, family="start"):
    """The first perturbation.

    Attributes:
        is_zero: whether it is always zero.
    """

    is_zero: ClassVar[bool] = False

    @abstractmethod
    def draw(self, x: Samples, ball: Ball, radius: float, batch_axes: int, *, rng: Rng) -> Samples:
        """A perturbation within the ball, of the shape of x."""


@piece("zero")
class ZeroStart(Start):
    """The sample itself."""

    is_zero: ClassVar[bool] = True

    def draw(self, x: Samples, ball: Ball, radius: float, batch_axes: int, *, rng: Rng) -> Samples:
        return torch.zeros_like(x)


@piece("random")
class RandomStart(Start):
    """A point uniform in the ball (Madry et al. 2018)."""

    def draw(self, x: Samples, ball: Ball, radius: float, batch_axes: int, *, rng: Rng) -> Samples:
        return ball.draw(x, radius, batch_axes, rng=rng)


class Direction(Piece, family="direction"):
    """How a gradient becomes a step.

    Attributes:
        is_length: whether the step size is a length, and not a coefficient of the gradient.
    """

    is_length: ClassVar[bool] = True

    @abstractmethod
    def step(self, gradient: Samples, size: float, width: float, batch_axes: int) -> Samples:
        """The step along a gradient.

        Args:
            gradient: `(*batch, ...)`, in the units of the samples.
            size: the attack's step size, in units of [0, 1].
            width: high - low of the data's range, which turns those units into the samples'.
            batch_axes: how many leading axes are batch.
        """


@piece("sign")
class Sign(Direction):
    """size sign(gradient): the steepest ascent in L-infinity."""

    def step(self, gradient: Samples, size: float, width: float, batch_axes: int) -> Samples:
        return _LINF.steepest(gradient, size * width, batch_axes)


@piece("normalised")
class Normalised(Direction):
    """size gradient / ||gradient||_2: the steepest ascent in L2; zero where the gradient is zero."""

    def step(self, gradient: Samples, size: float, width: float, batch_axes: int) -> Samples:
        return _L2.steepest(gradient, size * width, batch_axes)


@piece("raw")
class Raw(Direction):
    """size gradient: `size` is a coefficient and no length, so that the data's range does not scale it."""

    is_length: ClassVar[bool] = False

    def step(self, gradient: Samples, size: float, width: float, batch_axes: int) -> Samples:
        return size * gradient


@piece("gradient")
class GradientAttack(Attack):
    """Steps along a gradient, each followed by a projection.

    Args:
        steps: how many.
        step_size: in units of [0, 1]; None is `min(1, 2.5 / steps) epsilon`.
        start: the first perturbation.
        direction: how a gradient becomes a step.
        source: the gradient; one estimated from values of the loss makes the attack a black-box one.
    """

    steps: Count = 1
    step_size: Epsilon | None = None
    start: Start = ZeroStart()
    direction: Direction = Sign()
    source: GradientEstimator = Autograd()

    @model_validator(mode="after")
    def _has_a_start(self) -> GradientAttack:
        if not self.start.is_zero and not self.ball.limited:
            raise ValueError(f"start: {self.start.name} needs a ball to draw from, and ball is {self.ball.name}")
        return self

    @property
    def step_length(self) -> float:
        """The step size in units of [0, 1]."""
        return min(1.0, 2.5 / self.steps) * self.epsilon if self.step_size is None else self.step_size

    def search(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        radius, axes = self.epsilon * space.width, batch_axes_of(x, space)
        moved = self.confine(x, x + self.start.draw(x, self.ball, radius, axes, rng=rng), space)
        for _ in range(self.steps):
            gradient = self.source.estimate(moved, loss, space=space, rng=rng)
            moved = self.confine(x, moved + self._step(gradient, space), space)
        return moved

    def can_reuse(self) -> bool:
        return self.steps == 1 and self.start.is_zero and isinstance(self.source, WhiteBox)

    def along(self, x: Samples, gradient: Samples, *, space: Space, rng: Rng) -> Samples:
        if not isinstance(self.source, WhiteBox):
            return super().along(x, gradient, space=space, rng=rng)
        followed = self.source.follow(gradient, batch_axes_of(x, space), rng=rng)
        return x + self._step(followed, space)

    def scaled(self, factor: float) -> GradientAttack:
        size = None if self.step_size is None else factor * self.step_size
        return self.model_copy(update={"epsilon": factor * self.epsilon, "step_size": size})

    def describe_size(self, space: Space) -> str:
        if not self.direction.is_length:
            return f"steps of {self.step_length:g} times the gradient"
        return super().describe_size(space)

    def remarks(self) -> list[str]:
        remarks, reach = super().remarks(), self.steps * self.step_length
        if self.ball.limited and reach < self.epsilon:
            how_often = "never" if self.start.is_zero else "not always"
            remarks.append(
                f"attack: {self.steps} steps of {self.step_length:.4g} reach {reach:.4g} and {how_often} "
                f"the edge of the ball, epsilon = {self.epsilon:.4g}"
            )
        return remarks

    def _step(self, gradient: Samples, space: Space) -> Samples:
        return self.direction.step(gradient, self.step_length, space.width, batch_axes_of(gradient, space))


@piece("fgsm")
class FGSM(GradientAttack):
    """One step of size epsilon along the sign of the gradient (Goodfellow et al. 2015).

    Example:
        The loss w x of a linear network rises by epsilon |w|, summed over the features:

        >>> network = torch.nn.Linear(2, 1)
        >>> moved = FGSM(epsilon=0.5)(
        ...     torch.zeros(1, 2), lambda x: network(x).squeeze(-1), network=network, space=None, rng=0
        ... )
        >>> bool(torch.equal(moved, 0.5 * network.weight.sign()))
        True
    """

    epsilon: Epsilon = 1 / 255


@piece("bim")
class BIM(GradientAttack):
    """Steps along the sign from the sample itself (Kurakin et al. 2017)."""

    epsilon: Epsilon = 8 / 255
    steps: Count = 10


@piece("pgd")
class PGD(GradientAttack):
    """Steps along the sign from a random point of the ball (Madry et al. 2018)."""

    epsilon: Epsilon = 8 / 255
    steps: Count = 10
    start: Start = RandomStart()


@piece("pgd_l2")
class PGDL2(GradientAttack):
    """Steps along the normalised gradient from a random point of the Euclidean ball (Madry et al. 2018)."""

    epsilon: Epsilon = 0.5
    ball: Ball = L2()
    steps: Count = 10
    start: Start = RandomStart()
    direction: Direction = Normalised()


def pgd_within(ball: Ball, epsilon: float, *, steps: int = 20, source: GradientEstimator = _GRADIENT) -> GradientAttack:
    """PGD with the usual direction of this ball."""
    member = PGDL2 if isinstance(ball, L2) else PGD
    return member(epsilon=epsilon, ball=ball, steps=steps, source=source)


def main_attack(trained: Attack | None) -> GradientAttack:
    """PGD-20 with the ball and budget of a classifier's adversarial training, by default L-infinity and 8/255."""
    if trained is None or not trained.ball.limited:
        return PGD(steps=20)
    return pgd_within(trained.ball, trained.epsilon)


@piece("direct")
class Direct(GradientAttack):
    """One step epsilon grad, neither signed nor bounded: DAT's perturbation (equation 10)."""

    epsilon: Epsilon = 1.0
    ball: Ball = Unbounded()
    direction: Direction = Raw()

"""Budgets: the norm and the sizes at which a target is attacked, and the main attack within them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from sparring.attacks import NES, GradientAttack, Threat, pgd_within
from sparring.core.balls import L2, Ball, Linf
from sparring.core.errors import UsageError
from sparring.core.shapes import Space
from sparring.robustness.targets import Target

COLOUR, GREY = 8 / 255, 0.2
"""Epsilon of images where nothing else is said."""
_SHARE_OF_SPREAD = 0.2
"""Epsilon of samples without a range, as a share of their standard deviation."""
_SHARE_OF_CORNER = 0.25
"""Epsilon in L2, as a share of the L2 norm of the corner of the L-infinity ball."""
_ESTIMATE = NES(samples=25)
"""Of gradients, from outputs."""
_RESTARTS = 2
_FEW_FEATURES, _RESTARTS_WITH_FEW = 8, 20
Epsilons = float | str | Sequence[float | str]
"""Sizes as users write them: numbers, or fractions such as `8/255`."""


@dataclass(frozen=True)
class Budgets:
    """The norm and the sizes at which a target is attacked.

    Args:
        ball: the norm.
        epsilons: the sizes, smallest first, in units of [0, 1] (or the data's, without a range).
        main: the epsilon of the headline.
        space: of the samples.
        gradients: whether the target has them.
    """

    ball: Ball
    epsilons: tuple[float, ...]
    main: float
    space: Space
    gradients: bool = True

    def main_attack(self, epsilon: float) -> GradientAttack:
        """PGD-20, or without gradients PGD-10 along estimates from outputs."""
        if self.gradients:
            return pgd_within(self.ball, epsilon)
        return pgd_within(self.ball, epsilon, steps=10, source=_ESTIMATE)

    def main_threat(self, epsilon: float) -> Threat:
        """The main attack with restarts: tried at every epsilon, and on training samples."""
        once = self.main_try(epsilon)
        return once.model_copy(update={"name": f"{once.name} x {self.restarts}", "restarts": self.restarts})

    def main_try(self, epsilon: float) -> Threat:
        """The main attack without restarts: tried on networks whose samples transfer."""
        attack = self.main_attack(epsilon)
        if self.gradients:
            return Threat(name="PGD-20", kind="white-box", attack=attack)
        return Threat(name="NES PGD-10", kind="black-box", attack=attack)

    @property
    def restarts(self) -> int:
        """Of the main threat: in few dimensions, where losses have local maxima, more."""
        return _RESTARTS if math.prod(self.space.shape) > _FEW_FEATURES else _RESTARTS_WITH_FEW

    def in_other_norm(self) -> Budgets:
        """The main budget in the other norm: epsilon_2 = epsilon_inf sqrt(features) / 4."""
        ratio = _SHARE_OF_CORNER * math.sqrt(math.prod(self.space.shape))
        if self.ball.norm == L2.norm:
            return replace(self, ball=Linf(), main=self.main / ratio)
        return replace(self, ball=L2(), main=self.main * ratio)


def budgets_of(target: Target, epsilons: Sequence[float] | None = None) -> Budgets:
    """The budgets of a target: half, one and two times that of its adversarial training, in the same norm.

    A target without adversarial training is attacked in L-infinity around 8/255 for colour images, 0.2 for grey ones,
    and a fifth of the standard deviation for points without a range.

    Args:
        target: what is attacked.
        epsilons: other sizes; the main one is that of the adversarial training if it is among them, else the middle.

    Raises:
        UsageError: a size is out of range.
    """
    trained = target.trained_against
    if trained is not None and not (trained.ball.limited and trained.epsilon > 0):
        trained = None
    ball: Ball = trained.ball if trained else Linf()
    if epsilons is None:
        middle = trained.epsilon if trained else _default_epsilon(target)
        return Budgets(
            ball, tuple(factor * middle for factor in (0.5, 1.0, 2.0)), middle, target.space, target.gradients
        )
    sizes = tuple(sorted(set(epsilons)))
    if not sizes or not all(0 < each < math.inf for each in sizes):
        listed = ", ".join(f"{each:g}" for each in epsilons) or "none"
        raise UsageError(f"epsilons: {listed}: each should be above 0", "write, for example, 2/255,8/255")
    if isinstance(ball, Linf) and target.space.bounds is not None and sizes[-1] > 1:
        raise UsageError(
            f"epsilons: {sizes[-1]:g} is more than the whole range", f"in 255ths that is written {sizes[-1]:g}/255"
        )
    main = trained.epsilon if trained and trained.epsilon in sizes else sizes[len(sizes) // 2]
    return Budgets(ball, sizes, main, target.space, target.gradients)


def sizes_from(epsilons: Epsilons | None) -> tuple[float, ...] | None:
    """Sizes from numbers and fractions such as `8/255`, one or several; None as it is.

    Raises:
        UsageError: one is neither.
    """
    if epsilons is None:
        return None
    listed = [epsilons] if isinstance(epsilons, str | float | int) else list(epsilons)
    sizes = []
    for each in listed:
        try:
            sizes.append(float(Fraction(each.replace(" ", ""))) if isinstance(each, str) else float(each))
        except (TypeError, ValueError, ZeroDivisionError):
            raise UsageError(f"epsilons: {each!r} is no size", 'write, for example, [2/255, "8/255"]') from None
    return tuple(sizes)


def _default_epsilon(target: Target) -> float:
    if target.space.bounds is None:
        return float(f"{_SHARE_OF_SPREAD * float(target.samples[:].std()):.1g}")
    return COLOUR if len(target.space.shape) == 3 and target.space.shape[0] == 3 else GREY

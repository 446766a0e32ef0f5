"""Budgets: the norm and the sizes of perturbation at which a subject is measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sparring.attacks import Attack, in_scales
from sparring.core.balls import L2, Ball, Linf
from sparring.core.errors import UsageError
from sparring.core.shapes import Space
from sparring.robustness.targets import Subject

_COLOUR = 8 / 255
_GREY = 0.2
_OF_SPREAD = 0.2
"""Of the standard deviation of points that have no range."""
_OF_CORNER = 0.25
"""A Euclidean budget beside one of L-infinity, as a share of the length of that ball's corner."""


@dataclass(frozen=True)
class Budgets:
    """Sizes of perturbation in one norm.

    Args:
        ball: the norm.
        grid: the sizes, smallest first, in units of [0, 1] (or the data's, without a range).
        main: the one of them that the headline is of.
    """

    ball: Ball
    grid: tuple[float, ...]
    main: float


def budgets_of(subject: Subject, epsilons: Sequence[float] | None = None) -> Budgets:
    """Where to measure a subject: half, one and two times what it was trained against, in that norm.

    A subject that was trained against nothing is measured in L-infinity around 8/255 for colour images, 0.2 for grey
    ones, and a fifth of the standard deviation for points without a range.

    Args:
        subject: what is measured.
        epsilons: other sizes; the main one is what the subject was trained against if that is among them, else the
            middle one.

    Raises:
        UsageError: a size that is none.
    """
    trained = _limited(subject.trained_against)
    ball: Ball = trained.ball if trained else Linf()
    if epsilons is None:
        middle = trained.epsilon if trained else _default(subject)
        return Budgets(ball, tuple(size * middle for size in (0.5, 1.0, 2.0)), middle)
    grid = tuple(sorted(set(epsilons)))
    if not grid or grid[0] <= 0 or not math.isfinite(grid[-1]):
        raise UsageError(
            f"epsilons: {', '.join(f'{each:g}' for each in epsilons) or 'none'}: each should be above 0",
            "write, for example, 2/255,8/255",
        )
    if isinstance(ball, Linf) and subject.space.bounds is not None and grid[-1] > 1:
        raise UsageError(
            f"epsilons: {grid[-1]:g} is more than the whole range", f"in 255ths that is written {grid[-1]:g}/255"
        )
    main = trained.epsilon if trained and trained.epsilon in grid else grid[len(grid) // 2]
    return Budgets(ball, grid, main)


def beside(budgets: Budgets, space: Space) -> tuple[Ball, float]:
    """The other norm, and the size in it that goes with the main one: epsilon_2 = epsilon_inf sqrt(features) / 4."""
    ratio = _OF_CORNER * math.sqrt(math.prod(space.shape))
    if budgets.ball.norm == L2.norm:
        return Linf(), budgets.main / ratio
    return L2(), budgets.main * ratio


def scales(epsilon: float, space: Space) -> str:
    """A size on all scales that the samples have."""
    return f"{epsilon:.3g} in the data's units" if space.bounds is None else in_scales(epsilon)


def _limited(attack: Attack | None) -> Attack | None:
    """The attack if its budget is one that others can share."""
    return attack if attack is not None and attack.ball.limited and attack.epsilon > 0 else None


def _default(subject: Subject) -> float:
    if subject.space.bounds is None:
        return float(f"{_OF_SPREAD * float(subject.samples.std()):.1g}")
    return _COLOUR if len(subject.space.shape) == 3 and subject.space.shape[0] == 3 else _GREY

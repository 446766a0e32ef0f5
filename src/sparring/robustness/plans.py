"""Plans: which threats are tried on a subject, and where.

White-box threats of the main norm are tried at every epsilon, all others at the main one. A set is a list of names, so
that a user's own choice is written the same way: `--threats fgsm,apgd-ce,square`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from sparring.attacks import (
    APGD,
    FGSM,
    NES,
    PGD,
    PGDL2,
    SPSA,
    Autograd,
    Dimming,
    FiniteDifferences,
    GradientAttack,
    GradientEstimator,
    Margin,
    RandomSearch,
    SquareL2,
    SquareLinf,
    TargetedCrossEntropy,
    TargetedDLR,
    Threat,
)
from sparring.core.balls import L2, Ball
from sparring.core.errors import UsageError
from sparring.core.records import InvalidRecord, nearest, problems_in
from sparring.core.shapes import Space
from sparring.recipes import parse_yaml
from sparring.robustness.budgets import Budgets, beside
from sparring.robustness.targets import Subject

_RESTARTS = 2
_PLANE, _RESTARTS_IN_THE_PLANE = 8, 20
_FEW = 256
"""Features, at most, of samples whose slopes are taken one by one."""


class Place(NamedTuple):
    """Where threats are tried.

    Args:
        ball: the norm.
        sizes: the sizes of a threat that is tried at all of them.
        main: the size of one that is not.
        other: another norm, and the size in it.
        space: of the samples.
    """

    ball: Ball
    sizes: tuple[float, ...]
    main: float
    other: tuple[Ball, float]
    space: Space


Build = Callable[[Place], Sequence[Threat]]


def main_attack(budgets: Budgets) -> GradientAttack:
    """PGD-20 at the main size: what the battery tests."""
    return _pgd(budgets.ball, budgets.main)


def restarts_of(space: Space) -> int:
    """How often the main attack is tried: in few dimensions a loss has peaks of its own to be caught on."""
    return _RESTARTS if math.prod(space.shape) > _PLANE else _RESTARTS_IN_THE_PLANE


def main_threat(budgets: Budgets, epsilon: float, space: Space) -> Threat:
    """PGD-20 with restarts: what is tried at every size, on training samples and between networks."""
    restarts = restarts_of(space)
    attack = _pgd(budgets.ball, epsilon)
    return Threat(name=f"PGD-20 x {restarts}", kind="white-box", attack=attack, restarts=restarts)


def planned(choice: str | Sequence[Threat], subject: Subject, budgets: Budgets) -> list[Threat]:
    """Threats with their budgets, in the order in which they are tried; the main one is always among them.

    Args:
        choice: `standard` or `quick`; names of threats, with commas between; a YAML file with a list of threats; or
            threats. Those of a file, and those given as such, are tried at the epsilon that they name.
        subject: on whom.
        budgets: where.

    Raises:
        UsageError: there is no such file, or no threat of such a name.
        InvalidRecord: a threat of the file does not validate.
    """
    main = [main_threat(budgets, epsilon, subject.space) for epsilon in budgets.grid]
    if not isinstance(choice, str):
        return [*main, *choice]
    if Path(choice).suffix in (".yaml", ".yml"):
        return [*main, *_of_file(Path(choice))]
    place = Place(budgets.ball, budgets.grid, budgets.main, beside(budgets, subject.space), subject.space)
    names = SETS.get(choice) or [name.strip() for name in choice.split(",")]
    return [*main, *(threat for name in names for threat in _named(name)(place))]


def _named(name: str) -> Build:
    if name not in THREATS:
        close = nearest(name, [*SETS, *THREATS])
        hint = f"; did you mean {close}?" if close else ""
        known = ", ".join([*SETS, *THREATS])
        raise UsageError(f"threats: there is no {name!r}{hint}", f"give a YAML file, or names of: {known}")
    return THREATS[name]


def _of_file(path: Path) -> list[Threat]:
    try:
        listed = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "give a YAML file with a list of threats") from None
    if not isinstance(listed, list):
        raise UsageError(f"{path}: not a list of threats", "write one `- {name: ..., kind: ..., attack: ...}` a line")
    try:
        return [Threat.model_validate(values) for values in listed]
    except ValidationError as error:
        raise InvalidRecord(str(path), problems_in(error, Threat.model_fields), "see `sparring list attacks`") from None


def _pgd(ball: Ball, epsilon: float, *, steps: int = 20, source: GradientEstimator = Autograd()) -> GradientAttack:  # noqa: B008
    if ball.norm == L2.norm:
        return PGDL2(epsilon=epsilon, steps=steps, source=source)
    return PGD(epsilon=epsilon, steps=steps, ball=ball, source=source)


def _fgsm(place: Place) -> list[Threat]:
    """One step of the whole size, along the sign or, in L2, the gradient."""
    return [
        Threat(
            name="FGSM",
            kind="white-box",
            attack=FGSM(epsilon=size, ball=place.ball, direction=_pgd(place.ball, size).direction),
        )
        for size in place.sizes
    ]


def _apgd_ce(place: Place) -> list[Threat]:
    return [
        Threat(name="APGD-CE", kind="white-box", attack=APGD(epsilon=size, ball=place.ball, steps=50))
        for size in place.sizes
    ]


def _apgd_t(place: Place) -> list[Threat]:
    return [
        Threat(
            name="APGD-T",
            kind="white-box",
            attack=APGD(epsilon=size, ball=place.ball, steps=30),
            criterion=TargetedDLR(),
            targets=9,
        )
        for size in place.sizes
    ]


def _targeted(place: Place) -> list[Threat]:
    attack = _pgd(place.ball, place.main)
    return [
        Threat(name="targeted PGD-20", kind="white-box", attack=attack, criterion=TargetedCrossEntropy(), targets=3)
    ]


def _other_norm(place: Place) -> list[Threat]:
    ball, size = place.other
    return [Threat(name=f"PGD-20 ({ball.norm})", kind="other", attack=_pgd(ball, size))]


def _square(place: Place) -> list[Threat]:
    if len(place.space.shape) != 3:
        return []
    square = SquareL2 if place.ball.norm == L2.norm else SquareLinf
    attack = square(epsilon=place.main, queries=500)
    return [Threat(name="Square-500", kind="black-box", attack=attack, criterion=Margin())]


def _estimated(name: str, source: GradientEstimator, place: Place) -> list[Threat]:
    attack = _pgd(place.ball, place.main, steps=10, source=source)
    return [Threat(name=f"{name} PGD-10", kind="black-box", attack=attack)]


def _finite_differences(place: Place) -> list[Threat]:
    if math.prod(place.space.shape) > _FEW:
        return []
    attack = _pgd(place.ball, place.main, steps=5, source=FiniteDifferences())
    return [Threat(name="finite-difference PGD-5", kind="black-box", attack=attack)]


def _dimming(place: Place) -> list[Threat]:
    if place.space.bounds is None:
        return []
    return [Threat(name="dimming by half", kind="other", attack=Dimming(epsilon=0.5))]


def _noise(place: Place) -> list[Threat]:
    return [Threat(name="noise", kind="noise", attack=RandomSearch(epsilon=place.main, ball=place.ball, queries=1))]


THREATS: Mapping[str, Build] = {
    "fgsm": _fgsm,
    "apgd-ce": _apgd_ce,
    "apgd-t": _apgd_t,
    "targeted": _targeted,
    "square": _square,
    "nes": lambda place: _estimated("NES", NES(samples=25), place),
    "spsa": lambda place: _estimated("SPSA", SPSA(samples=25), place),
    "finite-differences": _finite_differences,
    "other-norm": _other_norm,
    "dimming": _dimming,
    "noise": _noise,
}
"""Threats by the names that `--threats` takes; one that does not apply to the samples is left out."""
SETS: Mapping[str, tuple[str, ...]] = {
    "standard": tuple(THREATS),
    "quick": ("fgsm", "apgd-ce", "noise"),
}

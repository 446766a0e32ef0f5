"""Which threats are tried on a target, and at which sizes.

PGD-20, FGSM, APGD and all of AutoAttack are tried at every epsilon, other threats at the main one. A set stands for a
list of names; users can write either: `--threats fgsm,apgd-ce,square`, `--threats quick,autoattack`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from sparring.attacks import (
    APGD,
    FAB,
    FGSM,
    NES,
    SPSA,
    Dimming,
    FiniteDifferences,
    GradientAttack,
    Margin,
    RandomSearch,
    SquareL2,
    SquareLinf,
    TargetedCrossEntropy,
    TargetedDLR,
    Threat,
    WhiteBox,
    pgd_within,
)
from sparring.core.balls import L2, Linf
from sparring.core.errors import UsageError
from sparring.core.records import nearest
from sparring.core.shapes import IMAGE_BOUNDS, Space
from sparring.recipes import parse_yaml
from sparring.robustness.budgets import GREY, Budgets

_MOST_DIFFERENCES = 256
"""Features, at most, for full finite differences."""
_STANDARD = "fgsm,apgd-ce,apgd-t,targeted,square,nes,spsa,finite-differences,other-norm,dimming,noise"
_SETS = {"standard": _STANDARD, "quick": "fgsm,apgd-ce,noise", "autoattack": "autoattack"}
_STEPS, _TARGETS, _SQUARES = 100, 9, 5000
"""Of AutoAttack."""


def chosen_threats(choice: str | Sequence[str | Threat], budgets: Budgets) -> list[Threat]:
    """Threats in the order in which they are tried; the main one at every epsilon is always first.

    Args:
        choice: the sets `standard`, `quick` and `autoattack` and names of threats, separated by commas; a YAML file
            with a list of threats; or a list of all these and of threats. Threats of a file or of a list are tried at
            their own epsilon. What is chosen twice is tried once.
        budgets: of the target.

    Raises:
        UsageError: there is no such file, no threat of such a name, or an epsilon is more than the whole range.
        InvalidRecord: a threat of the file does not validate.
    """
    main = [budgets.main_threat(epsilon) for epsilon in budgets.epsilons]
    for each in _words(choice):
        threats = [each] if isinstance(each, Threat) else _named(each, budgets)
        possible = [threat for threat in threats if budgets.gradients or not _follows_gradients(threat)]
        if len(possible) < len(threats) and each not in _SETS:
            names = ", ".join(threat.name for threat in threats if threat not in possible)
            raise UsageError(
                f"threats: {names}: the model has no gradients",
                "choose from square, nes, spsa, finite-differences, noise",
            )
        main += [threat for threat in possible if threat not in main]
    for threat in main:
        threat.attack.require_size(budgets.space)
    return main


def require_threats(choice: str) -> None:
    """Refuse names of threats that do not exist, and files that cannot be read, before there are samples.

    Raises:
        UsageError, InvalidRecord: as `chosen_threats`.
    """
    budgets = Budgets(Linf(), (GREY,), GREY, Space((1, 8, 8), IMAGE_BOUNDS))
    for each in _words(choice):
        assert isinstance(each, str)
        _named(each, budgets)


def _words(choice: str | Sequence[str | Threat]) -> Iterator[str | Threat]:
    """Threats, and the names and files that texts hold."""
    for each in [choice] if isinstance(choice, str) else choice:
        yield from [each] if isinstance(each, Threat) else map(str.strip, each.split(","))


def _follows_gradients(threat: Threat) -> bool:
    attack = threat.attack
    return threat.kind == "white-box" or (isinstance(attack, GradientAttack) and isinstance(attack.source, WhiteBox))


def _named(choice: str, budgets: Budgets) -> list[Threat]:
    """The threats of a set, of a name, or of a file."""
    if Path(choice).suffix in (".yaml", ".yml"):
        return _from_file(Path(choice))
    known = _threats(budgets)
    chosen: list[Threat] = []
    for name in _SETS.get(choice, choice).split(","):
        if name not in known:
            names = list(_SETS | known)
            close = nearest(name, names)
            hint = f"; did you mean {close}?" if close else ""
            listed = ", ".join(names)
            raise UsageError(f"threats: there is no {name!r}{hint}", f"give a YAML file, or names of: {listed}")
        chosen += known[name]
    return chosen


def left_out(tried: Sequence[Threat], budgets: Budgets) -> str:
    """What a headline says of AutoAttack's attacks that are not among those tried, by their kind; empty after all."""
    if not budgets.gradients:
        return "; no attack with gradients was possible"
    attacks = [threat.attack for threat in tried]
    targeted = {bool(threat.targets) for threat in tried if isinstance(threat.attack, APGD)}
    queries = max((attack.queries for attack in attacks if isinstance(attack, SquareLinf | SquareL2)), default=0)
    parts = {
        "APGD-CE": False in targeted,
        "APGD-T": True in targeted,
        "FAB": any(isinstance(attack, FAB) for attack in attacks),
        f"Square with {_SQUARES:,} queries": len(budgets.space.shape) != 3 or queries >= _SQUARES,
    }
    *missing, last = [part for part, is_tried in parts.items() if not is_tried] or [""]
    if not last:
        return ""
    return f"; {', '.join(missing)} and {last} were not tried" if missing else f"; {last} was not tried"


def autoattack(epsilon: float, budgets: Budgets) -> Iterator[Threat]:
    """AutoAttack's standard version at one epsilon; each attack tries what the ones before it have left.

    Source: Croce and Hein 2020, section 5: APGD-CE, APGD-T, FAB-T and Square; 100 steps, 9 targets, 5,000 queries.
    """
    ball, rest = budgets.ball, partial(Threat, rest_only=True)
    apgd = APGD(epsilon=epsilon, ball=ball, steps=_STEPS)
    fab = FAB(epsilon=epsilon, ball=ball, steps=_STEPS)
    yield rest(name=f"APGD-CE-{_STEPS}", kind="white-box", attack=apgd)
    yield rest(name=f"APGD-T-{_STEPS}", kind="white-box", attack=apgd, criterion=TargetedDLR(), targets=_TARGETS)
    yield rest(name=f"FAB-T-{_STEPS}", kind="white-box", attack=fab, criterion=Margin(), targets=_TARGETS)
    if len(budgets.space.shape) == 3:
        square = (SquareL2 if ball.norm == L2.norm else SquareLinf)(epsilon=epsilon, queries=_SQUARES)
        yield rest(name=f"Square-{_SQUARES}", kind="black-box", attack=square, criterion=Margin())


def _from_file(path: Path) -> list[Threat]:
    try:
        listed = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "give a YAML file with a list of threats") from None
    if not isinstance(listed, list):
        raise UsageError(f"{path}: not a list of threats", "write one `- {name: ..., kind: ..., attack: ...}` a line")
    return [Threat.validated(values, str(path), "see `sparring list attacks`") for values in listed]


def _threats(budgets: Budgets) -> dict[str, list[Threat]]:
    """Threats by the names that `--threats` accepts; none under a name that does not apply to the samples."""
    epsilon, ball, shape, sizes = budgets.main, budgets.ball, budgets.space.shape, budgets.epsilons
    pgd, other = partial(pgd_within, ball, epsilon), budgets.in_other_norm()
    white_box, black_box = partial(Threat, kind="white-box"), partial(Threat, kind="black-box")
    fgsm = partial(FGSM, ball=ball, direction=pgd().direction)
    apgd, apgd_t = partial(APGD, ball=ball, steps=50), partial(APGD, ball=ball, steps=30)
    by_target = partial(white_box, name="APGD-T", criterion=TargetedDLR(), targets=9)
    square = SquareL2 if ball.norm == L2.norm else SquareLinf
    threats = {
        "autoattack": [threat for each in sizes for threat in autoattack(each, budgets)],
        "fgsm": [white_box(name="FGSM", attack=fgsm(epsilon=each)) for each in sizes],
        "apgd-ce": [white_box(name="APGD-CE", attack=apgd(epsilon=each)) for each in sizes],
        "apgd-t": [by_target(attack=apgd_t(epsilon=each)) for each in sizes],
        "targeted": [white_box(name="targeted PGD-20", attack=pgd(), criterion=TargetedCrossEntropy(), targets=3)],
        "square": [black_box(name="Square-500", attack=square(epsilon=epsilon, queries=500), criterion=Margin())],
        "nes": [black_box(name="NES PGD-10", attack=pgd(steps=10, source=NES(samples=25)))],
        "spsa": [black_box(name="SPSA PGD-10", attack=pgd(steps=10, source=SPSA(samples=25)))],
        "finite-differences": [
            black_box(name="finite-difference PGD-5", attack=pgd(steps=5, source=FiniteDifferences()))
        ],
        "other-norm": [
            Threat(name=f"PGD-20 ({other.ball.norm})", kind="other", attack=pgd_within(other.ball, other.main))
        ],
        "dimming": [Threat(name="dimming by half", kind="other", attack=Dimming(epsilon=0.5))],
        "noise": [Threat(name="noise", kind="noise", attack=RandomSearch(epsilon=epsilon, ball=ball, queries=1))],
    }
    inapplicable = {
        "square": len(shape) != 3,
        "finite-differences": math.prod(shape) > _MOST_DIFFERENCES,
        "dimming": budgets.space.bounds is None,
    }
    return {name: [] if inapplicable.get(name) else each for name, each in threats.items()}

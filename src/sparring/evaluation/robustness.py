"""Robust accuracy of a subject: every threat a row, the worst case per sample over them, and the battery beside it.

    accuracy(threats, epsilon) = share of samples that no threat of this norm and epsilon fools

Source: Rob-GAN, section 4.1 and table 1; Croce and Hein 2020 for the worst case over an ensemble.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from sparring.attacks import Threat, in_scales
from sparring.evaluation.battery import battery
from sparring.evaluation.budgets import Budgets, budgets_of
from sparring.evaluation.checks import Check, percent, rate
from sparring.evaluation.examples import examples_of
from sparring.evaluation.plans import main_attack, main_threat, planned
from sparring.evaluation.subjects import Subject, exactly
from sparring.evaluation.transfer import transfer_matrix
from sparring.evaluation.trials import Trial, try_threat, try_transfer
from sparring.randomness import Rng, derive
from sparring.shapes import Space

Played = Callable[[int, int], None]


@dataclass(frozen=True)
class Examined:
    """What was found of a subject.

    Args:
        entry: its part of robustness.json.
        pictures: example images by name, as in robustness.npz; empty where samples are no images.
    """

    entry: dict[str, Any]
    pictures: dict[str, Tensor]

    @property
    def flags(self) -> list[str]:
        """Every reason not to believe the numbers."""
        found: list[str] = self.entry["flags"]
        return found


def robustness(
    subject: Subject,
    *,
    epsilons: Sequence[float] | None = None,
    threats: str | Sequence[Threat] = "standard",
    transfer_from: Sequence[Subject] = (),
    seed: int = 0,
) -> dict[str, Any]:
    """How robust a subject is, as its part of robustness.json; see `examine`."""
    return examine(subject, epsilons=epsilons, threats=threats, transfer_from=transfer_from, seed=seed).entry


def examine(
    subject: Subject,
    *,
    epsilons: Sequence[float] | None = None,
    threats: str | Sequence[Threat] = "standard",
    transfer_from: Sequence[Subject] = (),
    seed: int = 0,
    played: Played | None = None,
) -> Examined:
    """Try every threat on a subject, doubt what was found, and say both.

    Args:
        subject: what is attacked; left as it was, bit for bit.
        epsilons: budgets in units of [0, 1], or of the data where they have no range; half, one and two times what
            the subject was trained against by default.
        threats: a named set, names, a file (`plans.planned`), or threats at their own epsilon. PGD-20 at every
            epsilon is always among them.
        transfer_from: other subjects of the same data, whose adversarial samples are shown to this one, and this
            one's to them.
        seed: of everything drawn.
        played: told of every threat that is done.

    Raises:
        UsageError: the threats or the other subjects do not fit the subject.
    """
    budgets = budgets_of(subject, epsilons)
    main = main_threat(subject, budgets)
    plan, told = planned(threats, subject, budgets), played or (lambda _done, _total: None)
    total = len(plan) + len(transfer_from) + 2
    with exactly():
        trials = []
        for done, threat in enumerate(plan):
            told(done, total)
            trials.append(try_threat(subject, threat, rng=_rng(seed, threat, subject)))
        for source in transfer_from:
            told(len(trials), total)
            trials.append(try_transfer(subject, source, main, rng=_rng(seed, main, subject)))
        told(total - 2, total)
        gap = _gap(subject, budgets, seed)
        told(total - 1, total)
        checks = battery(subject, main_attack(subject, budgets.main), epsilons=budgets.grid, seed=seed)
        matrix = _transfer(subject, transfer_from, main, seed) if transfer_from else None
        clean = _right(subject)
        shown = [trial for trial in trials if trial.threat.name == main.name and trial.kind == main.kind]
        pictures = examples_of(subject, shown)
    told(total, total)
    worst = _worst(trials, subject.space)
    flags = [f"{check.name}: {check.detail}" for check in checks if check.holds is False]
    entry = {
        "subject": subject.name,
        "samples": len(subject.samples),
        "evaluated_on": subject.evaluated_on,
        "classes": list(subject.classes),
        "trained_against": subject.trained_against and subject.trained_against.in_words(subject.space),
        "remarks": subject.trained_against.remarks() if subject.trained_against else [],
        "clean": rate(clean),
        **gap,
        "epsilons": list(budgets.grid),
        "main_epsilon": budgets.main,
        "attacks": [trial.row(subject.space) for trial in trials],
        "worst": worst,
        "battery": [check.row() for check in checks],
        "flags": flags,
        "headline": None if flags else _headline(subject, budgets, worst, rate(clean)),
        "examples": [{"epsilon": each.epsilon, "attack": each.name} for each in shown] if pictures else [],
        "transfer": matrix,
    }
    return Examined(entry, pictures)


def scales(epsilon: float, space: Space) -> str:
    """A budget on all scales that the samples have."""
    return f"{epsilon:.3g} in the data's units" if space.bounds is None else in_scales(epsilon)

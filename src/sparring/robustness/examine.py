"""Robust accuracy of a subject: every threat a row, the worst case per sample over them, and the battery beside it.

    accuracy(norm, epsilon) = share of samples that no threat of this norm and epsilon fools

Of anybody's classifier, in eval mode and left as it was:

    found = robustness(subject_of(network, images, labels, low=0.0, high=1.0), epsilons=[8 / 255])
    print(found.headline or found.flags)

Source: Croce and Hein 2020 for the worst case over an ensemble; Rob-GAN, figures 2 and 6 and table 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from sparring.attacks import Threat
from sparring.core.intervals import percent
from sparring.core.progress import SILENT, Progress
from sparring.core.randomness import Rng, derive
from sparring.gan.sampling import require_finite
from sparring.monitoring.endurance_study import described
from sparring.robustness.budgets import Budgets, budgets_of, scales
from sparring.robustness.checks import rate
from sparring.robustness.examples import examples_of
from sparring.robustness.masking import gradients_are_strongest, standing
from sparring.robustness.plans import main_attack, main_threat, planned, restarts_of
from sparring.robustness.sanity_checks import battery
from sparring.robustness.targets import Subject, exactly
from sparring.robustness.transfer import transfer_matrix
from sparring.robustness.trials import Trial, right, try_threat, try_transfer
from sparring.runs.schema import (
    AccuracyAt,
    ExampleBlock,
    Headline,
    Rate,
    TargetRobustness,
    TransferMatrix,
    WorstCase,
)


@dataclass(frozen=True)
class Examined:
    """What was found of a subject.

    Args:
        robustness: its part of robustness.json.
        pictures: example images by name, as in robustness.npz; empty where samples are no images.
    """

    robustness: TargetRobustness
    pictures: dict[str, Tensor]


def robustness(
    subject: Subject,
    *,
    epsilons: Sequence[float] | None = None,
    threats: str | Sequence[Threat] = "standard",
    transfer_from: Sequence[Subject] = (),
    seed: int = 0,
    progress: Progress = SILENT,
) -> TargetRobustness:
    """How robust a subject is, as its part of robustness.json; arguments are those of `examine`."""
    return examine(
        subject, epsilons=epsilons, threats=threats, transfer_from=transfer_from, seed=seed, progress=progress
    ).robustness


def examine(
    subject: Subject,
    *,
    epsilons: Sequence[float] | None = None,
    threats: str | Sequence[Threat] = "standard",
    transfer_from: Sequence[Subject] = (),
    seed: int = 0,
    progress: Progress = SILENT,
) -> Examined:
    """Try every threat on a subject, doubt what was found, and say both.

    Args:
        subject: what is attacked; left as it was, bit for bit.
        epsilons: sizes in units of [0, 1], or of the data where they have no range; half, one and two times what the
            subject was trained against by default.
        threats: as `plans.planned` takes them, or threats, each at its own epsilon. PGD-20 at every epsilon is
            always among them.
        transfer_from: other subjects of the same data, whose adversarial samples are shown to this one.
        seed: of everything drawn.
        progress: counts threats.

    Raises:
        UsageError: threats, sizes or other subjects do not fit the subject.
    """
    budgets = budgets_of(subject, epsilons)
    main = main_threat(budgets, budgets.main, subject.space)
    plan = planned(threats, subject, budgets)
    total = len(plan) + len(transfer_from) + 1
    with exactly():
        require_finite("robustness", {"logits of clean samples": subject.answers(subject.samples)})
        trials: list[Trial] = []
        for threat in plan:
            trials.append(try_threat(subject, threat, rng=_rng(seed, threat, subject)))
            progress.advance(len(trials), total)
        for source in transfer_from:
            trials.append(try_transfer(subject, source, main, rng=_rng(seed, main, subject)))
            progress.advance(len(trials), total)
        clean = rate(right(subject))
        train_clean, train_attacked = _on_training_samples(subject, budgets, seed)
        matrix = _transfer(subject, transfer_from, main, seed)
        shown = [trial for trial in trials if trial.name == main.name]
        pictures = examples_of(subject, shown)
    attack, tries = main_attack(budgets), restarts_of(subject.space)
    checks = battery(subject, attack, epsilons=budgets.grid, tries=tries, seed=seed)
    checks.append(gradients_are_strongest(trials))
    progress.advance(total, total)
    worst = tuple(_worst(trials, subject))
    flags = tuple(f"{check.name}: {check.detail}" for check in checks if check.holds is False)
    trained = subject.trained_against
    found = TargetRobustness(
        name=subject.name,
        samples=len(subject.samples),
        evaluated_on=subject.evaluated_on,
        classes=tuple(subject.classes),
        trained_against=trained and f"{trained.ball.norm}, {described(trained, subject.space)}",
        remarks=tuple(trained.remarks()) if trained else (),
        clean=clean,
        train_clean=train_clean,
        train_attacked=train_attacked,
        epsilons=budgets.grid,
        main_epsilon=budgets.main,
        attacks=tuple(trial.result(subject.space) for trial in trials),
        worst=worst,
        sanity_checks=tuple(checks),
        flags=flags,
        headline=None if flags else _headline(subject, budgets, worst, clean),
        examples=tuple(ExampleBlock(epsilon=each.epsilon, attack=each.name) for each in shown if pictures),
        transfer=matrix,
    )
    return Examined(found, pictures)


def _worst(trials: Sequence[Trial], subject: Subject) -> Iterator[WorstCase]:
    """The worst case per sample, for every norm and epsilon that was tried; what fools with less fools here, too."""
    for norm, epsilon in dict.fromkeys((trial.norm, trial.epsilon) for trial in trials):
        within = [trial for trial in trials if trial.norm == norm and trial.epsilon <= epsilon]
        yield WorstCase(
            epsilon=epsilon,
            norm=norm,
            scales=scales(epsilon, subject.space),
            accuracy=rate(standing(within)),
            attacks=tuple(trial.name for trial in within if trial.epsilon == epsilon),
        )


def _on_training_samples(subject: Subject, budgets: Budgets, seed: int) -> tuple[Rate | None, tuple[AccuracyAt, ...]]:
    """Accuracy on training samples, clean and under the main threat."""
    training = subject.on_training_samples()
    if training is None:
        return None, ()
    attacked = []
    for epsilon in budgets.grid:
        threat = main_threat(budgets, epsilon, subject.space)
        trial = try_threat(training, threat, rng=_rng(seed, threat, subject))
        attacked.append(AccuracyAt(epsilon=epsilon, accuracy=rate(trial.stands)))
    return rate(right(training)), tuple(attacked)


def _transfer(subject: Subject, others: Sequence[Subject], main: Threat, seed: int) -> TransferMatrix | None:
    return transfer_matrix([subject, *others], main, seed=seed) if others else None


def _headline(subject: Subject, budgets: Budgets, worst: Sequence[WorstCase], clean: Rate) -> Headline:
    main = next(case for case in worst if (case.norm, case.epsilon) == (budgets.ball.norm, budgets.main))
    low, high = main.accuracy.interval
    text = (
        f"{percent(main.accuracy.value)} [{100 * low:.1f}, {100 * high:.1f}] of {len(subject.samples)} "
        f"{subject.evaluated_on} samples withstand {len(main.attacks)} attacks of {budgets.ball.norm} epsilon "
        f"{main.scales}; clean {percent(clean.value)}"
    )
    return Headline(text=text, epsilon=budgets.main, accuracy=main.accuracy)


def _rng(seed: int, threat: Threat, subject: Subject) -> Rng:
    return Rng.of(derive(seed, f"robustness/{threat.name}/{threat.attack.epsilon}", 0), subject.samples.device)

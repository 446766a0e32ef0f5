"""Robust accuracy of a target: every threat, the worst case per sample over them, and sanity checks of the result.

    accuracy(norm, epsilon) = share of samples that no threat of this norm and at most this epsilon fools

For any classifier, in eval mode and left unchanged:

    result = robust_accuracy(target_of(network, images, labels, low=0.0, high=1.0), epsilons=[8 / 255])
    print(result.headline or result.flags)

Source: Croce and Hein 2020 for the worst case over an ensemble; Rob-GAN, figures 2 and 6 and table 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sparring.attacks import Threat, scales
from sparring.core.intervals import percent
from sparring.core.non_finite import require_finite
from sparring.core.progress import SILENT, Progress
from sparring.core.randomness import Rng, derive
from sparring.robustness.sanity_checks import gradients_are_strongest, sanity_checks
from sparring.robustness.targets import Target, full_precision, rate
from sparring.robustness.threat_sets import Budgets, budgets_of, chosen_threats
from sparring.robustness.transfer import transfer_matrix
from sparring.robustness.trials import Trial, example_images, try_threat, try_transfer
from sparring.runs.schema import AccuracyAt, ExampleBlock, Headline, Rate, TargetRobustness, WorstCase


class AttackedTarget(NamedTuple):
    """The robustness of a target.

    Args:
        robustness: its part of robustness.json.
        images: example images by name, as in robustness.npz; empty where samples are not images.
    """

    robustness: TargetRobustness
    images: dict[str, Tensor]


def robust_accuracy(
    target: Target,
    *,
    epsilons: Sequence[float] | None = None,
    threats: str | Sequence[Threat] = "standard",
    transfer_from: Sequence[Target] = (),
    seed: int = 0,
    progress: Progress = SILENT,
) -> TargetRobustness:
    """The robustness of a target; arguments are those of `attack_target`."""
    return attack_target(
        target, epsilons=epsilons, threats=threats, transfer_from=transfer_from, seed=seed, progress=progress
    ).robustness


def attack_target(
    target: Target,
    *,
    epsilons: Sequence[float] | None = None,
    threats: str | Sequence[Threat] = "standard",
    transfer_from: Sequence[Target] = (),
    seed: int = 0,
    progress: Progress = SILENT,
) -> AttackedTarget:
    """Try every threat on a target, and check whether the result can be believed.

    Args:
        target: left unchanged, bit for bit.
        epsilons: sizes in units of [0, 1], or of the data where they have no range; by default half, one and two
            times that of the target's adversarial training.
        threats: as in `chosen_threats`, or threats, each at its own epsilon. PGD-20 is always tried at every epsilon.
        transfer_from: other targets of the same task, whose adversarial samples are tried on this one.
        seed: of everything random.
        progress: counts threats.

    Raises:
        UsageError: threats, epsilons or other targets do not fit the target.
        NonFinite: a logit of a clean sample is not finite.
    """
    budgets = budgets_of(target, epsilons)
    main = budgets.main_threat(budgets.main)
    plan = chosen_threats(threats, budgets)
    total = len(plan) + len(transfer_from) + 1
    with full_precision():
        require_finite("robustness", {"logits of clean samples": target.predicted_logits(target.samples)})
        trials: list[Trial] = []
        for threat in plan:
            trials.append(try_threat(target, threat, rng=_rng(seed, threat, target)))
            progress.advance(len(trials), total)
        for source in transfer_from:
            trials.append(try_transfer(target, source, main, rng=_rng(seed, main, target)))
            progress.advance(len(trials), total)
        clean = rate(target.correct(target.samples))
        train_clean, train_attacked = _on_training_samples(target, budgets, seed)
        matrix = transfer_matrix([target, *transfer_from], main, seed=seed) if transfer_from else None
        shown = [trial for trial in trials if trial.result.name == main.name]
        images = example_images(target, shown)
    checks = sanity_checks(target, budgets.pgd(), epsilons=budgets.epsilons, tries=budgets.restarts, seed=seed)
    checks.append(gradients_are_strongest(trials))
    progress.advance(total, total)
    worst = tuple(worst_cases(trials, target))
    flags = tuple(f"{check.name}: {check.detail}" for check in checks if check.holds is False)
    trained = target.trained_against
    robustness = TargetRobustness(
        name=target.name,
        samples=len(target.samples),
        evaluated_on=target.evaluated_on,
        classes=target.classes,
        trained_against=trained and f"{trained.ball.norm}, {trained.describe(target.space)}",
        remarks=tuple(trained.remarks()) if trained else (),
        clean=clean,
        train_clean=train_clean,
        train_attacked=train_attacked,
        epsilons=budgets.epsilons,
        main_epsilon=budgets.main,
        attacks=tuple(trial.result for trial in trials),
        worst=worst,
        sanity_checks=tuple(checks),
        flags=flags,
        headline=None if flags else _headline(target, budgets, worst, clean),
        examples=tuple(ExampleBlock(epsilon=each.result.epsilon, attack=each.result.name) for each in shown if images),
        transfer=matrix,
    )
    return AttackedTarget(robustness, images)


def worst_cases(trials: Sequence[Trial], target: Target) -> Iterator[WorstCase]:
    """The worst case per sample for every norm and epsilon that was tried, over all threats of at most that epsilon."""
    for norm, epsilon in dict.fromkeys((trial.result.norm, trial.result.epsilon) for trial in trials):
        within = [trial for trial in trials if trial.result.norm == norm and trial.result.epsilon <= epsilon]
        yield WorstCase(
            epsilon=epsilon,
            norm=norm,
            scales=scales(epsilon, target.space),
            accuracy=rate(torch.stack([trial.correct for trial in within]).all(0)),
            attacks=tuple(trial.result.name for trial in within if trial.result.epsilon == epsilon),
        )


def _on_training_samples(target: Target, budgets: Budgets, seed: int) -> tuple[Rate | None, tuple[AccuracyAt, ...]]:
    """Accuracy on training samples, clean and under the main threat."""
    training = target.on_training_samples()
    if training is None:
        return None, ()
    attacked = []
    for epsilon in budgets.epsilons:
        threat = budgets.main_threat(epsilon)
        trial = try_threat(training, threat, rng=_rng(seed, threat, target))
        attacked.append(AccuracyAt(epsilon=epsilon, accuracy=trial.result.accuracy))
    return rate(training.correct(training.samples)), tuple(attacked)


def _headline(target: Target, budgets: Budgets, worst: Sequence[WorstCase], clean: Rate) -> Headline:
    main = next(case for case in worst if (case.norm, case.epsilon) == (budgets.ball.norm, budgets.main))
    low, high = main.accuracy.interval
    text = (
        f"{percent(main.accuracy.value)} [{100 * low:.1f}, {100 * high:.1f}] of {len(target.samples)} "
        f"{target.evaluated_on} samples withstand {len(main.attacks)} attacks of {budgets.ball.norm} epsilon "
        f"{main.scales}; clean {percent(clean.value)}"
    )
    return Headline(text=text, epsilon=budgets.main, accuracy=main.accuracy)


def _rng(seed: int, threat: Threat, target: Target) -> Rng:
    return Rng.of(derive(seed, f"robustness/{threat.name}/{threat.attack.epsilon}", 0), target.samples.device)

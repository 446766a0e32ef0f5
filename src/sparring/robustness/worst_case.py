"""Robust accuracy of a target: every threat, the worst case per sample over them, and sanity checks of the result.

    accuracy(norm, epsilon) = share of samples that no threat of this norm and at most this epsilon fools

For any classifier, in eval mode and left unchanged:

    result = robust_accuracy(target_of(network, images, labels, low=0.0, high=1.0), epsilons=[8 / 255]).robustness
    print(result)

Source: Croce and Hein 2020 for the worst case over an ensemble; Rob-GAN, figures 2 and 6 and table 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor

from sparring.attacks import Threat, scales
from sparring.core.balls import Linf
from sparring.core.descent import require_finite
from sparring.core.intervals import percent
from sparring.core.modules import full_precision, noise_from
from sparring.core.process import SILENT, Progress
from sparring.core.randomness import Streams
from sparring.core.shapes import Samples
from sparring.robustness.budgets import Budgets, Epsilons, budgets_of, sizes_from
from sparring.robustness.model_checks import gradients_are_strongest, samples_are_held_out
from sparring.robustness.robustness_verdict import robustness_verdict
from sparring.robustness.sanity_checks import sanity_checks
from sparring.robustness.targets import Target, rate
from sparring.robustness.threat_sets import chosen_threats, left_out
from sparring.robustness.transfer import require_same_task, transfer_matrix
from sparring.robustness.trials import SHOWN, Trial, Trials, norm_of
from sparring.runs.robustness_schema import AccuracyAt, ExampleBlock, Headline, Rate, TargetRobustness, WorstCase


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
    epsilons: Epsilons | None = None,
    threats: str | Sequence[str | Threat] = "standard",
    transfer_from: Sequence[Target] = (),
    seed: int = 0,
    folder: Path | None = None,
    progress: Progress = SILENT,
) -> AttackedTarget:
    """Try every threat on a target, and check whether the result can be believed.

    Args:
        target: left unchanged, bit for bit.
        epsilons: sizes in units of [0, 1], or of the data where they have no range, such as `[2 / 255, "8/255"]`; by
            default half, one and two times that of the target's adversarial training.
        threats: as in `chosen_threats`. PGD-20 is always tried at every epsilon.
        transfer_from: other targets of the same task, whose adversarial samples are tried on this one.
        seed: of everything random.
        folder: where finished batches are kept, so that an evaluation that was killed goes on.
        progress: counts batches of every threat.

    Raises:
        UsageError: threats, epsilons or other targets do not fit the target.
        NonFinite: a logit of a clean sample is not finite.
    """
    for other in transfer_from:
        require_same_task(target, other)
    budgets = budgets_of(target, sizes_from(epsilons))
    main = budgets.main_threat(budgets.main)
    tried_once = [
        replace(budgets, gradients=each.gradients).main_try(budgets.main) for each in (target, *transfer_from)
    ]
    plan = chosen_threats(threats, budgets)
    batches = -(-len(target.samples) // target.batch_size)
    total, steps = len(plan) * batches + len(transfer_from) + 1, count(1)
    tries = Trials(target, seed, folder, lambda: progress.advance(next(steps), total))
    noise = Streams(seed, None, target.device).rng("robustness/noise")
    with full_precision(), noise_from(noise):
        require_finite("robustness", {"logits of clean samples": target.predicted_logits(target.samples)})
        trials: list[Trial] = []
        for threat in plan:
            trials.append(tries.of(threat, _fooled(threat, trials) if threat.rest_only else None))
        trials += map(tries.transfer, transfer_from, tried_once[1:])
        clean = rate(target.correct(target.samples))
        train_clean, train_attacked = _on_training_samples(target, budgets, seed)
        matrix = transfer_matrix([target, *transfer_from], tried_once, seed=seed) if transfer_from else None
        shown = [trial for trial in trials if trial.result.name == main.name]
        images = example_images(target, shown)
        attack = budgets.main_attack(budgets.main)
        checks = sanity_checks(target, attack, epsilons=budgets.epsilons, tries=budgets.restarts, seed=seed)
    checks.append(gradients_are_strongest([(trial.result, trial.correct) for trial in trials]))
    checks = [*target.checks, *checks, samples_are_held_out(target)]  # those of the inputs name a cause
    progress.advance(total, total)
    worst = tuple(worst_cases(trials, target))
    at_main = next(case for case in worst if (case.norm, case.epsilon) == (budgets.ball.norm, budgets.main))
    flags = tuple(f"{check.name}: {check.detail}" for check in checks if check.holds is False)
    trained = target.trained_against
    robustness = TargetRobustness(
        name=target.name,
        samples=len(target.samples),
        evaluated_on=target.evaluated_on,
        classes=target.classes,
        trained_against=trained and f"{trained.ball.norm}, {trained.describe(target.space)}",
        remarks=(*_of_scaling(target), *target.remarks, *(trained.remarks() if trained else ())),
        clean=clean,
        train_clean=train_clean,
        train_attacked=train_attacked,
        epsilons=budgets.epsilons,
        main_epsilon=budgets.main,
        attacks=tuple(trial.result for trial in trials),
        worst=worst,
        sanity_checks=tuple(checks),
        flags=flags,
        headline=None if flags else _headline(target, budgets, plan, at_main, clean),
        verdict=robustness_verdict(target, at_main, clean, checks),
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


def example_images(target: Target, trials: Sequence[Trial]) -> dict[str, Tensor]:
    """The first images of every trial; empty where samples are not images.

    Args:
        target: the target of the trials.
        trials: k of them.

    Returns:
        clean, adversarial: uint8 `(k, n, channels, height, width)`; perturbation: int8 of the same shape, 127 for a
        change of epsilon, or in norms other than L-infinity for the largest change; labels, predicted_clean,
        predicted: int64 `(k, n)`.
    """
    bounds = target.space.bounds
    if not trials or bounds is None or len(target.space.shape) != 3:
        return {}
    clean, labels = target.samples[:SHOWN], target.labels[:SHOWN]
    blocks = {
        "clean": [_as_bytes(clean, bounds)] * len(trials),
        "adversarial": [_as_bytes(trial.shown, bounds) for trial in trials],
        "perturbation": [_magnified(trial, clean, target) for trial in trials],
        "labels": [labels] * len(trials),
        "predicted_clean": [target.predicted_logits(clean).argmax(1)] * len(trials),
        "predicted": [target.predicted_logits(trial.shown).argmax(1) for trial in trials],
    }
    return {name: torch.stack(parts).cpu() for name, parts in blocks.items()}


def _fooled(threat: Threat, trials: Sequence[Trial]) -> Bool[Tensor, " n"] | None:
    """Samples that a threat of this norm and at most this epsilon has fooled; None before the first threat."""
    norm, epsilon = norm_of(threat), threat.attack.epsilon
    wrong = [~each.correct for each in trials if each.result.norm == norm and each.result.epsilon <= epsilon]
    return torch.stack(wrong).any(0) if wrong else None


def _draws(target: Target) -> str:
    return f"; expectation over {target.draws} draws" if target.draws > 1 else ""


def _on_training_samples(target: Target, budgets: Budgets, seed: int) -> tuple[Rate | None, tuple[AccuracyAt, ...]]:
    """Accuracy on training samples, clean and under the main threat."""
    training = target.on_training_samples()
    if training is None:
        return None, ()
    attacked = []
    for epsilon in budgets.epsilons:
        threat = budgets.main_threat(epsilon)
        trial = Trials(training, seed).of(threat)
        attacked.append(AccuracyAt(epsilon=epsilon, accuracy=trial.result.accuracy))
    return rate(training.correct(training.samples)), tuple(attacked)


def _of_scaling(target: Target) -> Iterator[str]:
    if target.scaling:
        yield f"images were {target.scaling}: a network that takes another side has other accuracies at its own"


def _headline(target: Target, budgets: Budgets, plan: Sequence[Threat], main: WorstCase, clean: Rate) -> Headline:
    size = main.norm, main.epsilon
    tried = [threat for threat in plan if (norm_of(threat), threat.attack.epsilon) == size]
    low, high = main.accuracy.interval
    kind = "attacks" if target.gradients else "black-box attacks"
    text = (
        f"{percent(main.accuracy.value)} [{100 * low:.1f}, {100 * high:.1f}] of {len(target.samples)} "
        f"{target.evaluated_on} samples withstand {len(main.attacks)} {kind} of {budgets.ball.norm} epsilon "
        f"{main.scales}; clean {percent(clean.value)}{_draws(target)}"
        f"{left_out(tried, budgets)}"
    )
    return Headline(text=text, epsilon=budgets.main, accuracy=main.accuracy)


def _as_bytes(images: Samples, bounds: tuple[float, float]) -> Tensor:
    low, high = bounds
    return ((images - low) / (high - low) * 255 + 0.5).floor().clamp(0, 255).to(torch.uint8)


def _magnified(trial: Trial, clean: Samples, target: Target) -> Tensor:
    moved, result = trial.shown - clean, trial.result
    limit = result.epsilon * target.space.width if result.norm == Linf.norm else float(moved.abs().max())
    return (127 * moved / max(limit, 1e-12)).round().clamp(-127, 127).to(torch.int8)

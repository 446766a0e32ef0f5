"""Robust accuracy of a target: every threat, the worst case per sample over them, and sanity checks of the result.

    accuracy(norm, epsilon) = share of samples that no threat of this norm and at most this epsilon fools

For any classifier, in eval mode and left unchanged:

    result = robust_accuracy(target_of(network, images, labels, low=0.0, high=1.0), epsilons=[8 / 255]).robustness
    print(result.headline or result.flags)

Source: Croce and Hein 2020 for the worst case over an ensemble; Rob-GAN, figures 2 and 6 and table 1.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor

from sparring.attacks import Dimming, Fooled, Threat, fool, pgd_within, scales
from sparring.core.balls import Linf
from sparring.core.descent import require_finite
from sparring.core.intervals import percent
from sparring.core.process import SILENT, Progress
from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import Samples
from sparring.robustness.model_checks import gradients_are_strongest
from sparring.robustness.sanity_checks import sanity_checks
from sparring.robustness.targets import Target, full_precision, rate
from sparring.robustness.threat_sets import Budgets, budgets_of, chosen_threats
from sparring.robustness.transfer import adversarial_samples, require_same_task, transfer_matrix
from sparring.runs.schema import (
    AccuracyAt,
    ExampleBlock,
    Headline,
    Rate,
    TargetRobustness,
    ThreatResult,
    WorstCase,
)

_SHOWN = 8
"""Samples kept as example images."""


class Trial(NamedTuple):
    """The outcome of one threat on a target.

    Args:
        result: its entry of robustness.json.
        correct: which samples are classified correctly, clean and attacked.
        shown: the first attacked samples.
    """

    result: ThreatResult
    correct: Bool[Tensor, " n"]
    shown: Samples


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
    for other in transfer_from:
        require_same_task(target, other)
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
        attack = pgd_within(budgets.ball, budgets.main)
        checks = sanity_checks(target, attack, epsilons=budgets.epsilons, tries=budgets.restarts, seed=seed)
    checks.append(gradients_are_strongest([(trial.result, trial.correct) for trial in trials]))
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


def try_threat(target: Target, threat: Threat, *, rng: Rng) -> Trial:
    """Try a threat with all of its restarts and targets."""
    began = time.perf_counter()
    network, space = target.network, target.space
    parts = [
        fool(threat, target.logits, x, labels, network=network, space=space, rng=rng, through=target.fast_logits)
        for x, labels in target.batches(target.samples)
    ]
    fooled = Fooled(*(torch.cat(each) for each in zip(*parts, strict=True)))
    return _trial(target, threat, fooled, began)


def try_transfer(target: Target, source: Target, threat: Threat, *, rng: Rng) -> Trial:
    """Try the adversarial samples of another network of the same task; only the target's own calls are counted."""
    began, labels = time.perf_counter(), target.labels
    moved = adversarial_samples(replace(source, samples=target.samples, labels=labels), threat, rng=rng)
    before, after = target.predicted_logits(target.samples), target.predicted_logits(moved)
    losses = (threat.criterion.loss(logits, labels) for logits in (before, after))
    wrong = (before.argmax(1) != labels) | (after.argmax(1) != labels)
    calls = (torch.full_like(labels, count) for count in (2, 0))
    named = threat.model_copy(update={"name": f"{threat.name} on {source.name}", "kind": "transfer"})
    return _trial(target, named, Fooled(moved, wrong, *losses, *calls), began)


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
    clean, labels = target.samples[:_SHOWN], target.labels[:_SHOWN]
    blocks = {
        "clean": [_as_bytes(clean, bounds)] * len(trials),
        "adversarial": [_as_bytes(trial.shown, bounds) for trial in trials],
        "perturbation": [_magnified(trial, clean, target) for trial in trials],
        "labels": [labels] * len(trials),
        "predicted_clean": [target.predicted_logits(clean).argmax(1)] * len(trials),
        "predicted": [target.predicted_logits(trial.shown).argmax(1) for trial in trials],
    }
    return {name: torch.stack(parts).cpu() for name, parts in blocks.items()}


def _trial(target: Target, threat: Threat, fooled: Fooled, began: float) -> Trial:
    epsilon = threat.attack.epsilon
    result = ThreatResult(
        name=threat.name,
        kind=threat.kind,
        norm=_norm_of(threat),
        epsilon=epsilon,
        scales=scales(epsilon, target.space),
        accuracy=rate(~fooled.fooled),
        loss_start=_mean(fooled.loss_start),
        loss_end=_mean(fooled.loss_end),
        seconds=time.perf_counter() - began,
        forwards=_mean(fooled.forwards),
        backwards=_mean(fooled.backwards),
        settings=threat.model_dump(mode="json"),
    )
    return Trial(result, ~fooled.fooled, fooled.samples[:_SHOWN])


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
    return Streams(seed, None, target.samples.device).rng(f"robustness/{threat.name}/{threat.attack.epsilon}")


def _norm_of(threat: Threat) -> str:
    """The norm of the budget; the attack's own name if it does not search the whole ball."""
    attack = threat.attack
    return attack.name if isinstance(attack, Dimming) or not attack.ball.limited else attack.ball.norm


def _as_bytes(images: Samples, bounds: tuple[float, float]) -> Tensor:
    low, high = bounds
    return ((images - low) / (high - low) * 255 + 0.5).floor().clamp(0, 255).to(torch.uint8)


def _magnified(trial: Trial, clean: Samples, target: Target) -> Tensor:
    moved, result = trial.shown - clean, trial.result
    limit = result.epsilon * target.space.width if result.norm == Linf.norm else float(moved.abs().max())
    return (127 * moved / max(limit, 1e-12)).round().clamp(-127, 127).to(torch.int8)


def _mean(values: Tensor) -> float:
    return float(values.double().mean())

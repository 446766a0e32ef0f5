"""Any classifier in one call: adversarial samples, and robust accuracy under many attacks.

    adversarial = sparring.attack(model, images, labels, "pgd", epsilon=8 / 255, steps=20)
    result = sparring.robust_accuracy(model, images, labels, epsilons=["8/255"], threats=["fgsm", "apgd-ce"])
    print(result)

Images and labels may be tensors, arrays or lists; labels may be class numbers of any type or one-hot rows. They are
moved to the model's device. What cannot be converted safely is refused in one line.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sparring.attacks import Attack, CrossEntropy, Margin, Threat, attempt
from sparring.core.randomness import RandomSource, Rng
from sparring.core.shapes import bounds_of
from sparring.robustness.budgets import Epsilons
from sparring.robustness.model_checks import returns_logits
from sparring.robustness.targets import Target, target_of
from sparring.robustness.worst_case import robust_accuracy as accuracy_of_target
from sparring.runs.robustness_schema import TargetRobustness


def attack(
    model: nn.Module,
    images: Any,
    labels: Any,
    attack: str | Attack = "pgd",
    *,
    bounds: Sequence[float] | None = (0.0, 1.0),
    rng: RandomSource = 0,
    **settings: Any,
) -> Tensor:
    """Images moved, within a budget and their range, to where the cross-entropy of a classifier is higher.

    Args:
        model: images to logits; attacked in eval mode and left unchanged.
        images: `(n, ...)`.
        labels: the true classes.
        attack: a name from `sparring list attacks`, or an attack.
        bounds: the range of the images; None for samples without one.
        rng: a seed, a `torch.Generator` or a stream. The same seed gives the same random start: in a loop, give a
            generator.
        settings: keys of the attack, for example `epsilon=8 / 255`, in units of [0, 1] whatever the range is.

    Returns:
        Samples on the device and in the type of the model's weights.

    Raises:
        UsageError: an argument is not what it should be: says which, what it got, what it wants.
    """
    chosen = _attack(attack, settings)
    target = _target(model, images, labels, bounds)
    chosen.require_size(target.space)
    criterion = Margin() if chosen.seeks_boundary else CrossEntropy()
    threat = Threat(name=chosen.name, kind="white-box", attack=chosen, criterion=criterion)
    stream, found = Rng.of(rng, target.device), []
    for samples, truth in target.batches(target.samples):
        found.append(attempt(threat, target.logits, samples, truth, network=model, space=target.space, rng=stream))
    return torch.cat(found)


def robust_accuracy(
    model: nn.Module,
    images: Any,
    labels: Any,
    *,
    bounds: Sequence[float] | None = (0.0, 1.0),
    epsilons: Epsilons | None = None,
    threats: str | Sequence[str | Threat] = "standard",
    seed: int = 0,
) -> TargetRobustness:
    """The accuracy of a classifier under many attacks, the worst case per sample, with sanity checks.

    Args:
        model: images to logits; attacked in eval mode and left unchanged.
        images: `(n, ...)`, held out of training.
        labels: the true classes.
        bounds: the range of the images; None for samples without one.
        epsilons: sizes in units of [0, 1], such as `[2 / 255, "8/255"]`.
        threats: names of sets and of threats, separated by commas or as a list, which may hold threats too; see
            `sparring robustness --help`.
        seed: of everything random.

    Raises:
        UsageError: an argument is not what it should be: says which, what it got, what it wants.
        NonFinite: a logit of a clean sample is not finite.
    """
    target = _target(model, images, labels, bounds)
    return accuracy_of_target(target, epsilons=epsilons, threats=threats, seed=seed).robustness


def _attack(attack: str | Attack, settings: dict[str, Any]) -> Attack:
    if isinstance(attack, Attack) and not settings:
        return attack
    values = attack.model_dump(mode="json") if isinstance(attack, Attack) else {"name": attack}
    return Attack.validated(values | settings, "attack", "`sparring list attacks` and help(sparring.attack)")


def _target(model: nn.Module, images: Any, labels: Any, bounds: Sequence[float] | None) -> Target:
    low, high = (None, None) if bounds is None else bounds_of(bounds)
    target = target_of(model, images, labels, low=low, high=high)
    looks = returns_logits(target.predicted_logits(target.samples))
    if not looks.holds:
        warnings.warn(f"model: {looks.detail}, wanted logits; leave its last softmax out", stacklevel=3)
    return target

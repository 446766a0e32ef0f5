"""Transfer: the matrix of sources and targets, and substitutes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from robust_models import sound, thresholds
from sparring.attacks import FGSM, Threat
from sparring.core.errors import UsageError
from sparring.robustness.transfer import substitute, transfer_matrix
from sparring.robustness.worst_case import robust_accuracy


def test_transfer_is_a_matrix_of_sources_and_targets() -> None:
    targets = [sound("robust").first(60), sound("mlp"), sound("linear")]
    threat = Threat(name="FGSM", kind="white-box", attack=FGSM(epsilon=0.1))
    found = transfer_matrix(targets, [threat] * 3).as_json()
    accuracy = np.array(found["accuracy"])
    assert accuracy.shape == (3, 3) and np.array(found["interval"]).shape == (3, 3, 2)
    assert (accuracy.argmin(0) == [0, 1, 2]).all(), "transferred samples are weaker than a network's own"
    x, labels = targets[0].samples, targets[0].labels
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(
        nn.functional.cross_entropy(targets[1].logits(leaf), labels, reduction="sum"), leaf
    )
    moved = (x + 0.2 * gradient.sign()).clamp(-1, 1)
    right = [(targets[2].predicted_logits(each).argmax(1) == labels) for each in (x, moved)]
    assert found["accuracy"][1][2] == pytest.approx(float((right[0] & right[1]).float().mean()))


@pytest.mark.usefixtures("unchecked")
def test_a_source_with_gradients_is_attacked_along_them_once() -> None:
    """Whatever the target has: a black-box attacker has networks of its own."""
    closed, source = replace(sound("mlp").first(30), gradients=False), replace(sound("linear"), name="source")
    found = robust_accuracy(closed, epsilons=[0.1], threats="noise", transfer_from=[source]).robustness
    (transferred,) = (each for each in found.attacks if each.kind == "transfer")
    assert (transferred.name, transferred.settings["restarts"]) == ("PGD-20 on source", 1)
    assert found.transfer is not None and found.transfer.attack == "NES PGD-10 or PGD-20"


def test_a_transfer_between_different_tasks_is_refused() -> None:
    with pytest.raises(UsageError, match="in 2 classes, digits takes samples"):
        robust_accuracy(sound("mlp").first(20), threats="noise", transfer_from=[thresholds()])


def test_a_substitute_agrees_with_its_target() -> None:
    target = sound("robust")
    other = substitute(target, seed=1)
    predictions, theirs = (each.predicted_logits(target.samples).argmax(1) for each in (target, other))
    assert (predictions == theirs).float().mean() > 0.85
    again = substitute(target, seed=1)
    assert torch.equal(other.predicted_logits(target.samples), again.predicted_logits(target.samples))

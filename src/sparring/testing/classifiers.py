"""The training of classifiers: losses."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sparring.attacks import CrossEntropy
from sparring.classifier_losses import ClassifierLoss, ClassifierResponse
from sparring.core.randomness import Rng


def check_classifier_loss(loss: ClassifierLoss) -> None:
    x, labels = Rng.of(0).uniform((6, 4), -1.0, 1.0), torch.tensor([0, 1, 2, 0, 1, 2])
    moved = x + 0.1 * Rng.of(1).normal((6, 4))
    weight = nn.Parameter(Rng.of(2).normal((4, 3)))

    def classify(samples: Tensor) -> Tensor:
        return torch.tanh(samples) @ weight

    def losses(rows: slice) -> Tensor:
        return loss.losses(ClassifierResponse(classify, x[rows], moved[rows]), labels[rows])

    values = losses(slice(None))
    assert values.shape == (6,) and values.isfinite().all(), "a loss per sample"
    assert torch.allclose(values, torch.cat([losses(slice(0, 2)), losses(slice(2, 6))])), "samples do not interact"
    values.mean().backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None and bool(weight.grad.any()), "the weights learn"
    with torch.no_grad():
        ascended = loss.ascended(CrossEntropy(), lambda: classify(x))(classify(moved), labels)
        extreme = 1e4 * (torch.eye(3)[labels] - torch.eye(3)[labels.roll(1)])
        far = loss.ascended(CrossEntropy(), lambda: extreme)(-extreme, labels)
    assert ascended.shape == (6,) and ascended.isfinite().all(), "the attack's loss per sample"
    assert far.isfinite().all(), "large logits do not overflow"

"""The losses of classifiers against their formulas, sample by sample in fp64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sparring.attacks import CrossEntropy
from sparring.classifier_losses import (
    MART,
    TRADES,
    AdversarialCrossEntropy,
    ClassifierLoss,
    ClassifierResponse,
    LocalLipschitz,
    divergence,
)
from sparring.core.randomness import Rng

CLEAN, MOVED = (2 * Rng.of(seed).normal((5, 4)).double() for seed in (0, 1))
LABELS = torch.tensor([0, 3, 1, 2, 2])


def of_logits(loss: ClassifierLoss) -> list[float]:
    """The losses of samples that are their own logits."""
    return loss.losses(ClassifierResponse(lambda x: x, CLEAN, MOVED), LABELS).tolist()


def softmax(row: list[float]) -> list[float]:
    whole = sum(map(math.exp, row))
    return [math.exp(each) / whole for each in row]


def kl(p: list[float], q: list[float]) -> float:
    return sum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True))


ROWS = [(softmax(p), softmax(q), y) for p, q, y in zip(CLEAN.tolist(), MOVED.tolist(), LABELS.tolist(), strict=True)]
"""Probabilities of the samples and of the attacked ones, and the class."""


def smooth(p: list[float], y: int, share: float) -> float:
    return -sum((share / len(p) + (1 - share) * (k == y)) * math.log(each) for k, each in enumerate(p))


def test_cross_entropy_with_smoothed_labels() -> None:
    assert of_logits(AdversarialCrossEntropy()) == pytest.approx([-math.log(q[y]) for _, q, y in ROWS], rel=1e-12)
    assert of_logits(AdversarialCrossEntropy(label_smoothing=0.1)) == pytest.approx(
        [smooth(q, y, 0.1) for _, q, y in ROWS], rel=1e-12
    )


def test_trades_is_equation_5() -> None:
    assert of_logits(TRADES(beta=5.0, label_smoothing=0.1)) == pytest.approx(
        [smooth(p, y, 0.1) + 5 * kl(p, q) for p, q, y in ROWS], rel=1e-12
    )
    ascended = TRADES().ascended(CrossEntropy(), lambda: CLEAN)(MOVED, LABELS)
    assert ascended.tolist() == pytest.approx([kl(p, q) for p, q, _ in ROWS], rel=1e-12)


def test_mart_is_equation_11() -> None:
    expected = [
        -math.log(q[y]) - math.log(1 - max(q[k] for k in range(4) if k != y)) + 3 * kl(p, q) * (1 - p[y])
        for p, q, y in ROWS
    ]
    assert of_logits(MART(beta=3.0)) == pytest.approx(expected, rel=1e-12)


def test_mart_and_trades_learn_through_both_passes() -> None:
    """Gradients with respect to the logits of both passes, by central differences."""
    for loss in (TRADES(), MART()):
        clean, moved = CLEAN.clone().requires_grad_(), MOVED.clone()

        def of(clean: Tensor, moved: Tensor, loss: ClassifierLoss = loss) -> tuple[Tensor, ClassifierResponse]:
            response = ClassifierResponse(lambda x: x, clean, moved, differentiable=True)
            return loss.losses(response, LABELS).sum(), response

        total, response = of(clean, moved)
        total.backward()  # type: ignore[no-untyped-call]
        for index, gradient in ((0, clean.grad), (1, response.attacked_samples.grad)):
            assert gradient is not None
            step = torch.zeros_like(CLEAN)
            step[1, 2] = 1e-5
            moves = [(CLEAN + sign * step * (index == 0), MOVED + sign * step * (index == 1)) for sign in (1, -1)]
            up, down = (of(*move)[0].item() for move in moves)
            assert gradient[1, 2].item() == pytest.approx((up - down) / 2e-5, rel=1e-6)


def test_mart_stays_finite_where_a_wrong_class_is_certain() -> None:
    response = ClassifierResponse(lambda x: x, CLEAN, torch.tensor([[0.0, 2000.0]]).float())
    response.__dict__["clean"] = torch.tensor([[0.0, 1.0]])
    assert MART().losses(response, torch.tensor([0])).item() >= 4000  # -log 0 twice, were it not for the logits


def test_a_divergence_of_equals_is_zero() -> None:
    assert divergence(CLEAN, CLEAN + 3.0).abs().max() < 1e-12


@pytest.mark.parametrize("penalty", [0.0, 0.7])
def test_local_lipschitz_is_equation_5_for_a_linear_classifier(penalty: float) -> None:
    """d l / d x = W^T (p - e_y) in closed form; the gradient in W by central differences."""
    weight = Rng.of(3).normal((4, 6)).double().requires_grad_()
    x = Rng.of(4).normal((5, 6)).double()

    def losses(weight: Tensor) -> Tensor:
        response = ClassifierResponse(lambda s: s @ weight.T, x, x, differentiable=True)
        return LocalLipschitz(penalty=penalty).losses(response, LABELS)

    p = (x @ weight.T).softmax(-1).detach()
    slopes = (p - torch.eye(4)[LABELS]) @ weight.detach()
    expected = -p[torch.arange(5), LABELS].log() + penalty * slopes.norm(dim=1)
    torch.testing.assert_close(losses(weight).detach(), expected, rtol=1e-10, atol=1e-12)
    losses(weight).sum().backward()  # type: ignore[no-untyped-call]
    step = torch.zeros_like(weight)
    step[1, 2] = 1e-6
    difference = losses(weight.detach() + step).sum() - losses(weight.detach() - step).sum()
    assert weight.grad is not None
    assert weight.grad[1, 2].item() == pytest.approx(difference.item() / 2e-6, rel=1e-5)

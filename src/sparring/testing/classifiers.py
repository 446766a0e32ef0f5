"""The training of classifiers: losses, mixing, and where the gradient is taken."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from sparring.attacks import CrossEntropy
from sparring.classifier_losses import ClassifierLoss, ClassifierResponse
from sparring.core.randomness import Rng
from sparring.data.mixing import Mixing
from sparring.weight_perturbations import WeightPerturbation


def check_classifier_loss(loss: ClassifierLoss) -> None:
    """The contract of a classifier's loss: per sample, finite, and the weights learn."""
    x, labels = Rng.of(0).uniform((6, 4), -1.0, 1.0), torch.tensor([0, 1, 2, 0, 1, 2])
    moved = x + 0.1 * Rng.of(1).normal((6, 4))
    weight = nn.Parameter(Rng.of(2).normal((4, 3)))

    def classify(samples: Tensor) -> Tensor:
        return torch.tanh(samples) @ weight

    def losses(rows: slice) -> Tensor:
        response = ClassifierResponse(classify, x[rows], moved[rows], differentiable=loss.needs_slopes)
        return loss.losses(response, labels[rows])

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


def check_mixing(mixing: Mixing) -> None:
    """The contract of a mixing: shares add up to one, pixels are never blended."""
    samples, labels = Rng.of(0).uniform((8, 3, 6, 5), -1.0, 1.0), torch.arange(8)
    mixed, again = (mixing.mix(samples, labels, rng=Rng.of(1)) for _ in range(2))
    assert torch.equal(mixed.samples, again.samples), "a mixed batch is a function of its stream"
    assert mixed.samples.shape == samples.shape
    shares = sum((torch.as_tensor(share).expand(8) for _, share in mixed.targets), torch.zeros(8))
    assert torch.allclose(shares, torch.ones(8)), "the shares of the labels add up to one"
    for sample in mixed.samples.flatten(2).movedim(1, 2):  # pixels are never blended
        assert all(
            any(bool((pixel == other).all()) for other in samples.movedim(1, 3).reshape(-1, 3)) for pixel in sample
        )


def check_weight_perturbation(perturbation: WeightPerturbation) -> None:
    """The contract of a perturbation of weights: the loss does not fall, and the weights come back."""
    network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    x = Rng.of(0).normal((8, 4))
    before = [parameter.detach().clone() for parameter in network.parameters()]
    seen: list[list[float]] = []

    def backward(batches: Iterable[Tensor]) -> float:
        seen.append([])
        for batch in batches:
            loss = network(batch).exp().mean()
            loss.backward()
            seen[-1].append(loss.item())
        return sum(seen[-1])

    result = perturbation.descend(network, iter([x, -x]), backward, progress=0.9)
    assert result == sum(seen[-1]) and [len(losses) for losses in seen] == [2] * len(seen), "every batch, in every pass"
    assert sum(seen[-1]) >= sum(seen[0]), "where the loss is not lower"
    assert all(map(torch.equal, before, network.parameters())), "weights stay as they are"
    assert all(parameter.grad is not None for parameter in network.parameters()), "every weight has a gradient"
    assert network.state_dict()["1.num_batches_tracked"] == 2, "only the last pass counts in running statistics"

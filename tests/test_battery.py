"""The battery: every planted fault is caught by the rows that should, no row is idle, sound models raise nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robust_models import SOUND, on_digits, sound
from sparring.attacks import PGD, GradientAttack, LossFunction, Threat, attempt, width_of
from sparring.evaluation import Subject
from sparring.evaluation.battery import battery
from sparring.evaluation.budgets import budgets_of
from sparring.evaluation.checks import Check
from sparring.evaluation.contest import Attempt
from sparring.evaluation.plans import main_attack
from sparring.randomness import Rng
from sparring.shapes import Samples, Space

COUNT = 100


def checked(subject: Subject, attack: GradientAttack | None = None, attempt: Attempt = attempt) -> list[Check]:
    """The battery with the usual attack, or with another one or another way of trying it."""
    budgets = budgets_of(subject)
    return battery(subject, attack or main_attack(budgets), epsilons=budgets.grid, samples=COUNT, attempt=attempt)


def flags(checks: list[Check]) -> set[str]:
    return {check.name for check in checks if check.holds is False}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_model_raises_nothing(name: str) -> None:
    checks = checked(sound(name))
    assert not flags(checks), checks
    assert all(check.holds for check in checks), "every row applies to images with a range"
    assert len({check.name for check in checks}) == len(checks) == 15


class Descends(PGD):
    """The sign of the loss is flipped."""

    def search(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        return super().search(x, lambda moved: -loss(moved), space=space, rng=rng)


class InLevels(PGD):
    """Epsilon is taken for one in 255ths of what it is."""

    def search(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        return PGD(epsilon=self.epsilon / 255, steps=self.steps).search(x, loss, space=space, rng=rng)


class InUnits(PGD):
    """Epsilon of [0, 1] is taken for one of [-1, 1]: half of it."""

    def search(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        return PGD(epsilon=self.epsilon / 2, steps=self.steps).search(x, loss, space=space, rng=rng)


class Idle(PGD):
    """The clean input is returned."""

    def search(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        return x


class MeanLoss(PGD):
    """Steps are shares of a mean over the batch."""

    def search(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        scaled = PGD(epsilon=self.epsilon, steps=self.steps, step_size=self.step_length / len(x) ** 2)
        return scaled.search(x, loss, space=space, rng=rng)


class Detached(PGD):
    """The gradient is that of the start, however far the samples have moved; none at all after a detached start."""

    def search(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        return super().search(x, lambda moved: loss(moved.detach()) + 0 * moved.flatten(1).sum(1), space=space, rng=rng)


def _by_hand(*, projected: bool, clipped: bool) -> Attempt:
    """Signed steps outside of the family, which promises nothing for them."""

    def attempted(
        threat: Threat,
        classify: Callable[[Samples], Tensor],
        x: Samples,
        labels: Tensor,
        targets: Tensor | None = None,
        *,
        network: nn.Module,
        space: Space,
        rng: Rng,
    ) -> Samples:
        attack, moved = threat.attack, x
        assert isinstance(attack, PGD) and space.bounds is not None
        radius = attack.epsilon * width_of(space)
        for _ in range(attack.steps):
            leaf = moved.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(threat.criterion.loss(classify(leaf), labels).sum(), leaf)
            moved = moved + attack.step_length * width_of(space) * gradient.sign()
            moved = x + (moved - x).clamp(-radius, radius) if projected else moved
            moved = moved.clamp(*space.bounds) if clipped else moved
        return moved

    return attempted


def _with_labels_shuffled(
    threat: Threat,
    classify: Callable[[Samples], Tensor],
    x: Samples,
    labels: Tensor,
    targets: Tensor | None = None,
    *,
    network: nn.Module,
    space: Space,
    rng: Rng,
) -> Samples:
    return attempt(threat, classify, x, labels.roll(1), targets, network=network, space=space, rng=rng)


def _rounded(
    threat: Threat,
    classify: Callable[[Samples], Tensor],
    x: Samples,
    labels: Tensor,
    targets: Tensor | None = None,
    *,
    network: nn.Module,
    space: Space,
    rng: Rng,
) -> Samples:
    """Adversarial images are kept in very few levels."""
    moved = attempt(threat, classify, x, labels, targets, network=network, space=space, rng=rng)
    return (moved * 0.7).round() / 0.7


def _leaving_a_trace(
    threat: Threat,
    classify: Callable[[Samples], Tensor],
    x: Samples,
    labels: Tensor,
    targets: Tensor | None = None,
    *,
    network: nn.Module,
    space: Space,
    rng: Rng,
) -> Samples:
    """Gradients of the parameters are left behind."""
    F.cross_entropy(classify(x), labels).backward()  # type: ignore[no-untyped-call]
    return attempt(threat, classify, x, labels, targets, network=network, space=space, rng=rng)


class Changed(nn.Module):
    """A network with something done to its inputs or its logits."""

    def __init__(self, network: nn.Module, *, before: Callable[[Tensor], Tensor], after: Callable[[Tensor], Tensor]):
        super().__init__()
        self.network, self.before, self.after = network, before, after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.network(self.before(x)))


def same(x: Tensor) -> Tensor:
    return x


MODELS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor], set[str]]] = {
    "detached graph": (torch.Tensor.detach, same, {"gradients exist", "the gradient is the gradient"}),
    "half of the graph detached": (
        lambda x: torch.cat([x[..., :4].detach(), x[..., 4:]], dim=-1),
        same,
        {"the gradient is the gradient"},
    ),
    "dropout left on": (lambda x: F.dropout(x, 0.3, training=True), same, {"the model is a function"}),
    "softmax head": (same, lambda z: z.softmax(1), {"logits, not probabilities"}),
    "quantised input": (
        lambda x: (4 * x).round() / 4,
        same,
        {"gradients exist", "search is weaker", "transfer is weaker", "loss rises"},
    ),
    "saturated logits": (same, lambda z: 1e4 * z, {"gradients exist"}),
    "argmax head": (
        same,
        lambda z: F.one_hot(z.argmax(1), 10).float(),
        {"gradients exist", "logits, not probabilities", "search is weaker", "transfer is weaker"},
    ),
    "another sample's business": (same, lambda z: z - z.mean(0), {"the model is a function"}),
}


@pytest.mark.parametrize("fault", MODELS)
@pytest.mark.parametrize("name", ["mlp", "robust"])
def test_a_fault_of_the_model_is_caught(name: str, fault: str) -> None:
    before, after, rows = MODELS[fault]
    subject = sound(name)
    broken = Changed(subject.network, before=before, after=after)
    found = flags(checked(on_digits(broken, subject.trained_against)))
    assert rows - {"search is weaker", "transfer is weaker", "loss rises"} <= found
    print(name, fault, found)


ATTACKS: dict[str, tuple[type[PGD], set[str]]] = {
    "sign flipped": (Descends, {"loss rises", "more budget helps", "noise is weaker", "search is weaker"}),
    "epsilon in the wrong unit, 255ths": (InLevels, {"more budget helps", "the budget is used", "search is weaker"}),
    "epsilon in the wrong unit, half": (InUnits, {"the budget is used"}),
    "clean input returned": (Idle, {"loss rises", "more budget helps", "the budget is used", "transfer is weaker"}),
    "step scaled by 1/N": (MeanLoss, {"more budget helps", "transfer is weaker"}),
    "detached graph in the attack": (Detached, {"more budget helps", "transfer is weaker"}),
}


@pytest.mark.parametrize("fault", ATTACKS)
@pytest.mark.parametrize("name", ["mlp", "robust"])
def test_a_fault_of_the_attack_is_caught(name: str, fault: str) -> None:
    broken, rows = ATTACKS[fault]
    subject = sound(name)
    found = flags(checked(subject, broken(epsilon=budgets_of(subject).main, steps=20)))
    print(name, fault, found)
    assert rows <= found

"""The battery: every planted fault is caught by the rows that should, no row is idle, sound models raise nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robust_models import SOUND, on_digits, sound
from sparring.attacks import PGD, PGDL2, GradientAttack, LossFunction, Threat, attempt, width_of
from sparring.core.randomness import Rng
from sparring.core.shapes import Samples, Space
from sparring.robustness.attack_under_test import Attempt
from sparring.robustness.sanity_checks import sanity_checks
from sparring.robustness.targets import Target, target_of
from sparring.robustness.threat_sets import budgets_of
from sparring.runs.schema import SanityCheck

COUNT = 100


def checked(target: Target, attack: GradientAttack | None = None, attempt: Attempt = attempt) -> list[SanityCheck]:
    """The battery with the usual attack, or with another one or another way of trying it."""
    budgets = budgets_of(target)
    attack = attack or budgets.pgd()
    return sanity_checks(target, attack, epsilons=budgets.epsilons, samples=COUNT, attempt=attempt)


def flags(checks: list[SanityCheck]) -> set[str]:
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


def straight_through(x: Tensor) -> Tensor:
    """Rounded, with the gradient of something that is not."""
    return x + ((4 * x).round() / 4 - x).detach()


class Fault(NamedTuple):
    """A planted fault of the model, and the rows that must see it.

    Args:
        before, after: what is done to its inputs and its logits.
        rows: of the battery.
    """

    before: Callable[[Tensor], Tensor]
    after: Callable[[Tensor], Tensor]
    rows: set[str]


MODELS = {
    "detached graph": Fault(
        torch.Tensor.detach, same, {"gradients are not zero", "gradients match finite differences"}
    ),
    "half of the graph detached": Fault(
        lambda x: torch.cat([x[..., :4].detach(), x[..., 4:]], dim=-1), same, {"gradients match finite differences"}
    ),
    "dropout left on": Fault(lambda x: F.dropout(x, 0.3, training=True), same, {"the model is deterministic"}),
    "softmax head": Fault(same, lambda z: z.softmax(1), {"logits, not probabilities"}),
    "quantised input": Fault(
        lambda x: (4 * x).round() / 4,
        same,
        {"gradients are not zero", "random search is weaker", "a transfer attack is weaker"},
    ),
    "quantised input with a gradient": Fault(straight_through, same, {"gradients match finite differences"}),
    "saturated logits": Fault(same, lambda z: 1e4 * z, {"gradients are not zero", "random search is weaker"}),
    "argmax head": Fault(
        same,
        lambda z: F.one_hot(z.argmax(1), 10).float(),
        {"gradients are not zero", "logits, not probabilities"},
    ),
    "a statistic of the batch": Fault(same, lambda z: z - z.mean(0), {"the model is deterministic"}),
    "labels shuffled": Fault(same, lambda z: z.roll(1, 1), {"better than chance"}),
}


@pytest.mark.parametrize("fault", MODELS)
def test_a_fault_of_the_model_is_caught(fault: str) -> None:
    before, after, rows = MODELS[fault]
    sane = sound("robust")
    broken = Changed(sane.network, before=before, after=after)
    assert rows <= flags(checked(on_digits(broken, sane.trained_against)))


ATTACKS: dict[str, tuple[Callable[[float], PGD], set[str]]] = {
    "sign flipped": (
        lambda size: Descends(epsilon=size, steps=20),
        {
            "the attack raises the loss",
            "more epsilon helps the attack",
            "random noise is weaker",
            "random search is weaker",
        },
    ),
    "epsilon in the wrong unit: 255ths": (
        lambda size: InLevels(epsilon=size, steps=20),
        {"more epsilon helps the attack", "epsilon is used", "random noise is weaker"},
    ),
    "epsilon in the wrong unit: half": (lambda size: InUnits(epsilon=size, steps=20), {"epsilon is used"}),
    "clean input returned": (
        lambda size: Idle(epsilon=size, steps=20),
        {
            "the attack raises the loss",
            "more epsilon helps the attack",
            "epsilon is used",
            "a transfer attack is weaker",
        },
    ),
    "zero step": (
        lambda size: PGD(epsilon=size, steps=20, step_size=0.0),
        {"more steps help the attack", "more epsilon helps the attack"},
    ),
    "step scaled by 1/N": (
        lambda size: MeanLoss(epsilon=size, steps=20),
        {"more epsilon helps the attack", "random search is weaker", "a transfer attack is weaker"},
    ),
    "detached graph": (
        lambda size: Detached(epsilon=size, steps=20),
        {"more epsilon helps the attack", "a transfer attack is weaker"},
    ),
}


@pytest.mark.parametrize("fault", ATTACKS)
def test_a_fault_of_the_attack_is_caught(fault: str) -> None:
    build, rows = ATTACKS[fault]
    target = sound("mlp")
    assert rows <= flags(checked(target, build(budgets_of(target).main)))


ATTEMPTS: dict[str, tuple[Attempt, set[str]]] = {
    "no projection": (_by_hand(projected=False, clipped=True), {"epsilon and range are kept"}),
    "no range clip": (_by_hand(projected=True, clipped=False), {"epsilon and range are kept"}),
    "labels shuffled": (
        _with_labels_shuffled,
        {"more epsilon helps the attack", "a transfer attack is weaker"},
    ),
    "images in few levels": (_rounded, {"epsilon 0 changes nothing", "epsilon and range are kept"}),
    "gradients left behind": (_leaving_a_trace, {"the model is unchanged"}),
}


@pytest.mark.parametrize("fault", ATTEMPTS)
def test_a_fault_outside_of_the_family_is_caught(fault: str) -> None:
    attempted, rows = ATTEMPTS[fault]
    target = sound("mlp")
    network = target.network
    try:
        assert rows <= flags(checked(target, attempt=attempted))
    finally:
        network.zero_grad(set_to_none=True)


def test_signed_steps_by_hand_raise_nothing_where_they_keep_the_promises() -> None:
    assert not flags(checked(sound("mlp"), attempt=_by_hand(projected=True, clipped=True)))


def test_every_row_has_a_fault_that_it_must_see() -> None:
    seen = set.union(*(rows for *_, rows in [*MODELS.values(), *ATTACKS.values(), *ATTEMPTS.values()]))
    assert {check.name for check in checked(sound("linear"))} == seen


def test_rows_that_do_not_apply_say_why() -> None:
    target = _points()
    checks = {check.name: check for check in checked(target)}
    assert checks["epsilon is used"].holds is None and "unbounded" in checks["epsilon is used"].detail
    assert "no largest epsilon" in checks["more epsilon helps the attack"].detail
    assert not flags(list(checks.values()))
    digits = sound("linear")
    euclidean = replace(digits, trained_against=PGDL2(epsilon=0.5))
    found = {check.name: check.holds for check in checked(euclidean)}
    assert found.pop("epsilon is used") is None and all(found.values())


def _points() -> Target:
    """Two blobs in the plane, and the line between them."""
    labels = torch.arange(COUNT) % 2
    x = Rng.of(0).normal((COUNT, 2)) * 0.3 + labels[:, None]
    line = nn.Linear(2, 2)
    with torch.no_grad():
        line.weight.copy_(torch.tensor([[-1.0, -1.0], [1.0, 1.0]]))
        line.bias.copy_(torch.tensor([1.0, -1.0]))
    return target_of(line, x, labels, low=None, high=None)

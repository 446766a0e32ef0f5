"""Sanity checks: every planted fault fails the checks that should see it, every check sees one, sound models pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robust_models import SOUND, on_digits, sound
from sparring.attacks import PGD, PGDL2, GradientAttack, LossFunction, Threat, attempt, pgd_within
from sparring.core.balls import Linf
from sparring.core.randomness import Rng
from sparring.core.shapes import Samples, Space
from sparring.robustness.budgets import budgets_of
from sparring.robustness.model_checks import changes, gradients_are_strongest, network_state
from sparring.robustness.sanity_checks import sanity_checks
from sparring.robustness.targets import Target, rate, target_of
from sparring.robustness.transfer import Attempt
from sparring.runs.robustness_schema import SanityCheck, ThreatResult

COUNT = 100


def checked(target: Target, attack: GradientAttack | None = None, attempt: Attempt = attempt) -> list[SanityCheck]:
    """The checks with the usual attack, or with another one or another way of running it."""
    budgets = budgets_of(target)
    attack = attack or pgd_within(budgets.ball, budgets.main)
    return sanity_checks(target, attack, epsilons=budgets.epsilons, samples=COUNT, attempt=attempt)


def flags(checks: list[SanityCheck]) -> set[str]:
    return {check.name for check in checks if check.holds is False}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_model_passes_every_check(name: str) -> None:
    checks = checked(sound(name))
    assert not flags(checks), checks
    assert all(check.holds for check in checks), "every check applies to images with a range"
    assert len({check.name for check in checks}) == len(checks) == 15


@pytest.mark.parametrize(("more", "holds"), [(1, True), (6, False)])
def test_one_sample_of_few_is_no_lack_of_steps(more: int, holds: bool) -> None:
    whole = sound("mlp")
    few = replace(whole, samples=whole.samples[:30], labels=whole.labels[:30])

    def run(threat: Threat, logits: Any, samples: Samples, truth: Tensor, **rest: Any) -> Samples:
        found = attempt(threat, logits, samples, truth, **rest)
        if threat.attack.model_dump().get("steps") == 40:
            standing = (logits(found).argmax(1) == truth).nonzero()[:more, 0]
            found[standing] = torch.stack([samples[truth != label][0] for label in truth[standing]])
        return found

    attack = pgd_within(budgets_of(few).ball, 0.03)
    assert ("more steps help the attack" not in flags(checked(few, attack, run))) is holds


class FlippedSign(PGD):
    def search(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        return super().search(x, lambda moved: -loss(moved), space=space, rng=rng)


class In255ths(PGD):
    """Epsilon is divided by 255 once too often."""

    def search(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        return PGD(epsilon=self.epsilon / 255, steps=self.steps).search(x, loss, space=space, rng=rng)


class HalfEpsilon(PGD):
    """Epsilon of [0, 1] is read as one of [-1, 1]."""

    def search(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        return PGD(epsilon=self.epsilon / 2, steps=self.steps).search(x, loss, space=space, rng=rng)


class CleanInput(PGD):
    def search(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        return x


class StepsOverN(PGD):
    """Steps are scaled by the size of the batch."""

    def search(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        scaled = PGD(epsilon=self.epsilon, steps=self.steps, step_size=self.step_length / len(x) ** 2)
        return scaled.search(x, loss, space=space, rng=rng)


class Detached(PGD):
    """The graph is cut at the moved samples."""

    def search(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        return super().search(x, lambda moved: loss(moved.detach()) + 0 * moved.flatten(1).sum(1), space=space, rng=rng)


def by_hand(*, projected: bool, clipped: bool) -> Attempt:
    """Signed steps outside of the family `Attack`, which guarantees nothing for them."""

    def attempted(
        threat: Threat, classify: Callable[[Samples], Tensor], x: Samples, labels: Tensor, *, space: Space, **_: Any
    ) -> Samples:
        attack, moved = threat.attack, x
        assert isinstance(attack, PGD) and space.bounds is not None
        radius = attack.epsilon * space.width
        for _step in range(attack.steps):
            leaf = moved.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(threat.criterion.loss(classify(leaf), labels).sum(), leaf)
            moved = moved + attack.step_length * space.width * gradient.sign()
            moved = x + (moved - x).clamp(-radius, radius) if projected else moved
            moved = moved.clamp(*space.bounds) if clipped else moved
        return moved

    return attempted


def labels_shuffled(threat: Threat, classify: Any, x: Samples, labels: Tensor, **options: Any) -> Samples:
    return attempt(threat, classify, x, labels.roll(1), **options)


def in_few_levels(threat: Threat, classify: Any, x: Samples, labels: Tensor, **options: Any) -> Samples:
    return (attempt(threat, classify, x, labels, **options) * 0.7).round() / 0.7


def gradients_left(threat: Threat, classify: Any, x: Samples, labels: Tensor, **options: Any) -> Samples:
    F.cross_entropy(classify(x), labels).backward()  # type: ignore[no-untyped-call]
    return attempt(threat, classify, x, labels, **options)


class Changed(nn.Module):
    """A network with changed inputs or logits."""

    def __init__(self, network: nn.Module, *, before: Callable[[Tensor], Tensor], after: Callable[[Tensor], Tensor]):
        super().__init__()
        self.network, self.before, self.after = network, before, after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.network(self.before(x)))


def same(x: Tensor) -> Tensor:
    return x


def straight_through(x: Tensor) -> Tensor:
    """Rounded, with the gradient of the identity."""
    return x + ((4 * x).round() / 4 - x).detach()


class Fault(NamedTuple):
    """A planted fault of the model: what is done to its inputs and logits, and the checks that must fail."""

    before: Callable[[Tensor], Tensor]
    after: Callable[[Tensor], Tensor]
    checks: set[str]


LOSS, STEPS, EPSILON = "the attack raises the loss", "more steps help the attack", "more epsilon helps the attack"
NOISE, SEARCH, TRANSFER = "random noise is weaker", "random search is weaker", "a transfer attack is weaker"
ZERO, KEPT, USED = "epsilon 0 changes nothing", "epsilon and range are kept", "epsilon is used"
CHANCE, LOGITS, DETERMINISTIC = "better than chance", "logits, not probabilities", "the model is deterministic"
GRADIENTS, DIFFERENCES = "gradients are not zero", "gradients match finite differences"
UNCHANGED = "the model is unchanged"

MODELS = {
    "detached graph": Fault(torch.Tensor.detach, same, {GRADIENTS, DIFFERENCES}),
    "half of the graph detached": Fault(
        lambda x: torch.cat([x[..., :4].detach(), x[..., 4:]], dim=-1), same, {DIFFERENCES}
    ),
    "dropout left on": Fault(lambda x: F.dropout(x, 0.3, training=True), same, {DETERMINISTIC}),
    "softmax head": Fault(same, lambda z: z.softmax(1), {LOGITS}),
    "quantised input": Fault(lambda x: (4 * x).round() / 4, same, {GRADIENTS, SEARCH, TRANSFER}),
    "quantised input with a gradient": Fault(straight_through, same, {DIFFERENCES}),
    "saturated logits": Fault(same, lambda z: 1e4 * z, {GRADIENTS, SEARCH}),
    "argmax head": Fault(same, lambda z: F.one_hot(z.argmax(1), 10).float(), {GRADIENTS, LOGITS}),
    "a statistic of the batch": Fault(same, lambda z: z - z.mean(0), {DETERMINISTIC}),
    "labels shuffled": Fault(same, lambda z: z.roll(1, 1), {CHANCE}),
}


@pytest.mark.parametrize("fault", MODELS)
def test_a_fault_of_the_model_is_caught(fault: str) -> None:
    before, after, checks = MODELS[fault]
    sane = sound("robust")
    broken = Changed(sane.network, before=before, after=after)
    assert checks <= flags(checked(on_digits(broken, sane.trained_against)))


ATTACKS: dict[str, tuple[Callable[[float], PGD], set[str]]] = {
    "sign flipped": (lambda size: FlippedSign(epsilon=size, steps=20), {LOSS, EPSILON, NOISE, SEARCH}),
    "epsilon in the wrong unit: 255ths": (lambda size: In255ths(epsilon=size, steps=20), {EPSILON, USED, NOISE}),
    "epsilon in the wrong unit: half": (lambda size: HalfEpsilon(epsilon=size, steps=20), {USED}),
    "clean input returned": (lambda size: CleanInput(epsilon=size, steps=20), {LOSS, EPSILON, USED, TRANSFER}),
    "zero step": (lambda size: PGD(epsilon=size, steps=20, step_size=0.0), {STEPS, EPSILON}),
    "step scaled by 1/N": (lambda size: StepsOverN(epsilon=size, steps=20), {EPSILON, SEARCH, TRANSFER}),
    "detached graph": (lambda size: Detached(epsilon=size, steps=20), {EPSILON, TRANSFER}),
}


@pytest.mark.parametrize("fault", ATTACKS)
def test_a_fault_of_the_attack_is_caught(fault: str) -> None:
    build, checks = ATTACKS[fault]
    target = sound("mlp")
    assert checks <= flags(checked(target, build(budgets_of(target).main)))


ATTEMPTS: dict[str, tuple[Attempt, set[str]]] = {
    "no projection": (by_hand(projected=False, clipped=True), {KEPT}),
    "no range clip": (by_hand(projected=True, clipped=False), {KEPT}),
    "labels shuffled": (labels_shuffled, {EPSILON, TRANSFER}),
    "images in few levels": (in_few_levels, {ZERO, KEPT}),
    "gradients left behind": (gradients_left, {UNCHANGED}),
}


@pytest.mark.parametrize("fault", ATTEMPTS)
def test_a_fault_outside_of_the_family_is_caught(fault: str) -> None:
    attempted, checks = ATTEMPTS[fault]
    target = sound("mlp")
    try:
        assert checks <= flags(checked(target, attempt=attempted))
    finally:
        target.network.zero_grad(set_to_none=True)


def test_correct_steps_outside_of_the_family_pass() -> None:
    assert not flags(checked(sound("mlp"), attempt=by_hand(projected=True, clipped=True)))


def test_every_check_sees_a_fault() -> None:
    seen = set.union(*(checks for *_, checks in [*MODELS.values(), *ATTACKS.values(), *ATTEMPTS.values()]))
    assert {check.name for check in checked(sound("linear"))} == seen


def test_checks_that_do_not_apply_say_why() -> None:
    labels = torch.arange(COUNT) % 2
    blobs = Rng.of(0).normal((COUNT, 2)) * 0.3 + labels[:, None]
    line = nn.Linear(2, 2)
    with torch.no_grad():
        line.weight.copy_(torch.tensor([[-1.0, -1.0], [1.0, 1.0]]))
        line.bias.copy_(torch.tensor([1.0, -1.0]))
    checks = {check.name: check for check in checked(target_of(line, blobs, labels, low=None, high=None))}
    assert checks[USED].holds is None and "unbounded" in checks[USED].detail
    assert "no largest epsilon" in checks[EPSILON].detail
    assert not flags(list(checks.values()))
    euclidean = replace(sound("linear"), trained_against=PGDL2(epsilon=0.5))
    found = {check.name: check.holds for check in checked(euclidean)}
    assert found.pop(USED) is None and all(found.values())


def test_every_change_of_a_network_is_seen() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    before = network_state(network)
    assert not changes(before, network_state(network))
    network[1].running_mean.add_(1e-7)  # type: ignore[union-attr, operator]
    network[0].eval()
    network[0].bias.grad = torch.zeros(2)
    network[0].weight.requires_grad_(False)
    assert changes(before, network_state(network)) == [
        "requires_grad of 0.weight",
        "gradient of 0.bias",
        "buffer 1.running_mean",
        "mode of 0",
    ]


def trial(kind: str, epsilon: float, correct: list[int]) -> tuple[ThreatResult, Tensor]:
    held = torch.tensor(correct, dtype=torch.bool)
    result = ThreatResult(
        name=kind, kind=kind, norm=Linf.norm, epsilon=epsilon, scales="", accuracy=rate(held), loss_start=0.0,
        loss_end=1.0, seconds=0.0, forwards=1.0, backwards=1.0,
    )  # fmt: skip
    return result, held


@pytest.mark.parametrize(
    ("trials", "holds"),
    [
        ([("white-box", 0.1, [1, 0, 1, 0]), ("black-box", 0.1, [1, 1, 1, 0])], True),
        ([("white-box", 0.1, [1, 1, 1, 0]), ("black-box", 0.1, [1, 0, 1, 0])], False),
        ([("white-box", 0.1, [1, 1, 1, 0]), ("transfer", 0.1, [0, 0, 1, 1])], False),
        # Gradient attacks count together, and other budgets do not count.
        ([("white-box", 0.1, [1, 1, 0, 0]), ("white-box", 0.1, [0, 1, 1, 0]), ("noise", 0.1, [1, 0, 0, 0])], True),
        ([("white-box", 0.1, [1, 1, 1, 1]), ("black-box", 0.2, [0, 0, 0, 0])], None),
        ([("white-box", 0.1, [1, 1, 1, 1])], None),
    ],
)
def test_masked_gradients_show_in_stronger_attacks_without_them(
    trials: list[tuple[str, float, list[int]]], holds: bool | None
) -> None:
    assert gradients_are_strongest([trial(*each) for each in trials]).holds is holds

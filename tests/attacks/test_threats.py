"""Threats: criteria against their formulas, and the guarantees of `fool` for every sample."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn

from sparring.attacks import (
    DLR,
    FGSM,
    Criterion,
    CrossEntropy,
    Fooled,
    Margin,
    TargetedCrossEntropy,
    TargetedDLR,
    Threat,
    attempt,
    fool,
)
from sparring.core.randomness import Rng
from sparring.core.shapes import Bounds, Space

SPACE = Space((2, 3, 3), Bounds(-1.0, 1.0))
LOGITS = torch.tensor([[4.0, 1.0, 3.0, -1.0, 0.5]], dtype=torch.float64)


def network(seed: int = 0, classes: int = 5) -> nn.Module:
    """A small random classifier with a buffer and dropout, in training mode: anything left behind shows."""
    torch.manual_seed(seed)
    layers = nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(18, 12), nn.Tanh(), nn.Dropout(0.1), nn.Linear(12, classes)
    return nn.Sequential(*layers)


def samples(count: int = 16, seed: int = 0) -> Tensor:
    return Rng.of(seed).uniform((count, *SPACE.shape), -0.8, 0.8)


def threat(**changes: object) -> Threat:
    values = {"name": "PGD", "kind": "white-box", "attack": {"name": "pgd", "epsilon": 0.05, "steps": 3}}
    return Threat.model_validate(values | changes)


def tried(what: Threat, model: nn.Module, x: Tensor, labels: Tensor, seed: int = 0) -> Fooled:
    return fool(what, model, x, labels, network=model, space=SPACE, rng=Rng.of(seed))


@pytest.mark.parametrize(
    ("criterion", "label", "expected"),
    [
        (Margin(), 0, -1.0),
        (Margin(), 3, 5.0),
        (DLR(), 0, -1 / 3),  # (3 - 4) / (4 - 1)
        (DLR(), 1, 1.0),
        (TargetedDLR(), 0, -1 / 3.25),  # toward class 2: (3 - 4) / (4 - (1 + 0.5) / 2)
        (CrossEntropy(), 0, -float(LOGITS.log_softmax(-1)[0, 0])),
        (TargetedCrossEntropy(), 0, float(LOGITS.log_softmax(-1)[0, 2])),
    ],
)
def test_criteria_are_their_formulas(criterion: Criterion, label: int, expected: float) -> None:
    assert float(criterion.loss(LOGITS, torch.tensor([label]))) == pytest.approx(expected, rel=1e-12)


def test_targeted_criteria_end_at_the_target() -> None:
    own, target = torch.tensor([0]), torch.tensor([3])
    assert float(TargetedDLR().toward(LOGITS, own, target)) == pytest.approx(-5 / 3.25)
    assert float(TargetedDLR().toward(LOGITS[:, :3], own, torch.tensor([1]))) == pytest.approx(-3 / 3)
    assert float(TargetedDLR().toward(LOGITS[:, :2], own, torch.tensor([1]))) == pytest.approx(-3)
    assert float(TargetedCrossEntropy().toward(LOGITS, own, target)) == pytest.approx(
        float(LOGITS.log_softmax(-1)[0, 3])
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(1e-3, 1e3), shift=st.floats(-100, 100))
def test_dlr_sees_neither_shift_nor_scale(seed: int, scale: float, shift: float) -> None:
    logits, labels = Rng.of(seed).normal((8, 6)).double(), torch.arange(8) % 6
    for criterion in (DLR(), TargetedDLR()):
        torch.testing.assert_close(
            criterion.loss(scale * logits + shift, labels), criterion.loss(logits, labels), rtol=1e-6, atol=1e-6
        )


def test_a_criterion_without_a_target_takes_none() -> None:
    with pytest.raises(ValidationError, match="takes no target"):
        threat(targets=3)
    with pytest.raises(NotImplementedError):
        CrossEntropy().toward(LOGITS, torch.tensor([0]), torch.tensor([1]))


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    epsilon=st.floats(0.0, 0.5),
    restarts=st.integers(1, 3),
    targets=st.integers(0, 6),
    ball=st.sampled_from(["linf", "l2"]),
)
def test_the_guarantees_of_fool(seed: int, epsilon: float, restarts: int, targets: int, ball: str) -> None:
    model, x = network(seed % 7), samples(seed=seed)
    labels, generator = Rng.of(seed).integers((len(x),), 5), torch.random.get_rng_state()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    criterion = "targeted_dlr" if targets else "cross_entropy"
    attack = {"name": "pgd", "epsilon": epsilon, "ball": ball, "steps": 2}
    what = threat(attack=attack, restarts=restarts, targets=targets, criterion=criterion)
    found = tried(what, model, x, labels, seed)

    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training and all(parameter.requires_grad for parameter in model.parameters())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(generator, torch.random.get_rng_state())
    assert (what.attack.ball.size(found.samples - x, 1) <= 2 * epsilon + 1e-6).all()
    assert found.samples.abs().max() <= 1
    assert (found.fooled | (found.loss_end >= found.loss_start)).all()


@pytest.mark.parametrize("criterion", ["cross_entropy", "margin", "dlr", "targeted_dlr", "targeted_cross_entropy"])
def test_the_record_agrees_with_the_samples(criterion: str) -> None:
    model, x, labels = network().eval(), samples(), torch.arange(16) % 5
    what = threat(criterion=criterion, restarts=2)
    found = tried(what, model, x, labels)
    with torch.no_grad():
        before, after = model(x), model(found.samples)
    assert torch.equal(found.fooled, after.argmax(-1) != labels)
    torch.testing.assert_close(found.loss_start, what.criterion.loss(before, labels))
    torch.testing.assert_close(found.loss_end, what.criterion.loss(after, labels))
    wrong = before.argmax(-1) != labels
    assert wrong.any() and not wrong.all()
    assert torch.equal(found.samples[wrong], x[wrong])
    assert (found.samples[~wrong] != x[~wrong]).flatten(1).any(1).all()
    assert (found.loss_end > found.loss_start)[~wrong].all()


def test_restarts_never_hurt() -> None:
    model, x = network().eval(), samples(64)
    labels = model(x).argmax(-1)
    counts, lowest = [], torch.full((64,), -torch.inf)
    for restarts in (1, 2, 4, 8):
        found = tried(threat(restarts=restarts, attack={"name": "pgd", "epsilon": 0.04, "steps": 1}), model, x, labels)
        counts.append(int(found.fooled.sum()))
        assert (found.fooled | (found.loss_end >= lowest)).all()
        lowest = torch.where(found.fooled, lowest, found.loss_end)
    assert counts == sorted(counts) and 0 < counts[0] < counts[-1] < 64


def test_targets_find_what_one_direction_misses() -> None:
    """The runner-up's logit is flat, so only the third class can be reached."""

    def classify(x: Tensor) -> Tensor:
        s = x.flatten(1).sum(1)
        return torch.stack([torch.ones_like(s), 0.9 + 0.01 * torch.tanh(s), 0.1 * s], dim=1)

    x, labels = torch.zeros(3, *SPACE.shape), torch.zeros(3, dtype=torch.int64)
    for targets, fooled in ((1, False), (2, True), (9, True)):
        values = {"name": "fgsm", "epsilon": 0.4}
        what = threat(attack=values, criterion="targeted_cross_entropy", targets=targets)
        found = fool(what, lambda x: classify(x), x, labels, network=nn.Module(), space=SPACE, rng=Rng.of(0))
        assert bool(found.fooled.all()) == fooled


def test_a_wrong_class_counts_even_where_the_loss_fell() -> None:
    right, wrong = torch.tensor([1.0, 0.9, 0.9]), torch.tensor([1.0, 1.1, -9.0])

    def classify(x: Tensor) -> Tensor:
        return torch.where((x != 0).flatten(1).any(1)[:, None], wrong, right)

    x, labels = torch.zeros(4, *SPACE.shape), torch.zeros(4, dtype=torch.int64)
    what = threat(kind="noise", attack={"name": "random_search", "epsilon": 0.1, "queries": 1})
    found = fool(what, classify, x, labels, network=nn.Module(), space=SPACE, rng=Rng.of(0))
    assert found.fooled.all() and (found.samples != 0).all() and (found.loss_end < found.loss_start).all()


def test_every_call_is_counted() -> None:
    """Samples are fooled by nothing, at once, or on the way: their calls are 1 + tries (steps + 1) and tries steps."""

    def classify(x: Tensor) -> Tensor:
        s = x.flatten(1).sum(1)
        return torch.stack([torch.zeros_like(s), s], dim=1)

    heights = torch.tensor([-0.9, 0.5, -0.05])  # far, misclassified already, within reach
    x, labels = heights[:, None, None, None].expand(3, *SPACE.shape), torch.zeros(3, dtype=torch.int64)
    what = threat(restarts=4, attack={"name": "bim", "epsilon": 0.1, "steps": 3})
    found = fool(what, classify, x, labels, network=nn.Module(), space=SPACE, rng=Rng.of(0))
    assert found.fooled.tolist() == [False, True, True]
    assert found.forwards.tolist() == [1 + 4 * (3 + 1), 1, 1 + 3 + 1]
    assert found.backwards.tolist() == [4 * 3, 0, 3]


def test_an_attempt_moves_misclassified_samples_too() -> None:
    model, x = network().eval(), samples()
    labels = (model(x).argmax(-1) + 1) % 5
    moved = attempt(threat(), model, x, labels, network=model, space=SPACE, rng=Rng.of(0))
    assert (CrossEntropy().loss(model(moved), labels) > CrossEntropy().loss(model(x), labels)).all()
    aimed = threat(criterion="targeted_cross_entropy", targets=1, attack=FGSM(epsilon=0.05))
    toward = attempt(aimed, model, x, labels, labels, network=model, space=SPACE, rng=Rng.of(0))
    assert (CrossEntropy().loss(model(toward), labels) < CrossEntropy().loss(model(x), labels)).all()


@pytest.mark.parametrize("rest_only", [False, True])
def test_bright_samples_are_not_taken_for_those_of_another_range(rest_only: bool) -> None:
    """All values of the samples that are left may happen to lie in [0, 1]; no warning is due."""
    model = network().eval()
    x = samples(4).abs()
    assert len(tried(threat(rest_only=rest_only), model, x, model(x).argmax(1)).samples) == 4

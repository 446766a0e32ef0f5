"""Robust accuracy of any classifier: worst cases, intervals, gaps, transfer, examples, and no trace of any of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from robust_models import TRAINED_AGAINST, on_digits, sound
from sparring.attacks import BIM, FGSM, PGD, PGDL2, RandomSearch, Threat
from sparring.core.balls import L2, Linf
from sparring.core.errors import NonFinite, UsageError
from sparring.core.intervals import wilson
from sparring.core.randomness import Rng
from sparring.core.records import InvalidRecord
from sparring.robustness.model_checks import changes, network_state
from sparring.robustness.targets import Target, target_of
from sparring.robustness.threat_sets import SETS, THREATS, budgets_of, chosen_threats
from sparring.robustness.transfer import substitute, transfer_matrix
from sparring.robustness.worst_case import attack_target, robust_accuracy


class Thresholds(nn.Module):
    """Two classes told apart by the mean of the pixels: robust by exactly the distance to 1/2."""

    def forward(self, x: Tensor) -> Tensor:
        mean = x.flatten(1).mean(1)
        return torch.stack([0.5 - mean, mean - 0.5], dim=1)


def thresholds(count: int = 41) -> Target:
    """Flat grey images from 0.3 to 0.7, one of them exactly in the middle."""
    grey = torch.linspace(0.3, 0.7, count)
    return target_of(Thresholds(), grey[:, None, None, None].expand(-1, 1, 4, 4).clone(), (grey > 0.5).long())


def test_accuracy_is_the_share_of_samples_beyond_epsilon() -> None:
    target = thresholds()
    found = robust_accuracy(target, epsilons=[0.055, 0.125], threats="fgsm,apgd-ce").as_json()
    distance = (target.samples[:, 0, 0, 0] - 0.5).abs()
    for row in found["worst"]:
        correct = int((distance > row["epsilon"]).sum())
        assert row["accuracy"] == {"value": correct / 41, "interval": list(wilson(correct, 41))}
    assert {row["name"] for row in found["attacks"]} == {"PGD-20 x 2", "FGSM", "APGD-CE"}
    assert found["clean"]["value"] == 1.0 and found["epsilons"] == [0.055, 0.125]
    assert found["train_clean"] is None and found["train_attacked"] == [] and found["transfer"] is None


def test_the_worst_case_is_taken_sample_by_sample() -> None:
    """One threat fools what the other does not: between them nothing correct."""

    class Halves(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            first, second = x.flatten(1).unbind(1)
            return torch.stack([1.0 - first - second, first + second - 1.0], dim=1)

    class Upwards(PGD):
        def search(self, x: Tensor, loss: object, *, space: object, rng: object) -> Tensor:
            return x + self.epsilon

    class Downwards(PGD):
        def search(self, x: Tensor, loss: object, *, space: object, rng: object) -> Tensor:
            return x - self.epsilon

    x = torch.tensor([[0.45, 0.45], [0.55, 0.55]]).repeat(4, 1)
    target = target_of(Halves(), x, (x.sum(1) > 1).long())
    threats = [Threat(name=c.__name__, kind="other", attack=c(epsilon=0.3)) for c in (Upwards, Downwards)]
    found = robust_accuracy(target, epsilons=[0.01], threats=threats).as_json()
    alone = [row["accuracy"]["value"] for row in found["attacks"] if row["epsilon"] == 0.3]
    (both,) = [row for row in found["worst"] if row["epsilon"] == 0.3]
    assert alone == [0.5, 0.5] and both["accuracy"]["value"] == 0.0
    assert both["attacks"] == ["Upwards", "Downwards"]


def test_everything_of_the_standard_set_is_told_and_is_json() -> None:
    attacked = attack_target(on_digits(sound("mlp").network, TRAINED_AGAINST, count=40), seed=3)
    found = attacked.robustness.as_json()
    names = {row["name"] for row in found["attacks"]}
    for name in ("FGSM", "APGD-CE", "APGD-T", "targeted PGD-20", "Square-500", "NES PGD-10", "SPSA PGD-10", "noise"):
        assert name in names
    assert found["epsilons"] == [0.05, 0.1, 0.2] and found["main_epsilon"] == 0.1
    assert found["trained_against"].startswith("L-infinity, pgd, epsilon 25.5/255")
    for row in found["attacks"]:
        assert row["forwards"] >= 1 and row["seconds"] >= 0 and row["loss_end"] >= row["loss_start"]
        assert "/255" in row["scales"] and "of [0, 1]" in row["scales"] and "of [-1, 1]" in row["scales"]
        assert Threat.model_validate(row["settings"]).attack.epsilon == row["epsilon"]
    by_size = [row["accuracy"]["value"] for row in found["worst"] if row["norm"] == "L-infinity"]
    assert by_size == sorted(by_size, reverse=True)
    for row in found["worst"]:
        alone = [
            a["accuracy"]["value"]
            for a in found["attacks"]
            if (a["norm"], a["epsilon"]) == (row["norm"], row["epsilon"])
        ]
        assert row["accuracy"]["value"] <= min(alone) and len(alone) == len(row["attacks"])
    assert [row["epsilon"] for row in found["train_attacked"]] == found["epsilons"]
    assert {row["norm"] for row in found["worst"]} == {"L-infinity", "Euclidean", "dimming"}
    assert not found["flags"] and found["headline"]["epsilon"] == 0.1
    main = next(row for row in found["worst"] if row["epsilon"] == 0.1)
    assert found["headline"]["accuracy"] == main["accuracy"] and "held-out" in found["headline"]["text"]


def test_the_same_seed_finds_the_same() -> None:
    def without_time(seed: int) -> str:
        found = robust_accuracy(sound("mlp").first(20), epsilons=[0.1], threats="noise", seed=seed).as_json()
        for row in found["attacks"]:
            del row["seconds"]
        return json.dumps(found)

    assert without_time(0) == without_time(0) != without_time(1)


def test_a_flag_blocks_the_headline() -> None:
    network = sound("mlp").network

    class Saturated(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 1e6 * network(x)

    published = BIM(epsilon=0.03125, steps=5, step_size=0.0039)
    found = robust_accuracy(on_digits(Saturated(), published, count=60), epsilons=[0.2], threats="fgsm").as_json()
    assert len(found["remarks"]) == 1 and "never the edge of the ball" in found["remarks"][0]
    assert found["headline"] is None
    assert any(flag.startswith("gradients are not zero: ") for flag in found["flags"])
    assert [row["check"] for row in found["battery"] if row["holds"] is False] == [
        f.split(":")[0] for f in found["flags"]
    ]


def test_nothing_of_the_network_is_touched() -> None:
    """BN in train mode, dropout, gradients half-way through an update: all as before, bit for bit."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)
    )
    network[4].eval()
    target = on_digits(network, count=30)
    network(target.samples).sum().backward()
    before, drawn = network_state(network), torch.get_rng_state()
    attack_target(target, epsilons=[0.1], threats="fgsm,apgd-ce,nes,noise", transfer_from=[sound("linear")])
    assert not changes(before, network_state(network))
    assert torch.equal(drawn, torch.get_rng_state())
    assert network.training and not network[4].training


def test_a_trace_is_seen_wherever_it_is() -> None:
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


def test_examples_are_the_pictures_that_were_attacked() -> None:
    target = sound("mlp").first(20)
    attacked = attack_target(target, epsilons=[0.1, 0.2], threats="fgsm")
    found, count = attacked.images, 8
    assert attacked.robustness.as_json()["examples"] == [{"epsilon": e, "attack": "PGD-20 x 2"} for e in (0.1, 0.2)]
    assert found["clean"].shape == found["adversarial"].shape == found["perturbation"].shape == (2, count, 1, 8, 8)
    assert (found["clean"].dtype, found["perturbation"].dtype) == (torch.uint8, torch.int8)
    moved = (found["adversarial"].double() - found["clean"].double()) / 255
    for block, epsilon in enumerate([0.1, 0.2]):
        told = found["perturbation"][block].double() / 127 * epsilon
        assert (told - moved[block]).abs().max() < 1 / 255 + epsilon / 127
    assert torch.equal(found["labels"][0], target.labels[:count])
    assert torch.equal(found["predicted_clean"][1], target.predicted_logits(target.samples[:count]).argmax(1))
    first = attacked.robustness.as_json()["attacks"][0]["accuracy"]
    assert (found["predicted"] != found["labels"]).any() and first["value"] < 1


def test_a_euclidean_perturbation_is_magnified_to_its_largest_pixel() -> None:
    target = on_digits(sound("mlp").network, PGDL2(epsilon=0.5), count=20)
    found = attack_target(target, epsilons=[0.5], threats="noise").images["perturbation"]
    assert found.abs().max() == 127


def test_points_have_no_pictures_and_no_scales() -> None:
    x = torch.tensor([[-1.0], [-0.5], [0.5], [1.0]]).repeat(10, 1)
    network = nn.Sequential(nn.Linear(1, 2))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[-1.0], [1.0]]))
        network[0].bias.zero_()
    target = target_of(network, x, (x[:, 0] > 0).long(), low=None, high=None)
    attacked = attack_target(target, epsilons=[0.75], threats="other-norm,square,dimming,finite-differences")
    assert attacked.images == {} and attacked.robustness.as_json()["examples"] == []
    assert attacked.robustness.as_json()["worst"][0]["accuracy"]["value"] == 0.5
    assert attacked.robustness.as_json()["worst"][0]["scales"] == "0.75 in the data's units"
    assert "dimming" not in {row["norm"] for row in attacked.robustness.as_json()["worst"]}


def test_transfer_is_a_matrix_of_sources_and_targets() -> None:
    subjects = [sound("robust").first(60), sound("mlp"), sound("linear")]
    threat = Threat(name="FGSM", kind="white-box", attack=FGSM(epsilon=0.1))
    found = transfer_matrix(subjects, threat).as_json()
    accuracy = np.array(found["accuracy"])
    assert accuracy.shape == (3, 3) and np.array(found["interval"]).shape == (3, 3, 2)
    assert (accuracy.argmin(0) == [0, 1, 2]).all(), "nobody is fooled more by another's than by its own"
    x, labels = subjects[0].samples, subjects[0].labels
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(
        nn.functional.cross_entropy(subjects[1].logits(leaf), labels, reduction="sum"), leaf
    )
    moved = (x + 0.2 * gradient.sign()).clamp(-1, 1)
    right = [(subjects[2].predicted_logits(each).argmax(1) == labels) for each in (x, moved)]
    assert found["accuracy"][1][2] == pytest.approx(float((right[0] & right[1]).float().mean()))


def test_a_transfer_between_unlike_questions_is_refused() -> None:
    with pytest.raises(UsageError, match="in 2 classes, digits takes samples"):
        robust_accuracy(sound("mlp").first(20), threats="noise", transfer_from=[thresholds()])


def test_a_substitute_learns_what_the_subject_says() -> None:
    target = sound("robust")
    other = substitute(target, seed=1)
    agree = (
        (other.predicted_logits(target.samples).argmax(1) == target.predicted_logits(target.samples).argmax(1))
        .float()
        .mean()
    )
    assert agree > 0.85
    again = substitute(target, seed=1)
    assert torch.equal(other.predicted_logits(target.samples), again.predicted_logits(target.samples))


@pytest.mark.parametrize(
    ("attack", "ball", "grid"),
    [
        (None, Linf(), (0.1, 0.2, 0.4)),
        (PGD(epsilon=0.0), Linf(), (0.1, 0.2, 0.4)),
        (TRAINED_AGAINST, Linf(), (0.05, 0.1, 0.2)),
        (PGDL2(epsilon=0.5), L2(), (0.25, 0.5, 1.0)),
    ],
)
def test_budgets_follow_what_was_trained_against(attack: PGD | None, ball: Linf, grid: tuple[float, ...]) -> None:
    target = on_digits(sound("linear").network, attack, count=20)
    found = budgets_of(target)
    assert (found.ball, found.main) == (ball, grid[1]) and found.epsilons == pytest.approx(grid)


def test_budgets_of_colour_images_and_points() -> None:
    colour = target_of(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), torch.zeros(4, 3, 2, 2), torch.zeros(4).long())
    assert budgets_of(colour).main == 8 / 255
    x = Rng.of(0).normal((100, 2)) * 5
    points = target_of(nn.Linear(2, 2), x, torch.zeros(100).long(), low=None, high=None)
    assert budgets_of(points).main == 1.0
    other, size = budgets_of(colour).other_norm
    assert other == L2() and size == pytest.approx(8 / 255 * math.sqrt(12) / 4)
    chosen = budgets_of(on_digits(sound("linear").network, TRAINED_AGAINST, count=20), [0.3, 0.1, 0.2])
    assert chosen.epsilons == (0.1, 0.2, 0.3) and chosen.main == 0.1
    assert budgets_of(colour, [0.3, 0.1, 0.2]).main == 0.2
    with pytest.raises(UsageError, match="each should be above 0"):
        budgets_of(colour, [0.0, 0.1])


def test_sets_are_lists_of_names() -> None:
    target = sound("mlp")
    budgets = budgets_of(target)
    assert [t.name for t in chosen_threats("standard", budgets)] == [
        t.name for t in chosen_threats(",".join(SETS["standard"]), budgets)
    ]
    assert all(name in THREATS for names in SETS.values() for name in names)
    kinds = {threat.kind for threat in chosen_threats("standard", budgets)}
    assert kinds == {"white-box", "black-box", "noise", "other"}
    with pytest.raises(UsageError, match="no 'sqare'; did you mean square"):
        chosen_threats("fgsm,sqare", budgets)


def test_a_file_of_threats(tmp_path: Path) -> None:
    target = sound("mlp").first(20)
    path = tmp_path / "threats.yaml"
    path.write_text("- {name: own, kind: white-box, attack: {name: pgd, epsilon: 8/255, steps: 3}, criterion: dlr}\n")
    threats = chosen_threats(str(path), budgets_of(target))
    assert threats[-1].name == "own" and threats[-1].attack == PGD(epsilon=8 / 255, steps=3)
    path.write_text("- {name: own, kind: white-box, attack: pgdd}\n")
    with pytest.raises(InvalidRecord, match="did you mean pgd"):
        chosen_threats(str(path), budgets_of(target))
    path.write_text("name: own\n")
    with pytest.raises(UsageError, match="not a list"):
        chosen_threats(str(path), budgets_of(target))
    with pytest.raises(UsageError, match="No such file"):
        chosen_threats(str(tmp_path / "none.yaml"), budgets_of(target))


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (lambda x, y: (nn.Flatten(0), x, y), "not into logits"),
        (lambda x, y: (nn.Linear(3, 2), x, y), "cannot run on samples of shape"),
        (lambda x, y: (nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), x, y + 2), "has 2 classes, and the labels go"),
        (lambda x, y: (Thresholds(), 2 * x, y), "outside of the range"),
    ],
)
def test_what_is_no_subject_is_refused(
    break_it: Callable[[Tensor, Tensor], tuple[nn.Module, Tensor, Tensor]], told: str
) -> None:
    sane = thresholds()
    with pytest.raises(UsageError, match=told):
        target_of(*break_it(sane.samples, sane.labels))


def test_logits_that_are_not_finite_end_an_evaluation() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1)[:, :2] / 0

    target = target_of(Broken(), torch.ones(4, 1, 2, 2), torch.zeros(4).long())
    with pytest.raises(NonFinite, match="logits of clean samples"):
        robust_accuracy(target, threats="noise")


def test_more_samples_than_fit_at_once_are_the_same_samples() -> None:
    """Batches of 250: threats that draw nothing find the same whatever the batch."""
    target = thresholds(601)
    assert target.batch_size == 250
    found = robust_accuracy(
        target,
        epsilons=[0.0505],
        threats=[Threat(name="one", kind="noise", attack=RandomSearch(epsilon=0.05, queries=1))],
    ).as_json()
    assert found["samples"] == 601
    distance = (target.samples[:, 0, 0, 0] - 0.5).abs()
    assert found["attacks"][0]["accuracy"]["value"] == pytest.approx(float((distance > 0.0505).double().mean()))

"""Robust accuracy: worst cases, intervals, gaps, example images; the network is left unchanged."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import evaluations
from robust_models import TRAINED_AGAINST, on_digits, sound, thresholds
from sparring.attacks import BIM, PGD, Threat, in_scales
from sparring.core.errors import NonFinite
from sparring.core.intervals import wilson
from sparring.robustness.model_checks import changes, network_state
from sparring.robustness.robustness_verdict import robustness_verdict
from sparring.robustness.targets import target_of
from sparring.robustness.worst_case import robust_accuracy
from sparring.runs.robustness_schema import TargetRobustness

pytestmark = pytest.mark.usefixtures("quick_substitute")


@pytest.mark.usefixtures("unchecked")
def test_accuracy_is_the_share_of_samples_beyond_epsilon() -> None:
    target = thresholds()
    found = robust_accuracy(target, epsilons=[0.055, 0.125], threats="fgsm,apgd-ce").robustness.as_json()
    distance = (target.samples[:, 0, 0, 0] - 0.5).abs()
    for row in found["worst"]:
        correct = int((distance > row["epsilon"]).sum())
        assert row["accuracy"] == {"value": correct / 41, "interval": list(wilson(correct, 41))}
    assert {row["name"] for row in found["attacks"]} == {"PGD-20 x 2", "FGSM", "APGD-CE"}
    assert found["clean"]["value"] == 1.0 and found["epsilons"] == [0.055, 0.125]
    assert found["train_clean"] is None and found["train_attacked"] == [] and found["transfer"] is None


@pytest.mark.usefixtures("unchecked")
def test_the_worst_case_is_taken_sample_by_sample() -> None:
    """Two threats that fool one half of the samples each."""

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
    found = robust_accuracy(target, epsilons=[0.01], threats=threats).robustness.as_json()
    alone = [row["accuracy"]["value"] for row in found["attacks"] if row["epsilon"] == 0.3]
    (both,) = [row for row in found["worst"] if row["epsilon"] == 0.3]
    assert alone == [0.5, 0.5] and both["accuracy"]["value"] == 0.0
    assert both["attacks"] == ["Upwards", "Downwards"]


def test_the_standard_set_fills_the_record() -> None:
    attacked = robust_accuracy(on_digits(sound("mlp").network, TRAINED_AGAINST, count=40), seed=3)
    found = attacked.robustness.as_json()
    names = {row["name"] for row in found["attacks"]}
    for name in ("FGSM", "APGD-CE", "APGD-T", "targeted PGD-20", "Square-500", "NES PGD-10", "SPSA PGD-10", "noise"):
        assert name in names
    assert found["epsilons"] == [0.05, 0.1, 0.2] and found["main_epsilon"] == 0.1
    assert found["trained_against"].startswith("L-infinity, pgd, epsilon 25.5/255")
    for row in found["attacks"]:
        assert row["forwards"] >= 1 and row["loss_end"] >= row["loss_start"]
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
    kept, clean = (f"{100 * rate['value']:.1f} %" for rate in (main["accuracy"], found["clean"]))
    attacks = f"every one of {len(main['attacks'])} attacks at 0.1 (L-infinity)"
    assert found["verdict"].endswith(f" keeps {kept} under {attacks} on 40 held-out images; {clean} without attack.")


def test_the_result_is_a_function_of_the_seed() -> None:
    def without_time(seed: int) -> str:
        found = robust_accuracy(sound("mlp").first(20), epsilons=[0.1], threats="noise", seed=seed).robustness.as_json()
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
    result = robust_accuracy(on_digits(Saturated(), published, count=60), epsilons=[0.2], threats="fgsm").robustness
    (remark,) = result.remarks
    assert "never the edge of the ball" in remark and result.headline is None
    assert any(flag.startswith("gradients are not zero: ") for flag in result.flags)
    failed = [check.name for check in result.sanity_checks if check.holds is False]
    assert failed == [flag.split(":")[0] for flag in result.flags]
    assert result.verdict.startswith("No robust accuracy of ")
    assert f"{len(failed)} of {len(result.sanity_checks)} sanity checks failed, first {failed[0]}" in result.verdict


def test_no_robust_accuracy_is_quoted_of_training_samples() -> None:
    target = replace(thresholds(), evaluated_on="training")
    verdict = robust_accuracy(target, epsilons=[8 / 255], threats="fgsm").robustness.verdict
    assert (
        "can be quoted, as nothing was held out: it keeps " in verdict
        and "at 8/255 (L-infinity) on 41 training" in verdict
    )


def test_the_network_is_left_unchanged() -> None:
    """BN in train mode, dropout, and gradients of an update."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)
    )
    network[4].eval()
    target = on_digits(network, count=30)
    network(target.samples).sum().backward()
    before, drawn = network_state(network), torch.get_rng_state()
    robust_accuracy(target, epsilons=[0.1], threats="fgsm,apgd-ce,nes,noise", transfer_from=[sound("linear")])
    assert not changes(before, network_state(network))
    assert torch.equal(drawn, torch.get_rng_state())
    assert network.training and not network[4].training


@pytest.mark.usefixtures("unchecked")
def test_example_images_are_the_attacked_samples() -> None:
    target = sound("mlp").first(20)
    attacked = robust_accuracy(target, epsilons=[0.1, 0.2], threats="fgsm")
    found, count = attacked.images, 8
    assert attacked.robustness.as_json()["examples"] == [{"epsilon": e, "attack": "PGD-20 x 2"} for e in (0.1, 0.2)]
    assert found["clean"].shape == found["adversarial"].shape == found["perturbation"].shape == (2, count, 1, 8, 8)
    assert (found["clean"].dtype, found["perturbation"].dtype) == (torch.uint8, torch.int8)
    worst, scaled = attacked.robustness.worst[0], replace(target, scaling="scaled from 7 x 6 to 8 x 8")
    assert "images, scaled from 7 x 6 to 8 x 8;" in robustness_verdict(scaled, worst, attacked.robustness.clean, [])
    moved = (found["adversarial"].double() - found["clean"].double()) / 255
    for block, epsilon in enumerate([0.1, 0.2]):
        shown = found["perturbation"][block].double() / 127 * epsilon
        assert (shown - moved[block]).abs().max() < 1 / 255 + epsilon / 127
    assert torch.equal(found["labels"][0], target.labels[:count])
    assert torch.equal(found["predicted_clean"][1], target.predicted_logits(target.samples[:count]).argmax(1))
    first = attacked.robustness.as_json()["attacks"][0]["accuracy"]
    assert (found["predicted"] != found["labels"]).any() and first["value"] < 1


def test_points_have_no_images_and_no_scales() -> None:
    x = torch.tensor([[-1.0], [-0.5], [0.5], [1.0]]).repeat(10, 1)
    network = nn.Sequential(nn.Linear(1, 2))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[-1.0], [1.0]]))
        network[0].bias.zero_()
    target = target_of(network, x, (x[:, 0] > 0).long(), low=None, high=None)
    attacked = robust_accuracy(target, epsilons=[0.75], threats="other-norm,square,dimming,finite-differences")
    assert attacked.images == {} and attacked.robustness.examples == ()
    assert attacked.robustness.worst[0].accuracy.value == 0.5
    assert attacked.robustness.worst[0].scales == "0.75 in the data's units"
    assert "dimming" not in {case.norm for case in attacked.robustness.worst}


def test_logits_that_are_not_finite_are_refused() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1)[:, :2] / 0

    target = target_of(Broken(), torch.ones(4, 1, 2, 2), torch.zeros(4).long())
    with pytest.raises(NonFinite, match="logits of clean samples"):
        robust_accuracy(target, threats="noise")


@pytest.mark.usefixtures("unchecked")
def test_a_sample_fooled_at_a_smaller_epsilon_counts_as_fooled_at_a_larger_one() -> None:
    class Small(PGD):
        """Inverts images at small budgets, and leaves them unchanged at large ones."""

        def search(self, x: Tensor, loss: object, *, space: object, rng: object) -> Tensor:
            return 1 - x if self.epsilon < 0.5 else x

    threats = [Threat(name="small", kind="other", attack=Small(epsilon=epsilon)) for epsilon in (0.45, 0.6)]
    result = robust_accuracy(thresholds(), epsilons=[0.01], threats=threats).robustness
    worst = {case.epsilon: case for case in result.worst}
    assert worst[0.6].attacks == ("small",) and worst[0.6].accuracy == worst[0.45].accuracy
    assert worst[0.45].accuracy.value < result.attacks[-1].accuracy.value == 1


def test_a_result_prints_as_a_few_lines() -> None:
    worst = evaluations.attacked("L2", 0.5, 0.6, attacks=["FGSM"])
    result = TargetRobustness.model_validate(evaluations.flagged("mine", worst=[worst]))
    assert (
        str(result)
        == repr(result)
        == (
            "mine, 500 held-out samples\n"
            "  without attack: 96.8 % [94.9, 98.0]\n"
            f"  worst case, L2, {in_scales(0.5)}: 60.0 % [55.6, 64.2]\n"
            "  FLAG: more steps help: PGD-20 61.2 %, PGD-1 55.0 %"
        )
    )

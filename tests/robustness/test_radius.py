"""The median robust radius of linear networks in closed form; randomised networks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from robust_models import sound, thresholds
from sparring.attacks import FGSM, Threat, fool
from sparring.core.balls import L2, Linf
from sparring.core.randomness import Rng
from sparring.robustness import radius
from sparring.robustness.radius import median_radius, robust_radii
from sparring.robustness.targets import target_of
from sparring.robustness.trials import Trials
from sparring.robustness.worst_case import robust_accuracy

pytestmark = pytest.mark.usefixtures("quick_substitute")


def test_the_radius_of_a_threshold_is_its_distance() -> None:
    target = thresholds()
    distance = (target.samples[:, 0, 0, 0] - 0.5).abs()
    radii = robust_radii(target, Linf(), steps=5)
    torch.testing.assert_close(radii, distance, rtol=5e-3, atol=1e-4)
    measured = median_radius(target, Linf(), steps=5)
    assert measured.median == pytest.approx(float(distance.sort().values[len(distance) // 2]), rel=5e-3)
    assert measured.interval[0] < measured.median < measured.interval[1] and "41 samples" in measured.protocol


def test_the_euclidean_radius_of_a_linear_network() -> None:
    """min over t of margin_t / ||w_t - w_y||, where the nearest point lies in the range."""
    generator = torch.Generator().manual_seed(0)
    network = nn.Linear(6, 3)
    x = 0.1 * torch.randn((30, 6), generator=generator)
    with torch.no_grad():
        network.bias.zero_()
        logits = network(x)
        labels = logits.argmax(1)
        margins = logits.gather(1, labels[:, None]) - logits
        lengths = (network.weight[labels][:, None] - network.weight[None]).norm(dim=2)
        exact = (margins / lengths.clamp(min=1e-9)).scatter(1, labels[:, None], torch.inf).amin(1)
    target = target_of(network, x, labels, low=None, high=None)
    torch.testing.assert_close(robust_radii(target, L2(), steps=5), exact, rtol=5e-3, atol=1e-5)


def test_a_misclassified_sample_has_radius_0() -> None:
    target = thresholds()
    wrong = replace(target, labels=1 - target.labels)
    assert not robust_radii(wrong, Linf(), steps=2).any()


def test_the_interval_is_that_of_order_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 10 samples the 2nd and the 9th: at least 2 and at most 8 lie below the median with probability 0.979."""
    monkeypatch.setattr(radius, "robust_radii", lambda *_, **__: torch.arange(1.0, 11.0))
    ten = median_radius(thresholds(), Linf())
    assert (ten.median, ten.interval) == (5.5, (2.0, 9.0))
    monkeypatch.setattr(radius, "robust_radii", lambda *_, **__: torch.arange(1.0, 5.0))
    assert median_radius(thresholds(), Linf()).interval == (0.0, None), "four samples bound no median"


def test_a_radius_that_is_not_found_has_no_number() -> None:
    """A constant network: every label but one is wrong, and no sample of that one can be fooled."""

    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tensor([1.0, 0.0]).expand(len(x), 2) + 0 * x.flatten(1).sum(1, keepdim=True)

    target = target_of(Constant(), torch.rand(12, 1, 4, 4, generator=torch.Generator().manual_seed(0)), [0] * 12)
    measured = median_radius(target, Linf(), steps=2)
    assert measured.median is None and measured.text == "none found [none found, none found]"
    assert "in units of [0, 1]" in measured.protocol
    assert type(measured).model_validate(measured.as_json()) == measured


def test_the_expectation_over_draws_is_attacked_and_judged() -> None:
    sure = sound("mlp").network

    class Noisy(nn.Module):
        """Logits with noise of the size of a margin."""

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = sure(x)
            return logits + 3 * torch.randn_like(logits)

    target = sound("mlp").first(60)
    noisy = replace(target, network=Noisy())
    torch.manual_seed(0)
    once = robust_accuracy(noisy, epsilons=[0.05], threats="fgsm").robustness
    many = robust_accuracy(replace(noisy, draws=20), epsilons=[0.05], threats="fgsm").robustness
    assert any(flag.startswith("the model is deterministic") for flag in once.flags)
    assert not any("deterministic" in flag or "finite differences" in flag for flag in many.flags)
    assert not any("epsilon 0" in flag for flag in many.flags), "other draws are no change of the samples"
    said = next(check for check in many.sanity_checks if check.name == "expectation over draws")
    assert said.holds is None and "means over 20 draws" in said.detail
    clean = robust_accuracy(target, epsilons=[0.05], threats="fgsm").robustness
    assert once.clean.value < many.clean.value
    assert many.clean.value == pytest.approx(clean.clean.value, abs=0.1)


class Recorded(nn.Module):
    """A network that draws a number a pass, and keeps it by whether the pass was for a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.network, self.drawn = sound("mlp").network, dict[bool, list[float]]()

    def forward(self, x: Tensor) -> Tensor:
        self.drawn.setdefault(x.requires_grad, []).append(float(torch.rand(())))
        logits: Tensor = self.network(x)
        return logits


def test_an_attack_and_its_verdict_see_other_draws_which_follow_the_seed() -> None:
    threat, found = Threat(name="FGSM", kind="white-box", attack=FGSM(epsilon=0.05), restarts=2), []
    for seed in (0, 0, 1):
        network = Recorded().eval()
        target = replace(sound("mlp").first(20), network=network)
        torch.manual_seed(len(found))
        before = torch.get_rng_state()
        fool(
            threat,
            target.logits,
            target.samples[:],
            target.labels,
            network=network,
            space=target.space,
            rng=Rng.of(seed),
        )
        assert torch.equal(torch.get_rng_state(), before)
        found.append(network.drawn)
        assert not set(network.drawn[True]) & set(network.drawn[False])
    assert found[0] == found[1] != found[2]


def test_draws_count_as_calls() -> None:
    threat, target = Threat(name="FGSM", kind="white-box", attack=FGSM(epsilon=0.05)), sound("mlp").first(20)
    once, thrice = (Trials(replace(target, draws=draws), 0).of(threat).result for draws in (1, 3))
    assert (thrice.forwards, thrice.backwards) == (3 * once.forwards, 3 * once.backwards)


def test_the_median_radius_is_written_and_shown(
    sparring: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparring.robustness.robustness_json.median_radius", partial(median_radius, steps=5))
    command = ("robustness", "robust_models:convolutional", "--data", "digits", "--samples", 20, "--radius")
    told = sparring(*command, "--threats", "noise", "--epsilons", "0.1", "--out", tmp_path)
    (found,) = json.loads((tmp_path / "robustness.json").read_text())["targets"]
    assert found["radius"]["norm"] == "L-infinity" and 0 <= found["radius"]["median"] <= 1
    assert "median radius, L-infinity: " in told.out and "in units of [0, 1]: smallest" in told.out
    assert "Median robust radius, L-infinity: " in (tmp_path / "report.html").read_text()
    names = sorted(each.name for each in tmp_path.iterdir())
    assert names == ["report.html", "robustness.json", "robustness.npz"], "no finished batches stay"

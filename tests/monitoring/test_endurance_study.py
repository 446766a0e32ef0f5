"""The endurance study: counts in closed form, and the study of whole runs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sparring.attacks import FGSM
from sparring.core.randomness import Rng
from sparring.core.shapes import Bounds, Space
from sparring.gan.state import GANState
from sparring.monitoring.endurance_study import AttackCounts, EnduranceStudy, attack_study, difference, study_attacks
from sparring.recipes import Recipe
from sparring.training.loop import train

UNIT = Space((1,), Bounds(0.0, 1.0))
CPU = torch.device("cpu")


def until(
    x: Tensor, target: Tensor, score: Callable[[Tensor], Tensor], step: float, *, within: float = 0.02, cap: int = 100
) -> AttackCounts:
    """Sign steps of one size against a score of samples of one feature."""
    study = EnduranceStudy(attack=FGSM(epsilon=step), tolerance=within, cap=cap)
    return study.attack_until(x, target, score=score, network=nn.Identity(), space=UNIT, rng=Rng.of(0))


@pytest.mark.parametrize("count", [0, 1, 7, 60])
@pytest.mark.parametrize("way", [-1, 1])
def test_the_count_is_distance_over_step(count: int, way: int) -> None:
    slope, step, within, x = 2.0, 0.005, 0.02, 0.5
    # D's target is one tolerance beyond the place that lies count - 1/2 steps away.
    edge = 1 / (1 + math.exp(-slope * (x + way * (count - 0.5) * step)))
    score = lambda samples: slope * samples.squeeze(-1)  # noqa: E731
    x64, target = torch.tensor([[x]], dtype=torch.float64), torch.tensor([edge + way * within], dtype=torch.float64)
    found = until(x64, target, score, step, within=within)
    assert found.attacks.item() == count
    assert found.reached.item() and not found.overshot.item()
    assert found.moved.item() == pytest.approx(x + way * count * step)


def test_unreachable_targets_count_the_cap() -> None:
    x, target = torch.zeros(2, 3, 1), torch.full((2, 3), 0.9)
    found = until(x, target, lambda samples: 0 * samples.squeeze(-1), 0.01, cap=7)
    assert found.attacks.tolist() == [[7] * 3] * 2
    assert not found.reached.any() and not found.overshot.any()
    assert torch.equal(found.moved, x)


def test_long_steps_overshoot() -> None:
    found = until(torch.zeros(1, 1), torch.tensor([0.6]), lambda samples: 20 * samples.squeeze(-1), 0.05, cap=9)
    assert found.attacks.item() == 1 and found.overshot.item() and not found.reached.item()
    assert found.moved.item() == pytest.approx(0.05)


def test_samples_stop_when_they_arrive() -> None:
    x = torch.tensor([[0.49], [0.45]], dtype=torch.float64)
    found = until(x, torch.full((2,), 0.5, dtype=torch.float64), lambda s: 4 * (s.squeeze(-1) - 0.5), 0.01)
    assert found.attacks.tolist() == [0, 3]  # D is within 0.02 of 0.5 where |x - 0.5| <= 0.02
    assert found.moved.flatten().tolist() == pytest.approx([0.49, 0.48])


@pytest.mark.parametrize("score", [-60.0, -1.0, 0.0, 20.0])
def test_the_difference_of_probabilities_keeps_its_slope(score: float) -> None:
    leaf, target = torch.tensor(score, requires_grad=True), torch.tensor(0.3)
    found = difference(leaf, target)
    assert float(found.detach()) == pytest.approx(1 / (1 + math.exp(-score)) - 0.3, abs=1e-7)
    (slope,) = torch.autograd.grad(found, leaf)
    assert float(slope) == pytest.approx(math.exp(-abs(score)) / (1 + math.exp(-abs(score))) ** 2, rel=1e-5)


def test_a_confident_discriminator_has_gradients() -> None:
    found = until(torch.ones(1, 1), torch.tensor([0.25]), lambda samples: 60 * (samples.squeeze(-1) - 0.4), 0.01)
    assert found.attacks.item() == 62  # from a score of 36 down to logit(0.25 +- 0.02), between -1.21 and -0.99
    assert found.reached.item()


IMAGES = (
    "data=digits",
    "generator={name: mlp, latent: 4, hidden: [8]}",
    "discriminator={name: mlp, hidden: [8]}",
    "steps=4",
)


@pytest.fixture
def run(short: Callable[..., Recipe], tmp_path: Path, no_metrics: None) -> Path:
    """A run on images with two games."""
    train(short(*IMAGES, "replicas=2", "evaluate_every=4"), tmp_path / "run", device="cpu")
    return tmp_path / "run"


def test_the_summary_of_a_run_equals_the_command(run: Path) -> None:
    metrics = json.loads((run / "summary.json").read_bytes())["metrics"]
    initial, trained = study_attacks([run], EnduranceStudy(), device="cpu")
    assert (initial["generator"], trained["generator"]) == ("initial", "trained")
    assert len(initial["numbers"]) == 6
    for name, value in initial["numbers"].items():
        assert metrics[name]["value"] == value and len(value) == 2
        assert metrics[name]["protocol"] == initial["protocol"]
    assert all(0 <= value <= 100 for value in initial["numbers"]["attacks_fake"])
    assert "1/255 (0.00392 of [0, 1], 0.00784 of [-1, 1])" in initial["protocol"]


def test_replicas_and_opponents(short: Callable[..., Recipe]) -> None:
    def study(*keys: str) -> dict[str, Any]:
        recipe = short(*IMAGES, "optimizers.generator.lr=0.05", *keys)
        game = GANState(recipe, recipe.data.open(CPU), CPU)
        with torch.no_grad():  # a D that knows bright images, and a G that makes them
            for name, parameter in game.networks.named_parameters():
                parameter.add_(0.2 if name.startswith("discriminator") else 0.5)
        real = game.source.held_out(16, rng=Rng.of(0)).samples
        found = {}
        for opponent in ("initial", "trained"):
            numbers = EnduranceStudy(samples=16, cap=30, tolerance=0.3).run(game, real, opponent)
            found |= {f"{opponent} {name}": number.as_json()["value"] for name, number in numbers.items()}
        return found

    packed, singles = study("replicas=2", "seed=3"), [study("seed=3"), study("seed=4")]
    for name, values in packed.items():
        assert values == pytest.approx([single[name] for single in singles], abs=1e-6)
    assert packed["initial attacks_fake"] != packed["trained attacks_fake"]
    assert max(packed["trained attacks_real"]) > 0


def test_points_need_an_absolute_epsilon(short: Callable[..., Recipe], run_path: Path) -> None:
    summary = train(short("steps=2", "evaluate_every=2"), run_path, device="cpu")
    assert not [name for name in summary.metrics if name.startswith("attacks_")]
    rows = study_attacks([run_path, run_path], attack_study("{name: fgsm, epsilon: 0.5}", within=0.1, cap=5, samples=4))
    assert len(rows) == 4
    assert all("epsilon 0.5 in the data's units" in row["protocol"] for row in rows)

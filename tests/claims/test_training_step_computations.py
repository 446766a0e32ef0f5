"""Computations on our training step: they pass on it, and find what is wrong in one that is changed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from sparring.claims.computations.architecture import Architecture
from sparring.claims.computations.attack_cost import AttackCost, multiply_adds
from sparring.claims.computations.attack_of_clean_pass import AttackOfCleanPass
from sparring.claims.computations.first_order_step import FirstOrderStep
from sparring.claims.computations.symmetric_round import SymmetricRound
from sparring.claims.computations.zero_perturbation import ZeroPerturbation
from sparring.regimes import DiscriminatorUpdate
from sparring.regimes.base import View
from sparring.regimes.symmetric import Symmetric


def _attacked_only(self: Symmetric, d: DiscriminatorUpdate, real: torch.Tensor, fake: torch.Tensor) -> None:
    """Both updates on attacked samples: not algorithm 1."""
    seen = self.craft(d, View(real, fake), None)
    for _ in range(2):
        d.show(seen)
        d.step()


def test_a_symmetric_round_is_algorithm_1() -> None:
    found = SymmetricRound().compute(3)
    assert found["updates"] == 2
    assert found["second_view"] == 1
    assert found["x_hat"] == 0
    assert all(float(found[name]) < 1e-7 for name in ("d_first", "d_second", "g"))  # type: ignore[arg-type]


def test_another_round_is_not_algorithm_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Symmetric, "update", _attacked_only)
    found = SymmetricRound().compute(3)
    assert float(found["d_first"]) > 1e-3  # type: ignore[arg-type]
    assert float(found["g"]) > 1e-6  # type: ignore[arg-type]


def test_the_movement_of_samples_is_of_first_order() -> None:
    found: Any = FirstOrderStep(rounds=5).compute(1)
    assert found["error"] < 0.01
    assert found["error_tenth"] < found["error"]
    assert found["payoff"] > 0
    coarse: Any = FirstOrderStep(rounds=5, rate=1.0).compute(1)
    assert coarse["error"] > 10 * found["error"]


def test_the_clean_pass_holds_the_gradient_of_fgsm() -> None:
    found: Any = AttackOfCleanPass(rounds=5, corners=32).compute(1)
    assert found["same"] > 0.999
    assert found["lowered"] > found["best_corner"]
    random: Any = AttackOfCleanPass(rounds=5, corners=2).compute(1)
    assert random["best_corner"] < found["best_corner"]


def test_no_perturbation_is_a_second_update() -> None:
    found: Any = ZeroPerturbation().compute(2)
    assert found["difference"] < 1e-12
    assert found["from_one"] > 0.1


def test_multiply_adds_of_a_layer_by_hand() -> None:
    layer, x = nn.Linear(7, 5, bias=False), torch.ones(3, 7)
    assert multiply_adds(lambda: layer(x)) == 3 * 7 * 5
    assert multiply_adds(lambda: layer(x).sum().backward()) == 2 * 3 * 7 * 5  # x needs no gradient


def test_the_attack_costs_the_first_layers_gradient() -> None:
    found: Any = AttackCost(width=4, side=8, channels=1, turns=1).compute(0)
    batch, kernel, latent, width, pixels = 64, 16, 100, 4, 16
    first, score = batch * kernel * width * pixels, batch * width * pixels
    code, image = batch * kernel * latent * width, batch * kernel * width * pixels
    d = first + score
    # D sees two batches: forward, the gradients of its weights, and of the features before its score.
    update = 2 * (d + d + score)
    # G's samples go through D and back, then to the gradients of its weights and of the features before its image.
    step = (code + image) + 2 * d + (code + image) + image
    assert found["attack"] == pytest.approx(first / (update + step))
    assert found["round"] == pytest.approx((update + first) / (update + step))


ROWS = [
    {"block": "convolution", "kernel": 4, "shape": [128, 16, 16]},
    {"block": "basic", "kernel": 4, "shape": [256, 8, 8]},
    {"block": "basic", "kernel": 4, "shape": [512, 4, 4]},
    {"block": "convolution", "kernel": 4, "shape": [1]},
]


@pytest.mark.parametrize(
    ("row", "changed", "shapes", "parameters"),
    [
        (0, {}, 0, 0),
        (1, {"kernel": 3}, 0, 1),
        (1, {"block": "convolution"}, 0, 1),
        (1, {"shape": [256, 4, 16]}, 1, 0),
        (2, {"shape": [256, 4, 4]}, 1, 2),
    ],
)
def test_a_table_is_compared_row_by_row(row: int, changed: dict[str, Any], shapes: int, parameters: int) -> None:
    rows = [dict(each) | (changed if index == row else {}) for index, each in enumerate(ROWS)]
    table = Architecture.validated(
        {"name": "architecture", "recipe": "asgan/cifar10-dcgan", "network": "discriminator", "side": 32, "rows": rows},
        "table 9",
        "",
    )
    found = table.compute(0)
    assert (found["shapes_differ"], found["parameters_differ"]) == (shapes, parameters)
    assert found["parameters"] == 48 * 128 + 16 * (128 * 256 + 256 * 512 + 512) + 2 * (256 + 512)


def test_missing_rows_differ() -> None:
    table = Architecture.validated(
        {
            "name": "architecture",
            "recipe": "asgan/cifar10-dcgan",
            "network": "discriminator",
            "side": 32,
            "rows": ROWS[:3],
        },
        "table 9",
        "",
    )
    assert table.compute(0)["shapes_differ"] == 1

"""Computations of DAT and the course notes against independent arithmetic."""

import math

import pytest
import torch
from torch import nn

from sparring.claims.computations.adaptive_penalty import _SPACE, AdaptivePenalty, _compare, _penalty
from sparring.claims.computations.dat_round import DATRound
from sparring.claims.computations.discriminator_search import DiscriminatorSearch, payoff
from sparring.claims.computations.generator_move import GeneratorMove
from sparring.claims.computations.linear_loss import LinearLoss
from sparring.claims.computations.lipschitz_composition import LipschitzComposition
from sparring.claims.computations.transferred_attack import TransferredAttack


@pytest.mark.parametrize(("other", "sign"), [(-100.0, 1.0), (100.0, -1.0)])
def test_the_signed_penalty_of_a_linear_discriminator_by_hand(other: float, sign: float) -> None:
    # g(x) = w x: the perturbation is -s epsilon w, g(x + d) = g(x) - s epsilon w^2, so with d constant the
    # derivative by w is x - s epsilon w; less x, over epsilon, it is half of the derivative of -s w^2.
    d, features = nn.Linear(_SPACE.shape[0], 1, bias=False).double(), _SPACE.shape[0]
    x = torch.linspace(-1, 1, 5 * features, dtype=torch.float64).reshape(5, features)

    def payoff(samples: torch.Tensor) -> torch.Tensor:
        return d(samples)[:, 0]

    torch.testing.assert_close(_penalty(d, payoff, x), -2 * d.weight.detach()[0])
    found = _compare(d, payoff, x, other, 1e-6, sign)
    assert (found.direction, found.strength) == (pytest.approx(1), pytest.approx(0.5))
    assert _compare(d, payoff, x, other, 1e-6, -sign).strength == pytest.approx(-0.5)


def test_dat_is_half_of_equation_12_with_both_signs():
    found = AdaptivePenalty().compute(0)
    for side in ("right", "wrong"):
        assert found[f"direction_{side}"] == pytest.approx(1, abs=1e-6)
        assert found[f"strength_{side}"] == pytest.approx(0.5, abs=1e-3)
    assert found["strength_through"] == pytest.approx(1, abs=1e-3)


def test_one_round_of_dat_follows_algorithm_1():
    found = DATRound(rounds=2).compute(0)
    assert found["gradient_error"] < 1e-10
    assert found["perturbation_error"] < 1e-10
    assert found["generator_change"] == 0
    assert found["discriminator_change"] > 1e-3
    assert (found["views"], found["updates"], found["clean_change"]) == (2, 1, 0)


def test_a_step_of_the_generator_obeys_cauchy_and_schwarz():
    found = GeneratorMove(rounds=5).compute(0)
    assert found["share_smaller"] == 1
    assert found["share_bounded"] > 0.95
    assert found["share_product"] < 0.05


def test_the_best_discriminator_of_two_outcomes_by_hand():
    p, q = torch.tensor([0.75, 0.25]).numpy(), torch.tensor([0.25, 0.75]).numpy()
    best = torch.tensor([0.75, 0.25]).numpy()
    assert payoff(p, q, best) == pytest.approx(2 * (0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    found = DiscriminatorSearch(outcomes=5, tries=100).compute(0)
    assert found["distance"] < 1e-6
    assert found["best_other"] < 0
    assert found["divergence_error"] < 1e-10
    assert found["at_equality"] < 1e-10
    assert found["lowest"] > 0


def test_slopes_stay_below_products_of_norms():
    found = LipschitzComposition(points=200).compute(0)
    assert 0 < found["largest_ratio"] < 1
    assert 0 < found["largest_layer_ratio"] < 1
    assert found["reached"] == pytest.approx(1)
    assert found["slope_after"] < 1 < found["slope_before"]


@pytest.mark.parametrize("ball", ["linf", "l2"])
def test_fgsm_reaches_the_maximum_of_a_linear_loss(ball):
    found = LinearLoss(ball=ball, features=3, tries=2000).compute(0)
    assert found["error"] < 1e-12
    assert found["size"] == pytest.approx(1)
    assert found["best_other"] < 1
    assert found["best_corner"] <= 1 + 1e-12


def test_both_classifiers_learn_from_different_digits():
    from sparring.claims.computations import transferred_attack
    from sparring.core.randomness import Streams
    from sparring.data import Digits

    batch = Digits().open(torch.device("cpu")).batch(0, 256, Streams(0))
    first, second = (transferred_attack._half(batch, half)[0].flatten(1) for half in range(2))
    assert len(first) + len(second) == 256
    assert min(len(first), len(second)) > 80
    assert not (torch.cdist(first, second) == 0).any()
    found = TransferredAttack(rounds=150).compute(0)
    assert found["white_box"] <= found["transferred"] < found["noise"] <= found["clean"]
    assert 0.1 < found["gradient_cosine"] <= 1

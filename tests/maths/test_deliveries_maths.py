"""Deliveries of mixtures: frequencies, expectations, gradients, the probability of honest feedback."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from scipy.stats import chisquare
from torch import Tensor

from sparring.core.randomness import Rng
from sparring.feedback import (
    Constant,
    Expected,
    Feedback,
    Flip,
    Flipping,
    Honest,
    HonestFeedback,
    Lie,
    MixtureAdversary,
    PerBatch,
    PerSample,
    Sqrt,
    Square,
)
from sparring.feedback.deliveries import Mixture
from sparring.objectives import Log


def scores(dtype: torch.dtype) -> Tensor:
    return torch.linspace(-300, 300, 241).to(dtype)


VALUES = (0.0, 2.0, -2.0, 1.0)
SHARES = (0.55, 0.25, 0.15, 0.05)
"""Scores that the perturbations of a mixture return for 0, and their probabilities."""


def mixture() -> Mixture:
    lies = [Constant(value=float(torch.sigmoid(torch.tensor(value)))) for value in VALUES[1:]]
    return list(zip(SHARES, (Honest(), *lies), strict=True))


def counts(delivered: Tensor) -> list[int]:
    return [int((delivered - each).abs().lt(1e-4).sum()) for each in VALUES]


def delivered_by(delivery: PerSample | PerBatch | Expected, shape: tuple[int, ...], rng: Rng) -> Tensor:
    return delivery.deliver(mixture(), lambda score: score, torch.zeros(shape), rng=rng)


def test_per_sample_draws_with_the_probabilities() -> None:
    drawn = [counts(delivered_by(PerSample(), (2000,), Rng.of(seed))) for seed in range(20)]
    totals = torch.tensor(drawn).sum(0)
    assert int(totals.sum()) == 20 * 2000
    assert chisquare(totals, 20 * 2000 * torch.tensor(SHARES, dtype=torch.float64)).pvalue > 1e-3
    assert len({tuple(row) for row in drawn}) > 10


def test_per_batch_draws_one_for_the_whole_batch() -> None:
    delivered = torch.stack([delivered_by(PerBatch(), (7,), Rng.of(seed)) for seed in range(2000)])
    assert torch.equal(delivered, delivered[:, :1].expand_as(delivered))
    totals = torch.tensor(counts(delivered[:, 0]))
    assert chisquare(totals, 2000 * torch.tensor(SHARES, dtype=torch.float64)).pvalue > 1e-3


def test_the_expectation_is_the_exact_sum_and_the_mean_of_draws() -> None:
    score = torch.tensor([-3.0, -0.5, 0.0, 0.5, 3.0], dtype=torch.float64)
    adversary = [(0.6, Honest()), (0.1, Flip()), (0.3, Sqrt())]
    payoff = Log().generator
    expected = Expected().deliver(adversary, payoff, score, rng=Rng.of(0))
    exact = sum(share * payoff(psi.score(score)) for share, psi in adversary)
    torch.testing.assert_close(expected, exact, rtol=0, atol=1e-15)
    many = score.expand(20_000, 5)
    drawn = PerSample().deliver(adversary, payoff, many, rng=Rng.of(1))
    error = drawn.std(0) / math.sqrt(20_000)
    assert bool(((drawn.mean(0) - expected).abs() < 4 * error).all())
    assert bool((error > 0).any())


@pytest.mark.parametrize("p", [0.0, 0.1, 0.4, 0.5, 1.0])
def test_log_and_flip_outside_the_payoff(p: float) -> None:
    score = scores(torch.float64)
    paid = Flipping(probability=p, delivery=Expected()).transmit(F.logsigmoid, score, rng=Rng.of(0))
    torch.testing.assert_close(paid, F.logsigmoid(score) - p * score, rtol=1e-13, atol=1e-12)
    # Not the other expectation, of the probability inside the payoff, which never exceeds log(max(p, 1 - p)).
    inside = torch.log((1 - p) * torch.sigmoid(score) + p * torch.sigmoid(-score))
    assert bool((paid <= inside + 1e-12).all())
    assert p in (0, 1) or bool((inside - paid > 1).any())


@pytest.mark.parametrize("delivery", [PerSample(), PerBatch(), Expected()])
def test_gradients_flow_through_perturbed_scores(delivery: PerSample | PerBatch | Expected) -> None:
    score = torch.linspace(-40, 40, 33, requires_grad=True)
    adversary = MixtureAdversary(
        perturbations=tuple(Lie(perturbation=psi, probability=0.2) for psi in (Flip(), Sqrt(), Square())),
        delivery=delivery,
    )
    paid = adversary.transmit(Log().real, score, rng=Rng.of(5))
    (slope,) = torch.autograd.grad(paid.sum(), score)
    assert torch.isfinite(slope).all()
    shares = [(share, psi) for share, psi in adversary.distribution()]
    options = torch.stack([torch.autograd.grad(Log().real(psi.score(score)).sum(), score)[0] for _, psi in shares])
    if isinstance(delivery, Expected):
        mean = (torch.tensor([share for share, _ in shares])[:, None] * options).sum(0)
        torch.testing.assert_close(slope, mean)
    else:
        assert bool((options - slope).abs().min(0).values.lt(1e-6).all())


def test_a_certain_flip_reverses_the_generators_gradient() -> None:
    score = torch.tensor([-2.0, 0.0, 2.0], requires_grad=True)
    paid = Flipping(probability=1.0).transmit(Log().generator, score, rng=Rng.of(0))
    (slope,) = torch.autograd.grad(paid.sum(), score)
    torch.testing.assert_close(slope, -torch.sigmoid(-score.detach()))


def test_honest_feedback_draws_nothing() -> None:
    score = scores(torch.float32)
    rng = Rng.of(7)
    assert torch.equal(HonestFeedback().transmit(Log().generator, score, rng=rng), Log().generator(score))
    assert torch.equal(rng.uniform((3,)), Rng.of(7).uniform((3,)))
    nearly = Flipping(probability=0.0).transmit(Log().generator, score, rng=rng)
    assert torch.equal(nearly, Log().generator(score))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("delivery", [PerSample(), Expected()])
def test_half_precision_scores_are_widened_before_they_are_perturbed(
    dtype: torch.dtype, delivery: PerSample | Expected
) -> None:
    score = torch.linspace(-30, 30, 61).to(dtype)
    adversary = MixtureAdversary(perturbations=(Lie(perturbation=Sqrt(), probability=1.0),), delivery=delivery)
    paid = adversary.transmit(Log().generator, score, rng=Rng.of(0))
    assert paid.dtype == torch.float32
    torch.testing.assert_close(paid, Log().generator(Sqrt().score(score.float())))


@pytest.mark.parametrize(
    ("feedback", "honest"),
    [
        (HonestFeedback(), 1.0),
        (Flipping(probability=0.4), 0.6),
        (Flipping(probability=1.0), 0.0),
        (MixtureAdversary(perturbations=(Lie(perturbation=Sqrt(), probability=0.25),)), 0.75),
        (
            MixtureAdversary(
                perturbations=(
                    Lie(perturbation=Honest(), probability=0.3),
                    Lie(perturbation=Flip(), probability=0.6),
                )
            ),
            0.4,
        ),
    ],
)
def test_honest_probability(feedback: Feedback, honest: float) -> None:
    assert feedback.honest_probability == pytest.approx(honest)
    assert sum(share for share, _ in feedback.distribution()) == pytest.approx(1.0)


@pytest.mark.parametrize("shares", [(0.7, 0.4), (1.1,), (-0.1,), (), (0.5, 0.5, 1e-6)], ids=lambda shares: str(shares))
def test_a_mixture_that_is_no_distribution_is_refused(shares: tuple[float, ...]) -> None:
    lies = [{"perturbation": "flip", "probability": share} for share in shares]
    with pytest.raises(ValidationError):
        Feedback.model_validate({"name": "mixture", "perturbations": lies})


def test_shares_that_sum_to_one_up_to_rounding_are_a_mixture() -> None:
    lies = [{"perturbation": "flip", "probability": 0.1}] * 10
    feedback = Feedback.model_validate({"name": "mixture", "perturbations": lies})
    assert feedback.honest_probability == pytest.approx(0.0, abs=1e-12)

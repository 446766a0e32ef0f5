"""Regimes: the papers' algorithms by hand, attacks from reused gradients, and the passes that each needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sparring.attacks import BIM, FGSM, Direct, Distance, Payoff
from sparring.core.randomness import Rng
from sparring.core.records import InvalidRecord
from sparring.gan.state import GANState
from sparring.gan.step import DiscriminatorTurn
from sparring.recipes import Recipe, load
from sparring.regimes import Free, Mixed, Plain, Regime, Replace, Symmetric, View, Warmup
from sparring.regimes.adversarial import CleanFirst
from sparring.regimes.base import Origin

CPU = torch.device("cpu")


UNLABELLED: dict[Origin, Tensor | None] = {"real": None, "fake": None}

COUPLED = "discriminator={name: mnist, width: 4}"
"""A discriminator with batch normalisation."""


def images(*overrides: str) -> Recipe:
    """A small convolutional game on the digits; D has no batch normalisation unless overridden."""
    small = ["data=digits", "generator.width=4", "discriminator.width=4", "batch_size=16"]
    return load("asgan/cifar10-dcgan", [*small, *overrides])


def game_of(recipe: Recipe) -> GANState:
    """A game in memory, in fp64."""
    game = GANState(recipe, recipe.data.open(CPU), CPU)
    game.networks.double()
    return game


def batch(game: GANState, number: int = 0) -> tuple[Tensor, Tensor]:
    """Real and generated samples, fp64."""
    real = game.source.batch(number, game.recipe.batch_size, game.streams).samples.double()
    latents = game.streams.rng("latents", number).normal((game.recipe.batch_size, game.recipe.generator.latent))
    return real, game.generator(latents.double()).detach()


@pytest.mark.parametrize("objective", ["nonsaturating", "wasserstein", "square_root"])
@pytest.mark.parametrize("network", [COUPLED, "discriminator.width=4"], ids=["coupled", "alone"])
@pytest.mark.parametrize(
    "regime",
    [
        Symmetric(attacked="both"),
        Symmetric(attacked="both", aim=Distance()),
        Mixed(clean_weight=0.7),
        Mixed(attack=FGSM(), aim=Payoff(), clean_weight=2.0),
    ],
    ids=["symmetric", "symmetric distance", "mixed", "mixed payoff"],
)
def test_reused_gradients_give_the_attack_of_separate_passes(regime: CleanFirst, network: str, objective: str) -> None:
    game = game_of(images(network, f"objective={objective}"))
    side, clean = DiscriminatorTurn(game, 0, 0, UNLABELLED), View(*batch(game), getattr(regime, "clean_weight", 1.0))
    buffers = [buffer.clone() for buffer in game.discriminator.buffers()]
    long = regime.craft(side, clean, None)
    if regime.reuses(couples_samples=game.couples_samples):
        for buffer, before in zip(game.discriminator.buffers(), buffers, strict=True):
            assert torch.equal(buffer, before)
    responses = regime.show_clean(side, clean)
    assert (responses["real"].gradient is not None) == regime.reuses(couples_samples=game.couples_samples)
    short = regime.craft(side, clean, responses)
    for ours, theirs, at in ((short.real, long.real, clean.real), (short.fake, long.fake, clean.fake)):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)
        assert float((ours - at).abs().max()) > 1e-6


def test_coupled_samples_are_attacked_in_separate_passes() -> None:
    coupled, alone = game_of(images(COUPLED)), game_of(images())
    regime = Mixed()
    assert not regime.reuses(couples_samples=coupled.couples_samples)
    assert regime.reuses(couples_samples=alone.couples_samples)
    (remark,) = regime.remarks(couples_samples=coupled.couples_samples)
    assert "couples" in remark and "its own passes" in remark
    assert not regime.remarks(couples_samples=alone.couples_samples)
    assert not Symmetric().remarks(couples_samples=True)  # its gradient is that of the sum over the batch
    # Gradients of the clean pass would be wrong here.
    side, clean = DiscriminatorTurn(coupled, 0, 0, UNLABELLED), View(*batch(coupled))
    torch.nn.init.normal_(coupled.discriminator.head.source.weight, std=1.0)  # scores on both sides of the mean
    seen = side.show(clean, gradients=("real", "fake"))
    wrong = regime.craft(side, clean, seen)
    exact = regime.craft(side, clean, None)
    assert not torch.allclose(wrong.real, exact.real, rtol=0, atol=1e-9)


def test_the_symmetric_update_is_algorithm_1() -> None:
    overrides = ["regime={name: symmetric, attack: {name: fgsm, epsilon: 0.05}}"]
    recipe = images(*overrides, "optimizers.discriminator={name: sgd, lr: 0.1}")
    game, twin = game_of(recipe), game_of(recipe)
    real, fake = batch(game)
    recipe.regime.update(DiscriminatorTurn(game, 0, 0, UNLABELLED), real, fake)

    def ascend(samples: Tensor) -> Tensor:
        x = samples.clone().requires_grad_()
        value = (F.logsigmoid(twin.discriminator(x).score) + F.logsigmoid(-twin.discriminator(fake).score)).mean()
        parameters = list(twin.discriminator.parameters())
        *slopes, slope = torch.autograd.grad(value, [*parameters, x])
        with torch.no_grad():
            for parameter, each in zip(parameters, slopes, strict=True):
                parameter += 0.1 * each
        return slope

    slope = ascend(real)
    ascend((real - 0.05 * 2 * slope.sign()).clamp(-1, 1))
    for ours, theirs in zip(game.discriminator.parameters(), twin.discriminator.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_free_is_its_algorithm_over_ten_batches() -> None:
    """Two steps a batch along the gradient of the samples with a kept perturbation, which the same gradient moves."""
    overrides = ["regime={name: free, attack: {name: fgsm, epsilon: 0.05, step_size: 0.02}, warmup: {end: 4}}"]
    recipe = images(*overrides, "optimizers.discriminator={name: sgd, lr: 0.1}")
    game, twin = game_of(recipe), game_of(recipe)
    parameters, delta = list(twin.discriminator.parameters()), torch.zeros(16, 1, 8, 8).double()
    for number in range(10):
        real, fake = batch(game, number)
        recipe.regime.update(DiscriminatorTurn(game, number, number, UNLABELLED), real, fake)
        share = min(number / 4, 1)
        for _ in range(2):
            x = (real + delta.clamp(-0.1 * share, 0.1 * share)).clamp(-1, 1).requires_grad_()
            value = F.logsigmoid(twin.discriminator(x).score) + F.logsigmoid(-twin.discriminator(fake).score)
            *slopes, slope = torch.autograd.grad(value.mean(), [*parameters, x])
            with torch.no_grad():
                for parameter, each in zip(parameters, slopes, strict=True):
                    parameter += 0.1 * each
            delta = (delta - 0.04 * share * slope.sign()).clamp(-0.1 * share, 0.1 * share)
    for ours, theirs in zip(game.discriminator.parameters(), twin.discriminator.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    torch.testing.assert_close(game.kept["real"], delta, rtol=0, atol=1e-12)
    assert float((delta.abs() > 0.05).double().mean()) > 0.1


def test_free_refuses_attacks_of_several_passes_and_without_bound() -> None:
    with pytest.raises(InvalidRecord, match="free has one gradient a step"):
        Free(attack=BIM(steps=2))
    with pytest.raises(InvalidRecord, match="free keeps a perturbation, and direct does not bound it"):
        Free(attack=Direct())


def test_mixed_has_both_weights() -> None:
    with pytest.raises(InvalidRecord, match="adversarial_weight"):
        Mixed(adversarial_weight=0)


def test_the_mixed_update_is_equation_8() -> None:
    recipe = images(
        "objective=wasserstein",
        "regime={name: mixed, clean_weight: 0.7, adversarial_weight: 0.2, attack: {name: direct, epsilon: 0.5}}",
        "optimizers.discriminator={name: sgd, lr: 0.1}",
    )
    game, twin = game_of(recipe), game_of(recipe)
    real, fake = batch(game)
    recipe.regime.update(DiscriminatorTurn(game, 0, 0, UNLABELLED), real, fake)
    score = lambda x: twin.discriminator(x).score  # noqa: E731

    def attacked(x: Tensor, payoff: Callable[[Tensor], Tensor], other: Tensor) -> Tensor:
        moved = x.clone().requires_grad_()
        distance = (payoff(score(moved)) - payoff(score(other)).mean().detach()).abs().sum()
        (slope,) = torch.autograd.grad(distance, moved)
        return (x - 0.5 * slope).clamp(-1, 1)

    real_adv, fake_adv = attacked(real, lambda s: s, fake), attacked(fake, lambda s: -s, real)
    value = 0.7 * (score(real) - score(fake)).mean() + 0.2 * (score(real_adv) - score(fake_adv)).mean()
    slopes = torch.autograd.grad(value, list(twin.discriminator.parameters()))
    for ours, start, slope in zip(
        game.discriminator.parameters(), twin.discriminator.parameters(), slopes, strict=True
    ):
        torch.testing.assert_close(ours, start + 0.1 * slope, rtol=0, atol=1e-12)


@pytest.mark.parametrize("regime", [Mixed(), Symmetric(attacked="both")], ids=["mixed", "symmetric"])
def test_a_perturbation_does_not_depend_on_the_batch_size(regime: CleanFirst) -> None:
    game = game_of(images())
    small = View(*batch(game))
    large = View(small.real.repeat(4, 1, 1, 1), small.fake.repeat(4, 1, 1, 1))  # the same means, N = 64
    moved = []
    for view in (small, large):
        side = DiscriminatorTurn(game, 0, 0, UNLABELLED)
        crafted = regime.craft(side, view, regime.show_clean(side, view))
        moved.append((crafted.real - view.real)[:16])
    torch.testing.assert_close(*moved, rtol=0, atol=1e-12)
    assert float(moved[0].abs().max()) > 1e-6


COSTS: list[tuple[Regime, int, int]] = [
    (Plain(), 2, 2),
    (Symmetric(), 4, 4),
    (Symmetric(attacked="both"), 4, 4),
    (Mixed(), 4, 4),
    (Free(), 4, 4),
    (Symmetric(attack=BIM(steps=3)), 7, 7),
    (Replace(attack=BIM(steps=3)), 5, 5),
    (Replace(attack=BIM(steps=3), aim=Distance()), 6, 5),
]


@pytest.mark.parametrize(("regime", "forwards", "backwards"), COSTS)
def test_a_one_step_attack_costs_no_pass(regime: Regime, forwards: int, backwards: int) -> None:
    game = game_of(images())
    assert not game.couples_samples  # computed once a game
    count = {"forward": 0, "backward": 0}

    def passed(_module: object, _inputs: object, verdict: object) -> None:
        count["forward"] += 1
        if verdict.score.requires_grad:  # type: ignore[attr-defined]
            verdict.score.register_hook(lambda _: count.__setitem__("backward", count["backward"] + 1))  # type: ignore[attr-defined]

    game.discriminator.register_forward_hook(passed)
    regime.update(DiscriminatorTurn(game, 0, 0, UNLABELLED), *batch(game))
    assert count == {"forward": forwards, "backward": backwards}


def test_the_budget_warms_up() -> None:
    warmup = Warmup(start=10, end=30)
    assert [warmup.factor(step) for step in (0, 10, 20, 30, 40)] == [0, 0, 0.5, 1, 1]
    assert [Warmup(start=10, end=10).factor(step) for step in (0, 9, 10)] == [0, 0, 1]
    assert Warmup().factor(0) == 1
    game = game_of(images())
    regime = Symmetric(attack=FGSM(epsilon=0.1), warmup=warmup)
    clean = View(*(0.5 * x for x in batch(game)))
    sizes = []
    for step in (0, 20, 30):
        side = DiscriminatorTurn(game, step, 0, UNLABELLED)
        sizes.append(float((regime.craft(side, clean, regime.show_clean(side, clean)).real - clean.real).abs().max()))
    assert sizes == pytest.approx([0.0, 0.1, 0.2])
    with pytest.raises(InvalidRecord):
        Warmup(start=3, end=2)


def test_a_penalty_is_paid_once_a_step_and_does_not_change_the_attack() -> None:
    keys = ["objective=wasserstein"]
    game, free = game_of(images(*keys, "lipschitz=gradient_penalty")), game_of(images(*keys))
    clean, regime = View(*batch(game)), Mixed()
    crafted = []
    for each in (game, free):
        side = DiscriminatorTurn(each, 0, 0, UNLABELLED)
        crafted.append(regime.craft(side, clean, regime.show_clean(side, clean)))
        side.show(crafted[-1])
        side.step()
    assert torch.equal(crafted[0].real, crafted[1].real), "the penalty has no part in the samples' gradients"
    control, twin = game.recipe.lipschitz, game_of(images(*keys))
    rng = twin.streams.rng("lipschitz/0", 0)
    paid = control.penalty(twin.score, clean.real, clean.fake, batch_axes=1, rng=rng).mean().item()
    game.log.end_round()
    assert game.log.means()["penalty"] == pytest.approx(paid, rel=1e-5)


@pytest.mark.parametrize("network", [COUPLED, "discriminator.width=4"], ids=["coupled", "alone"])
def test_what_an_attack_did_is_logged(network: str) -> None:
    keys = ["regime={name: mixed, attacked: real, attack: {name: fgsm, epsilon: 0.1}}", network]
    game = GANState(images(*keys), images().data.open(CPU), CPU)
    side = DiscriminatorTurn(game, 0, 0, UNLABELLED)
    real, fake = (x.float() for x in batch(game_of(images(*keys))))
    real = 0.5 * real
    payoffs = [side.payoff("real", x).detach() for x in (real, fake)]
    paid = (payoffs[0] + side.payoff("fake", fake)).mean().item()
    scores = {name: game.judge(x).score.detach() for name, x in (("real", real), ("fake", fake))}
    game.recipe.regime.update(side, real, fake)
    game.log.end_round()
    means = game.log.means()
    assert means["attack_real_size"] == pytest.approx(0.1, rel=1e-5)
    assert means["attack_real_idle"] == 0
    below = (payoffs[0] < payoffs[1].mean()).double().mean().item()
    assert means["attack_real_raises"] == pytest.approx(below)
    assert 0 < below < 1
    for name, score in scores.items():
        assert means[f"d_{name}"] == pytest.approx(torch.sigmoid(score).mean().item())
        assert means[f"score_{name}"] == pytest.approx(score.mean().item())
    assert means["payoff_d"] == pytest.approx(paid)
    assert {"d_real_adversarial", "payoff_d_adversarial"} <= means.keys()
    assert "d_fake_adversarial" not in means and "attack_fake_size" not in means


def test_every_step_pays_its_own_penalty() -> None:
    game = game_of(images("objective=wasserstein", "lipschitz=gradient_penalty", "regime=symmetric"))
    draws, control = [], type(game.recipe.lipschitz)
    original = control.penalty

    def penalty(*arguments: Any, rng: Rng, **options: Any) -> Tensor:
        draws.append(rng.uniform((4,)))
        return original(*arguments, rng=rng, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(control, "penalty", penalty)
        game.recipe.regime.update(DiscriminatorTurn(game, 0, 0, UNLABELLED), *batch(game))
    assert len(draws) == 2
    assert not torch.equal(*draws)

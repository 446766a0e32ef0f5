"""A regime in a loop of the user's own is the engine's round, up to rounding."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from sparring.attacks import BIM, FGSM, PGD, Distance
from sparring.core.errors import UsageError
from sparring.core.records import InvalidRecord
from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.networks import Verdict
from sparring.objectives import NonSaturating
from sparring.recipes import load
from sparring.regimes import (
    DiscriminatorUpdate,
    Free,
    Mixed,
    OwnDiscriminator,
    Plain,
    Regime,
    Replace,
    Symmetric,
    Warmup,
)

CPU = torch.device("cpu")


def score_of(verdict: Verdict) -> Tensor:
    return verdict.score


CLIP, CLIP_BEFORE = "{name: clip, bound: 0.1}", "{name: clip, bound: 0.02, when: before}"
COUPLED, ALONE = "{name: mnist, width: 4}", "{name: mlp, hidden: [16]}"


@pytest.mark.parametrize(
    ("network", "lipschitz"),
    [(COUPLED, CLIP), (ALONE, CLIP), (ALONE, CLIP_BEFORE), (ALONE, "gradient_penalty")],
    ids=["coupled-clip", "alone-clip", "alone-clip-before", "alone-penalty"],
)
@pytest.mark.parametrize(
    "regime",
    [
        Plain(),
        Symmetric(attack=FGSM(epsilon="4/255"), attacked="both"),
        Symmetric(attack=BIM(steps=2), warmup=Warmup(end=3)),
        Mixed(),
        Free(attack=FGSM(epsilon="4/255"), attacked="both"),
        Mixed(attack=FGSM(epsilon="4/255"), clean_weight=2.0),
        Replace(attack=PGD(steps=2)),
        Replace(attacked="both", attack=FGSM(epsilon="4/255"), aim=Distance()),
    ],
    ids=lambda regime: f"{regime.name}-{getattr(regime, 'attack', regime).name}",
)
def test_it_is_the_engines_round(regime: Regime, network: str, lipschitz: str) -> None:
    overrides = ["data=digits", "generator={name: mlp, latent: 4, hidden: [8]}", f"discriminator={network}"]
    recipe = load("asgan/cifar10-dcgan", [*overrides, "batch_size=8", f"lipschitz={lipschitz}"])
    game = GANState(recipe.model_copy(update={"regime": regime}), recipe.data.open(CPU), CPU)
    generator, discriminator = copy.deepcopy(game.networks.generator), copy.deepcopy(game.networks.discriminator)
    g_steps, d_steps = (
        optimizer.build(each.parameters())
        for optimizer, each in zip(
            (recipe.optimizers.generator, recipe.optimizers.discriminator), (generator, discriminator), strict=True
        )
    )
    d = OwnDiscriminator(
        discriminator, d_steps, recipe.objective, space=(-1, 1), lipschitz=recipe.lipschitz, scores=score_of
    )
    for step in range(3):
        codes = recipe.generator.draw((8,), game.space, rng=game.streams.rng("latents", step))
        fake = generator(codes.values)
        d.update(regime, game.real_batch(step).samples, fake)
        g_steps.zero_grad()
        (-recipe.objective.generator(score_of(discriminator(fake))).mean()).backward()
        g_steps.step()
        play_round(game, step)
    assert isinstance(d, DiscriminatorUpdate)
    for own, engine in ((generator, game.networks.generator), (discriminator, game.networks.discriminator)):
        for name, value in own.state_dict().items():
            assert torch.allclose(value, engine.state_dict()[name], rtol=1e-4, atol=1e-6), name


def ours(network: nn.Module, lipschitz: str = "none") -> OwnDiscriminator:
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    return OwnDiscriminator(network, optimizer, NonSaturating(), space=(-1, 1), lipschitz=lipschitz)


def test_spectral_normalisation_holds_in_a_loop_of_ones_own() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 1))
    with torch.no_grad():
        network[1].weight *= 50
    d, x = ours(network, "spectral_norm"), torch.linspace(-1, 1, 8).reshape(2, 1, 2, 2)
    before = network[1].weight.detach().clone()
    for _ in range(3):
        d.update("plain", x, -x)
        assert torch.linalg.matrix_norm(network[1].weight.detach(), 2).item() == pytest.approx(1)
    assert not torch.equal(before, network[1].weight), "the optimizer was made before, and moves it"
    with pytest.raises(UsageError, match="reparametrised already"):
        ours(network, "spectral_norm")


def test_the_first_update_sees_constrained_weights() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 1))
    with torch.no_grad():
        network[1].weight.fill_(3.0)
    ours(network, "clip")
    assert float(network[1].weight.detach().abs().max()) < 3


def test_mistakes_in_a_loop_are_said() -> None:
    good, bad = nn.Sequential(nn.Flatten(), nn.Linear(4, 1)), nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    x = torch.linspace(-1, 1, 8).reshape(2, 1, 2, 2)
    with pytest.raises(InvalidRecord, match="hing"):
        OwnDiscriminator(good, torch.optim.SGD(good.parameters(), 0.1), "hing", space=(-1, 1))
    with pytest.raises(InvalidRecord, match="regime"):
        ours(good).update(Symmetric, x, x)  # type: ignore[arg-type]
    ours(good).update("symmetric", x, x)
    with pytest.raises(UsageError, match=r"network: returned shape \(2, 2\), wanted one score a sample"):
        ours(bad).update(Plain(), x, x)
    with pytest.raises(UsageError, match=r"fake: shape .*, and real has"):
        ours(good).update(Plain(), x, x[:1])
    with pytest.raises(UsageError, match=r"real: from .* outside of the range"):
        ours(good).update(Plain(), 255 * x, x)
    coupled = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 1))
    with pytest.raises(UsageError, match="lipschitz: gradient_penalty needs a gradient per sample"):
        OwnDiscriminator(
            coupled, torch.optim.SGD(coupled.parameters(), 0.1), "log", space=(-1, 1), lipschitz="gradient_penalty"
        )
    with pytest.raises(UsageError, match="lipschitz: instance_noise changes the samples that D sees"):
        ours(good, "instance_noise")
    d = ours(good)
    d.update("free", x, x)
    with pytest.raises(UsageError, match=r"regime free: keeps a perturbation of .2, 1, 2, 2., and this batch has .1, "):
        d.update("free", x[:1], x[:1])

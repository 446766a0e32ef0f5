"""bf16 and channels_last: where they apply, what stays in fp32, and the same training up to rounding."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sparring.core.randomness import Rng
from sparring.core.shapes import IMAGE_BOUNDS
from sparring.data import ArraySource, Facts, ImageArrays
from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.recipes import Recipe, load, require_game

CPU = torch.device("cpu")
SGD = "{name: sgd, lr: 0.001}"
DCGAN = ["generator={name: dcgan, latent: 8, width: 8}", "discriminator={name: dcgan, width: 8, batch_norm: false}"]
RESNET = [
    "generator={name: robgan_resnet, latent: 8, width: 4}",
    "discriminator={name: robgan_resnet, width: 4, batch_norm: false}",
]
PGD = "regime={name: replace, attack: {name: pgd, epsilon: 0.05, steps: 3}}"
COARSE = ["precision=bf16", "memory_format=channels_last"]
ROUNDS = 3


def game_of(*overrides: str) -> GANState:
    """A small game on noise in colour, by plain gradient descent: no division lifts rounding to the size of a step."""
    common = ["data=digits", "batch_size=16", f"optimizers.generator={SGD}", f"optimizers.discriminator={SGD}"]
    recipe: Recipe = require_game(load("asgan/cifar10-dcgan", [*common, *overrides]), "test")
    samples = Rng.of(0).integers((64, 3, 16, 16), 256).byte()
    arrays = ImageArrays(samples, torch.arange(64) % 4)
    facts = Facts((3, 16, 16), IMAGE_BOUNDS, ("a", "b", "c", "d"))
    return GANState(recipe, ArraySource(facts, arrays, arrays, scale=127.5, device=CPU), CPU)


def weights(game: GANState) -> Tensor:
    """All parameters of both networks."""
    return torch.cat([parameter.detach().flatten() for parameter in game.networks.parameters()])


def trained(*overrides: str) -> tuple[Tensor, Tensor]:
    """The parameters before a short training and after it."""
    game = game_of(*overrides)
    before = weights(game).clone()
    for step in range(ROUNDS):
        play_round(game, step)
    return before, weights(game)


@pytest.mark.parametrize("networks", [DCGAN, RESNET])
@pytest.mark.parametrize(
    ("regime", "lipschitz"), [("regime=plain", "zero_centred"), ("regime=mixed", "none"), (PGD, "none")]
)
def test_a_short_training_is_the_same_up_to_rounding(networks: list[str], regime: str, lipschitz: str) -> None:
    settings = [*networks, regime, f"lipschitz={lipschitz}"]
    before, plain = trained(*settings)
    moved = torch.linalg.vector_norm(plain - before)
    for coarse, most in ((["memory_format=channels_last"], 0.01), (COARSE, 0.15)):
        _, other = trained(*settings, *coarse)
        assert 0 < torch.linalg.vector_norm(other - plain) < most * moved, coarse


@pytest.mark.parametrize("networks", [DCGAN, RESNET])
def test_images_perturbations_and_features_stay_in_channels_last(networks: list[str]) -> None:
    game, seen = game_of(*networks, PGD, *COARSE), []

    def before(_layer: nn.Module, args: tuple[Tensor, ...]) -> None:
        seen.append(args[0].is_contiguous(memory_format=torch.channels_last))

    assert not game.couples_samples  # computed once, on samples of its own
    game.discriminator.register_forward_pre_hook(before)
    for layer in game.discriminator.modules():
        if isinstance(layer, nn.Conv2d) and layer.in_channels > 1:
            layer.register_forward_pre_hook(before)
    play_round(game, 0)
    assert len(seen) > 10 and all(seen)


def test_payoffs_penalties_gradients_and_the_optimizer_are_in_fp32() -> None:
    control = ["lipschitz=zero_centred", "optimizers.discriminator={name: adam, lr: 0.001}"]
    game = game_of(*DCGAN, *control, PGD, *COARSE)
    dtypes: dict[str, set[torch.dtype]] = {"convolution": set(), "payoff": set(), "penalty": set()}
    layer = next(layer for layer in game.discriminator.modules() if isinstance(layer, nn.Conv2d))
    layer.register_forward_hook(lambda _layer, _args, out: dtypes["convolution"].add(out.dtype))
    control_of, objective = type(game.recipe.lipschitz), type(game.recipe.objective)
    real, penalty = objective.real, control_of.penalty

    def recorded_real(self: object, score: Tensor) -> Tensor:
        out = real(self, score)
        dtypes["payoff"].update((score.dtype, out.dtype))
        return out

    def recorded_penalty(self: object, *args: object, **kwargs: object) -> Tensor:
        out = penalty(self, *args, **kwargs)
        dtypes["penalty"].add(out.dtype)
        return out

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objective, "real", recorded_real)
        patch.setattr(control_of, "penalty", recorded_penalty)
        play_round(game, 0)
    assert dtypes == {"convolution": {torch.bfloat16}, "payoff": {torch.float32}, "penalty": {torch.float32}}
    kept = [state for optimizer in game.optimizers.values() for state in optimizer.state.values()]
    numbers = [value for state in kept for value in state.values() if isinstance(value, Tensor)]
    assert numbers and {value.dtype for value in numbers} == {torch.float32}
    assert {parameter.dtype for parameter in game.networks.parameters()} == {torch.float32}

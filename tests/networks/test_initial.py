"""Initial weights: their moments, by fans counted by hand, and where they go."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from piece_arguments import ARGUMENTS
from sparring.core.pieces import members
from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import IMAGE_BOUNDS, Space
from sparring.gan.state import GANState, Networks
from sparring.gan.step import play_round
from sparring.networks import Generator, MLPGenerator
from sparring.networks.initial import (
    ArchitectureInit,
    GlorotInit,
    HeInit,
    LayerInit,
    NormalInit,
    UniformFanInInit,
)
from sparring.networks.mlp import Dense
from sparring.recipes import Recipe

LAYERS: dict[str, tuple[Callable[[], nn.Module], int, int]] = {
    "linear": (lambda: nn.Linear(300, 200), 300, 200),
    "convolution": (lambda: nn.Conv2d(30, 60, 3), 270, 540),
    "transposed": (lambda: nn.ConvTranspose2d(30, 60, 3), 270, 540),
    "dense": (lambda: Dense(300, 200, (), rng=Rng.of(0)), 300, 200),
}
"""A layer, its fan_in and its fan_out."""
VARIANCES: dict[str, tuple[LayerInit, Callable[[int, int], float]]] = {
    "uniform_fan_in": (UniformFanInInit(), lambda fan_in, _: 1 / (3 * fan_in)),
    "glorot": (GlorotInit(), lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
    "glorot, gain 2": (GlorotInit(gain=2.0), lambda fan_in, fan_out: 8 / (fan_in + fan_out)),
    "he": (HeInit(), lambda fan_in, _: 2 / fan_in),
    "he, outputs": (HeInit(fan="out"), lambda _, fan_out: 2 / fan_out),
    "normal": (NormalInit(std=0.05), lambda *_: 0.05**2),
}
"""A rule and the variance of its weights."""
KURTOSIS = {True: 1.8, False: 3.0}
"""Fourth moment over the squared variance: of a uniform distribution, and of a normal one."""


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("rule", VARIANCES)
def test_moments(rule: str, layer: str) -> None:
    init, variance = VARIANCES[rule]
    build, fan_in, fan_out = LAYERS[layer]
    built = build()
    init.apply(built, rng=Rng.of(1))
    weight: Tensor = built.weight.detach().double().flatten()  # type: ignore[union-attr,operator]
    expected = variance(fan_in, fan_out)
    error = 5 / math.sqrt(len(weight))  # five standard errors of a mean of values with unit variance
    assert abs(float(weight.mean())) < error * math.sqrt(expected)
    kurtosis = KURTOSIS["uniform" in rule or "glorot" in rule]
    assert float(weight.square().mean()) == pytest.approx(expected, rel=error * math.sqrt(kurtosis - 1))
    assert float(weight.pow(4).mean()) / expected**2 == pytest.approx(kurtosis, rel=0.1)


@pytest.mark.parametrize("init", [HeInit(), UniformFanInInit(zero_bias=True)], ids=repr)
def test_zero_biases(init: LayerInit) -> None:
    layer = nn.Linear(9, 5)
    init.apply(layer, rng=Rng.of(0))
    assert not layer.bias.any()


@pytest.mark.parametrize("init", [HeInit(zero_bias=False), UniformFanInInit()], ids=repr)
def test_uniform_biases(init: LayerInit) -> None:
    layer = nn.Conv2d(4, 5000, 3)
    init.apply(layer, rng=Rng.of(0))
    bound = 1 / 6  # fan_in is 36
    assert 0.99 * bound < layer.bias.abs().max() <= bound
    assert float(layer.bias.detach().var()) == pytest.approx(bound**2 / 3, rel=0.05)


def test_packed_weights_are_those_of_single_games() -> None:
    spec, plane = MLPGenerator(latent=4, hidden=(8,), init=HeInit(zero_bias=False)), Space((2,), None)

    def built(streams: Streams, lead: tuple[int, ...]) -> nn.Module:
        rng = streams.rng("init")
        network = spec.build(plane, lead, rng=rng)
        spec.init.apply(network, rng=rng)
        return network

    packed = built(Streams(5, 3), (3,)).state_dict()
    for game in range(3):
        single = built(Streams(5 + game), ()).state_dict()
        assert all(torch.equal(packed[name][game], value) for name, value in single.items())


@pytest.mark.parametrize("name", members(Generator))
def test_every_network_takes_every_rule(name: str) -> None:
    """Only dense and convolutional layers change; the architecture's own start is the default."""
    spec = Generator.model_validate({"name": name} | ARGUMENTS.get(("generator", name), {}))
    assert spec.init == ArchitectureInit()
    space = Space((1, 32, 32), IMAGE_BOUNDS, 3)
    network = spec.build(space, (), rng=Rng.of(0))
    held = {key: value.clone() for key, value in network.state_dict().items()}
    spec.init.apply(network, rng=Rng.of(1))
    assert all(torch.equal(value, held[key]) for key, value in network.state_dict().items())
    NormalInit(std=0.5).apply(network, rng=Rng.of(1))
    kinds = nn.Linear | nn.Conv2d | nn.ConvTranspose2d | Dense
    layers = [key for key, layer in network.named_modules() if isinstance(layer, kinds)]
    assert layers
    state = network.state_dict()
    assert not any(torch.equal(state[f"{key}.weight"], held[f"{key}.weight"]) for key in layers)
    others = [key for key in held if not key.startswith(tuple(f"{layer}." for layer in layers))]
    assert all(torch.equal(state[key], held[key]) for key in others)


def test_a_recipe_chooses_both_networks(short: Callable[..., Recipe]) -> None:
    recipe = short("generator.init={name: normal, std: 3.0}", "discriminator.init=he")
    networks = Networks(recipe, Space((2,), None))
    assert 2 < float(networks.generator.get_parameter("layers.layers.1.weight").detach().std()) < 4
    assert not any(value.any() for name, value in networks.discriminator.named_parameters() if name.endswith("bias"))
    game = GANState(recipe, recipe.data.open(torch.device("cpu")), torch.device("cpu"))
    play_round(game, 0)

"""The residual pairs of Rob-GAN and SN-GAN: published sizes, forward passes by hand, conditional normalisation."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from network_tools import images, normalised, perturbed, size
from torch import Tensor, nn

from sparring.core.randomness import Rng
from sparring.core.shapes import Space
from sparring.networks import (
    AuxiliaryHead,
    Discriminator,
    Generator,
    RobGANDiscriminator,
    RobGANGenerator,
    SNGANDiscriminator,
    SNGANGenerator,
)
from sparring.networks.residual_blocks import EPS, ConditionalBatchNorm, upsampling_block

IMAGENET = {"generator": (16, 16, 8, 4, 2, 1), "discriminator": (1, 2, 4, 8, 16, 16)}
SMALLER = {"generator": (8, 8, 4, 4, 2, 1), "discriminator": (1, 2, 4, 4, 8, 8)}
"""SN-GAN's pair of 128 pixels for 143 classes."""
CLASSES = 3
SMALL = {"latent": 5, "width": 2, "conditional": True}
GENERATORS = [
    (RobGANGenerator(conditional=True), images(32, 10), 12_272_515),
    (RobGANGenerator(conditional=True), images(64, 143), 13_038_595),
    (RobGANGenerator(conditional=True), images(128, 143), 10_606_339),
    (RobGANGenerator(conditional=True, multiples=IMAGENET["generator"]), images(128, 1000), 41_996_931),
    (SNGANGenerator(), images(32), 4_276_739),
    (SNGANGenerator(conditional=True, multiples=SMALLER["generator"]), images(128, 143), 10_606_339),
]
"""In millions 12.27, 13.04, 10.61, 42.0, as measured on the published code."""
DISCRIMINATORS = [
    (RobGANDiscriminator(head=AuxiliaryHead()), images(32, 10), 1_056_395),
    (RobGANDiscriminator(head=AuxiliaryHead(), batch_norm=False), images(64, 143), 10_283_024),
    (RobGANDiscriminator(head=AuxiliaryHead(), batch_norm=False), images(128, 143), 8_570_896),
    (
        RobGANDiscriminator(head=AuxiliaryHead(), multiples=IMAGENET["discriminator"]),
        images(128, 1000),
        30_049_897,
    ),
    (SNGANDiscriminator(), images(32), 1_053_824),
]
"""In millions 1.06, 10.28, 8.57, 30.05."""


@pytest.mark.parametrize(("spec", "space", "parameters"), GENERATORS + DISCRIMINATORS)
def test_sizes_are_the_published_ones(spec: Generator | Discriminator, space: Space, parameters: int) -> None:
    with torch.device("meta"):
        assert size(spec.build(space, (), rng=Rng.of(0))) == parameters


def of_class(norm: ConditionalBatchNorm, x: Tensor, labels: list[int]) -> Tensor:
    """Conditional batch normalisation sample by sample, each with the rows of its class."""
    rows = zip(normalised(x, 2e-5), labels, strict=True)
    return torch.stack([norm.gamma[c, :, None, None] * row + norm.beta[c, :, None, None] for row, c in rows])


def repeated(x: Tensor) -> Tensor:
    """Every pixel four times."""
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def test_a_generator_block_by_hand() -> None:
    block = perturbed(upsampling_block(4, 3, lambda w: ConditionalBatchNorm(w, CLASSES, 0.1)))
    x, labels = Rng.of(0).normal((5, 4, 3, 3)).double(), [2, 0, 1, 1, 2]
    h = F.conv2d(repeated(of_class(block.norm1, x, labels).relu()), block.conv1.weight, block.conv1.bias, padding=1)
    h = F.conv2d(of_class(block.norm2, h, labels).relu(), block.conv2.weight, block.conv2.bias, padding=1)
    expected = h + F.conv2d(repeated(x), block.shortcut[0].weight, block.shortcut[0].bias)
    torch.testing.assert_close(block(x, F.one_hot(torch.tensor(labels), CLASSES).double()), expected)


def test_a_generator_by_hand() -> None:
    space = images(16)
    network = perturbed(RobGANGenerator(latent=5, width=2, conditional=True).build(space, (), rng=Rng.of(0)))
    z, classes = Rng.of(1).normal((4, 5)).double(), F.one_hot(torch.tensor([0, 1, 2, 0]), CLASSES).double()
    dense, last = network.dense[0], network.output
    h = (z @ dense.weight.T + dense.bias).reshape(4, 8, 4, 4)
    for block in network.blocks:
        h = block(h, classes)
    h = last[0].weight[:, None, None] * normalised(h, EPS) + last[0].bias[:, None, None]
    expected = F.conv2d(h.relu(), last[2].weight, last[2].bias, padding=1).tanh()
    torch.testing.assert_close(network(torch.cat([z, classes], 1)), expected)
    assert [block.conv2.out_channels for block in network.blocks] == [4, 2]


@pytest.mark.parametrize(
    ("spec", "biased", "layers"),
    [(RobGANDiscriminator, False, nn.BatchNorm2d), (SNGANDiscriminator, True, nn.Identity)],
)
def test_a_discriminator_by_hand(
    spec: type[RobGANDiscriminator | SNGANDiscriminator], biased: bool, layers: type[nn.Module]
) -> None:
    network = perturbed(spec(width=2, multiples=(2, 4, 4), halvings=2).build(images(8), (), rng=Rng.of(0)))
    first, halving, keeping = network.trunk.blocks
    assert isinstance(first.norm1, layers) and (first.conv1.bias is not None) == biased

    def conv(layer: nn.Conv2d, x: Tensor) -> Tensor:
        return F.conv2d(x, layer.weight, layer.bias, padding=layer.kernel_size[0] // 2)

    def norm(layer: nn.Module, x: Tensor) -> Tensor:
        if isinstance(layer, nn.Identity):
            return x
        return layer.weight[:, None, None] * normalised(x, 1e-5) + layer.bias[:, None, None]

    def inside(block: nn.Module, x: Tensor) -> Tensor:
        return norm(block.norm2, conv(block.conv2, norm(block.norm1, conv(block.conv1, x)).relu()))

    x = Rng.of(0).normal((5, 3, 8, 8)).double()
    pooled = F.avg_pool2d(x, 2)
    h = F.avg_pool2d(inside(first, x), 2) + norm(first.shortcut[2], conv(first.shortcut[1], pooled))
    torch.testing.assert_close(first(x), h)

    projection = next(layer for layer in halving.shortcut.modules() if isinstance(layer, nn.Conv2d))
    skipped = norm(halving.shortcut[1], conv(projection, h))
    expected = F.avg_pool2d(inside(halving, h.relu()), 2) + F.avg_pool2d(skipped, 2)
    torch.testing.assert_close(halving(h), expected)
    assert (halving.conv1.out_channels, halving.conv2.out_channels) == (4, 8)

    h = expected + inside(keeping, expected.relu())
    torch.testing.assert_close(keeping(expected), h)
    torch.testing.assert_close(network(x).score, network.head.source(h.relu().sum((2, 3))).squeeze(1))
    assert (network.head.source.bias is None) == biased


@pytest.mark.parametrize("momentum", [0.1, 0.9])
def test_running_statistics_move_by_the_momentum(momentum: float) -> None:
    spec = RobGANGenerator(latent=5, width=2, conditional=True, momentum=momentum)
    network = spec.build(images(8), (), rng=Rng.of(0))
    codes = spec.draw((16,), images(8), rng=Rng.of(1)).values
    seen = network.dense(codes[:, :5])
    norm = network.blocks[0].norm1.norm
    network(codes)
    torch.testing.assert_close(norm.running_mean, momentum * seen.mean((0, 2, 3)))
    torch.testing.assert_close(norm.running_var, (1 - momentum) + momentum * seen.var((0, 2, 3)))
    assert {layer.momentum for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)} == {momentum}
    assert not torch.allclose(network(codes)[:2], network(codes[:2]))
    network.eval()
    torch.testing.assert_close(network(codes)[:2], network(codes[:2]))


def test_a_new_generator_equals_an_unconditional_one() -> None:
    spec = RobGANGenerator(**SMALL)
    conditional, plain = (
        each.build(images(16), (), rng=Rng.of(0)) for each in (spec, RobGANGenerator(latent=5, width=2))
    )
    codes = spec.draw((6,), images(16), rng=Rng.of(1)).values
    torch.testing.assert_close(conditional(codes), plain(codes[:, :5]))


def test_initial_weights_follow_their_distribution() -> None:
    network = RobGANDiscriminator(head=AuxiliaryHead()).build(images(32), (), rng=Rng.of(0))
    for name, gain, fans in (
        ("trunk.blocks.1.conv1", math.sqrt(2), 9 * 256),
        ("trunk.blocks.1.shortcut.0", 1.0, 256),
        ("head.classes", 1.0, 128 + CLASSES),
    ):
        largest = float(network.get_parameter(f"{name}.weight").detach().abs().max())
        assert largest == pytest.approx(gain * math.sqrt(6 / fans), rel=0.02)

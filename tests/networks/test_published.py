"""Published networks: parameter counts, tables, forward passes by hand, initial weights."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from network_tools import images, normalised, perturbed, size
from torch import Tensor, nn

from sparring.core.randomness import Rng
from sparring.core.records import InvalidRecord
from sparring.core.shapes import IMAGE_BOUNDS, Space
from sparring.networks import (
    VGG16,
    ASGANResNetDiscriminator,
    ASGANResNetGenerator,
    DCGANDiscriminator,
    DCGANGenerator,
    MLPDiscriminator,
    MLPGenerator,
    MNISTDiscriminator,
    MNISTGenerator,
    PreActResNet18,
    ResNet18,
    ResNetDiscriminator,
    ResNetGenerator,
    WideResNet,
)
from sparring.networks.asgan_resnet import ResampleBlock

MNIST = Space((1, 28, 28), IMAGE_BOUNDS)
CIFAR = images(32)
PLANE = Space((2,), None)


def test_sizes_are_the_published_ones() -> None:
    rng = Rng.of(0)
    assert size(MLPGenerator(latent=256).build(PLANE, (), rng=rng)) == 256 * 64 + 2 * 64 * 64 + 3 * 64 + 64 * 2 + 2
    assert size(MLPDiscriminator().build(PLANE, (), rng=rng)) == 2 * 256 + 2 * 256 * 256 + 3 * 256 + 256 + 1
    dense = 256 * 1024 + 1024 + 1024 * 6272 + 6272
    assert size(MNISTGenerator(latent=256).build(MNIST, (), rng=rng)) == dense + 128 * 64 * 16 + 64 + 64 * 16 + 1
    dense = 6272 * 1024 + 1024 + 1024 + 1
    assert (
        size(MNISTDiscriminator(batch_norm=False).build(MNIST, (), rng=rng))
        == dense + 64 * 16 + 64 + 64 * 128 * 16 + 128
    )
    block = 2 * (128 * 128 * 9 + 128)
    shortcut = 128 * 128 + 128
    assert size(ResNetGenerator(latent=128).build(CIFAR, (), rng=rng)) == (
        128 * 2048 + 2048 + 3 * (block + shortcut + 4 * 128) + 2 * 128 + 128 * 27 + 3
    )
    assert size(ResNetDiscriminator().build(CIFAR, (), rng=rng)) == (
        (3 * 9 * 128 + 128) + (128 * 128 * 9 + 128) + (3 * 128 + 128) + (block + shortcut) + 2 * block + 129
    )


DCGAN_TABLES = {
    32: ((512, 4), (256, 8), (128, 16), (3, 32)),
    64: ((1024, 4), (512, 8), (256, 16), (128, 32), (3, 64)),
}
"""Channels and side after every layer of the generator; in reverse, of the discriminator."""


@pytest.mark.parametrize("side", DCGAN_TABLES)
def test_dcgan_equals_the_tables(side: int) -> None:
    table = DCGAN_TABLES[side]
    pairs = list(itertools.pairwise(channels for channels, _ in table))
    between = 16 * sum(a * b for a, b in pairs)
    with torch.device("meta"):
        generator = DCGANGenerator().build(images(side), (), rng=Rng.of(0))
        discriminator = DCGANDiscriminator().build(images(side), (), rng=Rng.of(0))
        latents, real = torch.empty(2, 100), torch.empty(2, 3, side, side)
    hidden = sum(channels for channels, _ in table[:-1])
    assert size(generator) == 16 * 100 * table[0][0] + between + 2 * hidden
    assert size(discriminator) == between + 16 * table[0][0] + 2 * (hidden - 128)
    assert outputs(generator, latents, nn.ConvTranspose2d) == [(c, s, s) for c, s in table]
    assert outputs(discriminator, real, nn.Conv2d) == [(c, s, s) for c, s in table[-2::-1]]
    assert outputs(discriminator, real, nn.Linear) == [(1,)]
    assert not any(name.endswith("bias") for name, _ in kernels(generator) + kernels(discriminator))
    assert discriminator.head.source.bias is None


def outputs(network: nn.Module, x: Tensor, kind: type[nn.Module]) -> list[tuple[int, ...]]:
    """The shape of a sample behind every layer of a kind."""
    shapes: list[tuple[int, ...]] = []
    for layer in network.modules():
        if isinstance(layer, kind):
            layer.register_forward_hook(lambda _layer, _inputs, out: shapes.append(tuple(out.shape[1:])))
    network(x)
    return shapes


def kernels(network: nn.Module) -> list[tuple[str, Tensor]]:
    """The named parameters of the convolutions."""
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    return [named for layer in convolutions for named in layer.named_parameters()]


@pytest.mark.parametrize("side", [32, 64])
def test_asgan_resnet_equals_the_tables(side: int) -> None:
    doublings = {32: 3, 64: 4}[side]
    block = 2 * (256 * 256 * 9 + 256) + 4 * 256
    first = 2 * 3 + (3 * 256 * 9 + 256) + 2 * 256 + (256 * 256 * 9 + 256) + (3 * 256 + 256)
    with torch.device("meta"):
        generator = ASGANResNetGenerator().build(images(side), (), rng=Rng.of(0))
        discriminator = ASGANResNetDiscriminator().build(images(side), (), rng=Rng.of(0))
        latents, real = torch.empty(2, 100), torch.empty(2, 3, side, side)
    assert size(generator) == 100 * 4096 + 4096 + doublings * block + 256 * 3 * 9 + 3
    assert size(discriminator) == first + doublings * block + 256 + 1
    sides = [8 * 2**step for step in range(doublings)]
    assert outputs(generator, latents, ResampleBlock) == [(256, s, s) for s in sides]
    assert outputs(discriminator, real, ResampleBlock) == [(256, s // 2, s // 2) for s in [*sides[::-1], 4]]


def test_forward_passes_by_hand() -> None:
    generator, discriminator = (
        network.build(images(16), (), rng=Rng.of(0))
        for network in (DCGANGenerator(latent=5, width=8), DCGANDiscriminator(width=8))
    )
    z, x = Rng.of(1).normal((4, 5)), Rng.of(2).uniform((4, 3, 16, 16), -1.0, 1.0)
    up = [weight for _, weight in kernels(generator)]
    h = torch.relu(normalised(F.conv_transpose2d(z[:, :, None, None], up[0])))
    h = torch.relu(normalised(F.conv_transpose2d(h, up[1], stride=2, padding=1)))
    torch.testing.assert_close(generator(z), torch.tanh(F.conv_transpose2d(h, up[2], stride=2, padding=1)))
    down = [weight for _, weight in kernels(discriminator)]
    h = F.leaky_relu(F.conv2d(x, down[0], stride=2, padding=1), 0.2)
    h = F.leaky_relu(normalised(F.conv2d(h, down[1], stride=2, padding=1)), 0.2)
    torch.testing.assert_close(discriminator(x).score, h.flatten(1) @ discriminator.head.source.weight[0])

    generator, discriminator = (
        network.build(images(8), (), rng=Rng.of(0))
        for network in (ASGANResNetGenerator(latent=5, width=8), ASGANResNetDiscriminator(width=8))
    )
    dense, block, output = generator[0], generator[2], generator[3]
    h = dense(z).reshape(4, 8, 4, 4)
    wide = F.interpolate(torch.relu(normalised(h)), scale_factor=2.0, mode="bilinear")
    h = F.interpolate(h, scale_factor=2.0, mode="bilinear") + block.main[6](torch.relu(normalised(block.main[3](wide))))
    torch.testing.assert_close(generator(z), torch.tanh(output(h)))
    h = discriminator.trunk[1](discriminator.trunk[0](x[:, :, :8, :8]))
    torch.testing.assert_close(
        discriminator(x[:, :, :8, :8]).score, discriminator.head.source(torch.relu(h).mean((2, 3))).squeeze(1)
    )


def test_a_residual_block_adds_to_the_pooled_input_what_its_layers_generator() -> None:
    x = Rng.of(0).normal((2, 3, 8, 8))
    same, wider = (ResampleBlock(3, width, nn.AvgPool2d(2), batch_norm=True) for width in (3, 5))
    pooled = F.avg_pool2d(torch.relu(normalised(x)), 2)
    for block, skipped in ((same, F.avg_pool2d(x, 2)), (wider, F.avg_pool2d(wider.shortcut[1](x), 2))):
        made = block.main[6](torch.relu(normalised(block.main[3](pooled))))
        torch.testing.assert_close(block(x), skipped + made)


def test_classifiers_have_the_published_sizes() -> None:
    with torch.device("meta"):
        normalised, bare, vgg = (
            spec.build(images(32, 10), (), rng=Rng.of(0))
            for spec in (PreActResNet18(batch_norm=True, slope=0.0), PreActResNet18(), VGG16())
        )
    assert size(normalised) == 11_171_146
    assert size(bare) == 11_171_146 - 2 * (4 * 64 + (64 + 3 * 128) + (128 + 3 * 256) + (256 + 3 * 512))
    assert size(vgg) == 14_728_266 - 4224  # biases of the convolutions, which BN would take away again


def test_the_networks_of_robust_training_have_the_published_sizes() -> None:
    with torch.device("meta"):
        wide, wider, post = (
            spec.build(images(32, 10), (), rng=Rng.of(0)) for spec in (WideResNet(), WideResNet(depth=34), ResNet18())
        )
    assert size(wide) == 36_479_194
    assert size(wider) == 46_160_474
    assert size(post) == 11_173_962
    with pytest.raises(InvalidRecord, match=r"depth = 30 is not 6 n \+ 4"):
        WideResNet(depth=30)


def test_a_wide_residual_network_by_hand() -> None:
    """Its last normalisation and activation, and a first block that projects although it keeps the side."""
    network = perturbed(WideResNet(depth=10, width=1, activation="silu").build(images(8), (), rng=Rng.of(0))).double()
    x = Rng.of(0).uniform((4, 3, 8, 8), -1.0, 1.0).double()
    first, *stages, last, _, _ = network.features
    assert [type(stage).__name__ for stage in stages] == ["IdentityBlock", "ProjectedBlock", "ProjectedBlock"]

    def active(layers: nn.Sequential, x: Tensor) -> Tensor:
        return F.silu(layers[0].weight[:, None, None] * normalised(x, 1e-5) + layers[0].bias[:, None, None])

    h = first(x)
    identity, halving, narrowing = stages
    h = h + identity.main[3](active(identity.main[2], identity.main[1](active(identity.main[0], h))))
    for stage in (halving, narrowing):
        a = active(stage.active, h)
        h = stage.main[2](active(stage.main[1], stage.main[0](a))) + F.conv2d(a, stage.shortcut.weight, stride=2)
    torch.testing.assert_close(network(x), network.output(active(last, h).mean((2, 3))))
    wide = WideResNet(depth=10, width=2).build(images(8), (), rng=Rng.of(0))
    assert type(wide.features[1]).__name__ == "ProjectedBlock"


def test_post_activation_blocks_by_hand() -> None:
    network = perturbed(ResNet18(width=2).build(images(8), (), rng=Rng.of(0))).double()
    same, changing = network.features[1], network.features[3]
    x = Rng.of(0).normal((4, 2, 8, 8)).double()

    def norm(layer: nn.BatchNorm2d, x: Tensor) -> Tensor:
        return layer.weight[:, None, None] * normalised(x, 1e-5) + layer.bias[:, None, None]

    for block in (same, changing):
        h = torch.relu(norm(block.main[1], block.main[0](x)))
        h = norm(block.main[4], block.main[3](h))
        skipped = x if block is same else norm(block.shortcut[1], F.conv2d(x, block.shortcut[0].weight, stride=2))
        torch.testing.assert_close(block(x), torch.relu(h + skipped))
    assert network(Rng.of(1).normal((2, 3, 8, 8)).double()).shape == (2, 3)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_pre_activation_blocks_by_hand(batch_norm: bool) -> None:
    spec = PreActResNet18(width=2, batch_norm=batch_norm)
    network = perturbed(spec.build(images(8), (), rng=Rng.of(0)))
    same, changing = network.features[1], network.features[3]
    x = Rng.of(0).normal((4, 2, 8, 8)).double()

    def active(layers: nn.Sequential, x: Tensor) -> Tensor:
        if batch_norm:
            x = layers[0].weight[:, None, None] * normalised(x, 1e-5) + layers[0].bias[:, None, None]
        return torch.where(x > 0, x, 0.2 * x)

    h = F.conv2d(active(same.main[0], x), same.main[1].weight, padding=1)
    h = F.conv2d(active(same.main[2], h), same.main[3].weight, padding=1)
    torch.testing.assert_close(same(x), x + h)
    ahead = active(changing.active, x)
    h = F.conv2d(ahead, changing.main[0].weight, padding=1, stride=2)
    h = F.conv2d(active(changing.main[1], h), changing.main[2].weight, padding=1)
    torch.testing.assert_close(changing(x), F.conv2d(ahead, changing.shortcut.weight, stride=2) + h)


def test_initial_weights_follow_their_distribution() -> None:
    network = MNISTGenerator(latent=256).build(MNIST, (), rng=Rng.of(0))
    weights = network.get_parameter("3.weight")
    assert float(weights.detach().std()) == pytest.approx(0.02, rel=0.01)
    assert float(network.get_parameter("3.bias").detach().abs().max()) == 0
    for spec in (DCGANGenerator(width=32), DCGANDiscriminator(width=32)):
        drawn = torch.cat([kernel.detach().flatten() for _, kernel in kernels(spec.build(CIFAR, (), rng=Rng.of(0)))])
        deviation = 4 / math.sqrt(drawn.numel())  # in standard errors of the mean, and nearly so of the spread
        assert abs(float(drawn.mean())) < 0.02 * deviation
        assert float(drawn.std()) == pytest.approx(0.02, rel=deviation)
    asgan = ASGANResNetGenerator(width=32).build(CIFAR, (), rng=Rng.of(0))
    for name, inputs, outs in (("0", 100, 512), ("3.main.3", 9 * 32, 9 * 32), ("5", 9 * 32, 27)):
        bound = math.sqrt(6 / (inputs + outs))
        assert float(asgan.get_parameter(f"{name}.weight").detach().abs().max()) == pytest.approx(bound, rel=0.01)
        assert float(asgan.get_parameter(f"{name}.bias").detach().abs().max()) == 0
    resnet = ResNetDiscriminator().build(CIFAR, (), rng=Rng.of(0))
    bound = math.sqrt(2) * math.sqrt(6 / (9 * 256))
    assert float(resnet.get_parameter("trunk.blocks.1.conv1.weight").detach().abs().max()) == pytest.approx(
        bound, rel=1e-3
    )
    kernel = VGG16(width=16).build(images(32), (), rng=Rng.of(0)).get_parameter("features.7.weight").detach()
    assert float(kernel.std()) == pytest.approx(math.sqrt(2 / (9 * len(kernel))), rel=0.05)

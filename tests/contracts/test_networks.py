"""Networks and optimizers: published sizes, initial weights, packing, and the penalty of mixing players up."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.core.errors import UsageError
from sparring.core.modules import frozen
from sparring.core.randomness import Rng, Streams, hashed_uniform
from sparring.core.shapes import IMAGE_BOUNDS, Space, sample_norm
from sparring.networks import (
    ASGANResNetDiscriminator,
    ASGANResNetGenerator,
    DCGANDiscriminator,
    DCGANGenerator,
    Discriminator,
    Generator,
    MLPDiscriminator,
    MLPGenerator,
    MNISTDiscriminator,
    MNISTGenerator,
    ResNetDiscriminator,
    ResNetGenerator,
)
from sparring.networks.asgan_resnet import ResampleBlock
from sparring.optimizers import Adam, LinearDecay, RMSprop

MNIST = Space((1, 28, 28), IMAGE_BOUNDS)
CIFAR = Space((3, 32, 32), IMAGE_BOUNDS)
PLANE = Space((2,), None)
PAIRS = {
    "dcgan": (DCGANGenerator(latent=5, width=8), DCGANDiscriminator(width=8)),
    "dcgan without BN": (
        DCGANGenerator(latent=5, width=8, batch_norm=False),
        DCGANDiscriminator(width=8, batch_norm=False),
    ),
    "asgan_resnet": (ASGANResNetGenerator(latent=5, width=8), ASGANResNetDiscriminator(width=8)),
    "asgan_resnet without BN": (
        ASGANResNetGenerator(latent=5, width=8, batch_norm=False),
        ASGANResNetDiscriminator(width=8, batch_norm=False),
    ),
}
"""AS-GAN's pairs, narrow."""
PAIR = pytest.mark.parametrize(("generator", "discriminator"), PAIRS.values(), ids=PAIRS)


def images(side: int) -> Space:
    """Coloured images of this side."""
    return Space((3, side, side), IMAGE_BOUNDS)


def size(module: torch.nn.Module) -> int:
    """How many parameters a network has."""
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_sizes_are_those_of_the_papers_networks() -> None:
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
    128: ((2048, 4), (1024, 8), (512, 16), (256, 32), (128, 64), (3, 128)),
}
"""Channels and side behind every layer of the generator, and backwards of the discriminator; that at 128 is ours."""


@pytest.mark.parametrize("side", DCGAN_TABLES)
def test_dcgan_is_that_of_the_papers_tables(side: int) -> None:
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
def test_the_residual_pair_is_that_of_the_papers_tables(side: int) -> None:
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


def test_the_forward_passes_are_those_of_the_papers_written_out() -> None:
    make, judge = (network.build(images(16), (), rng=Rng.of(0)) for network in PAIRS["dcgan"])
    z, x = Rng.of(1).normal((4, 5)), Rng.of(2).uniform((4, 3, 16, 16), -1.0, 1.0)
    up = [weight for _, weight in kernels(make)]
    h = torch.relu(normalised(F.conv_transpose2d(z[:, :, None, None], up[0])))
    h = torch.relu(normalised(F.conv_transpose2d(h, up[1], stride=2, padding=1)))
    torch.testing.assert_close(make(z), torch.tanh(F.conv_transpose2d(h, up[2], stride=2, padding=1)))
    down = [weight for _, weight in kernels(judge)]
    h = F.leaky_relu(F.conv2d(x, down[0], stride=2, padding=1), 0.2)
    h = F.leaky_relu(normalised(F.conv2d(h, down[1], stride=2, padding=1)), 0.2)
    torch.testing.assert_close(judge(x).score, h.flatten(1) @ judge.head.source.weight[0])

    make, judge = (network.build(images(8), (), rng=Rng.of(0)) for network in PAIRS["asgan_resnet"])
    dense, block, output = make.layers[0], make.layers[2], make.layers[3]
    h = dense(z).reshape(4, 8, 4, 4)
    wide = F.interpolate(torch.relu(normalised(h)), scale_factor=2.0, mode="bilinear")
    h = F.interpolate(h, scale_factor=2.0, mode="bilinear") + block.main[6](torch.relu(normalised(block.main[3](wide))))
    torch.testing.assert_close(make(z), torch.tanh(output(h)))
    h = judge.trunk[1](judge.trunk[0](x[:, :, :8, :8]))
    torch.testing.assert_close(judge(x[:, :, :8, :8]).score, judge.head.source(torch.relu(h).mean((2, 3))).squeeze(1))


def normalised(x: Tensor) -> Tensor:
    """Batch normalisation as it starts: no scale, no shift."""
    return (x - x.mean((0, 2, 3), keepdim=True)) / torch.sqrt(x.var((0, 2, 3), correction=0, keepdim=True) + 1e-5)


def test_a_residual_block_adds_to_the_pooled_input_what_its_layers_make() -> None:
    x = Rng.of(0).normal((2, 3, 8, 8))
    same, wider = (ResampleBlock(3, width, lambda: nn.AvgPool2d(2), batch_norm=True) for width in (3, 5))
    pooled = F.avg_pool2d(torch.relu(normalised(x)), 2)
    for block, skipped in ((same, F.avg_pool2d(x, 2)), (wider, F.avg_pool2d(wider.shortcut[1](x), 2))):
        made = block.main[6](torch.relu(normalised(block.main[3](pooled))))
        torch.testing.assert_close(block(x), skipped + made)


@PAIR
@pytest.mark.parametrize("side", [8, 32, 64, 128])
def test_a_pair_plays_at_every_side(generator: Generator, discriminator: Discriminator, side: int) -> None:
    space = images(side)
    fake = generator.build(space, (), rng=Rng.of(0))(Rng.of(1).normal((3, 5)))
    score = discriminator.build(space, (), rng=Rng.of(2))(fake).score
    assert fake.shape == (3, *space.shape) and score.shape == (3,)
    assert float(fake.detach().abs().max()) <= 1 and float(fake.detach().std()) > 0
    (slope,) = torch.autograd.grad(score.sum(), fake)
    assert slope.isfinite().all() and slope.abs().sum() > 0


@PAIR
def test_without_batch_normalisation_a_sample_does_not_depend_on_its_batch(
    generator: Generator, discriminator: Discriminator
) -> None:
    make, judge = (network.build(images(32), (), rng=Rng.of(0)) for network in (generator, discriminator))
    latents, real = Rng.of(1).normal((4, 5)), Rng.of(2).uniform((4, 3, 32, 32), -1.0, 1.0)
    alone = torch.allclose(make(latents)[:2], make(latents[:2]), atol=1e-6)
    assert alone is not generator.batch_norm
    alone = torch.allclose(judge(real).score[:2], judge(real[:2]).score, atol=1e-6)
    assert alone is not discriminator.batch_norm


@PAIR
def test_neither_memory_format_nor_autocast_changes_the_game(
    generator: Generator, discriminator: Discriminator
) -> None:
    make, judge = (network.build(images(32), (), rng=Rng.of(0)) for network in (generator, discriminator))
    latents = Rng.of(1).normal((8, 5))
    fake, score = make(latents), judge(make(latents)).score
    make.to(memory_format=torch.channels_last)
    judge.to(memory_format=torch.channels_last)
    torch.testing.assert_close(make(latents), fake, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(judge(make(latents)).score, score, atol=1e-5, rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        coarse = judge(make(latents)).score
    assert coarse.dtype == torch.bfloat16
    assert float((coarse - score).detach().abs().max()) < 0.1 * float(score.detach().abs().max())


@PAIR
@pytest.mark.parametrize(
    ("space", "lead", "cause"),
    [
        (PLANE, (), "square images"),
        (MNIST, (), "side of 8, 16, 32"),
        (images(24), (), "side of 8, 16, 32"),
        (images(4), (), "side of 8, 16, 32"),
        (Space((3, 32, 16), IMAGE_BOUNDS), (), "square images"),
        (Space((3, 32, 32), None), (), "declare None"),
        (CIFAR, (2,), "no packed form"),
    ],
)
def test_a_pair_refuses_what_it_cannot_make(
    generator: Generator, discriminator: Discriminator, space: Space, lead: tuple[int, ...], cause: str
) -> None:
    for network in (generator, discriminator):
        with pytest.raises(UsageError, match=cause):
            network.build(space, lead, rng=Rng.of(0))


def test_the_residual_generator_refuses_a_side_that_it_cannot_double_to() -> None:
    with pytest.raises(UsageError, match="side of 8, 16, 32"):
        ResNetGenerator(latent=4, width=4).build(images(24), (), rng=Rng.of(0))


def test_initial_weights_follow_their_distribution() -> None:
    network = MNISTGenerator(latent=256).build(MNIST, (), rng=Rng.of(0))
    weights = network.get_parameter("dense.3.weight")
    assert float(weights.detach().std()) == pytest.approx(0.02, rel=0.01)
    assert float(network.get_parameter("dense.3.bias").detach().abs().max()) == 0
    for spec in (DCGANGenerator(width=32), DCGANDiscriminator(width=32)):
        drawn = torch.cat([kernel.detach().flatten() for _, kernel in kernels(spec.build(CIFAR, (), rng=Rng.of(0)))])
        deviation = 4 / math.sqrt(drawn.numel())  # in standard errors of the mean, and nearly so of the spread
        assert abs(float(drawn.mean())) < 0.02 * deviation
        assert float(drawn.std()) == pytest.approx(0.02, rel=deviation)
    asgan = ASGANResNetGenerator(width=32).build(CIFAR, (), rng=Rng.of(0))
    for name, inputs, outs in (("0", 100, 512), ("3.main.3", 9 * 32, 9 * 32), ("5", 9 * 32, 27)):
        bound = math.sqrt(6 / (inputs + outs))
        assert float(asgan.get_parameter(f"layers.{name}.weight").detach().abs().max()) == pytest.approx(
            bound, rel=0.01
        )
        assert float(asgan.get_parameter(f"layers.{name}.bias").detach().abs().max()) == 0
    resnet = ResNetDiscriminator().build(CIFAR, (), rng=Rng.of(0))
    bound = math.sqrt(2) * math.sqrt(6 / (9 * 256))
    assert float(resnet.get_parameter("trunk.blocks.1.conv1.weight").detach().abs().max()) == pytest.approx(
        bound, rel=1e-3
    )


def test_a_packed_network_is_its_games_side_by_side() -> None:
    packed = MLPDiscriminator(hidden=(8, 8)).build(PLANE, (3,), rng=Streams(5, 3).rng("init"))
    x = Rng.of(0).normal((3, 7, 2))
    for index in range(3):
        single = MLPDiscriminator(hidden=(8, 8)).build(PLANE, (), rng=Streams(5 + index).rng("init"))
        torch.testing.assert_close(packed(x).score[index], single(x[index]).score)


@pytest.mark.parametrize(("space", "lead"), [(PLANE, ()), (Space((1, 30, 30), IMAGE_BOUNDS), ()), (MNIST, (4,))])
def test_what_does_not_fit_is_refused(space: Space, lead: tuple[int, ...]) -> None:
    with pytest.raises(UsageError):
        MNISTGenerator(latent=4).build(space, lead, rng=Rng.of(0))


def test_a_frozen_network_passes_gradients_and_gets_none() -> None:
    network = MLPDiscriminator(hidden=(4,)).build(PLANE, (), rng=Rng.of(0))
    x = torch.zeros(3, 2, requires_grad=True)
    with frozen(network):
        network(x).score.sum().backward()
    assert x.grad is not None
    assert all(p.grad is None and p.requires_grad for p in network.parameters())


def test_linear_decay_ends_where_it_says() -> None:
    schedule = LinearDecay(start=0.5, end=0.1)
    assert [schedule.factor(p) for p in (0.0, 0.5, 0.75, 1.0)] == pytest.approx([1.0, 1.0, 0.55, 0.1])


@pytest.mark.parametrize("optimizer", [Adam(lr=0.1), RMSprop(lr=0.1)])
def test_optimizers_are_elementwise(optimizer: Adam | RMSprop) -> None:
    gradients = Rng.of(0).normal((5, 3, 4))
    together = torch.nn.Parameter(torch.zeros(3, 4))
    apart = [torch.nn.Parameter(torch.zeros(4)) for _ in range(3)]
    built = optimizer.build([together]), optimizer.build(apart)
    for gradient in gradients:
        together.grad = gradient
        for row, each in zip(gradient, apart, strict=True):
            each.grad = row.clone()
        built[0].step()
        built[1].step()
    torch.testing.assert_close(together.detach(), torch.stack([each.detach() for each in apart]))


def test_hashed_numbers_are_uniform_and_a_function_of_the_key() -> None:
    keys = torch.arange(20_000)
    numbers = hashed_uniform(keys, 3)
    assert torch.equal(numbers[7], hashed_uniform(keys[7:8], 3)[0])
    counts = torch.histc(numbers, bins=20, min=0, max=1)
    assert float(((counts - 3000) ** 2 / 3000).sum()) < 45  # chi-square, 19 degrees of freedom, p = 0.0007
    assert abs(float(torch.corrcoef(numbers.T)[0, 1])) < 0.03


def test_streams_are_independent_of_each_other() -> None:
    draws = [Streams(seed).rng(name, number).normal((2000,)) for seed in (0, 1) for name in "ab" for number in (0, 1)]
    correlations = torch.corrcoef(torch.stack(draws)) - torch.eye(8)
    assert float(correlations.abs().max()) < 0.1


def test_a_norm_is_smooth_at_zero() -> None:
    x = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(sample_norm(x, 1).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert first.isfinite().all() and second.isfinite().all()

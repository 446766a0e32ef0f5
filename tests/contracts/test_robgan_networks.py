"""Rob-GAN's and SN-GAN's residual pairs, the classifiers beside them, and what joins classifiers to discriminators."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.core.errors import UsageError
from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import IMAGE_BOUNDS, Space
from sparring.lipschitz import SpectralNorm
from sparring.networks import (
    VGG16,
    AuxiliaryHead,
    Branch,
    Classifier,
    Discriminator,
    Generator,
    MLPDiscriminator,
    PreActResNet18,
    ProjectionHead,
    RobGANDiscriminator,
    RobGANGenerator,
    SmallCNN,
    SNGANDiscriminator,
    SNGANGenerator,
    Trunk,
)
from sparring.networks.conditional import EPS, ConditionalBatchNorm, UnconditionalBatchNorm
from sparring.networks.residual_blocks import upsampling_block

IMAGENET = {"generator": (16, 16, 8, 4, 2, 1), "discriminator": (1, 2, 4, 8, 16, 16)}
CLASSES = 3
SMALL = {"latent": 5, "width": 2, "conditional": True}
JUDGES = [
    RobGANDiscriminator(width=2, head=AuxiliaryHead()),
    RobGANDiscriminator(width=2, batch_norm=False),
    SNGANDiscriminator(width=2, head=ProjectionHead()),
    Trunk(classifier=VGG16(width=2), head=AuxiliaryHead()),
    Trunk(classifier=PreActResNet18(width=2)),
]


def images(side: int, classes: int = CLASSES) -> Space:
    """Coloured images of this side."""
    return Space((3, side, side), IMAGE_BOUNDS, classes)


def size(module: nn.Module) -> int:
    """How many parameters a network has."""
    return sum(parameter.numel() for parameter in module.parameters())


@torch.no_grad()
def drawn(network: nn.Module) -> nn.Module:
    """The network in fp64 with every parameter off its start."""
    for index, parameter in enumerate(network.parameters()):
        parameter += 0.3 * Rng.of(index).normal(parameter.shape)
    return network.double()


def normalised(x: Tensor, eps: float) -> Tensor:
    """x less its mean over the batch and the image, over its deviation."""
    return (x - x.mean((0, 2, 3), keepdim=True)) / torch.sqrt(x.var((0, 2, 3), correction=0, keepdim=True) + eps)


def of_class(norm: ConditionalBatchNorm, x: Tensor, labels: list[int]) -> Tensor:
    """Conditional batch normalisation sample by sample, each with the rows of its class."""
    rows = zip(normalised(x, 2e-5), labels, strict=True)
    return torch.stack([norm.gamma[c, :, None, None] * row + norm.beta[c, :, None, None] for row, c in rows])


def repeated(x: Tensor) -> Tensor:
    """Every pixel four times."""
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


GENERATORS = [
    (RobGANGenerator(conditional=True), images(32, 10), 12_272_515),
    (RobGANGenerator(conditional=True), images(64, 143), 13_038_595),
    (RobGANGenerator(conditional=True), images(128, 143), 10_606_339),
    (RobGANGenerator(conditional=True, multiples=IMAGENET["generator"]), images(128, 1000), 41_996_931),
    (SNGANGenerator(), images(32), 4_276_739),
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
def test_the_sizes_are_those_of_the_published_networks(
    spec: Generator | Discriminator, space: Space, parameters: int
) -> None:
    with torch.device("meta"):
        assert size(spec.build(space, (), rng=Rng.of(0))) == parameters


def test_the_classifiers_are_as_large_as_the_published_ones() -> None:
    with torch.device("meta"):
        normalised, bare, vgg = (
            spec.build(images(32, 10), (), rng=Rng.of(0))
            for spec in (PreActResNet18(batch_norm=True, slope=0.0), PreActResNet18(), VGG16())
        )
    assert size(normalised) == 11_171_146
    assert size(bare) == 11_171_146 - 2 * (4 * 64 + (64 + 3 * 128) + (128 + 3 * 256) + (256 + 3 * 512))
    assert size(vgg) == 14_728_266 - 4224  # biases of the convolutions, which BN would take away again


def test_a_generator_block_is_that_of_the_paper_written_out() -> None:
    block = drawn(upsampling_block(4, 3, lambda w: ConditionalBatchNorm(w, CLASSES, 0.1)))
    x, labels = Rng.of(0).normal((5, 4, 3, 3)).double(), [2, 0, 1, 1, 2]
    h = F.conv2d(repeated(of_class(block.norm1, x, labels).relu()), block.conv1.weight, block.conv1.bias, padding=1)
    h = F.conv2d(of_class(block.norm2, h, labels).relu(), block.conv2.weight, block.conv2.bias, padding=1)
    expected = h + F.conv2d(repeated(x), block.shortcut.weight, block.shortcut.bias)
    torch.testing.assert_close(block(x, F.one_hot(torch.tensor(labels), CLASSES).double()), expected)


def test_a_generator_is_its_blocks_in_a_row() -> None:
    space = images(16)
    network = drawn(RobGANGenerator(latent=5, width=2, conditional=True).build(space, (), rng=Rng.of(0)))
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
def test_a_discriminator_is_that_of_the_papers_written_out(
    spec: type[RobGANDiscriminator | SNGANDiscriminator], biased: bool, layers: type[nn.Module]
) -> None:
    network = drawn(spec(width=2, multiples=(2, 4, 4), halvings=2).build(images(8), (), rng=Rng.of(0)))
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

    skipped = norm(halving.shortcut[1], conv(halving.shortcut[0], h))
    expected = F.avg_pool2d(inside(halving, h.relu()), 2) + F.avg_pool2d(skipped, 2)
    torch.testing.assert_close(halving(h), expected)
    assert (halving.conv1.out_channels, halving.conv2.out_channels) == (4, 8)

    h = expected + inside(keeping, expected.relu())
    torch.testing.assert_close(keeping(expected), h)
    torch.testing.assert_close(network(x).score, network.head.source(h.relu().sum((2, 3))).squeeze(1))
    assert (network.head.source.bias is None) == biased


def test_with_equal_tables_conditional_normalisation_is_plain() -> None:
    told, plain = ConditionalBatchNorm(4, CLASSES, 0.1), UnconditionalBatchNorm(4, 0.1)
    with torch.no_grad():
        for table, row in ((told.gamma, plain.norm.weight), (told.beta, plain.norm.bias)):
            row.copy_(Rng.of(0).normal((4,)))
            table.copy_(row)
    x, classes = Rng.of(1).normal((6, 4, 3, 3)), F.one_hot(torch.arange(6) % CLASSES, CLASSES).float()
    for _ in range(2):
        torch.testing.assert_close(told(x, classes), plain(x, classes))
        told.eval(), plain.eval()


@pytest.mark.parametrize("momentum", [0.1, 0.9])
def test_running_statistics_move_by_the_momentum_and_judge_alone(momentum: float) -> None:
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


def test_the_class_alone_changes_the_image_and_an_unconditional_generator_has_none() -> None:
    spec = RobGANGenerator(**SMALL)
    network = drawn(spec.build(images(16), (), rng=Rng.of(0))).eval()
    latents = Rng.of(1).normal((1, 5)).expand(CLASSES, 5)
    made = network(spec.encode(latents, torch.arange(CLASSES), images(16)).double())
    assert all(not torch.allclose(made[a], made[b], atol=1e-3) for a, b in ((0, 1), (0, 2), (1, 2)))
    same = network(spec.encode(latents, torch.tensor([1, 1, 1]), images(16)).double())
    torch.testing.assert_close(same, made[1].expand_as(made))
    plain = spec.model_copy(update={"conditional": False}).build(images(16), (), rng=Rng.of(0))
    assert size(network) - size(plain) == 2 * (CLASSES - 1) * (8 + 4 + 4 + 2)


def test_a_new_generator_draws_all_classes_alike_and_like_an_unconditional_one() -> None:
    spec = RobGANGenerator(**SMALL)
    told, plain = (each.build(images(16), (), rng=Rng.of(0)) for each in (spec, RobGANGenerator(latent=5, width=2)))
    codes = spec.draw((6,), images(16), rng=Rng.of(1)).values
    torch.testing.assert_close(told(codes), plain(codes[:, :5]))


@pytest.mark.parametrize("spec", [RobGANGenerator(**SMALL), SNGANGenerator(**SMALL)])
@pytest.mark.parametrize(("side", "bottom"), [(8, 4), (16, 4), (28, 7), (32, 4), (48, 3), (64, 4), (128, 4)])
def test_a_pair_plays_at_every_side(spec: Generator, side: int, bottom: int) -> None:
    space = Space((1, side, side), IMAGE_BOUNDS, CLASSES)
    generator = spec.build(space, (), rng=Rng.of(0))
    fake = generator(spec.draw((3,), space, rng=Rng.of(1)).values)
    assert fake.shape == (3, *space.shape) and float(fake.detach().std()) > 0
    assert generator.dense[1].unflattened_size[1:] == (bottom, bottom)
    judge = {"robgan_resnet": RobGANDiscriminator, "sngan_resnet": SNGANDiscriminator}[spec.name]
    score = judge(width=2).build(space, (), rng=Rng.of(2))(fake).score
    (slope,) = torch.autograd.grad(score.sum(), fake)
    assert slope.isfinite().all() and slope.abs().sum() > 0


@pytest.mark.parametrize(
    ("spec", "space", "cause"),
    [
        (RobGANGenerator(), images(4), "side of 8, 16, 28"),
        (RobGANGenerator(), images(27), "side of 8, 16, 28"),
        (RobGANDiscriminator(), images(22), "side of 8, 16, 28"),
        (SNGANGenerator(), Space((2,), None), "square images"),
        (SNGANGenerator(), images(256), "6 times to 256, and has 0 widths"),
        (SNGANDiscriminator(), images(256), "6 times in 0 blocks"),
        (RobGANGenerator(multiples=(4, 2)), images(32), "has 2 widths"),
        (RobGANDiscriminator(multiples=(2,)), images(32), "2 times in 1 blocks"),
        (RobGANDiscriminator(multiples=(2,) * 5, halvings=4), images(8), "a side of 8 4 times"),
        (VGG16(), Space((3, 32, 16), IMAGE_BOUNDS, 3), "square images"),
        (Trunk(classifier=SmallCNN()), Space((2,), None), "square images"),
    ],
)
def test_what_does_not_fit_is_refused(spec: Generator | Discriminator | Classifier, space: Space, cause: str) -> None:
    with pytest.raises(UsageError, match=cause):
        spec.build(space, (), rng=Rng.of(0))


def test_blocks_of_ones_own_go_to_any_side() -> None:
    space = images(24, 0)
    generator = RobGANGenerator(latent=5, width=2, multiples=(3, 2, 2, 2, 1)).build(space, (), rng=Rng.of(0))
    assert generator(Rng.of(1).normal((2, 5))).shape == (2, 3, 24, 24)
    trunk = RobGANDiscriminator(width=2, multiples=(1, 2, 3), halvings=1).build(space, (), rng=Rng.of(0)).trunk
    assert trunk.blocks(torch.zeros(2, 3, 24, 24)).shape == (2, 6, 12, 12)


def test_initial_weights_follow_their_distribution() -> None:
    network = RobGANDiscriminator(head=AuxiliaryHead()).build(images(32), (), rng=Rng.of(0))
    for name, gain, fans in (
        ("trunk.blocks.1.conv1", math.sqrt(2), 9 * 256),
        ("trunk.blocks.1.shortcut.0", 1.0, 256),
        ("head.classes", 1.0, 128 + CLASSES),
    ):
        largest = float(network.get_parameter(f"{name}.weight").detach().abs().max())
        assert largest == pytest.approx(gain * math.sqrt(6 / fans), rel=0.02)
    kernel = VGG16(width=16).build(images(32), (), rng=Rng.of(0)).get_parameter("features.7.weight").detach()
    assert float(kernel.std()) == pytest.approx(math.sqrt(2 / (9 * len(kernel))), rel=0.05)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_blocks_with_activations_ahead_are_those_of_the_paper_written_out(batch_norm: bool) -> None:
    spec = PreActResNet18(width=2, batch_norm=batch_norm)
    network = drawn(spec.build(images(8), (), rng=Rng.of(0)))
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


@pytest.mark.parametrize("spec", [VGG16(width=2), PreActResNet18(width=2)])
@pytest.mark.parametrize("side", [4, 8, 28, 32, 50])
def test_classifiers_take_any_side(spec: Classifier, side: int) -> None:
    network = spec.build(Space((1, side, side), IMAGE_BOUNDS, CLASSES), (), rng=Rng.of(0))
    logits = network(Rng.of(1).uniform((3, 1, side, side), -1.0, 1.0))
    assert logits.shape == (3, CLASSES) and float(logits.detach().std(0).min()) > 0


@pytest.mark.parametrize(
    ("spec", "space", "lead"),
    [
        (MLPDiscriminator(hidden=(8, 4)), Space((2,), None, CLASSES), ()),
        (MLPDiscriminator(hidden=(8, 4)), Space((2,), None, CLASSES), (2,)),
        (MLPDiscriminator(hidden=(8, 4)), Space((1, 8, 8), IMAGE_BOUNDS, CLASSES), ()),
        (RobGANDiscriminator(width=2), Space((1, 8, 8), IMAGE_BOUNDS, CLASSES), ()),
    ],
)
def test_a_branch_is_the_class_head_of_its_discriminator(
    spec: Discriminator, space: Space, lead: tuple[int, ...]
) -> None:
    rngs = [Streams(0, *lead).rng("init") for _ in range(2)]
    whole = spec.model_copy(update={"head": AuxiliaryHead()}).build(space, lead, rng=rngs[0])
    branch = Branch(discriminator=spec).build(space, lead, rng=rngs[1])
    x = Rng.of(1).uniform((*lead, 5, *space.shape), -1.0, 1.0)
    torch.testing.assert_close(branch(x), whole(x).classes)
    torch.testing.assert_close(branch.extract(x).features, whole.trunk(x))
    assert branch.width == whole.width


@pytest.mark.parametrize("classes", [0, CLASSES])
def test_a_trunk_judges_the_features_of_its_classifier(classes: int) -> None:
    space, x = images(8, classes), Rng.of(1).uniform((5, 3, 8, 8), -1.0, 1.0)
    network = Trunk(classifier=SmallCNN(width=2)).build(space, (), rng=Rng.of(0))
    features = SmallCNN(width=2).build(images(8), (), rng=Rng.of(0)).extract(x).features
    torch.testing.assert_close(network.trunk(x), features)
    assert float(network(x).score.detach().std()) > 0


@pytest.mark.parametrize("spec", JUDGES, ids=lambda spec: f"{spec.name}, {spec.head.name}")
def test_spectral_norm_memory_format_and_autocast_serve_every_discriminator(spec: Discriminator) -> None:
    network = spec.build(images(8), (), rng=Rng.of(0)).eval()
    x = Rng.of(1).uniform((4, 3, 8, 8), -1.0, 1.0)
    SpectralNorm().transform(network)
    for _ in range(40):
        SpectralNorm().constrain(network)
    kernels = [layer.weight for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    norms = torch.stack([torch.linalg.matrix_norm(weight.detach().flatten(1), 2) for weight in kernels])
    assert len(kernels) > 5 and ((norms - 1).abs() < 0.05).all()
    score = network(x).score
    torch.testing.assert_close(network.to(memory_format=torch.channels_last)(x).score, score, atol=1e-5, rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        coarse = network(x).score
    assert coarse.dtype == torch.bfloat16
    torch.testing.assert_close(coarse.float(), score, atol=0.02, rtol=0.05)


def test_memory_format_and_autocast_serve_a_conditional_generator() -> None:
    spec = RobGANGenerator(**SMALL)
    network = spec.build(images(16), (), rng=Rng.of(0))
    codes = spec.draw((8,), images(16), rng=Rng.of(1)).values
    made = network(codes)
    torch.testing.assert_close(network.to(memory_format=torch.channels_last)(codes), made, atol=1e-5, rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        coarse = network(codes)
    assert coarse.dtype == torch.bfloat16
    assert float((coarse - made).detach().abs().mean()) < 0.05

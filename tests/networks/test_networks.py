"""Properties of all networks: sides, refusals, memory format, autocast, parts shared with classifiers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from network_tools import images
from torch import nn

from sparring.core.errors import UsageError
from sparring.core.randomness import Rng
from sparring.core.shapes import IMAGE_BOUNDS, Space
from sparring.lipschitz import SpectralNorm
from sparring.networks import (
    VGG16,
    ASGANResNetDiscriminator,
    ASGANResNetGenerator,
    AuxiliaryHead,
    Classifier,
    DCGANDiscriminator,
    DCGANGenerator,
    Discriminator,
    Generator,
    MNISTDiscriminator,
    MNISTGenerator,
    Network,
    PreActResNet18,
    ProjectionHead,
    ResNetDiscriminator,
    ResNetGenerator,
    RobGANDiscriminator,
    RobGANGenerator,
    SmallCNN,
    SNGANDiscriminator,
    SNGANGenerator,
    Trunk,
)

CLASSES = 3
PLANE = Space((2,), None, CLASSES)
GENERATORS = [
    DCGANGenerator(latent=5, width=8),
    DCGANGenerator(latent=5, width=8, batch_norm=False),
    ASGANResNetGenerator(latent=5, width=8),
    ASGANResNetGenerator(latent=5, width=8, batch_norm=False),
    ResNetGenerator(latent=5, width=4),
    RobGANGenerator(latent=5, width=2, conditional=True),
    SNGANGenerator(latent=5, width=2, conditional=True),
]
DISCRIMINATORS = [
    DCGANDiscriminator(width=8),
    DCGANDiscriminator(width=8, batch_norm=False),
    ASGANResNetDiscriminator(width=8),
    ASGANResNetDiscriminator(width=8, batch_norm=False),
    ResNetDiscriminator(width=4),
    RobGANDiscriminator(width=2, head=AuxiliaryHead()),
    RobGANDiscriminator(width=2, batch_norm=False),
    SNGANDiscriminator(width=2, head=ProjectionHead()),
    Trunk(classifier=VGG16(width=2), head=AuxiliaryHead()),
    Trunk(classifier=PreActResNet18(width=2)),
]
BOTTOMS = {8: 4, 28: 7, 48: 3, 64: 4}
"""The smallest side inside the SN-GAN and Rob-GAN generators, by the side of the image."""


def named(spec: Network) -> str:
    """The name of a network and its keys."""
    return " ".join(str(value) for value in spec.model_dump().values() if not isinstance(value, dict))


@pytest.mark.parametrize("spec", GENERATORS, ids=named)
@pytest.mark.parametrize("side", BOTTOMS)
def test_generators_make_images_of_every_side(spec: Generator, side: int) -> None:
    space = images(side)
    if not isinstance(spec, RobGANGenerator | SNGANGenerator) and side in (28, 48):
        with pytest.raises(UsageError, match="side of 8, 16, 32"):
            spec.build(space, (), rng=Rng.of(0))
        return
    network = spec.build(space, (), rng=Rng.of(0))
    made = network(spec.draw((3,), space, rng=Rng.of(1)).values).detach()
    assert made.shape == (3, *space.shape)
    assert float(made.abs().max()) <= 1 and float(made.std()) > 0
    if isinstance(spec, RobGANGenerator | SNGANGenerator):
        assert network.dense[1].unflattened_size[1:] == (BOTTOMS[side],) * 2


@pytest.mark.parametrize("spec", DISCRIMINATORS, ids=named)
@pytest.mark.parametrize("side", [8, 64])
def test_discriminators_have_gradients_at_every_side(spec: Discriminator, side: int) -> None:
    space = images(side)
    x = Rng.of(1).uniform((3, *space.shape), -1.0, 1.0).requires_grad_()
    score = spec.build(space, (), rng=Rng.of(2))(x).score
    assert score.shape == (3,)
    (slope,) = torch.autograd.grad(score.sum(), x)
    assert slope.isfinite().all() and slope.abs().sum() > 0


@pytest.mark.parametrize("spec", [VGG16(width=2), PreActResNet18(width=2)], ids=named)
@pytest.mark.parametrize("side", [4, 28, 50])
def test_classifiers_take_any_side(spec: Classifier, side: int) -> None:
    network = spec.build(images(side), (), rng=Rng.of(0))
    logits = network(Rng.of(1).uniform((3, 3, side, side), -1.0, 1.0))
    assert logits.shape == (3, CLASSES) and float(logits.detach().std(0).min()) > 0


@pytest.mark.parametrize("spec", [each for each in [*GENERATORS, *DISCRIMINATORS] if hasattr(each, "batch_norm")])
def test_only_batch_normalisation_couples_samples(spec: Any) -> None:
    space = images(16)
    network = spec.build(space, (), rng=Rng.of(0))
    if isinstance(spec, Generator):
        x = spec.draw((4,), space, rng=Rng.of(1)).values
        together, alone = network(x)[:2], network(x[:2])
    else:
        x = Rng.of(2).uniform((4, *space.shape), -1.0, 1.0)
        together, alone = network(x).score[:2], network(x[:2]).score
    assert torch.allclose(together, alone, atol=1e-6) is not spec.batch_norm


@pytest.mark.parametrize("spec", GENERATORS, ids=named)
def test_generators_under_memory_format_and_autocast(spec: Generator) -> None:
    network = spec.build(images(16), (), rng=Rng.of(0))
    codes = spec.draw((8,), images(16), rng=Rng.of(1)).values
    made = network(codes)
    torch.testing.assert_close(network.to(memory_format=torch.channels_last)(codes), made, atol=1e-5, rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        coarse = network(codes)
    assert coarse.dtype == torch.bfloat16
    assert float((coarse - made).detach().abs().mean()) < 0.05


@pytest.mark.parametrize("spec", DISCRIMINATORS, ids=named)
def test_discriminators_under_spectral_norm_memory_format_and_autocast(spec: Discriminator) -> None:
    network = spec.build(images(8), (), rng=Rng.of(0)).eval()
    x = Rng.of(1).uniform((4, 3, 8, 8), -1.0, 1.0)
    SpectralNorm().transform(network)
    for _ in range(40):
        SpectralNorm().constrain(network)
    kernels = [layer.weight for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    norms = torch.stack([torch.linalg.matrix_norm(weight.detach().flatten(1), 2) for weight in kernels])
    assert len(kernels) >= 2 and ((norms - 1).abs() < 0.05).all()
    score = network(x).score
    torch.testing.assert_close(network.to(memory_format=torch.channels_last)(x).score, score, atol=1e-5, rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        coarse = network(x).score
    assert coarse.dtype == torch.bfloat16
    torch.testing.assert_close(coarse.float(), score, atol=0.02, rtol=0.05)


POWERS_OF_TWO = [
    (PLANE, (), "needs images"),
    (images(4), (), "side of 8, 16, 32"),
    (Space((3, 32, 32), None), (), r"in \[-1, 1\], the data have shape .* and 0 classes"),
    (images(32), (2,), "does not support packed games"),
]
REFUSED: list[tuple[Network, Space, tuple[int, ...], str]] = [
    *((spec, *case) for spec in (GENERATORS[0], DISCRIMINATORS[0]) for case in POWERS_OF_TWO),
    (MNISTGenerator(latent=4), images(30), (), "divisible by 4"),
    (MNISTDiscriminator(), images(28), (4,), "does not support packed games"),
    (RobGANGenerator(), images(4), (), "side of 8, 16, 28"),
    (RobGANDiscriminator(), images(22), (), "side of 8, 16, 28"),
    (SNGANGenerator(), images(256), (), "6 times to 256, and has 0 widths"),
    (SNGANDiscriminator(), images(256), (), "6 times in 0 blocks"),
    (RobGANGenerator(multiples=(4, 2)), images(32), (), "has 2 widths"),
    (RobGANDiscriminator(multiples=(2,)), images(32), (), "2 times in 1 blocks"),
    (RobGANDiscriminator(multiples=(2,) * 5, halvings=4), images(8), (), "a side of 8 4 times"),
    (VGG16(), Space((3, 32, 16), IMAGE_BOUNDS, 3), (), "square images"),
    (Trunk(classifier=SmallCNN()), PLANE, (), "needs images"),
]


@pytest.mark.parametrize(("spec", "space", "lead", "cause"), REFUSED)
def test_spaces_that_do_not_fit_are_refused(spec: Network, space: Space, lead: tuple[int, ...], cause: str) -> None:
    with pytest.raises(UsageError, match=cause):
        spec.build(space, lead, rng=Rng.of(0))


def test_own_blocks_go_to_any_side() -> None:
    space = images(24, 0)
    generator = RobGANGenerator(latent=5, width=2, multiples=(3, 2, 2, 2, 1)).build(space, (), rng=Rng.of(0))
    assert generator(Rng.of(1).normal((2, 5))).shape == (2, 3, 24, 24)
    trunk = RobGANDiscriminator(width=2, multiples=(1, 2, 3), halvings=1).build(space, (), rng=Rng.of(0)).trunk
    assert trunk.blocks(torch.zeros(2, 3, 24, 24)).shape == (2, 6, 12, 12)


def test_a_trunk_keeps_the_initial_weights_of_its_classifier() -> None:
    for init in ("he", "architecture"):
        classifier = SmallCNN.model_validate({"name": "small_cnn", "width": 2, "init": init})
        rng = Rng.of(0)
        alone = classifier.build(images(8, 1), (), rng=rng)
        classifier.init.apply(alone, rng=rng)
        body = Trunk(classifier=classifier).build(images(8, 4), (), rng=Rng.of(0)).trunk
        for name, value in alone.features.state_dict().items():
            assert torch.equal(body.state_dict()[name], value), (init, name)


@pytest.mark.parametrize("classes", [0, CLASSES])
def test_a_trunk_equals_the_features_of_its_classifier(classes: int) -> None:
    space, x = images(8, classes), Rng.of(1).uniform((5, 3, 8, 8), -1.0, 1.0)
    network = Trunk(classifier=SmallCNN(width=2)).build(space, (), rng=Rng.of(0))
    features = SmallCNN(width=2).build(images(8), (), rng=Rng.of(0)).extract(x).features
    torch.testing.assert_close(network.trunk(x), features)
    assert float(network(x).score.detach().std()) > 0

"""Batch normalisation fused into convolutions: equal logits, and success judged by the plain network."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.attacks import PGD, Threat, fool
from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import IMAGE_BOUNDS, Space
from sparring.lipschitz import SpectralNorm
from sparring.networks import VGG16, Classifier, PreActResNet18, RobGANDiscriminator, SmallResNet, prepared_for_attack
from sparring.networks.fused import fused, max_of_four
from sparring.robustness.targets import target_of
from sparring.robustness.trials import Trials

SPACE = Space((3, 8, 8), IMAGE_BOUNDS, 4)
IMAGES = Rng.of(1).uniform((12, *SPACE.shape), -1.0, 1.0)
LABELS = torch.arange(12) % 4


def used(network: nn.Module, images: Tensor = IMAGES) -> nn.Module:
    """The network in fp64 and eval mode with all parameters and running statistics off their starts."""
    with torch.no_grad():
        for index, parameter in enumerate(network.parameters()):
            parameter += 0.2 * Rng.of(index).normal(parameter.shape)
        network = network.double().train()
        for _ in range(3):
            network(images.double())
    return network.eval()


def norms(network: nn.Module) -> int:
    """How many batch normalisations are left."""
    return sum(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())


def test_a_network_that_views_its_features_is_fused_in_its_own_layout(capsys: pytest.CaptureFixture[str]) -> None:
    class LeNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
            self.linear = nn.Linear(128, 4)

        def forward(self, x: Tensor) -> Tensor:
            features = F.max_pool2d(F.relu(self.norm(self.convolution(x))), 2)
            logits: Tensor = self.linear(features.view(x.size(0), -1))
            return logits

    network = LeNet().eval()
    faster = prepared_for_attack(network, IMAGES)
    assert (norms(network), norms(faster)) == (1, 0)
    torch.testing.assert_close(faster(IMAGES), network(IMAGES))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("spec", "before", "after"),
    [
        (VGG16(width=2), 13, 0),
        (SmallResNet(width=2), 6, 0),
        (PreActResNet18(width=2, batch_norm=True), 16, 8),  # one a block follows a sum and is kept
        (PreActResNet18(width=2), 0, 0),
    ],
)
def test_a_fused_classifier_has_the_same_logits(spec: Classifier, before: int, after: int) -> None:
    network = used(spec.build(SPACE, (), rng=Rng.of(0)))
    twin, x = fused(network), IMAGES.double()
    torch.testing.assert_close(twin(x), network(x), rtol=1e-10, atol=1e-10)
    assert (norms(network), norms(twin)) == (before, after)
    assert not any(parameter.requires_grad for parameter in twin.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())
    slopes = []
    for each in (network, twin):
        leaf = x.clone().requires_grad_()
        slopes.append(torch.autograd.grad(each(leaf).square().sum(), leaf)[0])
    torch.testing.assert_close(*slopes, rtol=1e-8, atol=1e-8)


def test_a_fused_discriminator_has_the_same_scores() -> None:
    network = used(RobGANDiscriminator(width=2).build(SPACE, (), rng=Rng.of(0)))
    x, before = IMAGES.double(), norms(network)
    twin = fused(network)
    assert norms(twin) == 0 < before
    torch.testing.assert_close(twin(x).score, network(x).score, rtol=1e-10, atol=1e-10)
    SpectralNorm().transform(network)
    network = used(network)
    twin = fused(network)
    assert norms(twin) == before
    torch.testing.assert_close(twin(x).score, network(x).score, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("sides", [(2, 2), (8, 6), (7, 8), (5, 3)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_maximum_of_four_is_max_pooling(sides: tuple[int, int], layout: torch.memory_format) -> None:
    x = Rng.of(3).integers((3, 4, *sides), 5).float().to(memory_format=layout)  # with ties
    expected = F.max_pool2d(x, 2)
    assert torch.equal(max_of_four(x), expected)
    slopes = []
    for pool in (max_of_four, lambda each: F.max_pool2d(each, 2)):
        leaf = x.clone().requires_grad_()
        slopes.append(torch.autograd.grad(pool(leaf).square().sum(), leaf)[0])
    assert torch.equal(*slopes)


@pytest.mark.parametrize(
    ("pool", "replaced"),
    [
        (nn.MaxPool2d(2), True),
        (nn.MaxPool2d(2, ceil_mode=True), False),
        (nn.MaxPool2d(2, padding=1), False),
        (nn.MaxPool2d(3, 2), False),
        (nn.MaxPool2d(2, 1), False),
    ],
)
def test_only_max_pooling_of_two_by_two_is_replaced(pool: nn.Module, replaced: bool) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), pool).eval()
    twin, images = fused(network), IMAGES[..., :7]
    torch.testing.assert_close(twin(images), network(images))
    assert isinstance(twin, torch.fx.GraphModule)
    assert any(node.target is max_of_four for node in twin.graph.nodes) == replaced


class Forked(nn.Module):
    """A convolution whose output goes to a normalisation and elsewhere, or through an operation in place."""

    def __init__(self, in_place: bool) -> None:
        super().__init__()
        self.conv, self.norm, self.in_place = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), in_place

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x)
        out: Tensor = self.norm(h.relu_()) if self.in_place else self.norm(h) + h
        return out.mean((2, 3))


class Twice(nn.Module):
    """A convolution used twice, with a normalisation after one of its outputs, and optional noise."""

    def __init__(self, noise: float = 0.0) -> None:
        super().__init__()
        self.conv, self.norm, self.noise = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), noise

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.conv(self.conv(x).relu()))
        means = out.mean((2, 3))
        return means + self.noise * torch.randn_like(means)


@pytest.mark.parametrize("network", [Forked(False), Forked(True)])
def test_a_convolution_that_is_used_elsewhere_is_left_alone(network: nn.Module) -> None:
    network = used(network)
    twin = fused(network)
    assert norms(twin) == 1
    torch.testing.assert_close(twin(IMAGES.double()), network(IMAGES.double()))


class Attentive(nn.Module):
    """A normalised convolution, and attention between the pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.attention = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.MultiheadAttention(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        pixels = self.norm(self.conv(x)).flatten(2).permute(2, 0, 1)
        out: Tensor = self.attention(pixels, pixels, pixels)[0].mean(0)
        return out


def test_a_twin_calls_functions_where_its_modules_can_be_traced() -> None:
    resnet, attentive = used(SmallResNet(width=2).build(SPACE, (), rng=Rng.of(0))), used(Attentive())
    twins = [fused(each) for each in (resnet, attentive)]
    assert [type(each) for each in twins[0].modules()] == [type(twins[0])]
    assert norms(attentive) == 1 and norms(twins[1]) == 0
    for network, twin in zip((resnet, attentive), twins, strict=True):
        torch.testing.assert_close(twin(IMAGES.double()), network(IMAGES.double()))


class Pooled(nn.Module):
    """Max pooling after a ReLU, whose input or output may be used elsewhere as well."""

    def __init__(self, elsewhere: str = "") -> None:
        super().__init__()
        self.conv, self.relu, self.pool = nn.Conv2d(3, 4, 3), nn.ReLU(inplace=not elsewhere), nn.MaxPool2d(2)
        self.elsewhere = elsewhere

    def forward(self, x: Tensor) -> Tensor:
        before = self.conv(x)
        after = self.relu(before)
        out: Tensor = self.pool(after)
        if self.elsewhere:
            out = out + (before if self.elsewhere == "before" else after).mean()
        return out.flatten(1)


@pytest.mark.parametrize(("elsewhere", "pooled_first"), [("", True), ("before", False), ("after", False)])
def test_a_relu_moves_behind_max_pooling_where_nothing_else_uses_it(elsewhere: str, pooled_first: bool) -> None:
    network = used(Pooled(elsewhere))
    twin, x = fused(network), IMAGES.double()
    torch.testing.assert_close(twin(x), network(x), rtol=1e-10, atol=1e-10)
    assert isinstance(twin, torch.fx.GraphModule)
    calls = [node.name for node in twin.graph.nodes if node.name in ("relu", "max_pool2d")]
    assert calls == (["max_pool2d", "relu"] if pooled_first else ["relu", "max_pool2d"])


def test_a_twin_with_other_logits_is_not_attacked() -> None:
    noisy, shared, forked = (used(each).float() for each in (Twice(noise=1.0), Twice(), Forked(False)))
    state = torch.get_rng_state()
    assert prepared_for_attack(noisy, IMAGES) is noisy
    assert prepared_for_attack(shared, IMAGES) is shared
    assert torch.equal(state, torch.get_rng_state())
    assert prepared_for_attack(forked, IMAGES) is not forked


def test_success_is_judged_by_the_plain_network() -> None:
    """An attack through a misleading twin fools less; only the plain network decides what is fooled."""
    network = used(SmallResNet(width=2).build(SPACE, (), rng=Rng.of(0))).float()
    classify = network.eval()
    labels = classify(IMAGES).argmax(1)
    threat = Threat(name="PGD", kind="white-box", attack=PGD(epsilon=0.1, steps=4))

    def astray(x: Tensor) -> Tensor:
        return -classify(x)

    tried = {
        name: fool(threat, classify, IMAGES, labels, network=network, space=SPACE, rng=Rng.of(0), through=through)
        for name, through in (("plain", None), ("itself", classify), ("astray", astray))
    }
    for found in tried.values():
        assert torch.equal(found.fooled, classify(found.samples).argmax(1) != labels)
    assert torch.equal(tried["plain"].samples, tried["itself"].samples)
    assert torch.equal(tried["plain"].forwards, tried["itself"].forwards)
    assert int(tried["plain"].fooled.sum()) > int(tried["astray"].fooled.sum())


def test_an_evaluation_through_the_fused_network_finds_as_much() -> None:
    network = used(SmallResNet(width=4).build(SPACE, (), rng=Rng.of(0))).float()
    target = target_of(network, IMAGES, network(IMAGES).argmax(1), low=-1.0, high=1.0)
    network.train()
    expected = target.logits(IMAGES)
    assert torch.allclose(target.fast_logits(IMAGES), expected, atol=1e-4) and network.training
    assert not any(module.training for module in target._prepared.modules())
    threat = Threat(name="PGD", kind="white-box", attack=PGD(epsilon=0.05, steps=5))
    quick, rng = Trials(target, seed=0).of(threat), Streams(0).rng("robustness/PGD/0.05/0")
    plain = fool(threat, target.logits, IMAGES, target.labels, network=network, space=target.space, rng=rng)
    assert torch.equal(quick.correct, ~plain.fooled)
    assert quick.result.loss_end == pytest.approx(float(plain.loss_end.mean()), rel=0.01)
    assert quick.result.loss_end > quick.result.loss_start

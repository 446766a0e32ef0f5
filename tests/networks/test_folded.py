"""Folded convolutions against their definition: values, gradients and second derivatives in fp64."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from network_tools import perturbed
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sparring.core.randomness import Rng
from sparring.core.shapes import IMAGE_BOUNDS, Space
from sparring.lipschitz import SpectralNorm
from sparring.networks import (
    AuxiliaryHead,
    Discriminator,
    Generator,
    ResNetDiscriminator,
    ResNetGenerator,
    RobGANDiscriminator,
    RobGANGenerator,
    SNGANDiscriminator,
    SNGANGenerator,
)
from sparring.networks.folded import FoldedConv, PooledConv, UpsampledConv, unfold

KINDS = [PooledConv, UpsampledConv]
SPACE = Space((3, 16, 16), IMAGE_BOUNDS, 3)
GENERATORS = [
    (RobGANGenerator(latent=5, width=2, conditional=True), 2),
    (SNGANGenerator(latent=5, width=2), 2),
    (ResNetGenerator(latent=5, width=4), 2),
]
DISCRIMINATORS = [
    (RobGANDiscriminator(width=2, batch_norm=False, head=AuxiliaryHead()), 2),
    (SNGANDiscriminator(width=2), 2),
    (SNGANDiscriminator(width=2, multiples=(1, 2, 2), halvings=3), 3),
    (ResNetDiscriminator(width=4), 2),
]
"""Networks, and how many of their layers are folded."""


def everything(out: Tensor, leaves: Sequence[Tensor]) -> list[Tensor]:
    """A value, its gradients, and the gradients of the squares of those."""
    seeds = Rng.of(7).normal(out.shape).double()
    first = torch.autograd.grad((seeds * out.tanh()).sum(), leaves, create_graph=True)
    second = torch.autograd.grad(sum(each.square().sum() for each in first), leaves, allow_unused=True)
    return [out, *first, *(torch.zeros_like(x) if g is None else g for x, g in zip(leaves, second, strict=True))]


def assert_same(ones: Sequence[Tensor], others: Sequence[Tensor]) -> None:
    """Equal to 1e-12 of the largest entry."""
    for one, other in zip(ones, others, strict=True):
        scale = max(1.0, float(other.detach().abs().max()))
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(2, 7),
    st.integers(2, 7),
    st.booleans(),
    st.data(),
)
def test_folded_layers_equal_their_definition(
    kind: type[FoldedConv],
    batch: int,
    inputs: int,
    outputs: int,
    height: int,
    width: int,
    bias: bool,
    data: st.DataObject,
) -> None:
    rng = Rng.of(data.draw(st.integers(0, 2**31)))
    layer = kind(inputs, outputs, bias=bias).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(rng.normal(parameter.shape))
    x = rng.normal((batch, inputs, height, width)).double().requires_grad_()
    leaves = [x, *layer.parameters()]
    assert_same(everything(layer(x), leaves), everything(layer.plain(x), leaves))


@pytest.mark.parametrize("kind", KINDS)
def test_folded_layers_need_fewer_products(kind: type[FoldedConv]) -> None:
    layer, x = kind(3, 5), torch.zeros(2, 3, 8, 8)
    counted = []
    for run in (layer.forward, layer.plain):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            run(x)
        counted.append(counter.get_total_flops())
    assert counted[0] == pytest.approx(16 / 36 * counted[1])


@pytest.mark.parametrize("kind", KINDS)
def test_folded_layers_have_the_weights_of_convolutions(kind: type[FoldedConv]) -> None:
    layer, conv = kind(3, 5), nn.Conv2d(3, 5, 3)
    assert {name: value.shape for name, value in layer.state_dict().items()} == {
        name: value.shape for name, value in conv.state_dict().items()
    }


def folded_layers(network: nn.Module) -> list[FoldedConv]:
    """The folded layers of a network."""
    return [layer for layer in network.modules() if isinstance(layer, FoldedConv)]


@pytest.mark.parametrize(("spec", "count"), DISCRIMINATORS)
@pytest.mark.parametrize("normalised", [False, True])
def test_folded_discriminators_equal_unfolded_ones(spec: Discriminator, count: int, normalised: bool) -> None:
    network = perturbed(spec.build(SPACE, (), rng=Rng.of(0)))
    if normalised:
        SpectralNorm().transform(network)
    twin = copy.deepcopy(network)
    unfold(twin)
    x = Rng.of(1).uniform((3, *SPACE.shape), -1.0, 1.0).double()
    found = []
    for each in (network, twin):
        leaf = x.clone().requires_grad_()
        verdict = each(leaf)
        out = verdict.score if verdict.classes is None else torch.cat([verdict.score[:, None], verdict.classes], 1)
        found.append(everything(out, [leaf, *each.parameters()]))
    assert_same(*found)
    assert len(folded_layers(network)) == count


@pytest.mark.parametrize(("spec", "count"), GENERATORS)
@pytest.mark.parametrize("training", [True, False])
def test_folded_generators_equal_unfolded_ones(spec: Generator, count: int, training: bool) -> None:
    network = perturbed(spec.build(SPACE, (), rng=Rng.of(0))).train(training)
    codes = spec.draw((4,), SPACE, rng=Rng.of(1)).values.double()
    twin = copy.deepcopy(network)
    unfold(twin)
    found = []
    for each in (network, twin):
        images = each(codes)
        parameters = list(each.parameters())
        found.append([images, *torch.autograd.grad(images.square().sum(), parameters)])
    assert_same(*found)
    assert len(folded_layers(network)) == count
    buffers = zip(network.buffers(), twin.buffers(), strict=True)
    assert_same(*zip(*((a.double(), b.double()) for a, b in buffers), strict=True))


def test_batch_normalisation_rules_out_folding() -> None:
    """Pooling before a normalisation would change its variance."""
    network = RobGANDiscriminator(width=2).build(SPACE, (), rng=Rng.of(0))
    assert folded_layers(network) == []


def test_reparametrised_kernels_are_computed_once_a_pass() -> None:
    network = SNGANDiscriminator(width=2).build(SPACE, (), rng=Rng.of(0))
    SpectralNorm().transform(network)
    calls: list[str] = []
    for name, layer in network.named_modules():
        if name.endswith("parametrizations.weight"):
            layer.register_forward_hook(lambda *_, name=name: calls.append(name))
    network(torch.zeros(1, *SPACE.shape))
    assert calls and len(calls) == len(set(calls))

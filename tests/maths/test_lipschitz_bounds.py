"""Bounds of Lipschitz constants against exact singular values, and slopes at samples against the bounds."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sparring.core.errors import UsageError
from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import IMAGE_BOUNDS, Space
from sparring.evaluation import lipschitz_bound as bounds
from sparring.evaluation.discriminator import gradient_norms, steepest_pairs, steepness
from sparring.evaluation.lipschitz_bound import lipschitz_bound
from sparring.networks import (
    VGG16,
    MLPDiscriminator,
    MNISTDiscriminator,
    ProjectionHead,
    ResNetDiscriminator,
    RobGANDiscriminator,
    SNGANDiscriminator,
    Trunk,
    Verdict,
)
from sparring.robustness.model_checks import changes, network_state


class Scored(nn.Module):
    """Layers that end in one number a sample."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Verdict:
        return Verdict(self.layers(x).flatten(1).squeeze(1))


class Residual(nn.Module):
    """main(x) + shortcut(x)."""

    def __init__(self, main: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.main, self.shortcut = main, shortcut

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.main(x) + self.shortcut(x)
        return out


def drawn(module: nn.Module, seed: int) -> nn.Module:
    """Weights and running statistics from a stream, in fp64."""
    rng, module = Rng.of(seed), module.double().eval()
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            values = rng.normal(tensor.shape).double()
            tensor.copy_(values.abs() + 0.1 if "running_var" in name else values / math.sqrt(tensor[0].numel() or 1))
    return module


def dense(layer: nn.Module, shape: tuple[int, ...]) -> np.ndarray:
    """An affine layer as a matrix, one unit vector at a time."""
    with torch.no_grad():
        offset = layer(torch.zeros(1, *shape).double())
        units = torch.eye(math.prod(shape)).double().reshape(-1, 1, *shape)
        return torch.stack([(layer(unit) - offset).flatten() for unit in units], dim=1).numpy()


CONVOLUTIONS = st.builds(
    lambda inputs, outputs, kernel, stride, padding, side: (
        nn.Conv2d(inputs, outputs, kernel, stride, padding),
        (inputs, side, side + 1),
    ),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(0, 2),
    st.integers(4, 6),
)


@pytest.mark.parametrize("dense_up_to", [1 << 20, 0])
@settings(max_examples=25, deadline=None, derandomize=True)
@given(layer_and_shape=CONVOLUTIONS, seed=st.integers(0, 99))
def test_the_norm_of_a_convolution_is_that_of_its_matrix(
    dense_up_to: int, layer_and_shape: tuple[nn.Conv2d, tuple[int, ...]], seed: int
) -> None:
    layer, shape = layer_and_shape
    drawn(layer, seed)
    exact = np.linalg.svd(dense(layer, shape), compute_uv=False)[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "_DENSE", dense_up_to)
        found = bounds.operator_norm(layer, (1, *shape))
    assert exact * (1 - 1e-9) <= found <= exact * (1 + 1e-5)


def test_the_norm_of_nothing_is_zero() -> None:
    layer = nn.Conv2d(3, 3, 3, padding=1).double()
    nn.init.zeros_(layer.weight)
    assert bounds.operator_norm(layer, (1, 3, 4, 4)) == bounds.operator_norm(layer, (1, 3, 24, 24)) == 0


def test_the_norm_of_a_convolution_is_not_that_of_its_reshaped_kernel() -> None:
    layer = nn.Conv2d(1, 1, 3, padding=1, bias=False).double()
    nn.init.ones_(layer.weight)
    assert 8 < bounds.operator_norm(layer, (1, 1, 12, 12)) < 9  # a kernel of norm 3, at its largest frequency 9


def test_a_linear_chain_is_the_product_of_its_exact_norms() -> None:
    layers = [
        nn.Conv2d(2, 3, 3, stride=2, padding=1),
        nn.BatchNorm2d(3),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(12, 1),
    ]
    network = drawn(Scored(*layers), 3)
    shapes = [(2, 8, 8), (3, 4, 4), (3, 4, 4), (3, 2, 2), (12,)]
    norms = [np.linalg.svd(dense(*pair), compute_uv=False)[0] for pair in zip(layers, shapes, strict=True)]
    assert float(lipschitz_bound(network, (2, 8, 8))) == pytest.approx(math.prod(norms), rel=1e-5)


def test_branches_add_and_activations_take_their_steepest_slope() -> None:
    def scale(factor: float) -> nn.Linear:
        layer = nn.Linear(3, 3)
        nn.init.eye_(layer.weight).mul_(factor)
        return layer

    with torch.no_grad():
        block = Residual(nn.Sequential(scale(2.0), nn.LeakyReLU(0.2), scale(5.0)), scale(0.5))
        steep = nn.Sequential(nn.LeakyReLU(-3.0), nn.Sigmoid(), nn.ReLU(inplace=True))
        last = nn.Linear(3, 1)
        last.weight.copy_(torch.tensor([[2.0, 3.0, 6.0]]))
    found = float(lipschitz_bound(Scored(block, steep, last), (3,)))
    assert found == pytest.approx((2 * 5 + 0.5) * 3 * 0.25 * 7, rel=1e-6)


def small(kind: int) -> Scored:
    """Networks for images `(2, 6, 6)` with everything that the discriminators are made of."""
    norm, pool = nn.BatchNorm2d(3), nn.AvgPool2d(2)
    block = Residual(nn.Sequential(nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1), nn.Tanh()), nn.Conv2d(3, 3, 1))
    first = nn.Conv2d(2, 3, 3, padding=1)
    bodies: list[list[nn.Module]] = [
        [nn.Conv2d(2, 3, 4, 2, 1), norm, nn.LeakyReLU(0.2), nn.Conv2d(3, 1, 3)],
        [first, block, pool, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1)],
        [nn.Flatten(), nn.Linear(72, 9), nn.PReLU(9), nn.Linear(9, 9), nn.Softplus(), nn.Linear(9, 1)],
        [first, nn.MaxPool2d(4, ceil_mode=True), nn.Conv2d(3, 1, 1), nn.Flatten(), nn.Linear(4, 1)],
        [nn.ConvTranspose2d(2, 3, 2, 2), norm, nn.Upsample(scale_factor=0.5), pool, nn.Flatten(), nn.Linear(27, 1)],
    ]
    return Scored(*bodies[kind])


@settings(max_examples=25, deadline=None, derandomize=True)
@given(kind=st.integers(0, 4), seed=st.integers(0, 999), spread=st.sampled_from([0.1, 1.0, 10.0]))
def test_the_bound_dominates_every_slope(kind: int, seed: int, spread: float) -> None:
    network = drawn(small(kind), seed)
    real, fake = (spread * Rng.of(seed + k).normal((32, 2, 6, 6)).double() for k in (1, 2))
    bound = float(lipschitz_bound(network, (2, 6, 6)))
    assert max(map(float, steepness(network, real, fake).values())) <= bound * (1 + 1e-9)


@pytest.mark.parametrize(
    "network",
    [
        MNISTDiscriminator(width=4).build(Space((1, 16, 16), IMAGE_BOUNDS), (), rng=Rng.of(0)),
        ResNetDiscriminator(width=4).build(Space((1, 16, 16), IMAGE_BOUNDS), (), rng=Rng.of(0)),
        MLPDiscriminator(hidden=(8, 8)).build(Space((1, 16, 16), IMAGE_BOUNDS), (), rng=Rng.of(0)),
        RobGANDiscriminator(width=2).build(Space((1, 16, 16), IMAGE_BOUNDS), (), rng=Rng.of(0)),
        SNGANDiscriminator(width=2, head=ProjectionHead()).build(
            Space((1, 16, 16), IMAGE_BOUNDS, 3), (), rng=Rng.of(0)
        ),
        Trunk(classifier=VGG16(width=2)).build(Space((1, 16, 16), IMAGE_BOUNDS), (), rng=Rng.of(0)),
    ],
    ids=["mnist", "resnet", "mlp", "robgan", "sngan, projection", "trunk of vgg"],
)
def test_our_discriminators_have_bounds_and_keep_their_mode(network: nn.Module) -> None:
    network.train()
    before = network_state(network)
    real, fake = (Rng.of(seed).normal((8, 1, 16, 16)) for seed in (1, 2))
    bound = float(lipschitz_bound(network, (1, 16, 16)))
    assert 0 < max(map(float, steepness(network, real, fake).values())) < bound
    assert not changes(before, network_state(network))


def test_a_branch_repeated_along_the_last_axis_counts_as_often() -> None:
    assert float(lipschitz_bound(Odd(lambda x: x - x.mean(-1, keepdim=True)), (4,))) == pytest.approx(2 * math.sqrt(4))
    assert float(lipschitz_bound(Odd(lambda x: x[:, :1] + x), (4,))) == pytest.approx((2 + 1) * math.sqrt(4))


def test_packed_games_are_measured_one_by_one() -> None:
    spec, space = MLPDiscriminator(hidden=(8,)), Space((2,), None)
    packed = spec.build(space, (3,), rng=Streams(5, 3).rng("init"))
    real, fake = (Rng.of(seed).normal((3, 16, 2)) for seed in (1, 2))
    found, limits = steepness(packed, real, fake, 2), lipschitz_bound(packed, (2,), (3,))
    for row in range(3):
        single = spec.build(space, (), rng=Streams(5 + row).rng("init"))
        alone = steepness(single, real[row], fake[row])
        for name, values in found.items():
            torch.testing.assert_close(values[row], alone[name], rtol=1e-4, atol=0)
        assert float(limits[row]) == pytest.approx(float(lipschitz_bound(single, (2,))), rel=1e-4)


def test_slopes_at_samples_are_those_of_a_known_function() -> None:
    class Squares(nn.Module):
        def forward(self, x: Tensor) -> Verdict:
            return Verdict(x.square().sum(-1) / 2)

    x, y = (Rng.of(seed).normal((1000, 3)).double() for seed in (1, 2))
    torch.testing.assert_close(gradient_norms(Squares(), x), x.norm(dim=-1))
    rise = (x.square().sum(-1)[:, None] - y.square().sum(-1)) / 2
    expected = (rise.abs() / (x[:, None] - y).norm(dim=-1)).max()
    torch.testing.assert_close(steepest_pairs(Squares(), x, y), expected)
    assert steepest_pairs(Squares(), x[:1], x[:1]) == 0


def test_pairs_do_not_measure_the_rounding_of_scores() -> None:
    class Tilted(nn.Module):
        def forward(self, x: Tensor) -> Verdict:
            return Verdict(0.01 * x[..., 0] + 3000)

    real, fake = (Rng.of(seed).normal((2000, 2)) for seed in (1, 2))
    found = steepest_pairs(Tilted(), real, fake)
    assert 0.0099 < float(found) <= 0.01 * (1 + 1e-6)  # in fp32 one unit in the last place of 3000 is 0.0002


def test_a_stack_of_matrices_is_bounded_game_by_game_only() -> None:
    weight = Rng.of(0).normal((3, 4, 2)).double()
    exact = torch.linalg.matrix_norm(weight, ord=2)

    class Stack(nn.Module):
        def forward(self, x: Tensor) -> Verdict:
            return Verdict((x @ weight).sum(-1) / math.sqrt(2))

    torch.testing.assert_close(lipschitz_bound(Stack(), (4,), (3,)), exact)
    for shape, lead in (((4,), ()), ((3, 4), ()), ((5, 4), (3,))):  # one sample, several matrices
        with pytest.raises(UsageError, match="matmul"):
            lipschitz_bound(Stack(), shape, lead)


def _steep_behind_a_view(slope: float) -> Callable[[Tensor], Tensor]:
    def act(x: Tensor) -> Tensor:
        scaled = x * 1.0
        nn.functional.leaky_relu(scaled.view(-1), slope, inplace=True)
        return scaled

    return act


def test_a_flat_activation_in_place_behind_a_view_is_bounded() -> None:
    assert float(lipschitz_bound(Odd(_steep_behind_a_view(0.2)), (4, 4, 4))) == pytest.approx(8)


class Odd(nn.Module):
    """Applies any function to the samples."""

    def __init__(self, act: object) -> None:
        super().__init__()
        self.act = act

    def forward(self, x: Tensor) -> Verdict:
        found = self.act(x)  # type: ignore[operator]
        return Verdict(found.flatten(1).sum(1))


@pytest.mark.parametrize(
    ("act", "named"),
    [
        (lambda x: x * x, "mul"),
        (lambda x: x.softmax(1), "softmax"),
        (lambda x: x.mul_(2.0), "mul_"),
        (lambda x: x @ torch.ones(4).double(), "matmul"),
        (lambda x: x.chunk(2, 1)[0], "chunk"),
        (lambda x: x.detach(), "detach"),
        (lambda x: x + x.mean(2, keepdim=True), "add"),
        (nn.MaxPool2d(3, 1, 1), "max_pool2d"),
        (nn.InstanceNorm2d(4), "instance_norm"),
        (nn.BatchNorm2d(4, track_running_stats=False), "batch_norm"),
        (lambda x: torch.zeros(1, 3), "detached"),
        (_steep_behind_a_view(-3.0), "leaky_relu"),
    ],
)
def test_an_operation_without_a_norm_is_refused_by_name(act: object, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        lipschitz_bound(Odd(act), (4, 4, 4))

"""Lipschitz controls against closed forms, exact singular values and finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from sparring.core.errors import UsageError
from sparring.core.pieces import members
from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import IMAGE_BOUNDS, Space
from sparring.evaluation.lipschitz_bound import lipschitz_bound
from sparring.lipschitz import (
    AdversarialLipschitzPenalty,
    Clip,
    GradientPenalty,
    InstanceNoise,
    Lipschitz,
    LipschitzPenalty,
    PerSamplePenalty,
    SpectralNorm,
    Together,
    ZeroCentred,
)
from sparring.networks import MLPDiscriminator, MNISTDiscriminator

PLANE = Space((2,), None)
EXAMPLES: dict[str, dict[str, object]] = {
    "together": {"controls": ["spectral_norm", "instance_noise", "gradient_penalty", {"name": "clip", "bound": 0.3}]}
}
CONTROLS = [Lipschitz.model_validate({"name": name} | EXAMPLES.get(name, {})) for name in members(Lipschitz)]
PENALTIES: list[PerSamplePenalty] = [control for control in CONTROLS if isinstance(control, PerSamplePenalty)]
PENALTIES += [ZeroCentred(at="fake"), ZeroCentred(at="both"), AdversarialLipschitzPenalty(bounds=(-1.0, 1.0))]

real, fake = (Rng.of(seed).normal((6, 4)).double() for seed in (1, 2))


def linear(norm: float) -> Callable[[Tensor], Tensor]:
    """D(x) = w x with ||w|| given."""
    w = Rng.of(0).normal((4,)).double()
    return lambda x: x @ (norm * w / w.norm())


def cost(control: Lipschitz, score: Callable[[Tensor], Tensor]) -> Tensor:
    return control.penalty(score, real, fake, batch_axes=1, rng=Rng.of(0)).expand(len(real))


def curved(seed: int, inputs: int = 4) -> nn.Sequential:
    """A small smooth network in fp64."""
    net = nn.Sequential(nn.Linear(inputs, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1), nn.Flatten(0))
    net = net.double()
    rng = Rng.of(seed)
    for parameter in net.parameters():
        parameter.data = rng.normal(parameter.shape).double()
    return net


@pytest.mark.parametrize("norm", [0.2, 1.0, 1.7, 40.0])
def test_the_penalties_of_a_linear_score_are_known(norm: float) -> None:
    above = max(0.0, norm - 1) ** 2
    expected = {
        GradientPenalty(weight=3.0): 3 * (norm - 1) ** 2,
        LipschitzPenalty(weight=3.0): 3 * above,
        AdversarialLipschitzPenalty(weight=3.0): 3 * above,
        ZeroCentred(weight=3.0): 1.5 * norm**2,
        ZeroCentred(weight=3.0, at="fake"): 1.5 * norm**2,
        ZeroCentred(weight=3.0, at="both"): 3 * norm**2,
    }
    for control, value in expected.items():
        found = cost(control, linear(norm))
        torch.testing.assert_close(found, torch.full_like(found, value), rtol=1e-10, atol=1e-10)


def test_zero_centred_penalties_are_taken_at_their_samples() -> None:
    def score(x: Tensor) -> Tensor:
        return x.square().sum(-1) / 2  # whose gradient is x

    squares = {"real": real.square().sum(-1), "fake": fake.square().sum(-1)}
    squares["both"] = squares["real"] + squares["fake"]
    for at, expected in squares.items():
        found = cost(ZeroCentred.model_validate({"weight": 2.0, "at": at}), score)
        torch.testing.assert_close(found, expected)


def test_norm_penalties_are_taken_on_the_segments() -> None:
    seen = []

    def score(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.sum(-1)

    cost(LipschitzPenalty(), score)
    share = (seen[0] - fake) / (real - fake)
    torch.testing.assert_close(share, share[:, :1].expand(-1, 4), rtol=1e-6, atol=1e-9)
    assert ((share > 0) & (share < 1)).all() and share[:, 0].std() > 0.1


@pytest.mark.parametrize("control", [GradientPenalty(), LipschitzPenalty(), *(ZeroCentred(at=at) for at in ("both",))])
def test_a_penaltys_gradient_is_that_of_finite_differences(control: Lipschitz) -> None:
    net = curved(0)
    names = [name for name, _ in net.named_parameters()]

    def total(*values: Tensor) -> Tensor:
        held = dict(zip(names, values, strict=True))
        return cost(control, lambda x: torch.func.functional_call(net, held, (x,))).sum()

    assert torch.autograd.gradcheck(total, tuple(net.parameters()), fast_mode=True)


@pytest.mark.parametrize("control", PENALTIES, ids=repr)
def test_a_constant_score_has_finite_penalties_and_gradients(control: Lipschitz) -> None:
    for dtype in (torch.float32, torch.float64):
        net = curved(0).to(dtype)
        for parameter in net.parameters():
            nn.init.zeros_(parameter)
        at = [x.to(dtype) for x in (real, fake)]
        paid = control.penalty(net, *at, batch_axes=1, rng=Rng.of(0))
        assert paid.dtype == dtype and paid.isfinite().all()
        gradients = torch.autograd.grad(paid.sum(), list(net.parameters()), allow_unused=True)
        assert all(gradient is None or gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("seed", range(3))
def test_the_adversarial_direction_beats_random_ones(seed: int) -> None:
    net, x, length = curved(seed, 8), Rng.of(seed + 50).normal((64, 8)).double(), 0.5
    control = AdversarialLipschitzPenalty(xi=length)

    def steepness(direction: Tensor) -> float:
        return float((net(x + length * direction) - net(x)).detach().abs().mean())

    found = control.direction(net, x, net(x).detach(), Rng.of(seed).normal(x.shape).to(x), batch_axes=1)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(64).double())
    others = Rng.of(seed + 99).normal((100, 64, 8)).double()
    others /= others.norm(dim=-1, keepdim=True)
    assert steepness(found) > 1.2 * max(map(steepness, others))


def test_perturbed_samples_keep_to_their_bounds_and_lengths_to_their_range() -> None:
    seen: list[Tensor] = []

    def score(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return linear(2.0)(x)

    inside = [x.clamp(-1, 1) for x in (real, fake)]
    paid = AdversarialLipschitzPenalty(bounds=(-1.0, 1.0)).penalty(score, *inside, batch_axes=1, rng=Rng.of(0))
    assert len(seen) == 3 and all(x.abs().max() <= 1 for x in seen)
    slopes = (linear(2.0)(seen[2]) - linear(2.0)(seen[0])).abs() / (seen[2] - seen[0]).norm(dim=-1)
    assert slopes.isnan().any()  # in a corner of the bounds a sample has nowhere to go, and nothing to pay
    torch.testing.assert_close(paid, 5 * (slopes.nan_to_num(0.0) - 1).clamp(min=0).square().reshape(2, 6).sum(0))
    seen.clear()
    cost(AdversarialLipschitzPenalty(epsilon=(0.5, 2.0), xi=3.0), score)
    first, probed, there = seen
    torch.testing.assert_close((probed - first).norm(dim=-1), torch.full((12,), 3.0).double())
    lengths = (there - first).norm(dim=-1)
    assert ((lengths >= 0.5 - 1e-9) & (lengths <= 2.0)).all() and lengths.std() > 0.1


@pytest.mark.parametrize("control", [*PENALTIES, Together(controls=(Clip(), GradientPenalty()))], ids=repr)
def test_penalties_per_sample_refuse_batch_statistics(control: Lipschitz) -> None:
    space = Space((1, 8, 8), IMAGE_BOUNDS)
    with pytest.raises(UsageError, match=r"trunk\.3.*BatchNorm2d"):
        control.check(MNISTDiscriminator(width=2).build(space, (), rng=Rng.of(0)))
    control.check(MNISTDiscriminator(width=2, batch_norm=False).build(space, (), rng=Rng.of(0)))


def settled(network: nn.Module, steps: int = 400) -> nn.Module:
    control = SpectralNorm()
    control.transform(network)
    for _ in range(steps):
        control.constrain(network)
    return network


def test_a_normalised_matrix_is_divided_by_its_largest_singular_value() -> None:
    layers = {
        nn.Linear(7, 5): lambda weight: weight,
        nn.Conv2d(3, 6, (4, 2), stride=2): lambda weight: weight.reshape(6, 24),
        nn.Conv1d(3, 2, 3): lambda weight: weight.reshape(2, 9),
    }
    for layer, matrix in layers.items():
        weight = layer.weight.detach().clone()
        network = settled(nn.Sequential(layer, nn.BatchNorm2d(6)))
        largest = torch.linalg.svdvals(matrix(weight.double()))[0]
        torch.testing.assert_close(layer.weight.double(), weight.double() / largest, rtol=1e-4, atol=1e-6)
        assert len([name for name, _ in network.named_parameters() if "original" in name]) == 1


def test_every_replica_has_its_own_norm() -> None:
    network = MLPDiscriminator(hidden=(6, 6)).build(PLANE, (3,), rng=Streams(0, 3).rng("init"))
    weights = [layer.weight.detach().double().clone() for layer in (*network.trunk.layers, network.head.source)]
    settled(network, 2000)
    for layer, weight in zip((*network.trunk.layers, network.head.source), weights, strict=True):
        largest = torch.linalg.svdvals(weight)[:, 0]
        torch.testing.assert_close(layer.weight.double(), weight / largest[:, None, None], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(lipschitz_bound(network, (2,), (3,)), torch.ones(3).double(), rtol=1e-4, atol=0)


def test_the_gradient_of_a_normalised_weight_takes_u_and_v_as_constants() -> None:
    layer = nn.Linear(7, 5).double()
    weight = layer.weight.detach().clone()
    SpectralNorm().transform(layer)
    direction = Rng.of(3).normal((5, 7)).double()
    (layer.weight * direction).sum().backward()
    inner = layer.parametrizations.weight[0]
    sigma = inner.u @ weight @ inner.v
    normal = (direction * weight).sum() / sigma
    expected = (direction - normal * torch.outer(inner.u, inner.v)) / sigma
    torch.testing.assert_close(layer.parametrizations.weight.original.grad, expected)


def conv() -> nn.Module:
    return MNISTDiscriminator(width=2, batch_norm=False).build(Space((1, 8, 8), IMAGE_BOUNDS), (), rng=Rng.of(0))


def test_only_constraining_iterates_and_only_once() -> None:
    control, network = SpectralNorm(), conv()
    control.transform(network)
    images = Rng.of(1).normal((4, 1, 8, 8)).requires_grad_()

    def state() -> list[Tensor]:
        return [tensor.clone() for tensor in network.state_dict().values()]

    before = state()
    for _ in range(3):
        network(images).score.sum().backward()
        network.eval()(images)
        network.train()
    assert all(map(torch.equal, before, state()))
    held = network.trunk[0].parametrizations.weight
    v = torch.nn.functional.normalize(held.original.flatten(1).T @ held[0].u, dim=0)
    u = torch.nn.functional.normalize(held.original.flatten(1) @ v, dim=0)
    control.constrain(network)
    torch.testing.assert_close(held[0].v, v)
    torch.testing.assert_close(held[0].u, u)
    assert not torch.equal(before[1], held[0].u) or not torch.equal(before[2], held[0].v)


def test_a_norm_is_full_precision_under_autocast_and_in_any_layout() -> None:
    network, images = conv(), Rng.of(1).normal((4, 1, 8, 8))
    SpectralNorm().transform(network)
    layer, score = network.trunk[2], network(images).score
    exact = layer.weight.clone()
    with torch.autocast("cpu", torch.bfloat16):
        assert layer.weight.dtype == torch.float32 and torch.equal(layer.weight, exact)
    network.to(memory_format=torch.channels_last)
    original = layer.parametrizations.weight.original
    assert original.is_contiguous(memory_format=torch.channels_last)
    assert layer.weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(network(images.to(memory_format=torch.channels_last)).score, score)
    held = layer.parametrizations.weight[0].u.clone()
    SpectralNorm().constrain(network)
    torch.testing.assert_close(layer.parametrizations.weight[0].u, held, rtol=0.1, atol=0.1)


def test_a_network_is_normalised_once() -> None:
    with pytest.raises(UsageError, match=r"trunk\.0.*already"):
        Together(controls=(SpectralNorm(), SpectralNorm())).transform(conv())


def test_instance_noise_has_its_deviation_and_dies_down() -> None:
    control, x = InstanceNoise(sigma=0.3, until=0.5), torch.full((200, 500), 0.7, requires_grad=True)
    for progress, level in ((0.0, 0.3), (0.25, 0.15), (0.4, 0.06)):
        noise = (control.disturb(x, progress=progress, rng=Rng.of(1)) - x).detach()
        assert float(noise.std()) == pytest.approx(level, rel=0.01)
        assert abs(float(noise.mean())) < 5 * level / math.sqrt(noise.numel())
    for progress in (0.5, 0.9):
        assert torch.equal(control.disturb(x, progress=progress, rng=Rng.of(1)), x)
    (slope,) = torch.autograd.grad(control.disturb(x, progress=0.0, rng=Rng.of(1)).sum(), x)
    assert torch.equal(slope, torch.ones_like(x))


def test_controls_together_add_up() -> None:
    parts = (ZeroCentred(at="fake"), InstanceNoise(), LipschitzPenalty(weight=2.0), Clip(bound=0.2))
    both, net = Together(controls=parts), curved(1)
    found, expected = cost(both, net), cost(parts[0], net) + cost(parts[2], net)
    torch.testing.assert_close(found, expected)
    noisy = InstanceNoise().disturb(real, progress=0.1, rng=Rng.of(0))
    assert torch.equal(both.disturb(real, progress=0.1, rng=Rng.of(0)), noisy)
    both.constrain(net)
    assert max(float(parameter.detach().abs().max()) for parameter in net.parameters()) == 0.2

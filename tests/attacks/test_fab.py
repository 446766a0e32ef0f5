"""FAB: projections on a plane in a box against an independent solver, linear and piecewise linear closed forms."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, minimize
from torch import Tensor, nn

from sparring.attacks import APGD, FAB, PGD, Attack, Criterion, CrossEntropy, Margin, SquareLinf, Threat, fool
from sparring.core.balls import L2, Ball, Linf, Unbounded
from sparring.core.pieces import members
from sparring.core.randomness import Rng
from sparring.core.records import InvalidRecord
from sparring.core.shapes import IMAGE_BOUNDS, Space
from sparring.recipes import load
from sparring.regimes import Regime

BALLS = [Linf(), L2()]


def _boxed(seed: int, count: int, features: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    rng = Rng.of(seed)
    normal = rng.normal((count, features)).double()
    down, up = (rng.uniform((count, features)).double() for _ in range(2))
    return normal, (down, up)


@pytest.mark.parametrize("share", [0.3, 0.9, -0.6])
def test_linf_plane_is_the_linear_program(share: float) -> None:
    normal, (down, up) = _boxed(0, 6, 5)
    most = torch.where(normal * share > 0, up, down).mul(normal.abs()).sum(1)
    delta = Linf().to_plane(normal, share * most, (down, up), 1)
    for n, rise, low, high, found in zip(normal, share * most, down, up, delta, strict=True):
        # minimise t subject to |delta_i| <= t, the plane and the box; variables are delta and t
        ones, eye = torch.ones(5, 1), torch.eye(5)
        matrix = torch.cat([torch.cat([eye, -ones], 1), torch.cat([-eye, -ones], 1)]).numpy()
        bounds = [*zip((-low).tolist(), high.tolist(), strict=True), (0, None)]
        exact = linprog([0] * 5 + [1], matrix, [0] * 10, [[*n.tolist(), 0]], [float(rise)], bounds)
        assert float(found.abs().max()) == pytest.approx(exact.fun, rel=1e-9)
        assert float(found @ n) == pytest.approx(float(rise), rel=1e-9)
        assert bool(((found >= -low - 1e-12) & (found <= high + 1e-12)).all())


@pytest.mark.parametrize("share", [0.3, 0.9, -0.6])
def test_l2_plane_is_the_quadratic_program(share: float) -> None:
    normal, (down, up) = _boxed(1, 4, 4)
    most = torch.where(normal * share > 0, up, down).mul(normal.abs()).sum(1)
    delta = L2().to_plane(normal, share * most, (down, up), 1)
    for n, rise, low, high, found in zip(normal, share * most, down, up, delta, strict=True):
        exact = minimize(
            lambda d: d @ d,
            (high - low).numpy() / 2,
            jac=lambda d: 2 * d,
            bounds=list(zip((-low).tolist(), high.tolist(), strict=True)),
            constraints={"type": "eq", "fun": lambda d, n=n, rise=rise: d @ n.numpy() - float(rise)},
            tol=1e-13,
        )
        assert float(found @ found) == pytest.approx(exact.fun, rel=1e-5)
        assert float(found @ n) == pytest.approx(float(rise), rel=1e-9)


@pytest.mark.parametrize("ball", BALLS)
def test_a_plane_in_many_dimensions_is_reached_by_the_shortest_move(ball: Ball) -> None:
    """Each coordinate moves by min(t speed, room) for one t, as the shortest move does, and the sum is the rise."""
    normal, (down, up) = _boxed(6, 50, 400)
    up[:, :100] = 0.0
    normal[:, 300:] = 0.0
    most = torch.where(normal > 0, up, down).mul(normal.abs()).sum(1)
    rise = torch.linspace(0.0, 0.999, 50).double() * most
    delta = ball.to_plane(normal, rise, (down, up), 1)
    torch.testing.assert_close((delta * normal).sum(1), rise)
    room = torch.where(normal > 0, up, down)
    speed = (normal != 0).double() if isinstance(ball, Linf) else normal.abs()
    free = (delta.abs() < room - 1e-9) & (normal != 0)
    times = torch.where(free, delta.abs() / speed, 0.0).amax(1, keepdim=True)
    torch.testing.assert_close(delta.abs(), torch.minimum(times * speed, room), rtol=0, atol=1e-9)


@pytest.mark.parametrize("ball", BALLS)
def test_plane_without_a_box_and_out_of_reach(ball: Ball) -> None:
    normal, (down, up) = _boxed(2, 3, 4)
    rise = torch.tensor([0.5, -2.0, 0.0]).double()
    endless = torch.full_like(normal, torch.inf)
    free = ball.to_plane(normal, rise, (endless, endless), 1)
    dual = normal.abs().sum(1) if isinstance(ball, Linf) else normal.norm(dim=1)
    torch.testing.assert_close(ball.size(free, 1), rise.abs() / dual)
    corner = ball.to_plane(normal, torch.full((3,), 1e3).double(), (down, up), 1)
    torch.testing.assert_close(corner, torch.where(normal > 0, up, -down))
    flat = ball.to_plane(torch.zeros_like(normal), rise, (down, up), 1)
    assert not flat.any()


@pytest.mark.parametrize("ball", BALLS)
def test_linear_classifier_is_exact(ball: Ball) -> None:
    """Two classes: the distance is |margin| over the dual norm of the difference of the weights."""
    network = nn.Linear(6, 2).double()
    x = 0.05 * Rng.of(3).normal((20, 6)).double()
    labels = network(x).argmax(1)
    attack = FAB(epsilon=1.0, ball=ball, steps=5)
    threat = Threat(name="FAB", kind="white-box", attack=attack, criterion=Margin())
    with torch.no_grad():
        network.bias.zero_()
        labels = network(x).argmax(1)
        result = fool(threat, network, x, labels, network=network, space=Space((6,), None), rng=Rng.of(0))
        normal = network.weight[0] - network.weight[1]
        dual = normal.abs().sum() if isinstance(ball, Linf) else normal.norm()
        exact = (x @ normal).abs() / dual
    assert bool(result.fooled.all())
    sizes = ball.size(result.samples - x, 1)
    assert bool((sizes >= exact).all())
    torch.testing.assert_close(sizes, exact, rtol=0.005, atol=0)


def _exact_distances(network: nn.Sequential, x: Tensor, labels: Tensor, ball: Ball) -> Tensor:
    """By enumeration: points of a fine grid whose class is another one; the plane has two dimensions."""
    axis = torch.linspace(-1, 1, 801).double()
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        classes = network(grid).argmax(1)
    return torch.stack(
        [ball.size(grid[classes != label] - point, 1).amin() for point, label in zip(x, labels, strict=True)]
    )


@pytest.mark.parametrize("ball", BALLS)
def test_relu_network_in_the_plane(ball: Ball) -> None:
    """Three classes, targets tried one by one: almost all distances are those of an enumeration, none is smaller."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3)).double()
    for layer in (network[0], network[2], network[4]):
        layer.weight.data.mul_(2.0)
    x = Rng.of(5).uniform((60, 2), -0.9, 0.9).double()
    with torch.no_grad():
        labels = network(x).argmax(1)
    exact = _exact_distances(network, x, labels, ball)
    space, best = Space((2,), IMAGE_BOUNDS), torch.full((60,), torch.inf).double()
    for target, seed in itertools.product(range(3), range(1)):
        chosen = torch.where(labels == target, (labels + 1) % 3, target)

        def loss(z: Tensor, chosen: Tensor = chosen) -> Tensor:
            return Margin().toward(network(z), labels, chosen)

        moved = FAB(epsilon=1.0, ball=ball)(x, loss, network=network, space=space, rng=Rng.of(seed))
        with torch.no_grad():
            fooled = network(moved).argmax(1) != labels
        best = torch.where(fooled, torch.minimum(best, ball.size(moved - x, 1)), best)
    assert bool((best > exact - 2 * 0.0025 * 2**0.5).all())
    assert float((best < 1.05 * exact + 0.005).double().mean()) >= 0.85


def test_fab_needs_a_signed_criterion_and_a_norm() -> None:
    with pytest.raises(InvalidRecord, match="use margin"):
        Threat(name="FAB", kind="white-box", attack=FAB(), criterion=CrossEntropy())
    with pytest.raises(InvalidRecord, match="fab needs one with a radius"):
        FAB(ball=Unbounded())


@pytest.mark.parametrize("name", ["classifier", *members(Regime)])
def test_training_refuses_fab(name: str) -> None:
    if name == "classifier":
        recipe, change = "robgan/digits-adversarial-training", "attack=fab"
    else:
        recipe, change = "dat/digits", f"regime={{name: {name}, attack: fab}}"
    words = "unknown key" if name == "plain" else "fab looks for a class boundary"
    with pytest.raises(InvalidRecord, match=words):
        load(recipe, [change])


@pytest.mark.parametrize(
    ("name", "attack", "criterion"),
    [
        ("PGD", PGD(epsilon=0.15, steps=8), CrossEntropy()),
        ("APGD", APGD(epsilon=0.15, steps=20), CrossEntropy()),
        ("FAB", FAB(epsilon=0.15, steps=20), Margin()),
        ("Square", SquareLinf(epsilon=0.15, queries=200), Margin()),
    ],
)
def test_early_stop_fools_no_fewer_and_calls_less(name: str, attack: Attack, criterion: Criterion) -> None:
    """Every sample that the whole search fools is fooled; a sample costs nothing after its first success."""
    torch.manual_seed(1)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16, 12), nn.Tanh(), nn.Linear(12, 4))
    space = Space((3, 4, 4), IMAGE_BOUNDS)
    x = Rng.of(7).uniform((40, *space.shape), -0.9, 0.9)
    labels = network(x).argmax(1)
    results = [
        fool(
            Threat(name=name, kind="other", attack=attack, criterion=criterion, rest_only=stops),
            network,
            x,
            labels,
            network=network,
            space=space,
            rng=Rng.of(0),
        )
        for stops in (False, True)
    ]
    whole, stopped = results
    assert int(whole.fooled.sum()) > 5
    assert bool((stopped.fooled | ~whole.fooled).all())
    assert bool((network(stopped.samples).argmax(1) != labels)[stopped.fooled].all())
    assert float((stopped.samples - x).abs().max()) <= 2 * 0.15 + 1e-6
    assert float(stopped.samples.abs().max()) <= 1.0
    fooled = stopped.fooled
    assert int(stopped.forwards[fooled].sum()) < 0.7 * int(whole.forwards[fooled].sum())
    assert bool((stopped.forwards <= whole.forwards + 2)[~fooled].all())


def plane_by_bisection(x: np.ndarray, normal: np.ndarray, height: float, ball: Ball) -> np.ndarray:
    """The nearest point to x in [-1, 1]^d with height + <normal, z - x> = 0; the corner where there is none."""
    sign = -np.sign(height)
    direction = np.sign(normal) * sign
    speed = np.ones_like(x) if isinstance(ball, Linf) else np.abs(normal)

    def moved(t: float) -> np.ndarray:
        return np.clip(x + t * speed * direction, -1, 1)

    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        if sign * (height + normal @ (moved(middle) - x)) < 0:
            low = middle
        else:
            high = middle
    return moved(high)


@pytest.mark.parametrize("ball", BALLS)
def test_algorithm_1_by_hand(ball: Ball) -> None:
    """Croce and Hein 2020b, algorithm 1, sample by sample in numpy, without the secant steps at the end."""
    torch.manual_seed(4)
    network = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    x = Rng.of(8).uniform((12, 5), -0.7, 0.7).double()
    with torch.no_grad():
        network[2].bias.sub_(network(x).max() + 0.05)

    def loss(samples: Tensor) -> Tensor:
        return network(samples)[:, 0]

    size = {Linf: lambda d: np.abs(d).max(), L2: lambda d: np.linalg.norm(d)}[type(ball)]
    expected = []
    for start in x.numpy():
        point, best, nearest = start, np.inf, None
        for _ in range(6):
            leaf = torch.tensor(point, requires_grad=True)
            value = loss(leaf[None])[0]
            (slope,) = torch.autograd.grad(value, leaf)
            normal, height = slope.numpy(), float(value.detach())
            far = plane_by_bisection(point, normal, height, ball) - point
            near = plane_by_bisection(start, normal, height + normal @ (start - point), ball) - start
            alpha = min(size(far) / (size(far) + size(near)), 0.1)
            point = np.clip((1 - alpha) * (point + 1.05 * far) + alpha * (start + 1.05 * near), -1, 1)
            if float(loss(torch.tensor(point)[None]).detach()) > 0:
                if size(point - start) < best:
                    best, nearest = size(point - start), point
                point = 0.1 * start + 0.9 * point
        expected.append(point if nearest is None else nearest)
    attack = FAB(epsilon=1.0, ball=ball, steps=6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sparring.attacks.fab._SECANTS", 0)
        found = attack.search(x, loss, space=Space((5,), IMAGE_BOUNDS), rng=Rng.of(0))
    torch.testing.assert_close(found, torch.tensor(np.stack(expected)), rtol=1e-7, atol=1e-7)
    assert int((loss(found) > 0).sum()) >= 6

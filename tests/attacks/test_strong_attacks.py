"""All attacks in packed games and every range; Auto-PGD, Square and searches: closed forms and algorithms by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from robust_models import SOUND, sound
from sparring.attacks import (
    APGD,
    BIM,
    FAB,
    FGSM,
    NES,
    PGD,
    PGDL2,
    SPSA,
    Attack,
    Dimming,
    FiniteDifferences,
    Fooled,
    RandomSearch,
    SquareL2,
    SquareLinf,
    Threat,
    ZeroStart,
    fool,
)
from sparring.attacks.auto_pgd import checkpoints
from sparring.core.balls import L2, Linf
from sparring.core.errors import UsageError
from sparring.core.randomness import Rng
from sparring.core.shapes import IMAGE_BOUNDS, Bounds, Space
from sparring.robustness.targets import Target

SPACE = Space((3, 4, 4), IMAGE_BOUNDS)
WEIGHT = Rng.of(9).normal(SPACE.shape).double()

EVERY = [
    FAB(epsilon=0.05, steps=3),
    FGSM(epsilon=0.05),
    BIM(epsilon=0.05),
    PGD(epsilon=0.1, steps=3),
    APGD(epsilon=0.1, steps=12),
    APGD(epsilon=0.4, steps=12, ball=L2()),
    PGD(epsilon=0.1, steps=3, source=NES(samples=5)),
    PGDL2(epsilon=0.4, steps=3, source=SPSA(samples=5)),
    PGD(epsilon=0.1, steps=3, source=FiniteDifferences()),
    SquareLinf(epsilon=0.1, queries=40),
    SquareL2(epsilon=0.4, queries=40),
    RandomSearch(epsilon=0.1, queries=10),
    Dimming(epsilon=0.4),
]


def images(count: int = 6, seed: int = 0, size: float = 0.5) -> Tensor:
    return Rng.of(seed).uniform((count, *SPACE.shape), -size, size).double()


def linear(samples: Tensor) -> Tensor:
    return (samples * WEIGHT).sum((-3, -2, -1))


def curved(samples: Tensor) -> Tensor:
    """A loss with many hills, of any batch shape."""
    waves = torch.sin(3 * samples * WEIGHT + 1) * WEIGHT.flip(0)
    return waves.sum((-3, -2, -1)) + 0.3 * (samples.roll(1, -1) * samples).sum((-3, -2, -1))


def moved(attack: Attack, x: Tensor, loss: Callable[[Tensor], Tensor], space: Space = SPACE, seed: int = 0) -> Tensor:
    return attack(x, loss, network=nn.Module(), space=space, rng=Rng.of(seed))


def test_an_exact_optimum_over_linf_is_reached() -> None:
    x = images(size=1.0)
    best = linear((x + 0.2 * WEIGHT.sign()).clamp(-1, 1))  # interior and clipped samples alike
    for attack in (PGD(epsilon=0.1, steps=20), APGD(epsilon=0.1, steps=5), SquareLinf(epsilon=0.1, queries=1200)):
        torch.testing.assert_close(linear(moved(attack, x, linear)), best, rtol=0, atol=1e-9)


def test_an_exact_optimum_over_l2_is_approached() -> None:
    x = images()
    gain = 0.4 * float(WEIGHT.norm())
    for attack, share in (
        (PGDL2(epsilon=0.2, steps=40), 0.95),
        (APGD(epsilon=0.2, steps=40, ball=L2()), 0.9999),
        (SquareL2(epsilon=0.2, queries=600), 0.5),
    ):
        risen = linear(moved(attack, x, linear)) - linear(x)
        assert (risen > share * gain).all() and (risen < gain * (1 + 1e-9)).all()


def test_apgds_checkpoints_are_the_papers() -> None:
    assert checkpoints(100) == {0, 22, 41, 57, 70, 80, 87, 93, 99}
    assert checkpoints(10) == {0, 3, 5, 6, 7, 8, 9}
    assert checkpoints(1) == {0}


def _apgd_of_one(x: Tensor, loss: Callable[[Tensor], Tensor], steps: int, radius: float, norm: float) -> Tensor:
    """Algorithm 1 of Croce and Hein for one sample, with lists for its histories; starts at the sample."""

    def project(z: Tensor) -> Tensor:
        delta = z - x
        delta = delta.clamp(-radius, radius) if norm == math.inf else delta * min(1.0, radius / float(delta.norm()))
        return (x + delta).clamp(-1, 1)

    def slope(z: Tensor) -> Tensor:
        leaf = z.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(leaf), leaf)
        return gradient.sign() if norm == math.inf else gradient / gradient.norm()

    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    checks = [math.ceil(round(share * steps, 9)) for share in shares]
    points, eta, etas = [x], 2 * radius, {0: 2 * radius}
    values = [float(loss(x))]
    rose: list[bool] = []
    best, best_at = (values[0], x), {0: values[0]}
    previous = x
    for k in range(steps):
        if k in checks[1:]:
            last = checks[checks.index(k) - 1]
            one = sum(rose[last:k]) < 0.75 * (k - last)
            two = etas[last] == eta and best_at[last] == best[0]
            etas[k], best_at[k] = eta, best[0]
            if one or two:
                eta, points[-1], values[-1] = eta / 2, best[1], best[0]
        here = points[-1]
        z = project(here + eta * slope(here))
        new = project(here + 0.75 * (z - here) + 0.25 * (here - previous)) if k else z
        previous = here
        points.append(new)
        values.append(float(loss(new)))
        rose.append(values[-1] > values[-2])
        if values[-1] > best[0]:
            best = (values[-1], new)
    return best[1]


def test_what_fits_no_ball_is_refused() -> None:
    for attack, ball in ((APGD, "none"), (SquareLinf, "l2"), (PGD, "none")):
        with pytest.raises(ValidationError):
            attack.model_validate({"ball": ball})


@pytest.mark.parametrize(("ball", "norm"), [(Linf(), math.inf), (L2(), 2.0)])
def test_apgd_is_the_papers_algorithm(ball: Linf | L2, norm: float) -> None:
    x = images(8)
    ours = moved(APGD(epsilon=0.4, steps=50, ball=ball, start=ZeroStart()), x, curved)
    theirs = torch.stack([_apgd_of_one(each, curved, 50, 0.8, norm) for each in x])
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-8)


def test_squares_schedule_is_the_papers() -> None:
    whole, tenth = SquareLinf(queries=10_000, share=0.8), SquareLinf(queries=1000, share=0.8)
    queries = (1, 9, 10, 50, 200, 1000, 2000, 4000, 6000, 8000, 9999)
    halvings = [round(math.log2(0.8 / whole.share_at(query))) for query in queries]
    assert halvings == [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 8]
    assert all(tenth.share_at(query // 10) == whole.share_at(query) for query in queries if query % 10 == 0)


def test_square_tries_the_edge_of_the_ball_and_changes_one_window() -> None:
    tried: list[Tensor] = []

    def watched(samples: Tensor) -> Tensor:
        tried.append(samples)
        return linear(samples)

    x = images()
    for attack, ball in ((SquareL2(epsilon=0.1, queries=100), L2()), (SquareLinf(epsilon=0.1, queries=1100), Linf())):
        tried.clear()
        moved(attack, x, watched)
        assert len(tried) == attack.queries
        for samples in tried:
            torch.testing.assert_close(ball.size(samples - x, 1), torch.full((6,), 0.2).double(), rtol=0, atol=1e-6)
    stripes, whole = tried[0] - x, tried[1] - x
    torch.testing.assert_close(stripes, stripes[..., :1, :].expand_as(x))
    torch.testing.assert_close(whole, whole[..., :1, :1].expand_as(x))  # p = 0.8: the window is all of 4 x 4 pixels
    best = tried[0]
    for samples in tried:
        last = (samples != best).any(1).flatten(1).sum(1)
        best = torch.where((linear(samples) > linear(best))[:, None, None, None], samples, best)
    assert last.max() == 1  # a pixel


@pytest.mark.parametrize(("lead", "shape"), [((5,), (3, 6, 4)), ((2, 5), (3, 6, 4)), ((5,), (7,))])
def test_squares_by_pixel_numbers_equal_windows_cut_out(lead: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Algorithm 2 by slices, sample by sample, from the same random numbers; x is partly outside of the range."""
    attack, space = SquareLinf(epsilon=0.1, queries=40), Space(shape, IMAGE_BOUNDS)
    channels, height, width = shape if len(shape) == 3 else (1, 1, *shape)
    x = Rng.of(3).uniform((*lead, *shape), -1.1, 1.1)
    propose, rng = attack.proposer(x, space=space, rng=Rng.of(0)), Rng.of(0)
    stripes = 2.0 * rng.integers((*lead, channels, 1, width), 2) - 1
    whole = (0.2 * stripes).expand(*lead, channels, height, width).reshape(x.shape)
    best = propose(0, x)
    torch.testing.assert_close(best, attack.confine(x, x + whole, space), rtol=0, atol=1e-6)
    for number in range(1, 40):
        rows, columns = attack.window(number, x.reshape(*lead, channels, height, width))
        sign = 2.0 * rng.integers((*lead, channels, 1, 1), 2) - 1
        top, left = (rng.integers((*lead, 1), extent + 1).flatten() for extent in (height - rows, width - columns))
        delta = (best - x).reshape(-1, channels, height, width).clone()
        for index, colour in enumerate(0.2 * sign.reshape(-1, channels, 1, 1)):
            delta[index, :, top[index] : top[index] + rows, left[index] : left[index] + columns] = colour
        expected = attack.confine(x, x + delta.reshape(x.shape), space)
        torch.testing.assert_close(propose(number, best), expected, rtol=0, atol=1e-6)
        best = expected


def test_l2_squares_keep_their_energy() -> None:
    delta = L2().steepest(images(50, 1), 0.7, 1)
    changed = SquareL2().change(delta, (3, 3), 0.7, rng=Rng.of(0))
    torch.testing.assert_close(L2().size(changed, 1), torch.full((50,), 0.7).double())
    short = SquareL2().change(0.5 * delta, (3, 3), 0.7, rng=Rng.of(0))
    torch.testing.assert_close(L2().size(short, 1), torch.full((50,), 0.7).double())  # what was unused is used
    touched = (changed != delta).any(1).flatten(1).sum(1)
    assert touched.min() >= 9 and touched.max() == 14  # two windows of nine pixels, which share four at least


@pytest.mark.parametrize("shape", [(7,), (1, 1, 1), (2, 5, 3), (3, 4)])
@pytest.mark.parametrize("attack", [SquareLinf(epsilon=0.1, queries=50), SquareL2(epsilon=0.1, queries=50)])
def test_square_takes_samples_of_every_shape(attack: Attack, shape: tuple[int, ...]) -> None:
    x = torch.zeros(5, *shape)
    found = moved(attack, x, lambda samples: samples.flatten(1).sum(1), Space(shape, IMAGE_BOUNDS))
    assert (found.flatten(1).sum(1) > 0).all() and (attack.ball.size(found, 1) <= 0.2 + 1e-6).all()


def test_noise_is_a_draw_and_search_is_the_best_of_many() -> None:
    x = images(400)
    noise = moved(RandomSearch(epsilon=0.1, queries=1), x, linear)
    torch.testing.assert_close(noise, x + Linf().draw(x, 0.2, 1, rng=Rng.of(0)))
    share = float((linear(noise) > linear(x)).double().mean())
    assert share == pytest.approx(0.5, abs=4 * math.sqrt(0.25 / 400))
    # The largest of k equal chances is the last with probability 1/k.
    draws = Rng.of(0)
    every = torch.stack([x + Linf().draw(x, 0.2, 1, rng=draws) for _ in range(8)])
    best = every.gather(0, linear(every).argmax(0)[None, :, None, None, None].expand(1, *x.shape))[0]
    torch.testing.assert_close(moved(RandomSearch(epsilon=0.1, queries=8), x, linear), best)


def test_dimming_scales_the_intensity() -> None:
    x = images()
    dark = moved(Dimming(epsilon=0.4, strengths=4), x, lambda s: -s.sum((1, 2, 3)))
    torch.testing.assert_close((dark + 1) / 2, 0.6 * (x + 1) / 2)
    assert torch.equal(moved(Dimming(epsilon=0.4), x, lambda s: s.sum((1, 2, 3))), x)  # day is worse
    mean = (x.mean((1, 2, 3)) + 1) / 2
    half = moved(Dimming(epsilon=0.4, strengths=4), x, lambda s: -(((s.mean((1, 2, 3)) + 1) / 2 / mean - 0.78).abs()))
    torch.testing.assert_close((half + 1) / 2, 0.8 * (x + 1) / 2)  # of 1, 0.9, 0.8, 0.7 and 0.6
    fits = moved(Dimming(epsilon=0.4, ball=L2()), x, lambda s: -s.sum((1, 2, 3)))
    torch.testing.assert_close(L2().size(fits - x, 1), torch.full((6,), 0.8).double())
    ratio = (fits + 1) / (x + 1)
    torch.testing.assert_close(ratio, ratio.flatten(1)[:, :1, None, None].expand_as(ratio))
    with pytest.raises(UsageError, match="darker"):
        moved(Dimming(), x, linear, Space(SPACE.shape, None))


@pytest.mark.parametrize("attack", EVERY, ids=lambda attack: attack.name)
def test_a_budget_means_the_same_in_every_range(attack: Attack) -> None:
    x = images()
    wide = moved(attack, x, curved)
    unit = moved(attack, (x + 1) / 2, lambda s: curved(2 * s - 1), Space(SPACE.shape, Bounds(0.0, 1.0)))
    torch.testing.assert_close(wide, 2 * unit - 1, rtol=0, atol=1e-6)
    assert (wide != x).any()


def tried(attack: Attack, target: Target, **changes: object) -> Fooled:
    threat = Threat.model_validate({"name": "", "kind": "white-box", "attack": attack, **changes})
    x, labels, network = target.samples, target.labels, target.network
    return fool(threat, target.logits, x, labels, network=network, space=target.space, rng=Rng.of(3))


@pytest.mark.parametrize("model", SOUND)
@pytest.mark.parametrize(("epsilon", "ball"), [(0.05, Linf()), (0.15, Linf()), (0.15, L2())])
def test_apgd_is_at_least_as_strong_as_pgd(model: str, epsilon: float, ball: Linf | L2) -> None:
    target, radius = sound(model), epsilon if ball == Linf() else 6 * epsilon
    pgd = PGD(epsilon=radius, steps=20) if ball == Linf() else PGDL2(epsilon=radius, steps=20)
    found, rival = tried(APGD(epsilon=radius, steps=20, ball=ball), target), tried(pgd, target)
    assert found.loss_end.mean() >= rival.loss_end.mean() * (1 - 1e-3)
    assert found.fooled.sum() >= rival.fooled.sum() - 1


def test_a_targeted_threat_and_square_are_as_strong_as_pgd() -> None:
    target = sound("robust")
    pgd = int(tried(PGD(epsilon=0.1, steps=20), target).fooled.sum())
    targeted = tried(APGD(epsilon=0.1, steps=20), target, criterion="targeted_dlr", targets=9)
    square = tried(SquareLinf(epsilon=0.1, queries=500), target, criterion="margin", kind="black-box")
    noise = tried(RandomSearch(epsilon=0.1, queries=1), target, kind="noise")
    assert int(targeted.fooled.sum()) >= pgd - 1
    assert int(square.fooled.sum()) >= pgd - 10 and not square.backwards.any()
    assert int(noise.fooled.sum()) < 0.5 * pgd

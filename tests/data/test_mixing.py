"""Cutout and CutMix against their definitions, pixel by pixel."""

from __future__ import annotations

import pytest
import torch

from sparring.core.errors import UsageError
from sparring.core.randomness import Rng
from sparring.core.shapes import Space
from sparring.data.augment import hashed_uniform
from sparring.data.cutout import Cutout
from sparring.data.mixing import CutMix


@pytest.mark.parametrize("side", [3, 4, 50])
def test_cutout_hides_a_square_about_a_pixel(side: int) -> None:
    x, key = 1 + Rng.of(0).uniform((40, 2, 6, 9)), torch.arange(40)
    cut = Cutout(side=side)(x, key)
    for number, (down, right) in enumerate(hashed_uniform(key, 2).tolist()):
        top, left = int(down * 6) - side // 2, int(right * 9) - side // 2
        expected = x[number].clone()
        for row in range(max(top, 0), min(top + side, 6)):
            for column in range(max(left, 0), min(left + side, 9)):
                expected[:, row, column] = 0.0
        assert torch.equal(cut[number], expected)
    assert torch.equal(Cutout(side=side)(x[7:9], key[7:9]), cut[7:9])  # a function of the position alone


def test_cutmix_is_of_images() -> None:
    CutMix().check(Space((1, 8, 6), (-1.0, 1.0), 3))
    with pytest.raises(UsageError, match=r"mixing: cutmix pastes rectangles of images, .* shape \(2,\)"):
        CutMix().check(Space((2,), None, 8))


def test_cutmix_is_equation_1() -> None:
    """x = M x_A + (1 - M) x_B, y = (1 - a) y_A + a y_B, a counted from the pixels that come from B."""
    samples, labels = torch.arange(50.0)[:, None, None, None].expand(50, 1, 8, 6), torch.arange(50)
    mixed, ((first, kept), (second, pasted)) = CutMix().mix(samples, labels, rng=Rng.of(3))
    assert torch.equal(first, labels)
    assert sorted(second.tolist()) == list(range(50))
    areas = []
    for index, image in enumerate(mixed[:, 0]):
        of_other = image != index
        assert (image[of_other] == second[index]).all()
        rows, columns = of_other.any(1), of_other.any(0)
        assert torch.equal(of_other, rows[:, None] & columns[None])  # a rectangle
        areas.append(float(pasted[index]))
        if second[index] != index:
            assert areas[-1] == pytest.approx(of_other.double().mean().item())
        assert float(kept[index]) == pytest.approx(1 - areas[-1])
    assert 0.2 < sum(areas) / 50 < 0.5  # less than one half: what lies outside of the image is lost


def test_cutmix_leaves_batches_alone_with_the_rest_of_its_probability() -> None:
    samples, labels = torch.rand(4, 1, 8, 8), torch.arange(4)
    mixing = CutMix(probability=0.3)
    alone = [len(mixing.mix(samples, labels, rng=Rng.of(seed)).targets) == 1 for seed in range(200)]
    assert 0.6 < sum(alone) / 200 < 0.8

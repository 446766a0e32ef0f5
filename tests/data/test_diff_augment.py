"""Differentiable augmentation: formulas by hand, gradients, and what D and G see of it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sparring.core.errors import UsageError
from sparring.core.randomness import Rng
from sparring.core.shapes import IMAGE_BOUNDS, Space
from sparring.data import ColorJitter, CutoutSquare, DiffAugmentation, Translation
from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.recipes import load

EVERY = [ColorJitter(), Translation(), CutoutSquare()]


def images(*lead: int, side: int = 16) -> Tensor:
    return Rng.of(0).uniform((*lead, 3, side, side), -1, 1).double()


@pytest.mark.parametrize("augmentation", EVERY, ids=lambda each: each.name)
def test_gradients_are_those_of_finite_differences(augmentation: DiffAugmentation) -> None:
    x, direction = images(2, side=6), Rng.of(1).normal((2, 3, 6, 6)).double()
    leaf = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad((augmentation(leaf, rng=5) ** 2).sum(), leaf)
    up, down = ((augmentation(x + h * direction, rng=5) ** 2).sum() for h in (1e-6, -1e-6))
    torch.testing.assert_close((slope * direction).sum(), (up - down) / 2e-6, rtol=1e-7, atol=1e-7)
    assert augmentation(images(2, 4), rng=5).shape == (2, 4, 3, 16, 16), "packed games"


def test_colours_follow_the_three_formulas() -> None:
    x = images(5)
    b, s, c = Rng.of(3).uniform((5, 3, 1, 1)).double().split(1, dim=-3)
    y = x + b - 0.5
    y = y.mean(1, keepdim=True) + 2 * s * (y - y.mean(1, keepdim=True))
    y = y.mean((1, 2, 3), keepdim=True) + (0.5 + c) * (y - y.mean((1, 2, 3), keepdim=True))
    torch.testing.assert_close(ColorJitter()(x, rng=3), y)


def test_a_translation_moves_by_whole_pixels_and_fills_with_zero() -> None:
    x = images(200) + 2  # no pixel is 0
    moved, seen = Translation()(x, rng=1), set()
    for before, after in zip(x, moved, strict=True):
        rows, columns = (after[0] != 0).nonzero().unbind(1)
        top, left = int(rows.min()), int(columns.min())
        height, width = int(rows.max()) - top + 1, int(columns.max()) - left + 1
        down, right = (top or height - 16), (left or width - 16)
        part = before[:, max(-down, 0) : 16 - max(down, 0), max(-right, 0) : 16 - max(right, 0)]
        assert torch.equal(after[:, top : top + height, left : left + width], part)
        seen.add((down, right))
    assert {down for down, _ in seen} == {right for _, right in seen} == {-2, -1, 0, 1, 2}
    assert len(seen) > 15, "the axes are drawn independently"


def test_cutout_cuts_half_the_side() -> None:
    cut = (CutoutSquare()(images(300) + 2, rng=2) == 0).all(1)
    sizes = torch.stack([cut.any(2).sum(1), cut.any(1).sum(1)])
    assert int(sizes.max()) == 8 and int(sizes.min()) >= 4, "the middle lies in the image"
    assert torch.equal(cut.sum((1, 2)), sizes[0] * sizes[1]), "a rectangle"


def test_d_and_g_see_augmented_samples_and_g_makes_others() -> None:
    small = ["data=digits", "generator.width=4", "discriminator.width=4", "batch_size=8"]
    recipe = load("asgan/cifar10-dcgan", [*small, "regime=plain", "diff_augment=[color, translation, cutout]"])
    game = GANState(recipe, recipe.data.open(torch.device("cpu")), torch.device("cpu"))
    assert not game.couples_samples  # computed once a game
    seen: list[Tensor] = []
    game.discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    play_round(game, 0)
    assert all(float((each == 0).double().mean()) > 0.1 for each in seen), "a part is cut from every batch"
    fake = game.generate("latents", 0).samples
    assert float((fake == 0).double().mean()) < 0.01


def test_points_are_refused() -> None:
    with pytest.raises(UsageError, match="color changes images"):
        ColorJitter().check(Space((2,), None))
    recipe = load("dishonest/ring-small", ["diff_augment=[cutout]"])
    with pytest.raises(UsageError, match="cutout changes images"):
        GANState(recipe, recipe.data.open(torch.device("cpu")), torch.device("cpu"))
    CutoutSquare().check(Space((3, 8, 8), IMAGE_BOUNDS))

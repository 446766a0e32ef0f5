"""The arrays of the picture of a line, against closed forms for a linear D."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from linear_discriminator import Linear, game_of
from torch import Tensor, nn

from new_run import new_run
from sparring.core.randomness import Rng
from sparring.data import Line
from sparring.monitoring.line_picture import ARROWS, BINS, CURVE, SAMPLES, density, line_arrays
from sparring.monitoring.pictures import save_samples
from sparring.recipes import Recipe

LINE = ("data={name: line, means: [-1, 3], std: 0.5}", "lipschitz=none", "feedback=honest")
SLOPE = 0.7


class FirstLatent(nn.Module):
    """A G that returns its first latent: its samples are N(0, 1)."""

    def forward(self, latents: Tensor) -> Tensor:
        return latents[..., :1]


@pytest.mark.parametrize("lead", [(), (2,)])
def test_the_arrows_are_the_gradient_of_the_log(lead: tuple[int, ...], short: Callable[..., Recipe]) -> None:
    """G ascends -log(1 - D) with D = sigmoid(w x): its gradient is w D(x)."""
    game = game_of(short(*LINE, "objective=log", "ema=0", f"replicas={lead[0] if lead else 1}"))
    game.networks.generator, game.discriminator = FirstLatent(), Linear(torch.tensor([SLOPE]))
    arrays = {name: torch.from_numpy(values) for name, values in line_arrays(game).items()}
    games = lead[0] if lead else 1
    assert arrays["starts"].shape == arrays["gradient"].shape == (games, ARROWS)
    torch.testing.assert_close(arrays["gradient"], SLOPE * torch.sigmoid(SLOPE * arrays["starts"]))
    assert arrays["score"].shape == (games, CURVE)
    torch.testing.assert_close(arrays["score"], (SLOPE * arrays["places"]).expand(games, CURVE))
    levels = torch.distributions.Normal(0.0, 1.0).cdf(arrays["starts"])
    torch.testing.assert_close(levels, ((torch.arange(ARROWS) + 0.5) / ARROWS).expand_as(levels), atol=0.05, rtol=0)


def test_densities_are_those_of_the_mixture(short: Callable[..., Recipe]) -> None:
    game = game_of(short(*LINE))
    arrays = {name: torch.from_numpy(values) for name, values in line_arrays(game).items()}
    edges = arrays["edges"]
    assert edges[-1] == -edges[0] == 3 + 6 * 0.5 and arrays["real"].shape == (BINS,)
    shares = sum(torch.distributions.Normal(mean, 0.5).cdf(edges).diff() for mean in (-1.0, 3.0)) / 2
    found = arrays["real"] * edges.diff()
    assert abs(float(found.sum()) - 1) < 1e-5
    torch.testing.assert_close(found, shares, atol=4 * (0.1 / SAMPLES) ** 0.5, rtol=0)


def test_a_density_counts_samples_outside() -> None:
    edges = torch.tensor([0.0, 1.0, 3.0])
    found = density(torch.tensor([0.5, 2.0, 2.5, 9.0]), edges)
    assert found.tolist() == [1 / 4, 2 / 4 / 2]


def test_the_picture_leaves_the_game_as_it_was(short: Callable[..., Recipe], run_path: Path) -> None:
    game = game_of(short(*LINE, "ema=0.9"))
    before = {name: tensor.clone() for name, tensor in game.state().items()}
    run = new_run(run_path, game.recipe)
    save_samples(game, run, 7)
    with np.load(run.samples / "000000007.npz") as file:
        assert set(file.files) == {"edges", "real", "generated", "places", "score", "starts", "gradient"}
    after = game.state()
    assert before.keys() == after.keys()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert all(parameter.grad is None for parameter in game.networks.parameters())


def test_modes_lie_on_the_line() -> None:
    drawn = Line(means=(-1.0, 3.0), std=0.25).open(torch.device("cpu")).held_out(4000, rng=Rng.of(0))
    assert drawn.samples.shape == (4000, 1) and drawn.labels is not None
    for mode, mean in enumerate((-1.0, 3.0)):
        own = drawn.samples[drawn.labels == mode]
        assert abs(float(own.mean()) - mean) < 0.03 and abs(float(own.std()) - 0.25) < 0.02
        assert abs(len(own) / 4000 - 0.5) < 0.04

"""Pictures of a run: the arrays of a probe, interpolations, histograms."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from linear_discriminator import CPU, IMAGES, Linear, game_of
from torch import nn

from new_run import new_run
from sparring.core.errors import NonFinite
from sparring.core.process import SILENT
from sparring.monitoring.discriminator_probe import ATTACK, DiscriminatorProbe
from sparring.monitoring.pictures import BINS, PATH_IMAGES, PATHS, SHOWN, histogram, save_probe, save_samples
from sparring.recipes import Recipe
from sparring.training.task import GANTask


@pytest.mark.parametrize(("slope", "named"), [(1e38, "input gradient"), (math.inf, "score")])
def test_gradients_that_are_not_finite_are_not_saved(
    slope: float, named: str, short: Callable[..., Recipe], run_path: Path
) -> None:
    game = game_of(short(*IMAGES))
    weight = torch.zeros(1, 8, 8)
    weight[0, 3, 3] = slope  # the score stays finite, its square does not
    game.networks.discriminator = Linear(weight)
    run = new_run(run_path, game.recipe)
    with pytest.raises(NonFinite, match=f"round 4: not finite: {named} of D"):
        save_probe(game, DiscriminatorProbe(game.source, CPU), run, 4)
    assert not run.probes.exists()


def test_saved_arrays_equal_the_probe(short: Callable[..., Recipe], run_path: Path) -> None:
    game = game_of(short(*IMAGES, "replicas=2", "ema=0.9"))
    run = new_run(run_path, game.recipe)
    probe = DiscriminatorProbe(game.source, CPU)
    save_probe(game, probe, run, 12)
    with np.load(run.probes / "000000012.npz") as file:
        arrays = {name: torch.from_numpy(file[name]) for name in file.files}
    look = probe.attack(game, 12)
    back = arrays["real"].float() / 127.5 - 1
    torch.testing.assert_close(back, look.real[:, :SHOWN], atol=0.5 / 127.5 + 1e-6, rtol=0)
    moved = arrays["perturbation"].float() / 127 * ATTACK.epsilon * 2
    torch.testing.assert_close(moved, (look.adversarial - look.real)[:, :SHOWN], atol=1e-4, rtol=0)
    assert torch.equal(arrays["d_adversarial"], torch.sigmoid(look.score_adversarial[:, :SHOWN]))
    assert arrays["gradient"].shape == (2, SHOWN, 8, 8) and (arrays["gradient"].amax((-2, -1)) == 255).all()
    assert arrays["counts"].sum(1).tolist() == [probe.real.numel()] * 2 and arrays["edges"].shape == (2, BINS + 1)
    assert arrays["between"].shape == (2, PATHS, PATH_IMAGES, 1, 8, 8)


@pytest.mark.parametrize(("moved", "files"), [(0.0, ["000000012.png"]), (1.0, ["000000012.live.png", "000000012.png"])])
def test_images_of_g_itself_are_saved_while_those_of_its_mean_differ(
    moved: float, files: list[str], short: Callable[..., Recipe], run_path: Path
) -> None:
    game = game_of(short(*IMAGES, "replicas=2", "ema=0.9"))
    run = new_run(run_path, game.recipe)
    with torch.no_grad():
        for weight in game.networks.generator.parameters():
            weight += moved * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    save_samples(game, run, 12)
    assert sorted(path.name for path in run.samples.iterdir()) == files
    averaged, live = ((run.samples / name).read_bytes() for name in (files[-1], files[0]))
    assert (live != averaged) == bool(moved)


def test_what_g_itself_covers_is_measured_beside_its_mean(short: Callable[..., Recipe]) -> None:
    for ema in (0.0, 0.9):
        task = GANTask(game_of(short(f"ema={ema}", "evaluate_every=1")), SILENT)
        row = {"step": 12} | task.measure(12)
        assert ("modes_live" in row) == ("modes_live" in task.metrics([row], complete=False)) == bool(ema)
    centres = task.source.facts.centres
    task.game.networks.generator = _Everywhere(
        centres + torch.randn(64, 8, 2, generator=torch.Generator().manual_seed(0)) / 10
    )
    again = task.measure(12)
    assert again["modes"] == row["modes"] < again["modes_live"] == 8


def test_interpolations_are_straight_lines_between_latents(short: Callable[..., Recipe], run_path: Path) -> None:
    game = game_of(short(*IMAGES, "ema=0"))
    game.networks.generator = _Latents()
    run = new_run(run_path, game.recipe)
    save_probe(game, DiscriminatorProbe(game.source, CPU), run, 0)
    with np.load(run.probes / "000000000.npz") as file:
        between = torch.from_numpy(file["between"][0, :, :, 0, 0, :4]).float() / 127.5 - 1
    ends = game.recipe.generator.prior.draw((2 * PATHS, 1, 4), rng=game.streams.rng("between"))[:, 0]
    torch.testing.assert_close(4 * between[:, 0], ends[:PATHS], atol=0.02, rtol=0)
    torch.testing.assert_close(4 * between[:, -1], ends[PATHS:], atol=0.02, rtol=0)
    steps = between.diff(dim=1)
    torch.testing.assert_close(steps, steps[:, :1].expand_as(steps), atol=0.02, rtol=0)


class _Everywhere(nn.Module):
    """A generator that draws these points `(n, 8, 2)`, whatever the latents."""

    def __init__(self, points: torch.Tensor) -> None:
        super().__init__()
        self.points = points.flatten(0, 1)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        return self.points[torch.arange(len(codes)) % len(self.points)]


class _Latents(nn.Module):
    """A G that writes its latents, a quarter as large, into the first row of the image."""

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(latents / 4, (0, 60)).reshape(*latents.shape[:-1], 1, 8, 8)


def test_points_have_no_probe_pictures(short: Callable[..., Recipe], run_path: Path) -> None:
    game = game_of(short())
    run = new_run(run_path, game.recipe)
    save_probe(game, DiscriminatorProbe(game.source, CPU), run, 0)
    assert not run.probes.exists()


def test_histograms_count_every_value() -> None:
    counts, edges = histogram(torch.tensor([-2.0, 0.0, 0.0, 1.0, 2.0]))
    assert counts.sum() == 5 and counts[BINS // 2] == 2
    assert edges[0] == -2 and edges[-1] == 2
    assert histogram(torch.zeros(3))[0][BINS // 2] == 3

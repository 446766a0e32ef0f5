"""The probe of D: right against a linear D, the same attack for every regime, without a trace; and what it saves."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sparring.attacks import in_scales
from sparring.core.errors import NonFinite
from sparring.gan.sampling import draw
from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.metrics import wasserstein1
from sparring.monitoring.discriminator_probe import ATTACK, DiscriminatorProbe
from sparring.monitoring.pictures import BINS, PATH_IMAGES, PATHS, SHOWN, histogram, save_probe
from sparring.networks import Verdict
from sparring.recipes import Recipe
from sparring.runs.folder import RunFolder
from sparring.training.loop import train

CPU = torch.device("cpu")
IMAGES = ("data=digits", "generator={name: mlp, latent: 4, hidden: [8]}", "discriminator={name: mlp, hidden: [8]}")
CONVOLUTIONS = ("data=digits", "generator={name: mnist, latent: 8, width: 4}", "discriminator={name: mnist, width: 4}")


class Linear(nn.Module):
    """A D whose score is linear in the sample."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, samples: torch.Tensor) -> Verdict:
        return Verdict((samples * self.weight).flatten(samples.dim() - self.weight.dim()).sum(-1))


def game_of(recipe: Recipe) -> GANState:
    return GANState(recipe, recipe.data.open(CPU), CPU)


def test_the_numbers_of_a_linear_discriminator(short: Callable[..., Recipe]) -> None:
    game = game_of(short(*IMAGES))
    weight = torch.zeros(1, 8, 8)
    weight[0, 2:6, 3] = 0.5  # four equal entries of 64
    game.networks.discriminator = Linear(weight)
    probe = DiscriminatorProbe(game.source, CPU)
    found = probe.measure(game, 3)
    assert found["input_gradient_l1"] == pytest.approx(2.0)
    assert found["input_gradient_norm"] == pytest.approx(1.0)
    assert found["input_gradient_norm_max"] == pytest.approx(1.0)
    assert found["input_gradient_sparsity"] == pytest.approx((8 - 2) / (8 - 1))
    look = probe.attack(game, 3)
    strokes = probe.real[:, 0, 2:6, 3]
    torch.testing.assert_close(look.score, strokes.sum(1) / 2)
    # Each of the four pixels falls by epsilon of [0, 1], that is by twice as much of [-1, 1], but not below black.
    falls = torch.minimum(strokes + 1, torch.tensor(2 / 255)).sum(1) / 2
    torch.testing.assert_close(look.score - look.score_adversarial, falls, atol=1e-6, rtol=1e-4)
    assert found["probe_d_adversarial"] == pytest.approx(float(torch.sigmoid(look.score_adversarial).mean()))
    assert set(found) == set(probe.protocols())


def test_the_critic_is_bounded_by_the_exact_distance_of_the_same_points(short: Callable[..., Recipe]) -> None:
    game = game_of(short("replicas=2"))
    probe = DiscriminatorProbe(game.source, CPU)
    direction = torch.tensor([0.6, 0.8])
    game.networks.discriminator = Linear(direction)
    with torch.no_grad():  # G itself, not its running mean
        for parameter in game.generator.parameters():
            parameter.add_(0.1)
    found = probe.measure(game, 5)
    fake = draw(
        game.recipe, game.generator, game.networks.space, game.streams, len(probe.real), "probe/latents", 5
    ).samples
    for index in range(2):
        exact = wasserstein1(probe.real, fake[index])
        assert found["wasserstein1"][index] == pytest.approx(exact)
        gap = float((probe.real @ direction).mean() - (fake[index] @ direction).mean())
        assert found["critic_distance"][index] == pytest.approx(gap, abs=1e-5)
        assert abs(gap) <= exact
    assert "wasserstein1" not in DiscriminatorProbe(game_of(short(*IMAGES)).source, CPU).protocols()


@pytest.mark.parametrize("keys", [(), IMAGES, CONVOLUTIONS], ids=["points", "dense", "convolutions"])
def test_a_probe_leaves_no_trace(keys: tuple[str, ...], short: Callable[..., Recipe]) -> None:
    game = game_of(short(*keys))
    play_round(game, 0)
    probe = DiscriminatorProbe(game.source, CPU)
    before = {name: tensor.clone() for name, tensor in game.state().items()}
    modes, random = [m.training for m in game.networks.modules()], torch.random.get_rng_state()
    learns = [parameter.requires_grad for parameter in game.networks.parameters()]
    first = probe.measure(game, 1)
    assert first == probe.measure(game, 1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in game.state().items())
    assert modes == [m.training for m in game.networks.modules()]
    assert torch.equal(random, torch.random.get_rng_state())
    assert learns == [parameter.requires_grad for parameter in game.networks.parameters()]
    assert all(parameter.grad is None for parameter in game.networks.parameters())


class _Restless(Linear):
    """A D that counts its calls and draws from torch's random state, in eval mode too."""

    calls: torch.Tensor

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__(weight)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, samples: torch.Tensor) -> Verdict:
        self.calls += 1
        return Verdict(super().forward(samples).score + torch.rand(()))


def test_even_a_restless_discriminator_keeps_no_trace(short: Callable[..., Recipe]) -> None:
    game = game_of(short())
    game.networks.discriminator = network = _Restless(torch.ones(2))
    state = torch.random.get_rng_state()
    DiscriminatorProbe(game.source, CPU).measure(game, 1)
    assert network.calls == 0 and torch.equal(state, torch.random.get_rng_state())


def test_every_sample_is_seen_alone_in_eval_mode(short: Callable[..., Recipe]) -> None:
    game = game_of(short(*CONVOLUTIONS))
    play_round(game, 0)
    probe = DiscriminatorProbe(game.source, CPU)
    for few, many in zip(probe.attack(game, 1, 3), probe.attack(game, 1), strict=True):
        torch.testing.assert_close(few, many[:3])


@pytest.mark.parametrize("keys", [(), IMAGES], ids=["points", "images"])
def test_replicas_are_probed_as_single_games(keys: tuple[str, ...], short: Callable[..., Recipe]) -> None:
    packed, singles = (
        game_of(short(*keys, "replicas=2", "seed=3")),
        [game_of(short(*keys, f"seed={n}")) for n in (3, 4)],
    )
    found, probe = DiscriminatorProbe(packed.source, CPU).measure(packed, 2), DiscriminatorProbe(packed.source, CPU)
    for name, values in found.items():
        assert values == pytest.approx([probe.measure(single, 2)[name] for single in singles], rel=1e-4)


def test_every_regime_is_probed_by_the_same_attack(short: Callable[..., Recipe]) -> None:
    regimes = ("plain", "symmetric", "{name: replace, attack: {name: pgd, epsilon: 16/255}}", "mixed")
    games = [game_of(short(*IMAGES, f"regime={regime}")) for regime in regimes]
    looks = [DiscriminatorProbe(game.source, CPU).attack(game, 7) for game in games]
    for look in looks:
        assert torch.equal(look.adversarial, looks[0].adversarial)
    size = (looks[0].adversarial - looks[0].real).abs().amax()
    assert float(size) == pytest.approx(2 / 255, rel=1e-5)
    assert (
        "1/255 (0.00392 of [0, 1], 0.00784 of [-1, 1])"
        in DiscriminatorProbe(games[0].source, CPU).protocols()["probe_d_real"]
    )


def test_numbers_that_are_not_finite_stop_the_run_by_name(short: Callable[..., Recipe]) -> None:
    game = game_of(short())
    game.networks.discriminator = Linear(torch.tensor([3e38, -3e38]))
    with pytest.raises(NonFinite, match="round 4: not finite: probe_d_real in eval mode"):
        DiscriminatorProbe(game.source, CPU).measure(game, 4)


@pytest.mark.parametrize(("slope", "named"), [(1e38, "input gradient"), (math.inf, "score")])
def test_gradients_that_are_not_finite_are_not_drawn(
    slope: float, named: str, short: Callable[..., Recipe], run_path: Path
) -> None:
    game = game_of(short(*IMAGES))
    weight = torch.zeros(1, 8, 8)
    weight[0, 3, 3] = slope  # the score stays finite, its square does not
    game.networks.discriminator = Linear(weight)
    run = RunFolder.create(run_path, game.recipe, {})
    with pytest.raises(NonFinite, match=f"round 4: not finite: {named} of D"):
        save_probe(game, DiscriminatorProbe(game.source, CPU), run, 4)
    assert not run.probes.exists()


def test_rows_and_summary_have_the_probe_at_every_evaluation(short: Callable[..., Recipe], run_path: Path) -> None:
    summary = train(short("evaluate_every=10", "log_every=5", "replicas=2"), run_path, device="cpu")
    rows = [json.loads(line) for line in (run_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "probe_d_real" in row] == [10, 20]
    assert summary.metrics["input_gradient_l1"].as_json()["value"] == rows[-1]["input_gradient_l1"]
    assert "held-out real samples" in summary.metrics["input_gradient_l1"].protocol


def test_what_is_saved_is_what_was_seen(short: Callable[..., Recipe], run_path: Path) -> None:
    game = game_of(short(*IMAGES, "replicas=2", "ema=0.9"))
    run = RunFolder.create(run_path, game.recipe, {})
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


def test_interpolations_start_and_end_at_the_latents(short: Callable[..., Recipe], run_path: Path) -> None:
    game = game_of(short(*IMAGES, "ema=0"))
    game.networks.generator = _Latents()
    run = RunFolder.create(run_path, game.recipe, {})
    save_probe(game, DiscriminatorProbe(game.source, CPU), run, 0)
    with np.load(run.probes / "000000000.npz") as file:
        between = torch.from_numpy(file["between"][0, :, :, 0, 0, :4]).float() / 127.5 - 1
    ends = game.recipe.generator.prior.draw((2 * PATHS, 1, 4), rng=game.streams.rng("between"))[:, 0]
    torch.testing.assert_close(4 * between[:, 0], ends[:PATHS], atol=0.02, rtol=0)
    torch.testing.assert_close(4 * between[:, -1], ends[PATHS:], atol=0.02, rtol=0)
    steps = between.diff(dim=1)
    torch.testing.assert_close(steps, steps[:, :1].expand_as(steps), atol=0.02, rtol=0)


class _Latents(nn.Module):
    """A G that writes its latents, a quarter as large, into the first row of the image."""

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(latents / 4, (0, 60)).reshape(*latents.shape[:-1], 1, 8, 8)


def test_points_have_no_pictures(short: Callable[..., Recipe], run_path: Path) -> None:
    game = game_of(short())
    run = RunFolder.create(run_path, game.recipe, {})
    save_probe(game, DiscriminatorProbe(game.source, CPU), run, 0)
    assert not run.probes.exists()


def test_a_histogram_holds_every_value() -> None:
    counts, edges = histogram(torch.tensor([-2.0, 0.0, 0.0, 1.0, 2.0]))
    assert counts.sum() == 5 and counts[BINS // 2] == 2
    assert edges[0] == -2 and edges[-1] == 2
    assert histogram(torch.zeros(3))[0][BINS // 2] == 3


def test_a_size_on_three_scales() -> None:
    assert in_scales(8 / 255) == "8/255 (0.0314 of [0, 1], 0.0627 of [-1, 1])"

"""The probe of D: exact for a linear D, the same attack for every regime, no side effects."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from linear_discriminator import CONVOLUTIONS, CPU, IMAGES, Linear, game_of

from sparring.core.errors import NonFinite
from sparring.gan.sampling import draw
from sparring.gan.step import play_round
from sparring.metrics import wasserstein1
from sparring.monitoring.discriminator_probe import DiscriminatorProbe
from sparring.recipes import Recipe
from sparring.robustness.model_checks import changes, network_state
from sparring.training.loop import train


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


def test_the_critic_is_bounded_by_the_exact_distance(short: Callable[..., Recipe]) -> None:
    game = game_of(short("replicas=2"))
    probe = DiscriminatorProbe(game.source, CPU)
    direction = torch.tensor([0.6, 0.8])
    game.networks.discriminator = Linear(direction)
    with torch.no_grad():  # G itself, not its running mean
        for parameter in game.generator.parameters():
            parameter.add_(0.1)
    found = probe.measure(game, 5)
    fake = draw(game, len(probe.real), "probe/latents", 5, generator=game.generator).samples
    for index in range(2):
        exact = wasserstein1(probe.real, fake[index])
        assert found["wasserstein1"][index] == pytest.approx(exact)
        gap = float((probe.real @ direction).mean() - (fake[index] @ direction).mean())
        assert found["critic_distance"][index] == pytest.approx(gap, abs=1e-5)
        assert abs(gap) <= exact
    assert "wasserstein1" not in DiscriminatorProbe(game_of(short(*IMAGES)).source, CPU).protocols()


@pytest.mark.parametrize("keys", [(), IMAGES, CONVOLUTIONS], ids=["points", "dense", "convolutions"])
def test_a_probe_has_no_side_effects(keys: tuple[str, ...], short: Callable[..., Recipe]) -> None:
    game = game_of(short(*keys))
    play_round(game, 0)
    probe = DiscriminatorProbe(game.source, CPU)
    before, random = network_state(game.networks), torch.get_rng_state()
    assert probe.measure(game, 1) == probe.measure(game, 1)
    assert not changes(before, network_state(game.networks))
    assert torch.equal(random, torch.get_rng_state())


def test_samples_do_not_affect_each_other(short: Callable[..., Recipe]) -> None:
    game = game_of(short(*CONVOLUTIONS))
    play_round(game, 0)
    probe = DiscriminatorProbe(game.source, CPU)
    for few, many in zip(probe.attack(game, 1, 3), probe.attack(game, 1), strict=True):
        torch.testing.assert_close(few, many[:3])


@pytest.mark.parametrize("keys", [(), IMAGES], ids=["points", "images"])
def test_replicas_equal_single_games_in_a_probe(keys: tuple[str, ...], short: Callable[..., Recipe]) -> None:
    packed = game_of(short(*keys, "replicas=2", "seed=3"))
    singles = [game_of(short(*keys, f"seed={n}")) for n in (3, 4)]
    probe = DiscriminatorProbe(packed.source, CPU)
    for name, values in probe.measure(packed, 2).items():
        assert values == pytest.approx([probe.measure(single, 2)[name] for single in singles], rel=1e-4)


def test_the_attack_is_the_same_for_every_regime(short: Callable[..., Recipe]) -> None:
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


def test_numbers_that_are_not_finite_are_named(short: Callable[..., Recipe]) -> None:
    game = game_of(short())
    game.networks.discriminator = Linear(torch.tensor([3e38, -3e38]))
    with pytest.raises(NonFinite, match="round 4: not finite: probe_d_real in eval mode"):
        DiscriminatorProbe(game.source, CPU).measure(game, 4)


def test_rows_and_summary_have_the_probe_at_every_evaluation(short: Callable[..., Recipe], run_path: Path) -> None:
    summary = train(short("steps=8", "evaluate_every=4", "log_every=2", "replicas=2"), run_path, device="cpu")
    rows = [json.loads(line) for line in (run_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "probe_d_real" in row] == [4, 8]
    assert summary.metrics["input_gradient_l1"].as_json()["value"] == rows[-1]["input_gradient_l1"]
    assert "held-out real samples" in summary.metrics["input_gradient_l1"].protocol

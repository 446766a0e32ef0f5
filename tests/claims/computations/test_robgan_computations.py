"""The computations of Rob-GAN's schematic figures, and that each sees a fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparring.claims.computations.discriminator_heads import DiscriminatorHeads
from sparring.claims.computations.finetuning_flow import FinetuningFlow
from sparring.claims.computations.robgan_round import RobGANRound
from sparring.networks.heads import ProjectionHead

ROUNDING = 1e-6


def test_a_round_shows_attacked_real_and_clean_generated_images() -> None:
    found = RobGANRound(rounds=2).compute(3)
    assert found["views"] == 1
    assert found["real_moved"] == pytest.approx(1, abs=1e-5)
    assert found["payoff_lowered"] == 1
    assert found["fake_moved"] == found["generator_difference"] == found["without_attack_difference"] == 0


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("regime.attacked: both", "fake_moved"),
        ("feedback: {name: flip, probability: 0.4}", "generator_difference"),
        ("regime.attack.step_size: 0.01", "real_moved"),
    ],
)
def test_a_round_of_another_game_is_seen(change: str, value: str, tmp_path: Path) -> None:
    recipe = tmp_path / "other.yaml"
    recipe.write_text(f"extends: robgan/digits\n{change}\n")
    found = RobGANRound(recipe=str(recipe), rounds=2).compute(3)
    right = RobGANRound(rounds=2).compute(3)
    assert abs(found[value] - right[value]) > 1e-5


def test_heads_have_the_formulas_of_the_figure() -> None:
    found = DiscriminatorHeads().compute(3)
    for name in ("projection_error", "auxiliary_error", "class_error"):
        assert found[name] < ROUNDING
    assert found["auxiliary_label"] == found["layers_difference"] == found["split_fake"] == 0
    assert min(found["projection_label"], found["ac_fake"], found["split_real"]) > 0.01


def test_a_projection_without_the_label_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProjectionHead, "score", lambda self, verdict, labels: verdict.score)
    found = DiscriminatorHeads().compute(3)
    assert found["projection_error"] > 0.01
    assert found["projection_label"] == 0


def test_fine_tuning_without_an_attack_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparring.classifier.step.attacked", lambda state, batch, step: batch.samples)
    assert FinetuningFlow().compute(3)["update_difference"] > 1e-4


def test_fine_tuning_follows_equation_10() -> None:
    found = FinetuningFlow().compute(3)
    assert found["start_difference"] < ROUNDING
    assert found["other_layers"] == found["generator_change"] == 0
    assert found["attacked"] == pytest.approx(1, abs=1e-5)
    assert found["update_difference"] < ROUNDING
    assert found["moved"] > 1e-4

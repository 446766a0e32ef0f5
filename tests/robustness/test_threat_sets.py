"""Budgets of a target, and sets of threats."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from robust_models import TRAINED_AGAINST, on_digits, sound
from sparring.attacks import PGD, PGDL2
from sparring.core.balls import L2, Linf
from sparring.core.errors import UsageError
from sparring.core.randomness import Rng
from sparring.core.records import InvalidRecord
from sparring.robustness.budgets import budgets_of
from sparring.robustness.targets import target_of
from sparring.robustness.threat_sets import chosen_threats


@pytest.mark.parametrize(
    ("attack", "ball", "grid"),
    [
        (None, Linf(), (0.1, 0.2, 0.4)),
        (PGD(epsilon=0.0), Linf(), (0.1, 0.2, 0.4)),
        (TRAINED_AGAINST, Linf(), (0.05, 0.1, 0.2)),
        (PGDL2(epsilon=0.5), L2(), (0.25, 0.5, 1.0)),
    ],
)
def test_budgets_follow_what_was_trained_against(attack: PGD | None, ball: Linf, grid: tuple[float, ...]) -> None:
    target = on_digits(sound("linear").network, attack, count=20)
    found = budgets_of(target)
    assert (found.ball, found.main) == (ball, grid[1]) and found.epsilons == pytest.approx(grid)


def test_budgets_of_colour_images_and_points() -> None:
    colour = target_of(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), torch.zeros(4, 3, 2, 2), torch.zeros(4).long())
    assert budgets_of(colour).main == 8 / 255
    x = Rng.of(0).normal((100, 2)) * 5
    points = target_of(nn.Linear(2, 2), x, torch.zeros(100).long(), low=None, high=None)
    assert budgets_of(points).main == 1.0
    other = budgets_of(colour).in_other_norm()
    assert other.ball == L2() and other.main == pytest.approx(8 / 255 * math.sqrt(12) / 4)
    chosen = budgets_of(on_digits(sound("linear").network, TRAINED_AGAINST, count=20), [0.3, 0.1, 0.2])
    assert chosen.epsilons == (0.1, 0.2, 0.3) and chosen.main == 0.1
    assert budgets_of(colour, [0.3, 0.1, 0.2]).main == 0.2
    with pytest.raises(UsageError, match="each should be above 0"):
        budgets_of(colour, [0.0, 0.1])


def test_sets_are_lists_of_names() -> None:
    target = sound("mlp")
    budgets = budgets_of(target)
    assert chosen_threats("quick", budgets) == chosen_threats("fgsm, apgd-ce, noise", budgets)
    both = chosen_threats("quick, autoattack,fgsm", budgets)
    assert both == [*chosen_threats("quick", budgets), *chosen_threats("autoattack", budgets)[len(budgets.epsilons) :]]
    kinds = {threat.kind for threat in chosen_threats("standard", budgets)}
    assert kinds == {"white-box", "black-box", "noise", "other"}
    with pytest.raises(UsageError, match="no 'sqare'; did you mean square"):
        chosen_threats("fgsm,sqare", budgets)


def test_a_file_of_threats(tmp_path: Path) -> None:
    target = sound("mlp").first(20)
    path = tmp_path / "threats.yaml"
    path.write_text("- {name: own, kind: white-box, attack: {name: pgd, epsilon: 8/255, steps: 3}, criterion: dlr}\n")
    threats = chosen_threats(str(path), budgets_of(target))
    assert threats[-1].name == "own" and threats[-1].attack == PGD(epsilon=8 / 255, steps=3)
    path.write_text("- {name: own, kind: white-box, attack: pgdd}\n")
    with pytest.raises(InvalidRecord, match="did you mean pgd"):
        chosen_threats(str(path), budgets_of(target))
    path.write_text("name: own\n")
    with pytest.raises(UsageError, match="not a list"):
        chosen_threats(str(path), budgets_of(target))
    with pytest.raises(UsageError, match="No such file"):
        chosen_threats(str(tmp_path / "none.yaml"), budgets_of(target))

"""Which theorem covers which game, and the tables that `sparring theory` prints."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sparring.cli.theorems import ADVERSARIES, DATA, EXAMPLES, OBJECTIVES, perturbation_table, theory_table
from sparring.core.pieces import members
from sparring.feedback import (
    Constant,
    Feedback,
    Flip,
    Flipping,
    Function,
    HonestFeedback,
    Lie,
    MixtureAdversary,
    Perturbation,
    Power,
    Sqrt,
)
from sparring.objectives import (
    Apart,
    Hinge,
    LeastSquares,
    Linear,
    Log,
    NonSaturating,
    Objective,
    SquareRoot,
    Tanh,
    Wasserstein,
)
from sparring.theory.theorem_coverage import covered_by, extended, finite_game, theory_rows


def tensor(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def leaning(theta: Tensor) -> Tensor:
    return 0.2 + 0.5 * theta**2


FRAMEWORK_1 = Apart(f_d=Log(), f_g=Linear())
SQRT = MixtureAdversary(perturbations=(Lie(perturbation=Sqrt(), probability=0.1),))


@pytest.mark.parametrize(
    ("objective", "feedback", "framework", "theorem", "reason"),
    [
        (FRAMEWORK_1, Flipping(probability=0.4), "1", "5", "f_G is in H"),
        (FRAMEWORK_1, SQRT, "1", None, "psi(1/2) is not 1/2"),
        (FRAMEWORK_1, Flipping(probability=0.5), "1", None, "probability 0.5, not more than 0.5"),
        (Linear(), SQRT, "2", "6", "in H"),
        (Linear(), HonestFeedback(), "2", "6", "in H"),
        (Linear(), Flipping(probability=0.6), "2", None, "probability 0.4, not more than 0.5"),
        (Tanh(), ADVERSARIES["overstated flip 0.4"], "2", "6", "in H"),
        (Log(), Flipping(probability=0.1), None, None, "f_G is not in H"),
        (NonSaturating(), HonestFeedback(), None, None, "f_G is not in H"),
        (Apart(f_d=Linear(), f_g=Log()), HonestFeedback(), None, None, "f_G is not in H"),
        (Wasserstein(), HonestFeedback(), None, None, "H-hat"),
        (SquareRoot(), HonestFeedback(), None, None, "H-hat"),
        (Hinge(), HonestFeedback(), None, None, "f_D is not in H"),
        (LeastSquares(), HonestFeedback(), None, None, "D is not paid"),
    ],
)
def test_coverage(
    objective: Objective, feedback: Feedback, framework: str | None, theorem: str | None, reason: str
) -> None:
    coverage = covered_by(objective, feedback)
    assert (coverage.framework, coverage.theorem) == (framework, theorem)
    assert reason in str(coverage)
    assert ("no theorem" in str(coverage)) == (theorem is None)


def test_the_table_shows_what_the_theorems_say() -> None:
    rows = {(row.objective, row.adversary): row for row in theory_table()}
    assert len(rows) == len(OBJECTIVES) * len(ADVERSARIES)
    for row in rows.values():
        assert row.theorem is None or (row.verdict == "holds" and row.smallest_excess > 0)
        assert row.theorem is None or abs(row.value_at_data) < 1e-12
    for adversary in ("flip 0.1", "flip 0.4", "flip, sqrt, square 0.1 each"):
        assert rows["log", adversary].verdict == "-inf"
    assert rows["log", "honest"].value_at_data == pytest.approx(-math.log(4))
    assert rows["log", "honest"].verdict == "holds"
    assert rows["linear", "flip 0.6"].verdict == "broken by P_G = (0, 0, 0, 0, 1)"
    assert rows["apart(log, linear)", "overstated flip 0.4"].verdict.startswith("broken by P_G")
    # Sufficient, not necessary: nothing covers this one, and it holds.
    uncovered = rows["apart(log, linear)", "flip, sqrt, square 0.1 each"]
    assert (uncovered.theorem, uncovered.verdict) == (None, "holds")
    assert finite_game(Wasserstein(), HonestFeedback()) is None
    assert theory_rows([LeastSquares()], ADVERSARIES, DATA) == []


def test_the_table_of_perturbations() -> None:
    rows = {row.name.partition("(")[0]: (row.first, row.second) for row in perturbation_table()}
    known = {"honest": (True, False), "flip": (False, True), "constant": (True, True)}
    assert rows == dict.fromkeys(("sqrt", "square", "power", "function"), (False, False)) | known
    assert set(EXAMPLES) <= set(members(Perturbation))


@pytest.mark.parametrize(
    "psi", [Flip(), Sqrt(), Power(exponent=3.0), Constant(value=0.9), Function(psi=f"{__name__}:leaning")]
)
def test_a_perturbation_extends_to_both_infinities(psi: Perturbation) -> None:
    score = tensor([-math.inf, -3.0, 0.0, 3.0, math.inf])
    perturbed = extended(psi)(score)
    assert torch.allclose(torch.sigmoid(perturbed), psi.probability(torch.sigmoid(score)), atol=1e-12)

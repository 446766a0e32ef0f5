"""`sparring theory`: every objective against every adversary on a finite game, and Theorem 5's conditions."""

from __future__ import annotations

import math
from typing import Any

from sparring.cli.terminal import Row, print_rows, print_table
from sparring.core.errors import print_text
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
    Square,
)
from sparring.objectives import Apart, Cubic, Erf, Linear, Log, Objective, PiecewiseLinear, Sine, Tanh
from sparring.theory.theorem_coverage import PerturbationRow, TheoryRow, perturbation_row, theory_rows

DATA = (0.4, 0.3, 0.2, 0.1, 0.0)
"""P_data: four unequal modes, and one outcome of probability zero."""
OBJECTIVES: tuple[Objective, ...] = (
    Log(),
    Apart(f_d=Log(), f_g=Linear()),
    Linear(),
    PiecewiseLinear(),
    Cubic(),
    Sine(),
    Tanh(),
    Erf(),
)
OVERSTATED_FLIP = Function(psi="sparring.theory.counterexamples:overstated_flip")
ADVERSARIES: dict[str, Feedback] = {
    "honest": HonestFeedback(),
    "flip 0.1": Flipping(probability=0.1),
    "flip 0.4": Flipping(probability=0.4),
    "flip 0.6": Flipping(probability=0.6),
    "flip, sqrt, square 0.1 each": MixtureAdversary(
        perturbations=tuple(Lie(perturbation=psi, probability=0.1) for psi in (Flip(), Sqrt(), Square()))
    ),
    "constant(0.9) 0.4": MixtureAdversary(perturbations=(Lie(perturbation=Constant(value=0.9), probability=0.4),)),
    "overstated flip 0.4": MixtureAdversary(perturbations=(Lie(perturbation=OVERSTATED_FLIP, probability=0.4),)),
}
EXAMPLES: dict[str, Perturbation] = {"power": Power(exponent=3.0), "function": OVERSTATED_FLIP}
"""Arguments for the perturbations that need some."""


def theory_table() -> list[TheoryRow]:
    """Every objective against every adversary."""
    return theory_rows(OBJECTIVES, ADVERSARIES, DATA)


def perturbation_table() -> list[PerturbationRow]:
    """Which of Theorem 5's two conditions every registered perturbation satisfies."""
    without_arguments = {
        name: cls.model_validate({})
        for name, cls in members(Perturbation).items()
        if not any(field.is_required() for field in cls.model_fields.values())
    }
    return [perturbation_row(psi) for psi in (without_arguments | EXAMPLES).values()]


def theory_tables() -> Row:
    """Both tables of `sparring theory` as plain values; infinities are strings."""
    games = [{key: _finite(value) for key, value in row._asdict().items()} for row in theory_table()]
    return {"games": games, "perturbations": [row._asdict() for row in perturbation_table()]}


def _finite(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def print_theory() -> None:
    """The tables of `sparring theory`: adversaries down, objectives across."""
    games = theory_table()
    objectives = list(dict.fromkeys(row.objective for row in games))
    adversaries = list(dict.fromkeys(row.adversary for row in games))
    cells = {(row.adversary, row.objective): _theory_cell(row) for row in games}
    rows = [[name, *(cells[name, objective] for objective in objectives)] for name in adversaries]
    print_table("Is P_G = P_data best for G against the optimal D?", ["adversary", *objectives], rows)
    print_text("  Theorem 5, 6: the theorem covers the game, and no better P_G was found; uncovered: no theorem")
    print_text("  broken: a P_G was found with V below V(P_data) by the number shown (--json names it)\n")
    print_rows("Theorem 5's conditions on a perturbation", [row._asdict() for row in perturbation_table()])


def _theory_cell(row: TheoryRow) -> str:
    if row.smallest_excess >= 0:
        return f"Theorem {row.theorem}" if row.theorem else "uncovered"
    return f"broken {row.smallest_excess:.2g}"

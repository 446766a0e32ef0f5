"""`sparring theory`: objectives against adversaries on a finite game, Theorem 5's conditions, least squares."""

from __future__ import annotations

import math
from itertools import cycle
from typing import Any

import numpy as np
import torch

from sparring.cli.terminal import Row, print_rows, print_table
from sparring.core.errors import print_text
from sparring.core.pieces import AnyPiece, members
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
from sparring.objectives import (
    Apart,
    Cubic,
    Erf,
    Linear,
    Log,
    Objective,
    OnProbability,
    PiecewiseLinear,
    Sine,
    Tanh,
)
from sparring.report.charts import CYCLE, DASHES, Chart, Curve
from sparring.theory.finite_games import distribution, jsd
from sparring.theory.least_squares import least_squares_generator, optimal_least_squares, pearson
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
GENERATORS = {
    "P_data": DATA,
    "three of four modes": (0.4, 0.3, 0.2, 0.0, 0.0),
    "one mode": (1.0, 0.0, 0.0, 0.0, 0.0),
    "uniform": (0.2, 0.2, 0.2, 0.2, 0.2),
    "elsewhere": (0.0, 0.0, 0.0, 0.0, 1.0),
}
"""Weights of P_G for the table of the least squares GAN."""
EXAMPLES: dict[str, Perturbation] = {"power": Power(exponent=3.0), "function": OVERSTATED_FLIP}
"""Arguments for the perturbations that need some."""


def theory_table() -> list[TheoryRow]:
    """Every objective against every adversary."""
    return theory_rows(OBJECTIVES, ADVERSARIES, DATA)


def perturbation_table() -> list[PerturbationRow]:
    """Which of Theorem 5's two conditions every registered perturbation satisfies."""
    return [perturbation_row(psi) for psi in (_with_defaults(Perturbation) | EXAMPLES).values()]


def _with_defaults(family: type[AnyPiece]) -> dict[str, AnyPiece]:
    """The members of a family that need no arguments, by name."""
    return {
        name: cls.model_validate({})
        for name, cls in members(family).items()
        if not any(field.is_required() for field in cls.model_fields.values())
    }


def least_squares_table() -> list[Row]:
    """What G descends in the least squares GAN with labels -1, 1, 0, at the optimal D, beside two divergences."""
    p, rows = torch.tensor(DATA, dtype=torch.float64), []
    for name, weights in GENERATORS.items():
        q = distribution(torch.tensor(weights, dtype=torch.float64))
        divergences = {
            "2 V": 2 * least_squares_generator(p, q, optimal_least_squares(p, q)),
            "chi-squared(P + Q, 2 Q)": pearson(p + q, 2 * q),
            "2 JSD, of the log": 2 * jsd(p, q),
        }
        rows.append({"P_G": name} | {key: abs(round(float(value), 9)) for key, value in divergences.items()})
    return rows


def theory_tables() -> Row:
    """The tables of `sparring theory` as plain values; infinities are strings."""
    games = [{key: _finite(value) for key, value in row._asdict().items()} for row in theory_table()]
    return {
        "games": games,
        "perturbations": [row._asdict() for row in perturbation_table()],
        "least_squares": least_squares_table(),
    }


def _finite(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def objectives_picture() -> Chart:
    """Figure 2a: the members of H, as functions of D(x), drawn from the pieces and not from a table."""
    theta = np.linspace(0.0, 1.0, 201)
    score = torch.logit(torch.from_numpy(theta))
    drawn = [each for each in _with_defaults(Objective).values() if isinstance(each, OnProbability)]
    curves = tuple(
        Curve(each.name, theta, each.payoff(score).numpy()[:, None], colour, dash)
        for each, colour, dash in zip(drawn, cycle(CYCLE), cycle(DASHES), strict=False)
    )
    return Chart(
        "objectives", "Objectives in H", "Odd around D(x) = 1/2 and increasing.", "f", curves, across="D(x)",
        is_whole=False,
    )  # fmt: skip


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
    print_rows("The least squares GAN against its optimal D is Pearson's chi-squared", least_squares_table())


def _theory_cell(row: TheoryRow) -> str:
    if row.smallest_excess >= 0:
        return f"Theorem {row.theorem}" if row.theorem else "uncovered"
    return f"broken {row.smallest_excess:.2g}"

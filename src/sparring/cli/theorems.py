"""The games and perturbations that `sparring theory` shows."""

from __future__ import annotations

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
from sparring.theory import PerturbationRow, TheoryRow, perturbation_row, theory_rows

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

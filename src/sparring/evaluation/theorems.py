"""Which robustness theorem covers a game, and the small table that shows each at work on a finite game.

Nothing goes by name: f_D, f_G and the perturbations are checked numerically. The theorems are sufficient, not
necessary: sqrt and square under Framework 1 hold and none covers them. As P and Q both sum to 1, V only sees
differences of f_G(psi(D)), and those of a non-decreasing psi never mislead.

Source: Xu, Li, Jegelka, section 4, theorems 5 and 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from sparring.core.pieces import members
from sparring.core.randomness import Rng
from sparring.core.records import Record
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
from sparring.theory import (
    Game,
    ScoreFunction,
    Theorem5,
    in_h,
    is_mostly_honest,
    on_scores,
    optimal_log,
    optimal_odd,
    search,
    theorem_5,
)

Framework = Literal["1", "2"]
Theorem = Literal["5", "6"]
THEOREMS: dict[Framework, Theorem] = {"1": "5", "2": "6"}
DATA = (0.4, 0.3, 0.2, 0.1, 0.0)
"""P_data of the table: four unequal modes, and one outcome that the data never shows."""
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
"""What stands in the table for members that need arguments."""


class Coverage(Record):
    """What the theorems say about an objective under an adversary.

    Args:
        framework: 1 for f_D = log and f_G in H, 2 for both in H.
        theorem: the one that guarantees P_G = P_data at the optimum, if any does.
        honest_probability: the adversary's probability of telling the truth.
        reasons: why the theorem applies, or what keeps each one from it, as short sentences.
    """

    framework: Framework | None
    theorem: Theorem | None
    honest_probability: float
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        covering = f"Theorem {self.theorem}" if self.theorem else "no theorem"
        return f"{covering} covers this game: {'; '.join(self.reasons)}"


class TheoryRow(NamedTuple):
    """One game of the table.

    Args:
        objective: its name and arguments.
        adversary: in words.
        framework: as in `Coverage`.
        theorem: as in `Coverage`.
        value_at_data: V at P_G = P_data.
        smallest_excess: the smallest V(P_G) - V(P_data) found over other P_G.
        at: the P_G where it was found.
        verdict: whether P_data alone is optimal as far as the search sees.
    """

    objective: str
    adversary: str
    framework: Framework | None
    theorem: Theorem | None
    value_at_data: float
    smallest_excess: float
    at: tuple[float, ...]
    verdict: str


class PerturbationRow(NamedTuple):
    """A perturbation and which of Theorem 5's conditions it satisfies, with evidence where it does not."""

    name: str
    first: bool
    second: bool
    evidence: tuple[str, ...]


def covered_by(objective: Objective, feedback: Feedback) -> Coverage:
    """Which theorem covers a game, if any, and why.

    Source: Xu, Li, Jegelka, theorems 5 and 6.
    """
    framework, reasons = _framework(objective)
    honest = feedback.honest_probability
    lies = [] if is_mostly_honest(honest) else [f"honest with probability {honest:.4g}, not more than 0.5"]
    lies += _outside_theorem_5(feedback) if framework == "1" else []
    theorem = THEOREMS[framework] if framework and not lies else None
    return Coverage(
        framework=framework,
        theorem=theorem,
        honest_probability=honest,
        reasons=(*reasons, *lies),
    )


def theory_table(
    objectives: tuple[Objective, ...] = OBJECTIVES,
    adversaries: Mapping[str, Feedback] = ADVERSARIES,
    data: tuple[float, ...] = DATA,
    seed: int = 0,
) -> list[TheoryRow]:
    """Every objective against every adversary on a finite game, at the optimal discriminator.

    V at P_G = P_data is 0 for an odd f_G, and -log 4 for the honest log.

    Args:
        objectives: with f_D the log or in H; others have no optimal discriminator here and are left out.
        adversaries: by the words that the table shows for them.
        data: P_data.
        seed: of the search for P_G.

    Source: Xu, Li, Jegelka, lemma 1, theorems 5 and 6.
    """
    return [
        _row(objective, game, name, feedback, torch.tensor(data, dtype=torch.float64), seed)
        for objective in objectives
        for name, feedback in adversaries.items()
        if (game := finite_game(objective, feedback)) is not None
    ]


def perturbation_table() -> list[PerturbationRow]:
    """Which of Theorem 5's two conditions every registered perturbation satisfies.

    A member that needs arguments is shown by its entry in `EXAMPLES`.
    """
    free = {
        name: cls.model_validate({})
        for name, cls in members(Perturbation).items()
        if not any(field.is_required() for field in cls.model_fields.values())
    }
    return [perturbation_row(psi) for psi in (free | EXAMPLES).values()]


def perturbation_row(psi: Perturbation) -> PerturbationRow:
    """Which of Theorem 5's two conditions a perturbation satisfies, with the evidence against the others."""
    checked = theorem_5(psi.probability)
    return PerturbationRow(
        name=_words(psi),
        first=checked.unit.holds and checked.first.holds,
        second=checked.unit.holds and checked.second.holds,
        evidence=_evidence(checked),
    )


def finite_game(objective: Objective, feedback: Feedback) -> Game | None:
    """An objective and an adversary as a finite game, if D's optimum is known in closed form."""
    if _is_log(objective):
        discriminator = optimal_log
    elif _is_symmetric(objective) and in_h(objective.real).holds:
        discriminator = optimal_odd
    else:
        return None
    adversary = tuple((share, extended(psi)) for share, psi in feedback.distribution())
    return Game(discriminator, f_generator(objective), adversary)


def f_generator(objective: Objective) -> ScoreFunction:
    """f_G as a function of the score, from G's payoff on fakes: f_G(1 - D) is what G pays."""
    return lambda score: -objective.generator(-score)


def extended(psi: Perturbation) -> ScoreFunction:
    """A perturbation on scores with both infinities: `probability` at the ends, `score` in between."""
    ends = on_scores(psi.probability)

    def told(score: Tensor) -> Tensor:
        inside = torch.isfinite(score)
        finite = torch.where(inside, score, torch.zeros_like(score))
        return torch.where(inside, psi.score(finite), ends(score))

    return told


def _framework(objective: Objective) -> tuple[Framework | None, list[str]]:
    g = in_h(f_generator(objective))
    lacking = [f"f_G is not in H: {check.evidence}" for check in g if not check.holds][:1]
    if _is_log(objective):
        return (None, lacking) if lacking else ("1", ["f_D is the log and f_G is in H"])
    if not _is_symmetric(objective):
        return None, ["D is not paid f_D(D) on real and f_D(1 - D) on fake samples", *lacking]
    d = in_h(objective.real)
    if d.odd.holds and d.increasing.holds and not d.finite.holds:
        return None, ["f_D is unbounded, in H-hat (raw scores): the theorems are stated for H"]
    lacking = [f"f_D is not in H: {check.evidence}" for check in d if not check.holds][:1] + lacking
    return (None, lacking) if lacking else ("2", ["f_D and f_G are in H"])


def _is_log(objective: Objective) -> bool:
    score = torch.linspace(-300.0, 300.0, 1201, dtype=torch.float64)
    return _is_symmetric(objective) and torch.allclose(
        objective.real(score), F.logsigmoid(score), rtol=1e-12, atol=1e-12
    )


def _is_symmetric(objective: Objective) -> bool:
    score = torch.linspace(-300.0, 300.0, 1201, dtype=torch.float64)
    return torch.allclose(objective.fake(score), objective.real(-score), rtol=1e-12, atol=1e-12)


def _row(objective: Objective, game: Game, name: str, feedback: Feedback, data: Tensor, seed: int) -> TheoryRow:
    coverage = covered_by(objective, feedback)
    worst = search(game, data, rng=Rng.of(seed))
    broken = f"broken by P_G = ({', '.join(f'{weight:.3g}' for weight in worst.at)})"
    verdict = "-inf" if worst.excess == -torch.inf else broken if worst.breaks else "holds"
    return TheoryRow(
        objective=_words(objective),
        adversary=name,
        framework=coverage.framework,
        theorem=coverage.theorem,
        value_at_data=worst.reference,
        smallest_excess=worst.excess,
        at=worst.at,
        verdict=verdict,
    )


def _words(piece: Objective | Perturbation) -> str:
    keys = {key: getattr(piece, key) for key in type(piece).model_fields}
    inner = ", ".join(getattr(value, "name", str(value)) for value in keys.values())
    return f"{piece.name}({inner})" if inner else piece.name


def _outside_theorem_5(feedback: Feedback) -> list[str]:
    checked = {psi: theorem_5(psi.probability) for share, psi in feedback.distribution() if share > 0}
    return [
        f"{_words(psi)} satisfies neither condition of Theorem 5: {', '.join(_evidence(found))}"
        for psi, found in checked.items()
        if not found.holds
    ]


def _evidence(found: Theorem5) -> tuple[str, ...]:
    return tuple(dict.fromkeys(check.evidence for check in found if not check.holds))

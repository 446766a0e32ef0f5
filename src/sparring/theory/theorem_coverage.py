"""Which robustness theorem covers a game, and the finite game of an objective and an adversary.

f_D, f_G and the perturbations are checked numerically, not by name. The theorems are sufficient, not necessary: under
Framework 1 neither covers sqrt and square, and P_data is still optimal. As P and Q both sum to 1, V depends only on
differences of f_G(psi(D)), and a non-decreasing psi keeps their sign.

Source: Xu, Li, Jegelka, section 4, theorems 5 and 6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from sparring.core.randomness import Rng
from sparring.core.records import Record
from sparring.theory.conditions import Theorem5, in_h, is_mostly_honest, theorem_5
from sparring.theory.counterexamples import search
from sparring.theory.finite_games import FiniteGame, ScoreFunction, on_scores, optimal_log, optimal_odd

Framework = Literal["1", "2"]
Theorem = Literal["5", "6"]
THEOREMS: dict[Framework, Theorem] = {"1": "5", "2": "6"}
_GRID = torch.linspace(-300.0, 300.0, 1201, dtype=torch.float64)


@runtime_checkable
class Payoffs(Protocol):
    """An objective: payoffs as functions of the score."""

    def real(self, score: Tensor) -> Tensor: ...
    def fake(self, score: Tensor) -> Tensor: ...
    def generator(self, score: Tensor) -> Tensor: ...


@runtime_checkable
class Psi(Protocol):
    """A perturbation, on probabilities and on scores."""

    def probability(self, theta: Tensor) -> Tensor: ...
    def score(self, score: Tensor) -> Tensor: ...


@runtime_checkable
class DishonestChannel(Protocol):
    """An adversary: perturbations with their probabilities."""

    @property
    def honest_probability(self) -> float: ...
    def distribution(self) -> Sequence[tuple[float, Psi]]: ...


class Coverage(Record):
    """The theorem that covers an objective under an adversary.

    Args:
        framework: 1 for f_D = log and f_G in H, 2 for both in H.
        theorem: the one that guarantees P_G = P_data at the optimum; None if neither does.
        reasons: why the theorem applies, or what violates its conditions, as short sentences.
    """

    framework: Framework | None
    theorem: Theorem | None
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        covering = f"Theorem {self.theorem}" if self.theorem else "no theorem"
        return f"{covering} covers this game: {'; '.join(self.reasons)}"


class TheoryRow(NamedTuple):
    """One finite game of a table.

    Args:
        objective: its name and arguments.
        adversary: its name.
        theorem: as in `Coverage`.
        value_at_data: V at P_G = P_data.
        smallest_excess: the smallest V(P_G) - V(P_data) found over other P_G.
        at: the P_G where it was found.
        verdict: `holds` if no other P_G was found to be as good for G.
    """

    objective: str
    adversary: str
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


def covered_by(objective: Payoffs, feedback: DishonestChannel) -> Coverage:
    """Which theorem covers a game, if any, and why.

    Source: Xu, Li, Jegelka, theorems 5 and 6.
    """
    framework, reasons = _framework(objective)
    honest = feedback.honest_probability
    violated = [] if is_mostly_honest(honest) else [f"honest with probability {honest:.4g}, not more than 0.5"]
    violated += _outside_theorem_5(feedback) if framework == "1" else []
    theorem = THEOREMS[framework] if framework and not violated else None
    return Coverage(framework=framework, theorem=theorem, reasons=(*reasons, *violated))


def theory_rows(
    objectives: Sequence[Payoffs], adversaries: Mapping[str, DishonestChannel], data: Sequence[float]
) -> list[TheoryRow]:
    """Every objective against every adversary on a finite game, at the optimal discriminator.

    V at P_G = P_data is 0 for an odd f_G, and -log 4 for the honest log.

    Args:
        objectives: those without a known optimal discriminator (see `finite_game`) are left out.
        adversaries: by name.
        data: P_data.

    Source: Xu, Li, Jegelka, lemma 1, theorems 5 and 6.
    """
    rows = []
    for objective in objectives:
        for name, feedback in adversaries.items():
            game = finite_game(objective, feedback)
            if game is None:
                continue
            best = search(game, torch.tensor(data, dtype=torch.float64), rng=Rng.of(0))
            broken = f"broken by P_G = ({', '.join(f'{weight:.3g}' for weight in best.at)})"
            rows.append(
                TheoryRow(
                    objective=_label(objective),
                    adversary=name,
                    theorem=covered_by(objective, feedback).theorem,
                    value_at_data=best.reference,
                    smallest_excess=best.excess,
                    at=best.at,
                    verdict="-inf" if best.excess == -torch.inf else broken if best.breaks else "holds",
                )
            )
    return rows


def perturbation_row(psi: Psi) -> PerturbationRow:
    """Which of Theorem 5's two conditions a perturbation satisfies, with evidence against the others."""
    checked = theorem_5(psi.probability)
    return PerturbationRow(
        name=_label(psi),
        first=checked.unit.holds and checked.first.holds,
        second=checked.unit.holds and checked.second.holds,
        evidence=_evidence(checked),
    )


def finite_game(objective: Payoffs, feedback: DishonestChannel) -> FiniteGame | None:
    """An objective and an adversary as a finite game; None unless f_D is the log or in H, whose optimal D is known."""
    if _is_log(objective):
        discriminator = optimal_log
    elif _is_symmetric(objective) and in_h(objective.real).holds:
        discriminator = optimal_odd
    else:
        return None
    adversary = tuple((share, extended(psi)) for share, psi in feedback.distribution())
    return FiniteGame(discriminator, f_generator(objective), adversary)


def f_generator(objective: Payoffs) -> ScoreFunction:
    """f_G as a function of the score: G pays f_G(1 - D) on fakes, so f_G(s) = -generator(-s)."""
    return lambda score: -objective.generator(-score)


def extended(psi: Psi) -> ScoreFunction:
    """A perturbation on scores, infinities included: `probability` at the ends, `score` in between."""
    ends = on_scores(psi.probability)

    def on_extended_scores(score: Tensor) -> Tensor:
        inside = torch.isfinite(score)
        finite = torch.where(inside, score, torch.zeros_like(score))
        return torch.where(inside, psi.score(finite), ends(score))

    return on_extended_scores


def _framework(objective: Payoffs) -> tuple[Framework | None, list[str]]:
    """The framework of an objective with the reason, or None with what violates both."""
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


def _is_log(objective: Payoffs) -> bool:
    """Whether f_D = log: D is paid log D(x) on real samples and log(1 - D(x)) on fake ones."""
    is_log = torch.allclose(objective.real(_GRID), F.logsigmoid(_GRID), rtol=1e-12, atol=1e-12)
    return is_log and _is_symmetric(objective)


def _is_symmetric(objective: Payoffs) -> bool:
    """Whether D is paid f_D(D) on real and f_D(1 - D) on fake samples."""
    return torch.allclose(objective.fake(_GRID), objective.real(-_GRID), rtol=1e-12, atol=1e-12)


def _outside_theorem_5(feedback: DishonestChannel) -> list[str]:
    checked = [(psi, theorem_5(psi.probability)) for share, psi in feedback.distribution() if share > 0]
    return [
        f"{_label(psi)} satisfies neither condition of Theorem 5: {', '.join(_evidence(result))}"
        for psi, result in checked
        if not result.holds
    ]


def _evidence(result: Theorem5) -> tuple[str, ...]:
    return tuple(dict.fromkeys(check.evidence for check in result if not check.holds))


def _label(piece: Any) -> str:
    """The name of a piece and its arguments: `apart(log, linear)`."""
    values = (getattr(piece, key) for key in type(piece).model_fields)
    inner = ", ".join(getattr(value, "name", str(value)) for value in values)
    return f"{piece.name}({inner})" if inner else str(piece.name)

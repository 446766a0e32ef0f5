"""The judgement of a claim: a function of its cells alone."""

from __future__ import annotations

import matplotlib

from sparring.claims.cells import ClaimCell
from sparring.claims.claim_schema import Claim, ScaleName
from sparring.claims.entries import JudgedStatement, LedgerEntry, PlayedCell, digest_of, values_of
from sparring.claims.results import CellValues, ClaimValues
from sparring.claims.statements import Sample, Statement
from sparring.claims.values import labels_match
from sparring.claims.verdicts import FEWEST_SEEDS, Verdict, estimate, holm, overall, verdict_on
from sparring.core.errors import UsageError
from sparring.recipes import TrainingRecipe


def judged(
    name: str,
    claim: Claim,
    scale: ScaleName,
    cells: tuple[PlayedCell, ...],
    environments: tuple[dict[str, object], ...],
    protocols: dict[str, str],
) -> LedgerEntry:
    """The entry of a claim with these cells."""
    statements = judge_statements(claim, values_of(cells, claim))
    return LedgerEntry(
        name=name,
        scale=scale,
        budget=claim.scale(scale).budget,
        verdict=overall([statement.verdict for statement in statements]),
        statements=statements,
        measures={measure_name: measure.key for measure_name, measure in claim.measures.items()},
        protocols=protocols,
        environments=environments,
        cells=cells,
        digest=digest_of(cells),
        drawn_with=f"matplotlib {matplotlib.__version__}",
    )


def judge_statements(claim: Claim, values: ClaimValues) -> tuple[JudgedStatement, ...]:
    """Every statement with its interval; p-values are corrected by Holm's method over all that can be compared."""
    samples = [statement.sample(values) for statement in claim.statements]
    found = [estimate(sample) for sample in samples]
    compared = [
        place
        for place, (statement, each) in enumerate(zip(claim.statements, found, strict=True))
        if each is not None and not statement.not_comparable
    ]
    adjusted = dict(zip(compared, holm([each.p for place in compared if (each := found[place])]), strict=True))
    judged_ones = []
    for place, (statement, sample) in enumerate(zip(claim.statements, samples, strict=True)):
        each = found[place]
        verdict, reason = _verdict(statement, sample, _played(statement, values))
        if not verdict:
            verdict = verdict_on(sample, each, adjusted[place])
        judged_ones.append(
            JudgedStatement(
                text=statement.text,
                says=statement.says,
                seeds=len(sample.values),
                mean=each.mean if each else None,
                interval=each.interval if each else None,
                p=each.p if each else None,
                adjusted=adjusted.get(place),
                method=each.method if each else "",
                verdict=verdict,
                reason=reason,
            )
        )
    return tuple(judged_ones)


def _played(statement: Statement, values: ClaimValues) -> int:
    """Seeds that every cell that a statement reads was played with."""
    seeds = [set(cell.seeds) for term in statement.terms for cell in values.chosen(term.where)]
    return len(set.intersection(*seeds))


def _verdict(statement: Statement, sample: Sample, played: int) -> tuple[Verdict | None, str]:
    """A verdict that needs no test, and its reason; or what is to be said beside the verdict of the test."""
    count = len(sample.values)
    left_out = f"{played - count} of {played} seeds have no number on one side and are left out"
    if statement.not_comparable:
        return "not comparable", statement.not_comparable
    if count == 0:
        return "not played", "no seed has numbers on both sides"
    if count < FEWEST_SEEDS:
        few = f"{count} seeds, and {FEWEST_SEEDS} are needed"
        return "undecided", f"{few}; {left_out}" if count < played else few
    return None, left_out if count < played else ""


def require_equal_budgets(name: str, claim: Claim, cells: tuple[ClaimCell, ...]) -> None:
    """All sides of every comparison see as many real samples in training.

    Raises:
        UsageError: they do not, and the statement does not say why.
    """
    for statement in claim.statements:
        if statement.unequal_budgets:
            continue
        left, *others = (
            {_images(cell) for cell in cells if labels_match(cell.labels, side.where)}
            for side in statement.sides(unplayed(cells))
        )
        for right in others:
            if left != right:
                cause = f"{name}: {statement.text}: {sorted(left)} real samples on one side, {sorted(right)} on another"
                raise UsageError(cause, "give all the same steps and batches, or say why in `unequal_budgets`")


def unplayed(cells: tuple[ClaimCell, ...]) -> ClaimValues:
    """The cells of a claim without values."""
    return ClaimValues(tuple(CellValues(cell.labels, {}) for cell in cells))


def _images(cell: ClaimCell) -> int:
    """Real samples in the training of a cell and of those that it starts from."""
    recipes = [each.source for each in cell.line if isinstance(each.source, TrainingRecipe)]
    return sum(recipe.steps * recipe.images_a_round for recipe in recipes)

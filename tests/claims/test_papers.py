"""Every figure, table, lemma and theorem of the papers and the notes has an entry that expands at both scales."""

from __future__ import annotations

import json

import pytest

from sparring.claims.cells import cells_of_scale
from sparring.claims.claim_schema import Claim, ClaimChart, Computation, Measure, ScaleName, Statement
from sparring.claims.judgement import judge_statements, require_equal_budgets
from sparring.claims.load import all_claims, claim_files
from sparring.claims.results import CellValues, ClaimValues
from sparring.core.pieces import Piece, members

CAPTIONS = {
    "dishonest": [
        *("figure-1", "figure-2a", "figure-2b", "table-1", "lemma-1", "lemma-4", "theorem-5", "theorem-6"),
        *(f"figure-{number}" for number in range(3, 16)),
    ],
    "robgan": [
        *("figure-1", "figure-2a", "figure-2b", "figure-3", "figure-4", "figure-5"),
        *("figure-6a", "figure-6b", "figure-6c", "figure-7", "figure-8", "table-1"),
    ],
    "asgan": [*(f"figure-{number}" for number in range(1, 16)), *(f"table-{number}" for number in range(1, 12))],
    "dat": [f"figure-{number}" for number in range(1, 9)],
    "notes": ["figure-1", "figure-2", *(f"problem-{number}" for number in range(1, 5))],
}
"""What the captions of the papers and the headings of the notes number."""
CLAIMS = all_claims()


@pytest.mark.parametrize("paper", CAPTIONS)
def test_every_caption_has_an_entry(paper: str) -> None:
    missing = [name for name in CAPTIONS[paper] if name not in claim_files()[paper].claims]
    assert not missing


@pytest.mark.parametrize("scale", ["small", "paper"])
@pytest.mark.parametrize("name", CLAIMS)
def test_every_claim_expands_and_can_be_judged(name: str, scale: ScaleName) -> None:
    claim = CLAIMS[name]
    cells = cells_of_scale(claim.scale(scale), name)
    require_equal_budgets(name, claim, cells)
    unplayed = ClaimValues(tuple(CellValues(cell.labels, {}) for cell in cells), claim.published)
    verdicts = {statement.verdict for statement in judge_statements(claim, unplayed)}
    assert verdicts <= {"not played", "not comparable"}
    for number in claim.published:
        assert number.measure in claim.measures
        assert scale == "small" or unplayed.chosen(number.where)
    assert len({str(cell.labels) for cell in cells}) == len(cells)
    assert scale == "paper" or claim.small.budget or all(cell.key in _keys(name) for cell in cells)


@pytest.mark.parametrize("name", CLAIMS)
def test_every_claim_is_plain_values(name: str) -> None:
    assert Claim.model_validate(CLAIMS[name].model_dump(mode="json")) == CLAIMS[name]


@pytest.mark.parametrize("family", [ClaimChart, Computation, Measure, Statement])
def test_every_piece_has_an_entry(family: type[Piece]) -> None:
    text = json.dumps([claim.model_dump(mode="json") for claim in CLAIMS.values()])
    unused = [name for name in members(family) if f'"name": "{name}"' not in text]
    assert not unused


def _keys(name: str) -> set[str]:
    """The cells of the paper's own scale."""
    return {cell.key for cell in cells_of_scale(CLAIMS[name].scale("paper"), name)}

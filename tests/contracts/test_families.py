"""Every registered piece against the contract of its family: a new piece is tested by existing."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from pathlib import Path

import pytest

import sparring
from piece_arguments import ARGUMENTS
from sparring.core.errors import UsageError
from sparring.core.pieces import FAMILIES, Piece, find, members, piece
from sparring.core.shapes import Scores
from sparring.objectives import Hinge, Objective
from sparring.optimizers import SGD, OneCycle
from sparring.testing import _CONTRACTS, check  # imports every family

SOURCE = Path(sparring.__file__).parent
OF_CLAIMS = {"claim_chart", "computation", "measure", "statement"}
"""Families that no recipe has; the entries of the papers use every member."""
ON_DISK = {("data", "store"), ("extractor", "inception")}
"""Checked in tests of their own, which make the files first."""

EVERY = [(family, name) for family in FAMILIES if family not in OF_CLAIMS for name in members(FAMILIES[family])]


@pytest.mark.parametrize(("family", "name"), [pair for pair in EVERY if pair not in ON_DISK])
def test_a_registered_piece_keeps_its_contract(family: str, name: str) -> None:
    values = {"name": name} | ARGUMENTS.get((family, name), {})
    check(FAMILIES[family].model_validate(values))


def test_every_contract_is_that_of_a_family() -> None:
    assert set(_CONTRACTS) == set(FAMILIES) - OF_CLAIMS - {"augmentation", "diff_augmentation"}


def test_every_family_has_members() -> None:
    assert not [family for family in FAMILIES if not members(FAMILIES[family])]


class _Backwards(Hinge):
    """A payoff that rises with wrong scores."""

    def real(self, score: Scores) -> Scores:
        return -super().real(score)


def test_the_contract_can_be_broken() -> None:
    with pytest.raises(AssertionError, match="payoff rises with correct scores"):
        check(_Backwards())


def test_a_rate_that_begins_at_zero_is_no_fault() -> None:
    check(SGD(lr=0.2, schedule=OneCycle()))


def test_a_piece_from_outside_is_found_by_its_import_path() -> None:
    reference = f"{_Backwards.__module__}:_Backwards"
    assert find(Objective, reference).__name__ == "_Backwards"  # type: ignore[type-abstract]
    assert Objective.model_validate(reference).name == reference


def test_a_name_is_unique() -> None:
    with pytest.raises(ValueError, match="already"):
        piece("hinge")(type("Again", (Objective,), {}))


def test_a_piece_is_frozen() -> None:
    made: Piece = Hinge()
    with pytest.raises(UsageError, match="frozen"):
        made.margin = 2.0  # type: ignore[attr-defined]


def test_a_new_file_in_a_family_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "family_of_the_test"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from sparring.core.pieces import import_members\n\nimport_members(__name__, __path__)\n"
    )
    (folder / "member.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert importlib.import_module("family_of_the_test").member


def test_every_public_class_has_a_name_of_its_own() -> None:
    names = [name for path in SOURCE.rglob("*.py") for name in re.findall(r"(?m)^class ([A-Z]\w*)", path.read_text())]
    assert sorted(name for name, count in Counter(names).items() if count > 1) == []

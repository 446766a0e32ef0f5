"""`sparring cite`: every piece is in the table of papers, and a run cites those that it used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from new_run import new_run
from sparring.citations import citations_of, own_pieces
from sparring.citations.citing import papers
from sparring.core.pieces import FAMILIES, members
from sparring.recipes import Recipe, load
from sparring.testing import check  # imports every family

assert check
OF_CLAIMS = {"claim_chart", "computation", "measure", "statement"}
ROOT = Path(__file__).parents[2]
THE_FOUR = ("xu2018robust", "liu2019robgan", "liu2021asgan", "li2020dat")


def test_every_piece_has_papers_or_explicitly_none() -> None:
    known = {family: set(members(FAMILIES[family])) for family in FAMILIES if family not in OF_CLAIMS}
    assert {family: set(names) for family, names in papers().pieces.items()} == known


def test_every_paper_is_of_a_piece_or_a_key() -> None:
    table = papers()
    used = {key for names in [*table.pieces.values(), *table.keys.values()] for keys in names.values() for key in keys}
    assert used == set(table.papers)


def test_a_run_cites_what_it_used() -> None:
    recipe = load("robgan/digits", ["lipschitz=spectral_norm"])
    found = {each.key: each for each in citations_of(recipe, ["frechet_distance", "success"])}
    assert found["liu2019robgan"].used == ("class_loss split", "regime replace")
    assert {"odena2017acgan", "madry2018pgd", "miyato2018sngan", "heusel2017fid", "yazici2019averaging"} < set(found)
    assert not {"li2020dat", "xu2018robust", "salimans2016score"} & set(found)
    assert found["heusel2017fid"].bibtex.startswith("@inproceedings{heusel2017fid,\n  title = {{GANs Trained by")
    classifier = {each.key for each in citations_of(load("robust/digits-trades"))}
    assert "zhang2019trades" in classifier


def test_on_the_command_line(sparring: Callable[..., Any], run_path: Path, short: Callable[..., Recipe]) -> None:
    new_run(run_path, short("objective=hinge"))
    answer = sparring("cite", run_path)
    assert answer.code == 0 and answer.out.startswith("@software{sparring,")
    assert "% objective hinge\n@misc{lim2017geometric," in answer.out
    wrong = sparring("cite", run_path / "none")
    assert wrong.code == 2 and "not a run folder" in wrong.err


def test_pieces_of_others_are_named(short: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    assert own_pieces(short("data=own_data:Moons")) == ["own_data:Moons"]


def test_the_citation_file_has_the_four_papers() -> None:
    references = yaml.safe_load((ROOT / "CITATION.cff").read_text())["references"]
    for key, reference in zip(THE_FOUR, references, strict=True):
        paper = papers().papers[key]
        assert (reference["title"], reference["year"]) == (paper.title, paper.year)
        names = [f"{each['family-names']}, {each['given-names']}" for each in reference["authors"]]
        assert " and ".join(names) == paper.author
        assert paper.arxiv in reference["url"]

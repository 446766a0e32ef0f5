"""The verb reproduce, end to end on a claim that trains in seconds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sparring.claims import plan
from sparring.claims.documents import mean_and_interval, with_tables
from sparring.claims.load import read_claims
from sparring.cli import app
from sparring.core.errors import Flagged, UsageError

FILE = Path(__file__).parents[1] / "claims" / "tiny.yaml"


def _run(*words: str) -> str:
    result = CliRunner().invoke(app, ["reproduce", *words, "--claims", str(FILE)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reproduced") / "ledger"
    assert "contradicted at small scale (30 rounds)" in _run("tiny/ring", "--out", str(out), "--workers", "1")
    return out


def test_every_claim_is_listed_with_its_verdict(ledger: Path) -> None:
    rows = {row["claim"]: row for row in json.loads(_run("--out", str(ledger), "--json"))}
    assert rows["tiny/ring"]["verdict"] == "contradicted"
    assert rows["tiny/ring"]["seeds"] == 5
    assert rows["dishonest/figure-3"]["verdict"] == "not played"


def test_a_ledger_is_checked(ledger: Path, tmp_path: Path) -> None:
    assert json.loads(_run("--check", str(ledger), "--json"))["problems"] == []
    file = tmp_path / "ledger" / "tiny" / "ring.json"
    file.parent.mkdir(parents=True)
    file.write_text((ledger / "tiny" / "ring.json").read_text().replace('"contradicted"', '"holds"'))
    with pytest.raises(Flagged):
        _run("--check", str(tmp_path / "ledger"))


def test_a_plan_plays_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "TIMED", 0.0)
    (row,) = json.loads(_run("tiny/ring", "--plan", "--out", str(tmp_path / "none"), "--workers", "2", "--json"))
    assert (row["cells"], row["games"], row["rounds"]) == (2, 10, "60")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["objective=linear"], "which claim"),
        (["--plan"], "which claim"),
        (["tiny/rign"], "did you mean tiny/ring"),
        (["tiny/ring", "colour=red"], "has no axis 'colour'"),
        (["tiny/ring", "objective=sine"], "no cell has objective sine"),
        (["tiny/ring", "objective=linear,sine"], "no cell has objective sine"),
        (["tiny/ring", "--seeds", "-1"], "whole numbers from 0 on"),
        (["tiny/ring", "--runs", "nowhere"], "no such folder"),
        (["tiny/ring", "--write", "README.md"], "--write with a claim"),
        (["--check", "--write", "README.md"], "--write with --check"),
        (["--plan", "--write", "README.md"], "--write with --plan"),
    ],
)
def test_mistakes_are_named(words: list[str], cause: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=cause):
        _run(*words, "--out", str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_documents_take_their_tables_from_the_ledger(ledger: Path, tmp_path: Path) -> None:
    document = tmp_path / "results.md"
    document.write_text(
        "Before.\n<!-- ledger: values tiny/ring spread objective=linear -->\nold\n<!-- /ledger -->\n"
        "<!-- ledger: verdicts tiny -->\n<!-- /ledger -->\n<!-- ledger: contradicted -->\n<!-- /ledger -->\nAfter.\n"
    )
    _run("--write", str(document), "--out", str(ledger))
    text = document.read_text()
    entry = json.loads((ledger / "tiny" / "ring.json").read_text())
    numbers = [seed["values"]["spread"] for seed in entry["cells"][0]["seeds"].values()]
    assert f"| {mean_and_interval('spread', numbers)} |" in text
    assert "| `tiny/ring` | nowhere | **contradicted** | 5 | 30 rounds |" in text
    assert text.count("| `tiny/ring` | `spread[objective linear] > spread[objective cubic] + 50` | −") == 1
    assert "old" not in text
    _run("--write", str(document), "--out", str(ledger))
    assert document.read_text() == text
    answer = json.loads(_run("--write", str(document), "--out", str(ledger), "--json"))
    assert answer == {"ledger": str(ledger), "documents": [str(document)]}


def test_a_table_of_a_claim_that_was_not_played_is_refused(ledger: Path) -> None:
    claims = {f"tiny/{name}": claim for name, claim in read_claims(FILE).claims.items()}
    with pytest.raises(UsageError, match="tiny/shared: was not played"):
        with_tables("<!-- ledger: statements tiny/shared -->\n<!-- /ledger -->", ledger, claims)
    with pytest.raises(UsageError, match="tiny/ring: has no measure 'spraed'"):
        with_tables("<!-- ledger: values tiny/ring spraed -->\n<!-- /ledger -->", ledger, claims)
    with pytest.raises(UsageError, match="a table without a claim"):
        with_tables("<!-- ledger: statements -->\n<!-- /ledger -->", ledger, claims)
    with pytest.raises(UsageError, match="no table 'colours'"):
        with_tables("<!-- ledger: colours -->\n<!-- /ledger -->", ledger, claims)


def test_means_of_games() -> None:
    assert mean_and_interval("success", [1.0, 1.0, 0.0, 1.0, 1.0]) == "4 of 5 [0.38, 0.96]"
    assert mean_and_interval("modes", [None, None]) == "-"
    assert mean_and_interval("modes", [1.5, None]) == "1.5 (of 1)"
    assert mean_and_interval("modes", [1.0, 2.0, 3.0]) == "2 [−0.484, 4.48]"

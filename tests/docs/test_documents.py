"""The documents name only what exists, and their code runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from sparring.claims.documents import with_tables
from sparring.claims.load import all_claims, parse_claims
from sparring.claims.play import PlayOptions, cells_of
from sparring.cli import app
from sparring.recipes import recipe_names

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_recipes_verbs_and_files_exist(document: Path) -> None:
    text = document.read_text()
    papers = "dishonest|asgan|dat|robgan|robust|notes|ours"
    named = re.findall(rf"(?<!ledger/)\b(?:{papers})/[a-z0-9][a-z0-9.-]*[a-z0-9]", text)
    assert set(named) <= {*recipe_names(), *all_claims()}
    verbs = set(get_command(app).commands)  # type: ignore[attr-defined]
    assert set(re.findall(r"(?m)(?:`|^)sparring ([a-z][a-z-]*)", text)) <= verbs
    for target in set(re.findall(r"\]\(([^)#:]+)\)", text)) - {"api/index"}:  # which the build of the site writes
        assert (document.parent / target).exists(), target
    for path in re.findall(r"`((?:src|tests|benchmarks|examples|docs|sparring)/[\w./-]+)`", text):
        assert (ROOT / path).exists() or (ROOT / "src" / path).exists(), path


def test_kinds_to_list_exist() -> None:
    """In a new process, where nothing but `list` imports the families."""
    command = [sys.executable, "-m", "sparring", "list", "families", "--json"]
    rows = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    named = {kind for path in DOCUMENTS for kind in re.findall(r"`sparring list ([a-z_]+)", path.read_text())}
    assert {*named, "metrics"} <= {"recipes", "protocols", "families", *(row["family"] for row in rows)}


def test_the_example_of_a_claim_is_one() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "claims.md").read_text(), re.DOTALL)
    ((name, claim),) = parse_claims(text, "docs/claims.md").claims.items()
    assert len(cells_of(name, claim, PlayOptions())) == 2


@pytest.mark.parametrize(
    "document", [path for path in DOCUMENTS if "<!-- ledger:" in path.read_text()], ids=lambda p: p.name
)
def test_tables_are_those_of_the_ledger(document: Path) -> None:
    text = document.read_text()
    assert with_tables(text, ROOT / "ledger", all_claims()) == text


def test_the_code_runs(tmp_path: Path) -> None:
    """The blocks of all documents in one new process, so that what they register does not reach other tests."""
    program = ["import os"]
    for document in DOCUMENTS:
        folder = tmp_path / document.relative_to(ROOT)
        for number, block in enumerate(CODE.findall(document.read_text()), 1):
            folder.mkdir(parents=True, exist_ok=True)
            compiled = f"compile({block!r}, 'block {number} of {document.relative_to(ROOT)}', 'exec')"
            program.append(f"os.chdir({str(folder)!r}); exec({compiled}, {{'__name__': '__main__'}})")
    subprocess.run([sys.executable, "-c", "\n".join(program)], check=True)

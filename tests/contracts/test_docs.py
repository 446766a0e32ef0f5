"""The documents name only what exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from sparring.cli import app
from sparring.recipes import recipe_names

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_recipes_verbs_and_files_exist(document: Path) -> None:
    text = document.read_text()
    assert "@@" not in text
    assert set(re.findall(r"\b(?:dishonest|asgan|dat|robgan)/[a-z0-9][a-z0-9.-]*[a-z0-9]", text)) <= set(recipe_names())
    verbs = set(get_command(app).commands)  # type: ignore[attr-defined]
    assert set(re.findall(r"(?m)(?:`|^)sparring ([a-z][a-z-]*)", text)) <= verbs
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (document.parent / target).exists()

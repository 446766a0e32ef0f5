"""The site: its tables have a row for every member of their family and no other, and every document has a place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import sparring.recipes  # noqa: F401  imports the families
from sparring.core.pieces import FAMILIES, members

DOCS = Path(__file__).parents[2] / "docs"
TABLES = {
    "objective": ("objectives.md", 0),
    "feedback": ("feedback.md", 0),
    "perturbation": ("feedback.md", 1),
    "delivery": ("feedback.md", 2),
    "regime": ("regimes.md", 0),
    "attack": ("attacks.md", 0),
    "estimator": ("attacks.md", 1),
    "lipschitz": ("lipschitz.md", 0),
    "generator": ("networks.md", 0),
    "discriminator": ("networks.md", 1),
    "classifier": ("networks.md", 2),
}
"""By family: the page of its table, and the place of the table on it."""


@pytest.mark.parametrize("family", TABLES)
def test_every_member_has_a_row(family: str) -> None:
    page, place = TABLES[family]
    table = re.findall(r"(?:^\|.*\n?)+", (DOCS / "which-one" / page).read_text(), re.MULTILINE)[place]
    own = {name for name, member in members(FAMILIES[family]).items() if member.__module__.startswith("sparring.")}
    assert sorted(re.findall(r"(?m)^\| `(\w+)`", table)) == sorted(own)


def test_every_document_has_a_place() -> None:
    for folder in (DOCS, DOCS / "tutorials", DOCS / "which-one", DOCS / "how-to"):
        listed = "\n".join(
            re.findall(r"```\{toctree\}\n(.*?)```", (folder / "index.md").read_text(), re.DOTALL)
        ).split()
        own = {path.stem for path in folder.glob("*.md")} - {"index"}
        assert own <= set(listed), f"not in a toctree of {folder.name}/index.md: {sorted(own - set(listed))}"

"""Which papers a recipe uses: `papers.yaml` says which piece is from which."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from sparring import __version__
from sparring.core.pieces import Piece, members
from sparring.core.records import Record
from sparring.metrics import Metric
from sparring.recipes import TrainingRecipe, parse_yaml


class Paper(Record):
    """A paper.

    Args:
        title: as printed.
        author: `Last, First and Last, First`.
        year: of publication.
        booktitle: the conference, if any.
        journal, volume: if any.
        doi, arxiv: if any.
    """

    title: str
    author: str
    year: int
    booktitle: str = ""
    journal: str = ""
    volume: str = ""
    doi: str = ""
    arxiv: str = ""

    def bibtex(self, key: str) -> str:
        """The entry under this key."""
        kind = "inproceedings" if self.booktitle else "article" if self.journal else "misc"
        fields = {name: value for name, value in self.model_dump(exclude={"arxiv"}).items() if value}
        fields["title"] = f"{{{self.title}}}"  # capitals stay
        if self.arxiv:
            fields |= {"eprint": self.arxiv, "archivePrefix": "arXiv"}
        return _entry(kind, key, fields)


class Papers(Record):
    """papers.yaml.

    Args:
        papers: by key.
        pieces: the keys of papers, by family and name of the piece.
        keys: the same, by the record of a recipe and a key of it that is set.
    """

    papers: dict[str, Paper]
    pieces: dict[str, dict[str, tuple[str, ...]]]
    keys: dict[str, dict[str, tuple[str, ...]]]


@dataclass(frozen=True)
class Citation:
    """A paper, and what of it was used.

    Args:
        key: of the entry.
        used: the pieces, as `objective linear`.
        bibtex: the entry.
    """

    key: str
    used: tuple[str, ...]
    bibtex: str


@cache
def papers() -> Papers:
    """The papers that pieces are from."""
    text = resources.files("sparring.citations").joinpath("papers.yaml").read_text(encoding="utf-8")
    return Papers.model_validate(parse_yaml(text, "papers.yaml"), strict=False)


def citations_of(recipe: TrainingRecipe, measured: Iterable[str] = ()) -> list[Citation]:
    """The papers of a recipe's pieces, in the order of papers.yaml: the four of this library first.

    Args:
        recipe: of a run.
        measured: names of the numbers that the run measured, whose metrics have papers too.
    """
    table, used = papers(), dict[str, list[str]]()
    for what, keys in _sources(recipe, set(measured)):
        for key in keys:
            used.setdefault(key, []).append(what)
    return [
        Citation(key, tuple(dict.fromkeys(used[key])), paper.bibtex(key))
        for key, paper in table.papers.items()
        if key in used
    ]


def own_pieces(recipe: TrainingRecipe) -> list[str]:
    """The pieces of a recipe that are others' code, and in no table of ours."""
    return sorted({piece.name for piece in _pieces(recipe) if piece.name not in papers().pieces.get(piece.family, {})})


def software_entry() -> str:
    """The entry of this library."""
    fields = {"title": "{sparring: generative adversarial networks trained under attack}"}
    fields |= {"author": "{the sparring authors}", "version": __version__}
    return _entry("software", "sparring", fields)


def _sources(recipe: TrainingRecipe, measured: set[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What was used, with the keys of its papers."""
    table = papers()
    for piece in _pieces(recipe):
        yield f"{piece.family} {piece.name}", table.pieces.get(piece.family, {}).get(piece.name, ())
    for name, metric in members(Metric).items():
        if metric.names[0] in measured:
            yield f"metric {name}", table.pieces["metric"].get(name, ())
    for key, keys in table.keys[type(recipe).__name__].items():
        if getattr(recipe, key):
            yield key, keys


def _pieces(value: Any) -> Iterator[Piece]:
    """All pieces within a record, itself included."""
    if isinstance(value, Piece):
        yield value
    if isinstance(value, Record):
        value = tuple(getattr(value, name) for name in type(value).model_fields)
    if isinstance(value, tuple | list):
        for each in value:
            yield from _pieces(each)


def _entry(kind: str, key: str, fields: dict[str, Any]) -> str:
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return f"@{kind}{{{key},\n{lines}\n}}"

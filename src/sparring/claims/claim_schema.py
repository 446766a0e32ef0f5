"""The YAML of claims: one file a paper, one entry a figure, table or statement."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from sparring.claims.charts import ClaimChart
from sparring.claims.computations import Computation
from sparring.claims.measures import Measure
from sparring.claims.statements import Statement
from sparring.claims.values import Published
from sparring.core.records import Record

ScaleName = Literal["small", "paper"]
Overrides = dict[str, Any]
"""Dotted keys of a recipe with their values. The key `recipe` names another recipe."""
RUNS = "runs"
"""The folder of runs in a ledger; no file of claims has this name."""
FILE_NAME = re.compile(r"[A-Za-z0-9_-]+")
"""What files and claims may be called: entries of a ledger are files of these names."""


class Axis(Record):
    """What varies from cell to cell. Give a dotted key and its values, or cases.

    Args:
        key: dotted key of the recipe or of the computation.
        values: that it takes; they are the labels.
        cases: overrides by label.
    """

    key: str = ""
    values: Annotated[tuple[Any, ...], Field(strict=False)] = ()
    cases: dict[str, Overrides] = Field(default={})

    @model_validator(mode="after")
    def _one_of_both(self) -> Axis:
        if bool(self.values) == bool(self.cases) or bool(self.values) != bool(self.key):
            raise ValueError("needs `key` and `values`, or `cases`")
        if not all(isinstance(value, str | int | float) for value in self.values):
            raise ValueError("a value that is neither a number nor a word has no label; give `cases`")
        return self

    @property
    def overrides(self) -> dict[Any, Overrides]:
        """What every label changes."""
        return self.cases or {value: {self.key: value} for value in self.values}


class StartFrom(Record):
    """The run of another group of cells that these start from, with the same seed and the same labels.

    Args:
        cells: name of the other group.
        keys: dotted keys that take the run folder, as `start.run` and `fakes.run`.
    """

    cells: str
    keys: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]


class CellGroup(Record):
    """A grid of cells: a recipe or a computation, and axes. Every combination of labels is a cell.

    Args:
        name: by which other groups start from these cells.
        recipe: name of a recipe that is trained.
        compute: a computation in its place.
        set: dotted keys that all cells share.
        axes: by name. A list is short for the values of the dotted key of that name.
        start_from: runs of another group.
    """

    name: str = ""
    recipe: str = ""
    compute: Computation | None = None
    set: Overrides = Field(default={})
    axes: dict[str, Axis] = Field(default={})
    start_from: StartFrom | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_axes(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("axes"), dict):
            axes = {
                name: {"key": name, "values": axis} if isinstance(axis, list) else axis
                for name, axis in values["axes"].items()
            }
            return values | {"axes": axes}
        return values

    @model_validator(mode="after")
    def _recipe_or_computation(self) -> CellGroup:
        if bool(self.recipe) == (self.compute is not None):
            raise ValueError("needs `recipe` or `compute`, and not both")
        return self


class Scale(Record):
    """What is played at one scale.

    Args:
        cells: groups of cells.
        seeds: as `40..49`, or `0,1,2`.
        budget: what is smaller than in the paper, as "1/18 of the rounds"; empty for the paper's own.
        needs: what a user brings, as data or weights.
    """

    cells: Annotated[tuple[CellGroup, ...], Field(strict=False, min_length=1)]
    seeds: str = "0..4"
    budget: str = ""
    needs: str = ""


class Claim(Record):
    """One figure, table, lemma or sentence of a paper.

    Args:
        place: where it stands, as "figure 3, section 5.1".
        asserts: what it asserts, in our own words.
        published: numbers that the paper prints.
        measures: by name.
        statements: the comparisons that are judged; all must hold.
        charts: how it is drawn.
        small: the scale of a laptop.
        paper: the paper's own sizes, budget and data; without it those of `small` are.
        departs: where the cells depart from the paper at both scales.
    """

    place: str
    asserts: str
    published: Annotated[tuple[Published, ...], Field(strict=False)] = ()
    measures: dict[str, Measure]
    statements: Annotated[tuple[Statement, ...], Field(strict=False, min_length=1)]
    charts: Annotated[tuple[ClaimChart, ...], Field(strict=False)] = ()
    small: Scale
    paper: Scale | None = None
    departs: str = ""

    @model_validator(mode="after")
    def _names_are_known(self) -> Claim:
        for statement in self.statements:
            for term in statement.terms:
                if term.measure not in self.measures:
                    raise ValueError(f"measure {term.measure!r} is not among {', '.join(self.measures)}")
        groups = {group.name for scale in (self.small, self.paper) if scale for group in scale.cells}
        for name, measure in self.measures.items():
            for group in measure.groups:
                if group not in groups:
                    raise ValueError(f"measure {name}: no group of cells is called {group!r}")
        return self

    def scale(self, name: ScaleName) -> Scale:
        """What is played at this scale."""
        return self.paper if name == "paper" and self.paper else self.small


class ClaimFile(Record):
    """A file of claims.

    Args:
        paper: title and authors.
        claims: by short name, as `figure-3`.
    """

    paper: str
    claims: dict[str, Claim]

    @model_validator(mode="after")
    def _names_are_files(self) -> ClaimFile:
        for name, claim in self.claims.items():
            if not FILE_NAME.fullmatch(name):
                raise ValueError(f"claim {name!r}: letters, digits, - and _ are meant")
            charts = {f"{name}-{place}" for place in range(2, len(claim.charts) + 1)}
            if taken := charts & self.claims.keys():
                raise ValueError(f"claim {taken.pop()!r} has the name of a chart of {name!r}")
        return self

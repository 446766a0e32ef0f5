"""The values of a claim's cells, as statements and charts read them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import numpy.typing as npt

from sparring.claims.statements import Term
from sparring.claims.values import Label, Labels, Published, Value, Where, labels_match
from sparring.core.errors import UsageError


@dataclass(frozen=True)
class CellValues:
    """The values of one cell.

    Args:
        labels: of the cell, by axis.
        seeds: values by seed and by the name of the measure.
    """

    labels: Labels
    seeds: Mapping[int, Mapping[str, Value]]


@dataclass(frozen=True)
class ClaimValues:
    """The values of all cells of a claim.

    Args:
        cells: in the order of the entry.
        published: numbers in print.
    """

    cells: tuple[CellValues, ...]
    published: tuple[Published, ...] = ()

    def labels(self, axis: str) -> tuple[Label, ...]:
        """The labels of an axis in their order.

        Raises:
            UsageError: there is no such axis.
        """
        found = tuple(dict.fromkeys(cell.labels[axis] for cell in self.cells if axis in cell.labels))
        if not found:
            axes = dict.fromkeys(name for cell in self.cells for name in cell.labels)
            raise UsageError(f"no cell has an axis {axis!r}", f"the axes are {', '.join(axes) or 'none'}")
        return found

    def chosen(self, where: Where) -> tuple[CellValues, ...]:
        """The cells that are meant.

        Raises:
            UsageError: there is none.
        """
        cells = tuple(cell for cell in self.cells if labels_match(cell.labels, where))
        if not cells:
            raise UsageError(f"no cell has {where}", "name labels as the axes of the entry have them")
        return cells

    def by_seed(self, term: Term) -> dict[int, float]:
        """The mean of a measure over the cells that are meant, of each seed for which every one has a finite number."""
        cells = self.chosen(term.where)
        seeds = [seed for seed in cells[0].seeds if all(seed in cell.seeds for cell in cells)]
        found: dict[int, float] = {}
        for seed in seeds:
            numbers = [cell.seeds[seed].get(term.measure) for cell in cells]
            known = [float(number) for number in numbers if isinstance(number, int | float) and math.isfinite(number)]
            if len(known) == len(numbers):
                found[seed] = fmean(known)
        return found

    def games(self, term: Term) -> int:
        """How many cells are meant."""
        return len(self.chosen(term.where))

    def numbers(self, measure: str, where: Where) -> npt.NDArray[np.float64]:
        """The numbers of all seeds that have one, in the order of the seeds; for charts."""
        return np.array(list(self.by_seed(Term(measure=measure, where=where)).values()), dtype=np.float64)

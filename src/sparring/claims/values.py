"""Values of a game: a number, a curve or a picture. What a ledger holds, and what statements and charts read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from sparring.core.errors import UsageError
from sparring.core.records import Record
from sparring.report.read import RunRecord

Label = str | int | float | bool
"""The name of a case on an axis: `linear`, 0.4."""
Labels = dict[str, Label]
"""One label for each axis."""


class SampledCurve(Record):
    """A curve: `y` over `x`, as rounds or another quantity. None where there is no number."""

    x: Annotated[tuple[float, ...], Field(strict=False)]
    y: Annotated[tuple[float | None, ...], Field(strict=False)]


class Points(Record):
    """Points of the plane, a list for each place `at`: the samples of G by rounds.

    Args:
        at: rounds `(n)`.
        points: `(n, samples, 2)`.
    """

    at: Annotated[tuple[float, ...], Field(strict=False)]
    points: tuple[Any, ...] = Field(strict=False)


class Pictures(Record):
    """PNG pictures in base64, by name."""

    png: dict[str, str]


Value = float | None | SampledCurve | Points | Pictures
"""What a measure finds of one game; None where it has none."""


Choice = Annotated[tuple[Label, ...], Field(strict=False)]
Where = dict[str, Label | Choice]
"""Labels of the cells that are meant, by axis: one, or several. Axes that are not named take all of theirs."""


def labels_match(labels: Labels, where: Where) -> bool:
    """Whether a cell is meant."""
    return all(axis in labels and str(labels[axis]) in _choices(wanted) for axis, wanted in where.items())


def _choices(wanted: Label | Choice) -> tuple[str, ...]:
    return tuple(map(str, wanted)) if isinstance(wanted, tuple) else (str(wanted),)


class Published(Record):
    """A number in print, drawn and shown beside ours.

    Args:
        measure: its name in the entry.
        where: the cells that it is about.
        value: the number.
        spread: what stands after the plus-minus sign.
        source: `paper`, or `code` for the published code.
        note: what else is to be known.
    """

    measure: str
    where: Where = Field(default={})
    value: float
    spread: float | None = None
    source: Literal["paper", "code"] = "paper"
    note: str = ""


@dataclass(frozen=True)
class PlayedGame:
    """One game of a complete run, or the result of one computation.

    Args:
        seed: of the game.
        run: it was trained in; None for a computation.
        index: of the game in the run.
        computed: values of a computation by name.
        device: where measures run the networks.
    """

    seed: int
    run: RunRecord | None = None
    index: int = 0
    computed: Mapping[str, Value] = field(default_factory=dict)
    device: str = "auto"

    @property
    def trained(self) -> RunRecord:
        """The run.

        Raises:
            UsageError: the game is a computation.
        """
        if self.run is None:
            raise UsageError("this measure needs a run, and the cell is a computation", "use the measure `computed`")
        return self.run

"""How far a run was when it was saved: state.json of its checkpoints."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from sparring.core.errors import CorruptInput, printable
from sparring.core.records import Bytes, Count, Every, NonNegative, Record, problems_in
from sparring.core.shapes import Bounds, Space
from sparring.runs.checkpoint import STATE, Checkpoint, Sha256

_LARGEST_SAMPLE = 1 << 26
"""Numbers of a sample, at most: networks are built for it before their weights are seen."""


class SavedSpace(Record):
    """A `Space` as JSON has it."""

    shape: Annotated[tuple[Count, ...], Field(strict=False, min_length=1, max_length=3)]
    bounds: Annotated[tuple[float, float], Field(strict=False)] | None
    classes: Every

    @classmethod
    def of(cls, space: Space) -> SavedSpace:
        """The record of a space."""
        return cls(shape=space.shape, bounds=space.bounds, classes=space.classes)

    @model_validator(mode="after")
    def _is_a_space(self) -> SavedSpace:
        if math.prod(self.shape) > _LARGEST_SAMPLE or self.classes > _LARGEST_SAMPLE:
            raise ValueError("larger than any sample")
        if self.bounds and self.bounds[0] >= self.bounds[1]:
            raise ValueError("bounds: the first is not below the second")
        return self

    def space(self) -> Space:
        """The space itself."""
        return Space(self.shape, self.bounds and Bounds(*self.bounds), self.classes)


class Progress(Record):
    """How far a run was, and which run.

    Args:
        step: rounds played.
        seconds: time spent on them.
        threads: CPU threads that played them, in each process.
        processes: that played them together.
        space: of the samples.
        recipe_sha256: of the run's recipe.yaml.
        log_bytes, log_sha256: of metrics.jsonl then.
    """

    step: Count
    seconds: NonNegative
    threads: Annotated[int, Field(ge=1, le=4096)]
    processes: Annotated[int, Field(ge=1, le=1 << 20)] = 1
    space: SavedSpace
    recipe_sha256: Sha256
    log_bytes: Bytes
    log_sha256: Sha256

    @classmethod
    def of(cls, checkpoint: Checkpoint, what: str) -> Progress:
        """What the state of a checkpoint says.

        Raises:
            CorruptInput: it says something else.
        """
        try:
            return cls.model_validate(checkpoint.state)
        except ValidationError as error:
            problem = printable(str(problems_in(error, cls.model_fields)[0]))
            raise CorruptInput(f"{what}/{STATE}: {problem}", "restore the folder") from None

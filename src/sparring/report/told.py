"""What files of a run say, as records: with the types that they were written with, and nothing else believed."""

from __future__ import annotations

import json
from statistics import fmean
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sparring.core.errors import CorruptInput, printable

LARGEST = 1e100
"""The size of a number, at most: no run comes near, and what is beyond cannot be added up or drawn."""
Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Interval = tuple[Number, Number]
AnyTold = TypeVar("AnyTold", bound="Told")


class Told(BaseModel):
    """A part of a file. A key that is not known here is left alone, one that is missing has a default."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)

    @classmethod
    def of(cls: type[AnyTold], values: Any, what: str) -> AnyTold:
        """The record of what JSON holds.

        Raises:
            CorruptInput: something in it is of another type; names the key.
        """
        try:
            return cls.model_validate_json(json.dumps(values))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            key = printable(".".join(map(str, first["loc"])) or "the whole")
            raise CorruptInput(f"{what}: cannot be read at {key} ({first['msg']})", "restore the file") from None


class One(Told):
    """A number with its interval; None is a success that never came."""

    value: Number | None
    interval: Interval | None = None
    protocol: str = ""

    @property
    def games(self) -> tuple[One, ...]:
        """None: the number belongs to all games together."""
        return ()

    @property
    def whole(self) -> One:
        """The number itself."""
        return self


class Each(Told):
    """A number with its interval for each game."""

    value: tuple[Number | None, ...] = Field(min_length=1)
    interval: tuple[Interval | None, ...] | None = None
    protocol: str = ""

    @model_validator(mode="after")
    def _one_interval_a_game(self) -> Each:
        if self.interval is not None and len(self.interval) != len(self.value):
            raise ValueError("not one interval for each game")
        return self

    @property
    def games(self) -> tuple[One, ...]:
        """Every game's own number."""
        intervals = self.interval or (None,) * len(self.value)
        return tuple(One(value=value, interval=each) for value, each in zip(self.value, intervals, strict=True))

    @property
    def whole(self) -> One:
        """The mean over the games that have a number."""
        known = [value for value in self.value if value is not None]
        return One(value=fmean(known) if known else None)


class Summary(Told):
    """summary.json, as far as a report speaks of it."""

    status: str = ""
    seconds: Number | None = Field(default=None, ge=0)
    metrics: dict[str, One | Each] = {}

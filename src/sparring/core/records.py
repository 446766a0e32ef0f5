"""Frozen, validated records; all mistakes in one are reported together, each with its key path."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from sparring.core.errors import UsageError

AnyRecord = TypeVar("AnyRecord", bound="Record")
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, le=1)]
MOST = 2**31 - 1
"""The largest whole number that anything counts to."""
Count = Annotated[int, Field(ge=1, le=MOST)]
"""A whole number of at least one."""
Every = Annotated[int, Field(ge=0, le=MOST)]
"""An interval in rounds; 0 means never."""
Bytes = Annotated[int, Field(ge=0, le=2**63 - 1)]
"""The size of a file."""
Widths = Annotated[tuple[Count, ...], Field(strict=False)]
UNKNOWN_KEY = "unknown key"
"""What is wrong with a key that a record does not have."""
SHOWN = 20
"""Mistakes that are listed; the others are counted."""
_REQUIRED = "this key is required"


class Problem(BaseModel):
    """One mistake: its key path, the value, what is wrong, and the values allowed."""

    model_config = ConfigDict(frozen=True)

    path: tuple[str, ...]
    value: str
    message: str
    nearest: str = ""
    allowed: tuple[str, ...] = ()

    def within(self, outer: Sequence[str | int]) -> Problem:
        """The same problem with the path from an enclosing record."""
        return self.model_copy(update={"path": (*map(str, outer), *self.path)})

    def at_its_key(self, values: Mapping[str, Any]) -> Problem:
        """The same problem of a whole record, as one of the key that its message begins with, if it does."""
        key, colon, message = self.message.partition(": ")
        if not (colon and key.isidentifier()):
            return self.model_copy(update={"value": ""})
        return self.model_copy(update={"path": (key,), "value": repr(values.get(key, "default")), "message": message})

    def __str__(self) -> str:
        line = f"{'.'.join(self.path) or 'recipe'} = {self.value}: " if self.value else ""
        line += self.message
        if self.nearest:
            line += f"; did you mean {self.nearest}?"
        elif self.allowed:
            line += f"; allowed: {', '.join(self.allowed)}"
        return line


class InvalidRecord(UsageError):
    """A record that does not validate, with all of its problems."""

    def __init__(self, what: str, problems: Sequence[Problem], remedy: str = "") -> None:
        if len(problems) == 1:
            cause = f"{what}: {problems[0]}"
        else:
            more = [f"... and {len(problems) - SHOWN:,} more"] if len(problems) > SHOWN else []
            lines = "\n".join(f"  {line}" for line in [*problems[:SHOWN], *more])
            cause = f"{what} has {len(problems):,} mistakes:\n{lines}"
        super().__init__(cause, remedy)
        self.problems = tuple(problems)


class Record(BaseModel):
    """A frozen record that refuses unknown keys, wrong types and non-finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True)

    def __init__(self, *unnamed: Any, **keys: Any) -> None:
        """The record of these keys.

        Raises:
            InvalidRecord: with every mistake.
            UsageError: a value has no key.
        """
        name, known = type(self).__name__, ", ".join(type(self).model_fields) or "none"
        if unnamed:
            raise UsageError(f"{name}({unnamed[0]!r}): the value has no key", f"write {name}(KEY=VALUE); keys: {known}")
        try:
            super().__init__(**keys)
        except ValidationError as error:
            problems = [each if each.path else each.at_its_key(keys) for each in problems_in(error)]
            raise InvalidRecord(name, problems, f"keys of {name}: {known}") from None

    # Validation then fills a record itself, and does not call this method for records within records.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    def __setattr__(self, name: str, value: Any) -> None:
        try:
            super().__setattr__(name, value)
        except ValidationError:
            made = f"{type(self).__name__}(..., {name}={value!r})"
            raise UsageError(
                f"{name} = {value!r}: a {type(self).__name__} is frozen", f"make another: {made}"
            ) from None

    @classmethod
    def validated(cls: type[AnyRecord], values: Any, what: str, remedy: str) -> AnyRecord:
        """The record of plain values from a user.

        Args:
            values: as YAML or JSON has them.
            what: their name in the error.
            remedy: of the error.

        Raises:
            InvalidRecord: with every mistake.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise InvalidRecord(what, problems_in(error), remedy) from None

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, value: Any, handler: Callable[[Any], Any]) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            raise as_one(problems_in(error, cls.model_fields)) from None


def as_one(problems: Iterable[Problem]) -> PydanticCustomError:
    """Many problems as one pydantic error, from which an enclosing record takes them again."""
    return PydanticCustomError("problems", "problems in a record", {"problems": list(problems)})


def nearest(word: str, known: Iterable[str]) -> str:
    """The only known name that a mistyped one begins, or the one closest to it; empty if none is close."""
    names = {_plain(name): name for name in known}
    begun = [name for name in names if len(word) > 1 and name.startswith(_plain(word))]
    close = begun if len(begun) == 1 else difflib.get_close_matches(_plain(word), names, n=1, cutoff=0.65)
    return names[close[0]] if close else ""


def _plain(word: str) -> str:
    return word.strip().lower().replace("-", "_")


def problems_in(error: ValidationError, keys: Iterable[str] = ()) -> list[Problem]:
    """Every mistake of a validation, nested ones with their full key path.

    Args:
        error: raised by pydantic.
        keys: of the validated record, to suggest the nearest.
    """
    problems: list[Problem] = []
    for details in error.errors(include_url=False):
        if details["type"] == "problems":
            problems += [problem.within(details["loc"]) for problem in details["ctx"]["problems"]]
        else:
            problems.append(_problem(details, tuple(keys)))
    meant = {(*problem.path[:-1], problem.nearest) for problem in problems if problem.nearest}
    return [problem for problem in problems if not (problem.message == _REQUIRED and problem.path in meant)]


def _problem(details: ErrorDetails, keys: tuple[str, ...]) -> Problem:
    path = tuple(map(str, details["loc"]))
    value = repr(details["input"])
    value = value if len(value) <= 60 else value[:57] + "..."
    if details["type"] == "extra_forbidden":
        close = nearest(path[-1], keys)
        return Problem(path=path, value=value, message=UNKNOWN_KEY, nearest=close, allowed=keys or ("no keys",))
    if details["type"] == "missing":
        return Problem(path=path, value="(nothing)", message=_REQUIRED)
    if details["type"] == "tuple_type":
        return Problem(path=path, value=value, message="should be a list")
    message = details["msg"].removeprefix("Input ").removeprefix("Value error, ")
    return Problem(path=path, value=value, message=message)

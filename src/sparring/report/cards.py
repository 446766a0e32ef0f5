"""What robustness.json says of a network under attack, as records; whatever is missing or damaged becomes a note."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from sparring.core.errors import CorruptInput
from sparring.core.files import read_json
from sparring.report.saved import LARGEST_SIDE, arrays_in
from sparring.report.told import Told

_NOTHING = np.zeros(0)
FILE, ARRAYS = "robustness.json", "robustness.npz"
Share = Annotated[float, Field(ge=0, le=1)]
Size = Annotated[float, Field(ge=0, le=1e6)]


class Rate(Told):
    """A share of samples with its interval."""

    value: Share
    interval: tuple[Share, Share] | None = None


class At(Told):
    """Accuracy at one size of perturbation, in units of [0, 1]."""

    epsilon: Size
    accuracy: Rate


class Budget(At):
    """Accuracy under perturbations of one norm and size; `scales` is that size in words."""

    norm: str = ""
    scales: str = ""


class Tried(Budget):
    """One attack at one size; losses are means, forwards and backwards are model calls for each sample."""

    name: str
    kind: str = ""
    loss_start: float | None = None
    loss_end: float | None = None
    seconds: float | None = None
    forwards: float | None = None
    backwards: float | None = None


class Worst(Budget):
    """The worst case for each sample over all attacks of a norm and size."""

    attacks: tuple[str, ...] = ()


class Check(Told):
    """One row of the battery; `holds` is None where it does not apply."""

    check: str
    holds: bool | None = None
    detail: str = ""


class Headline(Told):
    """The one number that may stand alone."""

    text: str


class Example(Told):
    """What one block of the arrays shows."""

    epsilon: Size
    attack: str = ""


class Transfer(Told):
    """Accuracy of every target under the adversarial samples of every source, `[source][target]`."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    accuracy: tuple[tuple[Share, ...], ...]
    interval: tuple[tuple[tuple[Share, Share], ...], ...] = ()
    scales: str = ""
    attack: str = ""

    @model_validator(mode="after")
    def _one_cell_a_pair(self) -> Transfer:
        for cells in (self.accuracy, self.interval or self.accuracy):
            if [len(row) for row in cells] != [len(self.targets)] * len(self.sources):
                raise ValueError("not one cell for every source and target")
        return self


class Subject(Told):
    """One network, or one head of it, as it was evaluated."""

    subject: str
    samples: int = 0
    evaluated_on: str = ""
    classes: tuple[str, ...] = ()
    trained_against: str | None = None
    remarks: tuple[str, ...] = ()
    clean: Rate | None = None
    train_clean: Rate | None = None
    train_attacked: tuple[At, ...] = ()
    attacks: tuple[Tried, ...] = ()
    worst: tuple[Worst, ...] = ()
    battery: tuple[Check, ...] = ()
    flags: tuple[str, ...] = ()
    headline: Headline | None = None
    examples: tuple[Example, ...] = ()
    transfer: Transfer | None = None

    @property
    def doubts(self) -> tuple[str, ...]:
        """Every reason not to believe the numbers: the flags, and checks that failed without one."""
        failed = (f"{each.check}: {each.detail}" for each in self.battery if each.holds is False)
        return self.flags or tuple(failed)

    @property
    def may_lead(self) -> Headline | None:
        """The headline, which nothing with a doubt has."""
        return None if self.doubts else self.headline

    @property
    def norms(self) -> tuple[str, ...]:
        """The norms of its perturbations, in the order of the file."""
        return tuple(dict.fromkeys(each.norm for each in (*self.worst, *self.attacks)))

    def sizes(self, norm: str) -> frozenset[float]:
        """The sizes at which it was attacked in a norm."""
        return frozenset(each.epsilon for each in (*self.worst, *self.attacks) if each.norm == norm)

    @property
    def main_norm(self) -> str:
        """The norm of the main attack, which is tried at every size that training samples were attacked at."""
        sizes = {each.epsilon for each in self.train_attacked}
        return next((norm for norm in self.norms if sizes <= self.sizes(norm)), "")


@dataclass(frozen=True)
class Arrays:
    """The example images of one subject.

    Args:
        clean, adversarial: `(blocks, n, channels, height, width)`, 0 to 255.
        perturbation: the same shape; 127 is epsilon, or the largest entry of a norm that does not limit entries.
        labels, predicted_clean, predicted: `(blocks, n)`.
    """

    clean: npt.NDArray[Any]
    adversarial: npt.NDArray[Any]
    perturbation: npt.NDArray[Any]
    labels: npt.NDArray[Any]
    predicted_clean: npt.NDArray[Any]
    predicted: npt.NDArray[Any]

    @property
    def is_whole(self) -> bool:
        """Whether these are as many images as labels, in the types that they are saved in."""
        images, labels = (
            (self.clean, self.adversarial, self.perturbation),
            (self.labels, self.predicted_clean, self.predicted),
        )
        return (
            self.clean.ndim == 5
            and self.clean.size > 0
            and max(self.clean.shape[3:]) <= LARGEST_SIDE
            and {each.shape for each in images} == {self.clean.shape}
            and {each.shape for each in labels} == {self.clean.shape[:2]}
            and [str(each.dtype) for each in images] == ["uint8", "uint8", "int8"]
            and all(each.dtype.kind in "iu" for each in labels)
        )


@dataclass(frozen=True)
class Card:
    """The robustness of a run: its subjects with their place in the file, and what a reader should know of it.

    Args:
        path: the folder that it is in.
        step: the round of the checkpoint.
        seed: of the attacks.
        subjects: by their index in the file.
        notes: one line for each problem of the evaluation, and each part that is damaged.
    """

    path: Path
    step: int | None
    seed: int | None
    subjects: Mapping[int, Subject]
    notes: tuple[str, ...]

    @cached_property
    def arrays(self) -> Mapping[int, Arrays]:
        """The example images that can be read, by the subject's index."""
        return dict(_arrays(self.path / ARRAYS, self.subjects))


def read_card(folder: Path) -> Card | None:
    """The robustness of the run in a folder; None where it was not evaluated."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        content = read_json(path)
        listed = content["subjects"]
        step, seed = (_whole(content.get(name)) for name in ("step", "seed"))
        subjects, notes = _subjects(listed)
        problems = tuple(map(str, content.get("problems") or ()))
    except (OSError, CorruptInput, ValueError, KeyError, TypeError, AttributeError):
        return Card(folder, None, None, {}, (f"{FILE} is damaged; `sparring robustness` writes it again.",))
    return Card(folder, step, seed, subjects, (*problems, *notes))


def _subjects(listed: list[Any]) -> tuple[dict[int, Subject], tuple[str, ...]]:
    found: dict[int, Subject] = {}
    notes = []
    for index, values in enumerate(listed):
        try:
            found[index] = Subject.of(values, f"{FILE}, subject {index}")
        except CorruptInput as error:
            notes.append(f"{error.cause}.")
    return found, tuple(notes)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _arrays(path: Path, subjects: Mapping[int, Subject]) -> Iterator[tuple[int, Arrays]]:
    try:
        found = arrays_in(path)
    except (CorruptInput, OSError):
        return
    for index in subjects:
        named = {name: found.get(f"{index}/{name}", _NOTHING) for name in Arrays.__dataclass_fields__}
        arrays = Arrays(**named)
        if arrays.is_whole:
            yield index, arrays

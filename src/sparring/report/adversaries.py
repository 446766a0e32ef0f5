"""Example images of an evaluation: clean, adversarial and the difference, with what the network takes them for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sparring.report.cards import Arrays, Example, Subject, Tried
from sparring.report.exhibits import Exhibit, Strip, strip_of
from sparring.report.format import number

TILES = 6
"""Images side by side."""

Numbers = npt.NDArray[Any]


def adversaries(subject: Subject, arrays: Arrays) -> tuple[Exhibit, ...]:
    """One exhibit for every example of the file."""
    examples = subject.examples[: len(arrays.clean)]
    return tuple(_exhibit(subject, arrays, block, example) for block, example in enumerate(examples))


def _exhibit(subject: Subject, arrays: Arrays, block: int, example: Example) -> Exhibit:
    attack = next((a for a in subject.attacks if a.name == example.attack and a.epsilon == example.epsilon), None)
    labels = arrays.labels[block]
    moved = (arrays.perturbation[block].astype(np.int16) + 128).astype(np.uint8)
    return Exhibit(
        f"{example.attack}, epsilon {attack.scales if attack else number(example.epsilon)}",
        (
            _judged("clean", arrays.clean[block], arrays.predicted_clean[block], labels, subject.classes),
            _judged("adversarial", arrays.adversarial[block], arrays.predicted[block], labels, subject.classes),
            strip_of("difference, magnified", moved[:TILES]),
        ),
        "Below an image is the class that it is taken for; red with ✗ is wrong. "
        f"{_magnified(attack, example, arrays.adversarial[block].astype(np.int16) - arrays.clean[block])}",
    )


def _judged(label: str, images: Numbers, predicted: Numbers, labels: Numbers, classes: tuple[str, ...]) -> Strip:
    known = dict(enumerate(classes))
    names = tuple(known.get(int(each), str(each)) for each in predicted[:TILES])
    wrong = frozenset(np.flatnonzero(predicted[:TILES] != labels[:TILES]).tolist())
    return strip_of(label, images[:TILES], names, wrong)


def _magnified(attack: Tried | None, example: Example, difference: Numbers) -> str:
    """How much larger the difference is drawn than it is; half of the range stands for its largest entry."""
    is_limited = attack is None or attack.norm == "L-infinity"
    largest = example.epsilon if is_limited else float(np.abs(difference).max()) / 255
    if not largest:
        return "Nothing was changed."
    edge = "epsilon" if is_limited else f"the largest change ({number(255 * largest)}/255)"
    return (
        f"Difference, {number(float(f'{0.5 / largest:.2g}'))} times as large: grey is 0, white +{edge}, black −{edge}."
    )

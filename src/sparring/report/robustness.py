"""A run's robustness as it stands on a page: what was evaluated, charts over epsilon, tables, and example images.

Source: Rob-GAN, figures 2 (left) and 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sparring.report.adversaries import adversaries
from sparring.report.attack_tables import Group, Row, groups, said, transfer_rows
from sparring.report.cards import At, Budget, Card, Rate, Subject, Tried
from sparring.report.charts import CYCLE, GREY, INK, Chart, Line
from sparring.report.exhibits import Exhibit
from sparring.report.format import number, short

DRAWN = 5
"""Attacks with a line of their own in a chart."""
LETTERS = 24
"""Of a name in a legend."""
BOLD = 3.0
"""Points of the line of the worst case."""
LEVELS = 255.0
"""Levels of a pixel in [0, 1]."""


@dataclass(frozen=True)
class Part:
    """One subject on a page."""

    subject: Subject
    facts: str
    charts: tuple[Chart, ...]
    groups: tuple[Group, ...]
    exhibits: tuple[Exhibit, ...]
    transfer: tuple[Row, ...]
    lacks_examples: bool


def parts_of(card: Card, key: str) -> tuple[Part, ...]:
    """Every subject of a card.

    Args:
        card: what was read.
        key: a prefix that is unique on the page.
    """
    return tuple(_part(card, index, subject, f"{key}-{index}") for index, subject in card.subjects.items())


def accuracy_line(label: str, clean: Rate | None, points: Sequence[At], colour: str, dash: str = "-") -> Line:
    """Accuracy over epsilon in percent, clean at 0, with its intervals as a band.

    Args:
        label: in the legend.
        clean: accuracy without an attack.
        points: accuracy at sizes of perturbation.
        colour: of the line.
        dash: of the line.
    """
    start = [At(epsilon=0.0, accuracy=clean)] if clean and all(point.epsilon > 0 for point in points) else []
    ordered = sorted([*start, *points], key=lambda point: point.epsilon)
    values = np.array([point.accuracy.value for point in ordered])
    spans = np.array([point.accuracy.interval or (point.accuracy.value,) * 2 for point in ordered])
    sizes = np.array([point.epsilon for point in ordered])
    return Line(label, sizes, 100 * values[:, None], colour, dash, band=100 * spans, width=1.4)


def accuracy_chart(key: str, title: str, caption: str, lines: Sequence[Line], budgets: Sequence[Budget]) -> Chart:
    """A chart of accuracy over epsilon, whose axis is in /255 where the sizes are of images.

    Args:
        key: unique on the page.
        title: above it.
        caption: below it; the scales follow.
        lines: over epsilon in units of [0, 1].
        budgets: what the lines show, for their scales.
    """
    largest = max(budgets, key=lambda budget: budget.epsilon)
    in_levels = all("/255" in budget.scales for budget in budgets)
    drawn = tuple(replace(line, steps=LEVELS * line.steps) for line in lines) if in_levels else tuple(lines)
    return Chart(
        key, title, f"{caption} The largest epsilon is {largest.scales or number(largest.epsilon)}.", "accuracy (%)",
        drawn, limits=(0.0, 100.0), across="epsilon (/255)" if in_levels else "epsilon", whole=False, height=3.4,
    )  # fmt: skip


def _part(card: Card, index: int, subject: Subject, key: str) -> Part:
    arrays = card.arrays.get(index)
    return Part(
        subject=subject,
        facts=_facts(subject),
        charts=tuple(_chart(subject, norm, f"{key}-{place}") for place, norm in enumerate(_swept(subject))),
        groups=groups(subject),
        exhibits=adversaries(subject, arrays) if arrays else (),
        transfer=transfer_rows(subject.transfer) if subject.transfer else (),
        lacks_examples=bool(subject.examples) and arrays is None,
    )


def _swept(subject: Subject) -> list[str]:
    """The norms in which there is a curve to draw: two sizes or more, or the only norm."""
    return [norm for norm in subject.norms if len(subject.sizes(norm)) > 1 or len(subject.norms) == 1]


def _facts(subject: Subject) -> str:
    kind = f"{subject.evaluated_on} " if subject.evaluated_on else ""
    told = [f"{number(subject.samples)} {kind}samples"]
    told += [f"{len(subject.classes)} classes"] if subject.classes else []
    told += [f"clean accuracy {said(subject.clean)}"] if subject.clean else []
    told += [f"on as many training samples {said(subject.train_clean)}"] if subject.train_clean else []
    trained = f"trained against {subject.trained_against}" if subject.trained_against else "trained without an attack"
    return f"{', '.join(told)}; {trained}."


def _chart(subject: Subject, norm: str, key: str) -> Chart:
    """Accuracy over the sizes of one norm; that of training samples under the main attack stands with its norm."""
    worst = [each for each in subject.worst if each.norm == norm]
    tried = [each for each in subject.attacks if each.norm == norm]
    trained = subject.train_attacked if norm == subject.main_norm else ()
    names = _main(tried)
    lines = [
        accuracy_line(short(name, LETTERS), subject.clean, [each for each in tried if each.name == name], colour)
        for name, colour in zip(names, CYCLE, strict=False)
    ]
    bold = [replace(accuracy_line("worst case", subject.clean, worst, INK), width=BOLD)] if worst else []
    dashed = [accuracy_line("training samples", subject.train_clean, trained, GREY, "--")] if trained else []
    caption = "Bands: 95 % intervals; epsilon 0 is clean."
    if worst:
        caption += " Bold: the worst case for each sample over all attacks."
    if trained:
        caption += " Dashed: the main attack on training samples; what lies between is the gap."
    if len({each.name for each in tried}) > len(names):
        caption += " Further attacks stand in the table."
    return accuracy_chart(
        key,
        f"Accuracy under attack, {norm}{' (flagged)' if subject.doubts else ''}",
        caption,
        [*bold, *lines, *dashed],
        [*worst, *tried],
    )


def _main(tried: Sequence[Tried]) -> list[str]:
    """The attacks that were made at most sizes."""
    sizes: dict[str, set[float]] = {}
    for each in tried:
        sizes.setdefault(each.name, set()).add(each.epsilon)
    most = max(map(len, sizes.values()), default=0)
    return [name for name, found in sizes.items() if len(found) == most][:DRAWN]

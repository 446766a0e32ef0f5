"""The robustness of several runs side by side: a chart with a line a run, and a table of accuracies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sparring.report.attack_tables import bounds
from sparring.report.cards import Card, Rate, Subject, Worst
from sparring.report.charts import CYCLE, DASHES, Chart
from sparring.report.format import NONE, number, share
from sparring.report.robustness import accuracy_chart, accuracy_line

TOLD_APART = 14
"""Up to this many runs share a chart."""
TASKS = {"source head": "real or generated", "both": "class and source at once"}
"""What a subject decides, where that is not the class."""
CLASSES = "classes"


@dataclass(frozen=True)
class Entry:
    """One subject of one run."""

    index: int
    subject: Subject

    @property
    def task(self) -> str:
        """What it decides; accuracies of unlike tasks do not compare."""
        return TASKS.get(self.subject.subject, CLASSES)


@dataclass(frozen=True)
class Accuracy:
    """An accuracy, its interval and over how many attacks it is the worst case, in words."""

    value: str = NONE
    interval: str = ""
    attacks: str = ""


@dataclass(frozen=True)
class Line:
    """One subject of one run in the table: clean accuracy, then that at every budget."""

    index: int
    subject: str
    samples: str
    accuracies: tuple[Accuracy, ...]
    doubts: int
    is_checked: bool


@dataclass(frozen=True)
class Side:
    """All subjects with one task: charts, the norms and sizes of the columns, and a line for each subject."""

    task: str
    charts: tuple[Chart, ...]
    norms: tuple[tuple[str, tuple[str, ...]], ...]
    lines: tuple[Line, ...]


def sides(cards: Sequence[Card | None]) -> tuple[Side, ...]:
    """The robustness of runs, by what their subjects decide; runs are numbered from 1 as they are given."""
    entries = [
        Entry(index, subject)
        for index, card in enumerate(cards, start=1)
        for subject in (card.subjects.values() if card else ())
    ]
    return tuple(
        _side(f"all-robust-{place}", task, [entry for entry in entries if entry.task == task])
        for place, task in enumerate(dict.fromkeys(entry.task for entry in entries))
    )


def _side(key: str, task: str, entries: Sequence[Entry]) -> Side:
    norms = list(dict.fromkeys(each.norm for entry in entries for each in entry.subject.worst))
    found = {_budget(each): each for entry in entries for each in entry.subject.worst}
    budgets = sorted(found.values(), key=lambda each: (norms.index(each.norm), each.epsilon))
    charts = (
        [_chart(f"{key}-{place}", task, norm, entries) for place, norm in enumerate(norms)]
        if len(entries) <= TOLD_APART
        else []
    )
    columns = tuple((norm, tuple(_size(each) for each in budgets if each.norm == norm)) for norm in norms)
    return Side(task, tuple(charts), columns, tuple(_line(entry, budgets) for entry in entries))


def _budget(each: Worst) -> tuple[str, str]:
    return each.norm, _size(each)


def _size(budget: Worst) -> str:
    return budget.scales.split(" (")[0] or number(budget.epsilon)


def _line(entry: Entry, budgets: Sequence[Worst]) -> Line:
    subject = entry.subject
    robust = {
        _budget(each): replace(_accuracy(each.accuracy), attacks=f"over {len(each.attacks)}") for each in subject.worst
    }
    clean = _accuracy(subject.clean) if subject.clean else Accuracy()
    return Line(
        index=entry.index,
        subject=subject.subject,
        samples=f"{number(subject.samples)} {subject.evaluated_on}".rstrip(),
        accuracies=(clean, *(robust.get(_budget(budget), Accuracy()) for budget in budgets)),
        doubts=len(subject.doubts),
        is_checked=bool(subject.battery),
    )


def _accuracy(rate: Rate) -> Accuracy:
    return Accuracy(share(rate.value), bounds(rate.interval))


def _chart(key: str, task: str, norm: str, entries: Sequence[Entry]) -> Chart:
    drawn = [
        (entry, [each for each in entry.subject.worst if each.norm == norm])
        for entry in entries
        if any(each.norm == norm for each in entry.subject.worst)
    ]
    lines = [
        replace(
            accuracy_line(
                f"run {entry.index}{' (flagged)' if entry.subject.doubts else ''}", entry.subject.clean, worst,
                CYCLE[(entry.index - 1) % len(CYCLE)], DASHES[(entry.index - 1) // len(CYCLE) % len(DASHES)],
            ),
            width=1.0 if entry.subject.doubts else 2.0,
        )
        for entry, worst in drawn
    ]  # fmt: skip
    flagged = " A thin line is flagged: do not believe it." if any(entry.subject.doubts for entry, _ in drawn) else ""
    caption = (
        "The worst case for each sample over all attacks of the run; bands: 95 % intervals; epsilon 0 is clean."
        f"{flagged}"
    )
    title = f"Accuracy under attack, {norm}" + ("" if task == CLASSES else f": {task}")
    budgets = [each for _, worst in drawn for each in worst]
    return accuracy_chart(key, title, caption, lines, budgets)

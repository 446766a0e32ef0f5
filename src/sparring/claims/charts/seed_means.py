"""Means over seeds with their 95 % intervals, and numbers in print for the same cells."""

from __future__ import annotations

from sparring.claims.charts.value_axis import value_axis
from sparring.claims.results import ClaimValues
from sparring.claims.values import Label, Labels, Published, Value, labels_match
from sparring.report.seed_mean import SeedMean, seed_mean

MEAN_CAPTION = "Mean over seeds, with its 95 % interval (Wilson of successes, else Student's t)."


def mean_at(values: ClaimValues, measure: str, place: Labels) -> SeedMean | None:
    """The mean of a measure over the seeds of the cells with these labels; None where nothing is played."""
    if not any(labels_match(cell.labels, dict(place)) for cell in values.cells):
        return None
    found, info = seed_mean(values.numbers(measure, dict(place)).tolist(), measure), value_axis(measure)
    return found and found.within(info.low, info.high)


def printed_at(values: ClaimValues, measure: str, place: Labels) -> tuple[Published, ...]:
    """The numbers in print that are about all cells with these labels."""
    cells = [cell for cell in values.cells if labels_match(cell.labels, dict(place))]
    return tuple(
        each
        for each in values.published
        if each.measure == measure and cells and all(labels_match(cell.labels, each.where) for cell in cells)
    )


def values_at(values: ClaimValues, measure: str, place: Labels) -> dict[int, list[Value]]:
    """The values of any type of the cells with these labels, by seed; without seeds that have none."""
    found: dict[int, list[Value]] = {}
    for cell in values.cells:
        if labels_match(cell.labels, dict(place)):
            for seed, measured in cell.seeds.items():
                if measured.get(measure) is not None:
                    found.setdefault(seed, []).append(measured[measure])
    return found


def labels_on(values: ClaimValues, axis: str) -> tuple[Label, ...]:
    """The labels of an axis in the order of the cells; none if no cell has it."""
    return tuple(dict.fromkeys(cell.labels[axis] for cell in values.cells if axis in cell.labels))


def places_on(values: ClaimValues, axis: str) -> tuple[Labels, ...]:
    """One place for each label of an axis; for no axis, the one that all cells share."""
    return tuple({axis: label} for label in labels_on(values, axis)) if axis else ({},)

"""The result of an evaluation."""

from __future__ import annotations

from sparring.runs.schema import MetricValue, StoredRecord


class Evaluation(StoredRecord):
    """The networks of a checkpoint, measured again.

    Args:
        step: the round of the checkpoint.
        metrics: by name.
        problems: newer checkpoints that could not be read, and what could not be measured.
    """

    step: int
    metrics: dict[str, MetricValue]
    problems: tuple[str, ...]

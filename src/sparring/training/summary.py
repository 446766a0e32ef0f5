"""The summary of a run: its final measures, alarms and budget, and the verdict on them."""

from __future__ import annotations

from sparring.monitoring.alarms import AlarmMonitor
from sparring.monitoring.run_verdict import RunEnd, run_verdict
from sparring.runs.folder import RunFolder
from sparring.runs.schema import Summary
from sparring.training.task import Task


def summary_of(
    run: RunFolder,
    task: Task,
    alarms: AlarmMonitor,
    *,
    steps: int,
    status: str,
    seconds: float,
    preparation_seconds: float,
) -> Summary:
    """The summary of a run that ends now.

    Args:
        run: with its log.
        task: what was trained.
        alarms: of the run.
        steps, status, seconds, preparation_seconds: as in `Summary`.

    Raises:
        CorruptInput, StorageError: the log cannot be read.
    """
    rows = run.rows()
    metrics = task.metrics(rows, complete=status == "complete")
    raised = tuple(alarms.alarms())
    end = RunEnd(
        recipe=task.recipe,
        facts=task.source.facts,
        metrics=metrics,
        steps=steps,
        measured=max((row["step"] for row in rows if metrics.keys() & row.keys()), default=0),
        status=status,
        alarms=raised,
        evaluated_on=task.evaluated_on,
    )
    return Summary(
        recipe=task.recipe.model_dump(mode="json"),
        steps=steps,
        status=status,
        seconds=round(seconds, 2),
        preparation_seconds=round(preparation_seconds, 2),
        verdict=run_verdict(end),
        metrics=metrics,
        alarms=raised,
        **task.budget(steps),
    )

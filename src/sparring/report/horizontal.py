"""What a curve is drawn over: rounds, epochs, images, updates of D, or seconds.

    images  = rounds x critic_steps x batch_size               real samples that D has seen
    epochs  = images / training samples of the data
    updates = rounds x critic_steps x steps of the regime      AS-GAN's regime takes two steps on every batch

A classifier has one update on one batch in every round. Seconds are those of the run, measurements included, and of all
its games together.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch

from sparring.core.errors import SparringError, UsageError
from sparring.report.read import Floats, RunRecord

Unit = Literal["rounds", "epochs", "images", "updates", "seconds"]
UNITS: tuple[Unit, ...] = get_args(Unit)
LABELS: dict[Unit, str] = {
    "rounds": "round", "epochs": "epoch", "images": "real images seen", "updates": "updates of D", "seconds": "seconds",
}  # fmt: skip
"""The labels of the axis."""


def positions(run: RunRecord, steps: Floats, unit: Unit) -> Floats:
    """Rounds of a run in another unit.

    Args:
        run: whose rounds.
        steps: `(n)`, rounds with a row in the log.
        unit: that is wanted.

    Raises:
        UsageError: epochs of data that are drawn without end or are not at hand; seconds that were not logged.
    """
    if unit == "seconds":
        return _seconds(run, steps)
    if unit == "epochs":
        return steps * run.recipe.images_a_round / _training_samples(run)
    return steps * {"rounds": 1, "images": run.recipe.images_a_round, "updates": run.recipe.updates_a_round}[unit]


def _training_samples(run: RunRecord) -> int:
    """From the environment of the run; from the data for runs that did not record it."""
    count = run.environment.get("training_samples")
    if count is None:
        try:
            count = run.recipe.data.open(torch.device("cpu")).facts.count
        except (SparringError, OSError) as error:
            cause = f"{run.name}: epochs need the number of training samples: {error}"
            raise UsageError(cause, "draw over rounds or images, or put the data where the recipe says") from None
    if not count:
        data = run.recipe.data.name
        cause = f"{run.name}: {data} has no epochs: its samples are drawn afresh"
        raise UsageError(cause, "draw over rounds or images")
    return int(count)


def _seconds(run: RunRecord, steps: Floats) -> Floats:
    times = {row["step"]: row["seconds"] for row in run.rows if "seconds" in row}
    if not times.keys() >= set(steps.tolist()):
        raise UsageError(f"{run.name}: its log has no seconds", "draw over rounds, or train it with this version")
    return np.array([times[step] for step in steps.tolist()], dtype=np.float64)

"""Alarms: which network of which game has collapsed and since when, computed from the log alone.

Every rule is a condition on the collapse metrics of one check. It raises an alarm when it holds at two checks in a row,
at most 4 % of the budget after the collapse. A new generator is nearly constant too: until its samples first spread, or
lie where real ones do, most rules ignore it for half of the budget, and at least for 500 rounds. The thresholds lie
between the values of planted collapses and those of healthy games.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sparring.monitoring.collapse_metrics import COLLAPSE_METRICS
from sparring.recipes import TrainingRecipe
from sparring.runs.schema import Alarm

PERSISTENCE = 2
"""Checks in a row at which a rule must hold."""
CONSTANT = 0.003
"""A generator with less spread than this is constant."""
NARROW = 0.1
"""A generator with less spread than this makes one sample only, or one mode."""
FEW = 1.5
"""An effective number up to this counts as one."""
NEAR = 1.5
"""Samples at most this much farther from the nearest real one than real ones resemble them."""
STARTED_SPREAD, STARTED_DISTANCE, STARTED_RADIUS = 0.5, 1.15, 0.5
"""A generator has started to learn once it has this spread, or is this near to real samples and this far out."""
PATIENCE, AT_LEAST = 0.5, 500
"""The share of the budget, and the rounds, after which a generator that has not started counts as collapsed."""
ALIKE = 1e-3
"""Scores that differ by less than this part of the largest are equal."""
FLAT = 0.01
"""A slope below this part of the usual one teaches nothing."""
BEYOND, FAINT = 0.98, 0.02
"""If this share of scores lies beyond 10, a slope of D's payoffs below the second number teaches D nothing."""
SURE = 1.05
"""An effective number of predicted classes up to this is one class for every sample."""

Check = Mapping[str, float]
"""The collapse metrics of one game at one check; NaN if not measured, for which no rule holds."""


@dataclass(frozen=True)
class AlarmRule:
    """A kind of collapse.

    Args:
        kind: its name.
        cause, remedy: what it is and what to do, one line each.
        holds: whether a check shows it, given whether G has started to learn or its time is up.
        covers: kinds that follow from this one and are not reported beside it.
    """

    kind: str
    cause: str
    remedy: str
    holds: Callable[[Check, bool], bool]
    covers: tuple[str, ...] = ()


def has_started(check: Check) -> bool:
    """Whether G has started to learn: its samples spread, or lie where real ones do."""
    is_among_real = check["collapse_distance"] < STARTED_DISTANCE and check["collapse_radius"] >= STARTED_RADIUS
    return check["collapse_spread"] >= STARTED_SPREAD or is_among_real


def _is_one_mode(check: Check, started: bool) -> bool:
    narrow = check["collapse_spread"] < NARROW
    return started and (narrow or (check["collapse_anchors"] <= FEW and check["collapse_distance"] < NEAR))


def _is_one_class(check: Check, started: bool) -> bool:
    return started and check["collapse_classes"] <= FEW and check["collapse_distance"] < NEAR


def _is_saturated(check: Check, _started: bool) -> bool:
    learns_nothing = check["collapse_far"] >= BEYOND and check["collapse_slope_discriminator"] < FAINT
    return learns_nothing or check["collapse_slope_generator"] < FLAT or check["collapse_steepness"] < FLAT


RULES = (
    AlarmRule(
        "constant generator",
        "G makes the same sample from every latent",
        "train again with a lower learning rate of G, or with batch normalisation in G",
        lambda check, _started: check["collapse_spread"] < CONSTANT,
        covers=("one mode", "one class"),
    ),
    AlarmRule(
        "one mode",
        "all samples of G are around one point",
        "train again with lower learning rates, another objective, or another Lipschitz control of D",
        _is_one_mode,
        covers=("one class",),
    ),
    AlarmRule(
        "one class",
        "all samples of G are of one class",
        "train again with lower learning rates, another objective, or a conditional G",
        _is_one_class,
    ),
    AlarmRule(
        "constant discriminator",
        "D gives every sample the same score, so it teaches G nothing",
        "train again with a lower learning rate of D, or with a looser Lipschitz control",
        lambda check, _started: check["collapse_score_spread"] < ALIKE,
        covers=("saturated discriminator",),
    ),
    AlarmRule(
        "saturated discriminator",
        "payoffs, or D itself, are flat at D's scores: hardly any gradient is left to learn from",
        "train again with a lower learning rate of D, a Lipschitz control, or an objective that does not saturate",
        _is_saturated,
    ),
    AlarmRule(
        "one predicted class",
        "every real sample is assigned to the same class",
        "train again with a lower learning rate, or with a weaker attack or a longer warmup",
        lambda check, _started: check["collapse_predicted"] <= SURE,
    ),
)
"""Every rule; those that cover others first."""


def alarms(rows: Sequence[Mapping[str, Any]], recipe: TrainingRecipe) -> list[Alarm]:
    """Every alarm of a run, oldest first.

    Args:
        rows: of the log; those without collapse metrics are ignored.
        recipe: of the run.
    """
    checks = [row for row in rows if _is_check(row)]
    games = range(recipe.lead[0] if recipe.lead else 1)
    found = [alarm for game in games for alarm in _of_game(checks, recipe, game)]
    return sorted(found, key=lambda alarm: (alarm.step, alarm.game))


def _of_game(checks: Sequence[Mapping[str, Any]], recipe: TrainingRecipe, game: int) -> Iterator[Alarm]:
    started, patience = False, max(AT_LEAST, PATIENCE * recipe.steps)
    streaks = dict.fromkeys((rule.kind for rule in RULES), 0)
    since: dict[str, int] = {}
    for row in checks:
        measured = {name: row[name][game] if recipe.lead else row[name] for name in COLLAPSE_METRICS if name in row}
        check = dict.fromkeys(COLLAPSE_METRICS, math.nan) | {k: v for k, v in measured.items() if v is not None}
        started = started or row["step"] >= patience or has_started(check)
        streaks = {rule.kind: streaks[rule.kind] + 1 if rule.holds(check, started) else 0 for rule in RULES}
        lasting = [rule for rule in RULES if streaks[rule.kind] >= PERSISTENCE]
        covered = {kind for rule in lasting for kind in rule.covers}
        now = {rule.kind: row["step"] for rule in lasting if rule.kind not in covered}
        for kind in since.keys() - now.keys():
            yield _alarm(kind, since[kind], row["step"], game)
        since = now | {kind: step for kind, step in since.items() if kind in now}
    for kind, step in since.items():
        yield _alarm(kind, step, None, game)


def _alarm(kind: str, step: int, until: int | None, game: int) -> Alarm:
    rule = next(rule for rule in RULES if rule.kind == kind)
    return Alarm(step=step, until=until, game=game, kind=kind, cause=rule.cause, remedy=rule.remedy)


def _is_check(row: Mapping[str, Any]) -> bool:
    return bool(COLLAPSE_METRICS.keys() & row.keys())


class AlarmMonitor:
    """Reports alarms while a run is trained, each once.

    Args:
        recipe: of the run.
        rows: the log so far, whose alarms have been reported.
    """

    def __init__(self, recipe: TrainingRecipe, rows: Sequence[Mapping[str, Any]]) -> None:
        self._recipe = recipe
        self._checks = [row for row in rows if _is_check(row)]

    def alarms(self) -> list[Alarm]:
        """Every alarm so far."""
        return alarms(self._checks, self._recipe)

    def add(self, row: Mapping[str, Any]) -> list[str]:
        """The alarms that a new row raises: a line of cause and a line of remedy for every kind."""
        if not _is_check(row):
            return []
        self._checks.append(row)
        new = [alarm for alarm in self.alarms() if alarm.step == row["step"]]
        games = {rule: [alarm.game for alarm in new if alarm.kind == rule.kind] for rule in RULES}
        return [
            line
            for rule, collapsed in games.items()
            if collapsed
            for line in (f"{self._where(row['step'], collapsed)}: {rule.cause}", f"  try: {rule.remedy}")
        ]

    def _where(self, step: int, games: Sequence[int]) -> str:
        titles = "; ".join(map(self._recipe.title, games))
        return f"alarm at round {step:,}{f' ({titles})' if self._recipe.lead else ''}"

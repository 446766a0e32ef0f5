"""Alarms: which network of which game has collapsed and since when, computed from the log alone.

Every rule is a condition on the collapse metrics of one check. It raises an alarm when it holds at two checks in a row,
at most 4 % of the budget after the collapse. Of the rules about one network only the first that holds is reported. A
new generator is nearly constant too: until its samples first spread, or lie where real ones do, most rules ignore it
for half of the budget, and at least for 500 rounds. The thresholds lie between the values of planted collapses and
those of healthy games.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sparring.monitoring.advice import (
    BATCH_NORM,
    CONDITIONAL,
    CONTROL,
    LOOSER_CONTROL,
    LOWER_RATE,
    LOWER_RATE_OF_D,
    LOWER_RATE_OF_G,
    LOWER_RATES,
    OTHER_CONTROL,
    OTHER_OBJECTIVE,
    OTHER_STEPS,
    UNSATURATED,
    WEAKER_ATTACK,
    Advice,
    remedy,
)
from sparring.monitoring.collapse_metrics import COLLAPSE_METRICS
from sparring.recipes import TrainingRecipe
from sparring.runs.schema import Alarm

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
FALL = 0.2
"""A robust accuracy that has fallen by more than this since its best has fallen suddenly."""

Check = Mapping[str, float]
"""The collapse metrics of one game at one check; NaN if not measured, for which no rule holds."""


@dataclass(frozen=True)
class AlarmRule:
    """A kind of collapse.

    Args:
        network: that collapses.
        kind: its name.
        cause: what it is, in one line.
        advice: what to try.
        holds: whether a check shows it, given whether G has started to learn or its time is up.
    """

    network: str
    kind: str
    cause: str
    advice: tuple[Advice, ...]
    holds: Callable[[Check, bool], bool]


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
        "G",
        "constant generator",
        "G makes the same sample from every latent",
        (LOWER_RATE_OF_G, BATCH_NORM),
        lambda check, _started: check["collapse_spread"] < CONSTANT,
    ),
    AlarmRule(
        "G",
        "one mode",
        "all samples of G are around one point",
        (LOWER_RATES, OTHER_OBJECTIVE, CONTROL, OTHER_CONTROL),
        _is_one_mode,
    ),
    AlarmRule(
        "G",
        "one class",
        "all samples of G are of one class",
        (LOWER_RATES, OTHER_OBJECTIVE, CONDITIONAL),
        _is_one_class,
    ),
    AlarmRule(
        "D",
        "constant discriminator",
        "D gives every sample the same score, so it teaches G nothing",
        (LOWER_RATE_OF_D, LOOSER_CONTROL),
        lambda check, _started: check["collapse_score_spread"] < ALIKE,
    ),
    AlarmRule(
        "D",
        "saturated discriminator",
        "payoffs, or D itself, are flat at D's scores: hardly any gradient is left to learn from",
        (LOWER_RATE_OF_D, CONTROL, OTHER_CONTROL, UNSATURATED),
        _is_saturated,
    ),
    AlarmRule(
        "classifier",
        "one predicted class",
        "every real sample is assigned to the same class",
        (LOWER_RATE, WEAKER_ATTACK),
        lambda check, _started: check["collapse_predicted"] <= SURE,
    ),
    AlarmRule(
        "classifier",
        "catastrophic overfitting",
        "accuracy under PGD on validation samples has fallen by more than 20 points from its best; the run's "
        "classifier is from before the fall",
        (OTHER_STEPS,),
        lambda check, _started: check["collapse_robust_drop"] > FALL,
    ),
)
"""Every rule; of one network, those that others follow from first."""


def network_of(kind: str) -> str:
    """The network that a kind of collapse is of: G, D, or classifier."""
    return next(rule.network for rule in RULES if rule.kind == kind)


class AlarmMonitor:
    """Raises alarms while a log grows.

    Args:
        recipe: of the run.
        rows: the log so far; those without collapse metrics are ignored.
    """

    def __init__(self, recipe: TrainingRecipe, rows: Sequence[Mapping[str, Any]]) -> None:
        self._recipe = recipe
        self._games = [_Game(game, recipe) for game in range(recipe.lead[0] if recipe.lead else 1)]
        for row in rows:
            self.add(row)

    def alarms(self) -> list[Alarm]:
        """Every alarm so far, oldest first."""
        every = [alarm for game in self._games for alarm in (*game.ended, *game.lasting.values())]
        return sorted(every, key=lambda alarm: (alarm.step, alarm.game))

    def add(self, row: Mapping[str, Any]) -> list[str]:
        """What a new row changes: a line of cause and one of remedy for every alarm, and a line when one has ended."""
        if not COLLAPSE_METRICS.keys() & row.keys():
            return []
        step, changed = row["step"], [alarm for game in self._games for alarm in game.add(row)]
        lines = []
        for rule in RULES:
            raised, ended = (
                [alarm.game for alarm in changed if (alarm.kind, alarm.until) == (rule.kind, until)]
                for until in (None, step)
            )
            if raised:
                lines += [
                    f"alarm at round {step:,}{self._of(raised)}: {rule.cause}",
                    f"  try: {remedy(rule.advice, self._recipe)}",
                ]
            if ended:
                lines.append(f"round {step:,}{self._of(ended)}: the alarm has ended: {rule.kind}")
        return lines

    def _of(self, games: Sequence[int]) -> str:
        return f" ({'; '.join(map(self._recipe.title, games))})" if self._recipe.lead else ""


class _Game:
    """The alarms of one game: those that have ended, and those that last, by kind."""

    def __init__(self, number: int, recipe: TrainingRecipe) -> None:
        self.ended: list[Alarm] = []
        self.lasting: dict[str, Alarm] = {}
        self._number, self._packed, self._recipe = number, bool(recipe.lead), recipe
        self._patience, self._started = max(AT_LEAST, PATIENCE * recipe.steps), False
        self._held: set[str] = set()

    def add(self, row: Mapping[str, Any]) -> list[Alarm]:
        """Check a row, end the alarms that no longer hold, and raise new ones; all that changed."""
        step, number = row["step"], self._number
        measured = {name: row[name][number] if self._packed else row[name] for name in COLLAPSE_METRICS if name in row}
        if self._packed and all(value is None for value in measured.values()):
            return []  # the game has diverged: what lasted then has not ended
        check = {name: math.nan if measured.get(name) is None else measured[name] for name in COLLAPSE_METRICS}
        self._started = self._started or step >= self._patience or has_started(check)
        before, self._held = self._held, {rule.kind for rule in RULES if rule.holds(check, self._started)}
        twice = [rule for rule in RULES if rule.kind in before & self._held]
        first = {rule.network: rule for rule in reversed(twice)}.values()
        over = [kind for kind in self.lasting if kind not in {rule.kind for rule in first}]
        ended = [self.lasting.pop(kind).model_copy(update={"until": step}) for kind in over]
        self.ended += ended
        new = {rule.kind: self._raised(rule, step) for rule in first if rule.kind not in self.lasting}
        self.lasting |= new
        return [*ended, *new.values()]

    def _raised(self, rule: AlarmRule, step: int) -> Alarm:
        advice = remedy(rule.advice, self._recipe)
        return Alarm(step=step, until=None, game=self._number, kind=rule.kind, cause=rule.cause, remedy=advice)

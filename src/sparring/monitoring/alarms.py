"""Alarms: which player of which game has collapsed and since when, as a function of the log and nothing else.

A symptom becomes an alarm when two checks in a row show it, so at most 4 % of the budget after it sets in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sparring.monitoring.symptoms import AT_LEAST, PATIENCE, SYMPTOMS, Check, begins
from sparring.monitoring.vitals import VITALS
from sparring.recipes import TrainingRecipe
from sparring.runs.schema import Alarm

PERSISTENCE = 2
"""Checks in a row that a symptom must show in."""


def alarms(rows: Sequence[Mapping[str, Any]], recipe: TrainingRecipe) -> list[Alarm]:
    """Every alarm of a run, oldest first.

    Args:
        rows: the log, or those of its rows that are checks.
        recipe: of the run.
    """
    checks = [row for row in rows if VITALS.keys() & row.keys()]
    games = range(recipe.lead[0] if recipe.lead else 1)
    found = [alarm for game in games for alarm in _of_game(checks, recipe, game)]
    return sorted(found, key=lambda alarm: (alarm.step, alarm.game))


def _of_game(checks: Sequence[Mapping[str, Any]], recipe: TrainingRecipe, game: int) -> Iterator[Alarm]:
    has_begun, patience = False, max(AT_LEAST, PATIENCE * recipe.steps)
    streaks = dict.fromkeys((symptom.kind for symptom in SYMPTOMS), 0)
    since: dict[str, int] = {}
    for row in checks:
        check = Check({name: row[name][game] if recipe.lead else row[name] for name in VITALS if name in row})
        has_begun = has_begun or row["step"] >= patience or begins(check)
        streaks = {
            symptom.kind: streaks[symptom.kind] + 1 if symptom.shows(check, has_begun) else 0 for symptom in SYMPTOMS
        }
        lasting = [symptom for symptom in SYMPTOMS if streaks[symptom.kind] >= PERSISTENCE]
        covered = {kind for symptom in lasting for kind in symptom.covers}
        now = {symptom.kind: row["step"] for symptom in lasting if symptom.kind not in covered}
        for kind in since.keys() - now.keys():
            yield _alarm(kind, since[kind], row["step"], game)
        since = now | {kind: step for kind, step in since.items() if kind in now}
    for kind, step in since.items():
        yield _alarm(kind, step, None, game)


def _alarm(kind: str, step: int, until: int | None, game: int) -> Alarm:
    symptom = next(symptom for symptom in SYMPTOMS if symptom.kind == kind)
    return Alarm(step=step, until=until, game=game, kind=kind, cause=symptom.cause, remedy=symptom.remedy)


class Lookout:
    """Tells alarms while a run is played, each once.

    Args:
        recipe: of the run.
        rows: the log so far; its alarms were told.
    """

    def __init__(self, recipe: TrainingRecipe, rows: Sequence[Mapping[str, Any]]) -> None:
        self._recipe = recipe
        self._checks = [row for row in rows if VITALS.keys() & row.keys()]

    def alarms(self) -> list[Alarm]:
        """Every alarm so far."""
        return alarms(self._checks, self._recipe)

    def see(self, row: Mapping[str, Any]) -> list[str]:
        """What a new row gives to tell: a line of cause and a line of remedy for every kind of new alarms."""
        if not VITALS.keys() & row.keys():
            return []
        self._checks.append(row)
        new = [alarm for alarm in self.alarms() if alarm.step == row["step"]]
        games = {symptom: [alarm.game for alarm in new if alarm.kind == symptom.kind] for symptom in SYMPTOMS}
        return [
            line
            for symptom, found in games.items()
            if found
            for line in (f"{self._where(row['step'], found)}: {symptom.cause}", f"  try: {symptom.remedy}")
        ]

    def _where(self, step: int, games: Sequence[int]) -> str:
        titles = "; ".join(map(self._recipe.title, games))
        return f"alarm at round {step:,}{f' ({titles})' if self._recipe.lead else ''}"

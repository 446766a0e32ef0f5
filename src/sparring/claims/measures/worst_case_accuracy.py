"""Accuracy of a classifier in the worst case over a set of threats.

Source: Croce and Hein 2020 for the worst case over an ensemble.
"""

from __future__ import annotations

from sparring.attacks import Threat
from sparring.claims.measures.base import Measure
from sparring.claims.measures.opened_target import opened_target
from sparring.claims.values import PlayedGame, Value
from sparring.core.modules import full_precision
from sparring.core.pieces import piece
from sparring.core.records import Count, Positive
from sparring.robustness.budgets import Budgets, budgets_of
from sparring.robustness.targets import Target
from sparring.robustness.threat_sets import chosen_threats
from sparring.robustness.trials import Trials, norm_of


@piece("worst_case")
class WorstCaseAccuracy(Measure):
    """The share of held-out samples that no threat of a set fools at one epsilon, in the norm of the training.

    Each threat tries the samples that the ones before it have left; PGD-20 is always the first.

    Args:
        epsilon: in units of [0, 1].
        threats: a set or names, as of `sparring robustness --threats`.
        samples: at most.
    """

    epsilon: Positive
    threats: str = "apgd-ce,apgd-t"
    samples: Count = 1000

    def of(self, game: PlayedGame) -> Value:
        target, budgets = self._opened(game, self.samples)
        trials = Trials(target, seed=0)
        with full_precision():
            fooled = ~target.correct(target.samples)
            for threat in self._tried(budgets):
                fooled = ~trials.of(threat, fooled).correct
        return 1.0 - float(fooled.double().mean())

    def protocol(self, game: PlayedGame) -> str:
        _, budgets = self._opened(game, 1)
        names = ", ".join(threat.name for threat in self._tried(budgets))
        size = f"{budgets.ball.norm} epsilon {self.epsilon:g} of [0, 1]"
        return f"{size}: {names}; at most {self.samples:,} held-out samples"

    def _opened(self, game: PlayedGame, samples: int) -> tuple[Target, Budgets]:
        target = opened_target(game, samples)
        return target, budgets_of(target, (self.epsilon,))

    def _tried(self, budgets: Budgets) -> list[Threat]:
        return [each for each in chosen_threats(self.threats, budgets) if norm_of(each) == budgets.ball.norm]

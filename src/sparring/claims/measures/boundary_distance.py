"""How far D's decision boundary is from the samples that it recognises as generated.

With S(epsilon) the share of recognised generated samples that PGD of size epsilon does not turn into real ones,

    distance = integral of S(epsilon) from 0 to the largest epsilon      (trapezoidal rule)

is the mean of the smallest epsilon that turns D's decision, cut off at the largest.

Source: Rob-GAN, section 3.2, figure 3.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from sparring.claims.measures.base import Measure
from sparring.claims.measures.opened_target import opened_target
from sparring.claims.measures.robust_accuracies import survivors
from sparring.claims.values import PlayedGame, Value
from sparring.core.pieces import piece
from sparring.core.records import Count, Positive

_FAKE = 0
"""The label of generated samples, as `robustness.load` numbers the classes of the source head."""


@piece("boundary_distance")
class BoundaryDistance(Measure):
    """The mean epsilon, in units of [0, 1], at which generated samples cross D's boundary; None if D recognises none.

    Args:
        largest: epsilon at which the search ends, in units of [0, 1].
        sizes: how many epsilons are tried, in equal intervals.
        steps: of PGD.
        samples: of G.
    """

    largest: Positive = 0.5
    sizes: Count = 10
    steps: Count = 20
    samples: Count = 500

    def of(self, game: PlayedGame) -> Value:
        target = opened_target(game, 2 * self.samples, "source")
        fakes = target.labels == _FAKE
        target = replace(target, samples=target.samples[fakes], labels=target.labels[fakes])
        left = target.correct(target.samples)
        recognised = int(left.sum())
        if not recognised:
            return None
        shares = [1.0]
        for number in range(1, self.sizes + 1):
            epsilon = self.largest * number / self.sizes
            left = left & survivors(target, epsilon, steps=self.steps, restarts=1)
            shares.append(int(left.sum()) / recognised)
        return sum(a + b for a, b in pairwise(shares)) / 2 * self.largest / self.sizes

    def protocol(self, game: PlayedGame) -> str:
        return (
            f"at most {self.samples:,} samples of G that D takes for generated; PGD-{self.steps} on D's decision at "
            f"{self.sizes} sizes up to {self.largest:g} of [0, 1]"
        )

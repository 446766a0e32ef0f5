"""Finite games, exactly: the lemmas and theorems on dishonest discriminators."""

from sparring.theory.conditions import Check, Membership, Theorem5, in_h, is_mostly_honest, theorem_5
from sparring.theory.counterexamples import Worst, candidates, overstated_flip, search
from sparring.theory.distributions import Distribution, Values, distribution, expectation, jsd, kl, total_variation
from sparring.theory.games import (
    Game,
    Mixture,
    OutcomeScores,
    ScoreFunction,
    discriminator_objective,
    generator_objective,
    lemma_1,
    on_scores,
    optimal_log,
    optimal_odd,
    proof_terms,
)

__all__ = [
    "Check",
    "Distribution",
    "Game",
    "Membership",
    "Mixture",
    "OutcomeScores",
    "ScoreFunction",
    "Theorem5",
    "Values",
    "Worst",
    "candidates",
    "discriminator_objective",
    "distribution",
    "expectation",
    "generator_objective",
    "in_h",
    "is_mostly_honest",
    "jsd",
    "kl",
    "lemma_1",
    "on_scores",
    "optimal_log",
    "optimal_odd",
    "overstated_flip",
    "proof_terms",
    "search",
    "theorem_5",
    "total_variation",
]

"""How far D's score of generated samples moves: under DAT's perturbation, under others, and under a step of G.

    (14)  |D(G(z) + d) - D(G(z))| <= C          (15)  >= |D(G(z) + d0) - D(G(z))| for every other d0 of the same size
    (16)  C >= |D(G(z; w')) - D(G(z; w))| >= ||D'|| ||G(z; w') - G(z; w)|| >= ||D'|| ||dG/dw|| ||w' - w||

The last two inequalities of (16) are printed so. To first order Cauchy and Schwarz have them the other way round.

Source: Direct Adversarial Training for GANs, equations (14) to (16).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sparring.claims.computations.base import Computation
from sparring.claims.computations.small_games import values_of
from sparring.claims.values import Value
from sparring.core.balls import L2
from sparring.core.modules import input_gradient
from sparring.core.pieces import piece
from sparring.core.records import Count
from sparring.core.shapes import Samples, expand_like, sample_norm
from sparring.gan.state import GANState
from sparring.gan.step import play_round, update_generator
from sparring.recipes import load, require_game

_CPU = torch.device("cpu")
_SAMPLES, _OTHERS, _JACOBIANS = 256, 64, 8
_ROUNDING = 1e-3
"""Relative room for differences of rounded scores."""


@piece("generator_move")
class GeneratorMove(Computation):
    """A game on the built-in digits after some rounds, and one step of its G.

    Returns `largest_change`, the mean of |D(G(z) + d) - D(G(z))| with d along the gradient and of size `size`;
    `share_smaller`, of perturbations of the same size in random directions that change D by less; `share_bounded`, of
    steps of G that change D by less than the perturbation of their size; `share_product`, of samples for which the
    second inequality of (16) holds as printed, and `share_weights` for the third; `slope`, the mean of ||D'||.

    Args:
        game: its recipe.
        rounds: that are played before.
        size: of perturbations, Euclidean, in the units of the samples.
    """

    game: str = "dat/digits"
    rounds: Count = 1000
    size: float = 0.1

    def compute(self, seed: int) -> Mapping[str, Value]:
        recipe = require_game(load(self.game, [f"seed={seed}"]), self.game)
        state = GANState(recipe, recipe.data.open(_CPU), _CPU)
        for step in range(self.rounds):
            play_round(state, step)
        rng = state.streams.rng("claims/codes")
        codes = recipe.generator.draw((_SAMPLES,), state.space, rng=rng).values
        x, jacobian = _samples(state, codes), _largest_singular_values(state, codes[:_JACOBIANS])
        score, slope = input_gradient(state.score, x)
        norm = sample_norm(slope, 1)
        largest = _change(state, x, L2().steepest(slope, self.size, 1), score)
        noise = state.streams.rng("claims/others").normal((_OTHERS, *x.shape))
        others = torch.stack([_change(state, x, L2().steepest(each, self.size, 1), score) for each in noise])
        weights = values_of(state.generator)
        update_generator(state, state.generate("latents/fresh", self.rounds), self.rounds)
        move = _samples(state, codes) - x
        length, moved = sample_norm(move, 1), _change(state, x, move, score)
        unit = L2().steepest(slope, 1.0, 1) * expand_like(length, x)
        reach = torch.maximum(_change(state, x, unit, score), _change(state, x, -unit, score))
        step_length = float((values_of(state.generator) - weights).norm())
        return {
            "largest_change": float(largest.mean()),
            "share_smaller": float((others <= largest).double().mean()),
            "share_bounded": float((moved <= reach * (1 + _ROUNDING)).double().mean()),
            "share_product": float((moved >= norm * length * (1 - _ROUNDING)).double().mean()),
            "share_weights": float((length[:_JACOBIANS] >= jacobian * step_length).double().mean()),
            "slope": float(norm.mean()),
        }


@torch.no_grad()
def _samples(state: GANState, codes: Tensor) -> Samples:
    samples: Samples = state.generator(codes)
    return samples


@torch.no_grad()
def _change(state: GANState, x: Samples, delta: Samples, score: Tensor) -> Tensor:
    """|D(x + delta) - D(x)| of every sample."""
    return (state.score(x + delta) - score).abs()


def _largest_singular_values(state: GANState, codes: Tensor) -> Tensor:
    """||dG(z; w) / dw|| of every code, the operator norm."""
    parameters = list(state.generator.parameters())
    found = []
    for code in codes:
        outputs = state.generator(code[None]).flatten()
        rows = [torch.autograd.grad(each, parameters, retain_graph=True) for each in outputs]
        jacobian = torch.stack([torch.cat([part.flatten() for part in row]) for row in rows])
        found.append(torch.linalg.matrix_norm(jacobian, 2))
    return torch.stack(found)

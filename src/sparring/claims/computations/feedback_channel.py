"""Figure 1 and equation (3.4): what an adversary on the channel from D to G changes, and its average."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sparring.claims.computations.base import Computation
from sparring.claims.computations.small_games import values_of
from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count
from sparring.feedback import Expected, Feedback, Flip, HonestFeedback, Lie, MixtureAdversary, Sqrt, Square
from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.objectives import Linear, Objective
from sparring.optimizers import SGD
from sparring.recipes import Recipe, load, require_game

PAPERS = MixtureAdversary(
    perturbations=(
        Lie(perturbation=Flip(), probability=0.1),
        Lie(perturbation=Sqrt(), probability=0.1),
        Lie(perturbation=Square(), probability=0.1),
    )
)
"""The adversary of section 5.2."""
_CPU = torch.device("cpu")


@piece("feedback_draws")
class FeedbackDraws(Computation):
    """The payoff that G gets from drawn perturbations, against its exact expectation.

    With k draws of a score's payoff, of mean m and standard deviation s, z = (m - expectation) / (s / sqrt k). Without
    a bias the mean of z^2 over scores is 1.

    - `payoff`: the mean of z^2 of the payoff;
    - `slope`: that of its derivative with respect to the score;
    - `expected`: the largest difference between the delivery `expected` and the expectation.

    The expectation is sum_i p_i f(psi_i(D)) with D as a probability, in fp64.

    Args:
        objective: its payoff of G.
        feedback: an adversary that draws.
        scores: random scores of D.
        draws: of a perturbation for every score.

    Source: Xu, Li, Jegelka, equations (3.3) and (3.4), appendix B.
    """

    objective: Objective = Linear()
    feedback: Feedback = PAPERS
    scores: Count = 200
    draws: Count = 2000

    def compute(self, seed: int) -> dict[str, float]:
        rng = Rng.of(seed)
        score = (2 * rng.normal((self.scores,))).double()
        exact = _with_slope(score, lambda s: _expectation(self.objective, self.feedback, s))
        drawn = _with_slope(
            score.expand(self.draws, -1), lambda s: self.feedback.transmit(self.objective.generator, s, rng=rng)
        )
        as_expected = _with_slope(
            score, lambda s: _exactly(self.feedback).transmit(self.objective.generator, s, rng=rng)
        )
        squares = [
            float((((each.mean(0) - mean) / each.std(0)) ** 2).mean()) * self.draws
            for each, mean in zip(drawn, exact, strict=True)
        ]
        differences = [float((each - mean).abs().max()) for each, mean in zip(as_expected, exact, strict=True)]
        return {"payoff": squares[0], "slope": squares[1], "expected": max(differences)}


@piece("feedback_flow")
class FeedbackFlow(Computation):
    """One round of training with an adversary and one without, from the same weights, samples and latents.

    - `discriminator`: the largest difference between the two updates of D;
    - `generator`: the difference between the two updates of G, over the size of the one without an adversary;
    - `error`: the difference between G's update and the gradient of sum_i p_i f(1 - psi_i(D(G(z)))), formed from
      probabilities and differentiated through psi_i and D, over the size of that gradient.

    G takes a step of plain gradient descent with rate 1, so that its update is its gradient.

    Args:
        objective: of the game.
        feedback: the adversary, which delivers its expectation here.

    Source: Xu, Li, Jegelka, figure 1, section 3.2 and appendix B.
    """

    objective: Objective = Linear()
    feedback: Feedback = PAPERS

    def compute(self, seed: int) -> dict[str, float]:
        feedback = _exactly(self.feedback)
        honest, dishonest = (_played(self._recipe(seed, each)) for each in (HonestFeedback(), feedback))
        before = GANState(self._recipe(seed, feedback), honest.source, _CPU)
        start = values_of(before.generator)
        updates = [values_of(game.generator) - start for game in (honest, dishonest)]
        before.discriminator.load_state_dict(dishonest.discriminator.state_dict())
        score = before.score(before.generate("latents", 0).samples)
        payoff = _expectation(self.objective, feedback, score.double()).mean()
        gradient = torch.cat(
            [each.flatten() for each in torch.autograd.grad(payoff, list(before.generator.parameters()))]
        )
        return {
            "discriminator": float((values_of(honest.discriminator) - values_of(dishonest.discriminator)).abs().max()),
            "generator": float((updates[1] - updates[0]).norm() / updates[0].norm()),
            "error": float((updates[1] - gradient).norm() / gradient.norm()),
        }

    def _recipe(self, seed: int, feedback: Feedback) -> Recipe:
        recipe = require_game(load("dishonest/ring-small"), "feedback_flow")
        optimizers = recipe.optimizers.model_copy(update={"generator": SGD(lr=1.0)})
        changes = {"objective": self.objective, "feedback": feedback, "optimizers": optimizers, "seed": seed}
        return recipe.model_copy(update={"replicas": 1, "ema": 0.0} | changes)


def _played(recipe: Recipe) -> GANState:
    """The game after its first round."""
    game = GANState(recipe, recipe.data.open(_CPU), _CPU)
    play_round(game, 0)
    return game


def _exactly(feedback: Feedback) -> Feedback:
    """The same adversary, which delivers its expectation."""
    return feedback.model_copy(update={"delivery": Expected()})


def _expectation(objective: Objective, feedback: Feedback, score: Tensor) -> Tensor:
    """sum_i p_i f(psi_i(D)), G's payoff as a function of the probability D = sigmoid(score)."""
    total = torch.zeros_like(score)
    for share, psi in feedback.distribution():
        delivered = psi.probability(torch.sigmoid(score))
        total = total + share * objective.generator(torch.log(delivered) - torch.log1p(-delivered))
    return total


def _with_slope(score: Tensor, payoff: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Values and derivatives of an elementwise function."""
    inputs = score.detach().clone().requires_grad_()
    values = payoff(inputs)
    (slope,) = torch.autograd.grad(values.sum(), inputs)
    return values.detach(), slope

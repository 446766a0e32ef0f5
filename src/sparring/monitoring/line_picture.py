"""The picture of samples on a line: densities, D as a curve, and where G's gradient pushes generated samples.

Source: the course notes, figures 1 and 2.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sparring.core.modules import evaluating, frozen, input_gradient
from sparring.core.randomness import Rng
from sparring.core.shapes import Samples, Scores
from sparring.data import Facts
from sparring.gan.sampling import draw
from sparring.gan.state import GANState

SAMPLES = 2048
"""Real samples, and generated ones a game, that the densities are estimated from."""
BINS = 80
"""Bins of the densities."""
CURVE = 241
"""Places at which D is drawn."""
ARROWS = 24
"""Generated samples with an arrow, a game."""

LineArrays = dict[str, npt.NDArray[np.generic]]


def extent_of(facts: Facts) -> float:
    """Half the side of the picture of samples without a range: as far out as the modes and six standard deviations."""
    return 3.0 if facts.centres is None else float(facts.centres.abs().max()) + max(6 * facts.std, 0.5)


def line_arrays(game: GANState) -> LineArrays:
    """The arrays of a picture; the first axis of those that depend on G or D counts games.

    - `edges` `(BINS + 1)`, between which lie the densities `real` `(BINS)` and `generated` `(games, BINS)`, whose areas
      are the shares of samples in the picture;
    - `places` `(CURVE)` and `score` `(games, CURVE)`, D's score there;
    - `starts` `(games, ARROWS)`, generated samples at even quantiles, and `gradient` of the same shape, that of G's
      payoff, for D's true score, with respect to the sample.
    """
    facts, lead = game.source.facts, game.recipe.lead
    games, extent = math.prod(lead), extent_of(facts)
    edges = torch.linspace(-extent, extent, BINS + 1, device=game.device)
    places = torch.linspace(-extent, extent, CURVE, device=game.device)
    generated = draw(game, SAMPLES, "pictures", 0).samples
    starts = _quantiles(generated.squeeze(-1), ARROWS)
    with frozen(game.networks.parameters()), evaluating(game.discriminator):
        score = game.score(places[:, None].expand(*lead, CURVE, 1)).detach()
        gradient = input_gradient(lambda samples: _payoff(game, samples), starts[..., None]).gradient
    real = game.source.held_out(SAMPLES, rng=Rng.of(0, game.device)).samples
    tensors = {
        "edges": edges,
        "real": density(real.flatten(), edges),
        "generated": torch.stack([density(each, edges) for each in generated.reshape(games, -1)]),
        "places": places,
        "score": score.reshape(games, CURVE),
        "starts": starts.reshape(games, ARROWS),
        "gradient": gradient.reshape(games, ARROWS),
    }
    return {name: values.cpu().numpy().astype(np.float32) for name, values in tensors.items()}


def density(samples: Tensor, edges: Tensor) -> Tensor:
    """The share of samples in every bin over its width, `(n)` and `(bins + 1)` to `(bins)`."""
    counts = torch.histogram(samples.double().cpu(), edges.double().cpu()).hist
    return counts / len(samples) / edges.double().cpu().diff()


def _quantiles(samples: Tensor, count: int) -> Tensor:
    """Samples at the middles of equal shares of their order, `(*lead, n)` to `(*lead, count)`."""
    places = ((torch.arange(count) + 0.5) / count * samples.shape[-1]).long()
    return samples.sort(dim=-1).values[..., places.to(samples.device)]


def _payoff(game: GANState, samples: Samples) -> Scores:
    return game.recipe.objective.generator(game.score(samples))

"""How far G's weights must move for D to believe its samples more.

With p(w) the mean of D(G(z; w)) over latents and g = dp/dw,

    travel = the smallest t >= 0 with p(w + t g / ||g||) >= p(w) + rise

Equation (7) bounds it from below by rise / (L_D L_G): under a D with small slopes the update of G is larger.

Source: Rob-GAN, section 3.2, equation (7).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import functional_call

from sparring.claims.measures.base import Measure
from sparring.claims.values import PlayedGame, Value
from sparring.core.modules import evaluating
from sparring.core.pieces import piece
from sparring.core.records import Count, Positive
from sparring.gan.load import LoadedGAN, load_gan

_HALVINGS = 20


@piece("generator_travel")
class GeneratorTravel(Measure):
    """The Euclidean distance of G's weights to those at which D believes its samples more; `furthest` if none does.

    Args:
        rise: of the mean of D on generated samples.
        furthest: where the search ends.
        samples: latents.
    """

    rise: Positive = 0.1
    furthest: Positive = 10.0
    samples: Count = 512

    def of(self, game: PlayedGame) -> Value:
        gan = load_gan(game.trained.folder, game.device).game(game.index)
        belief = Belief(gan, self.samples)
        start, gradient = belief.with_gradient()
        length = float(torch.cat([each.flatten() for each in gradient.values()]).norm())
        if not length > 0:
            return self.furthest

        def reached(distance: float) -> bool:
            return belief.at({name: each * (distance / length) for name, each in gradient.items()}) >= start + self.rise

        low, high = 0.0, self.furthest * 0.5**_HALVINGS
        while not reached(high):
            if high >= self.furthest:
                return self.furthest
            low, high = high, 2 * high
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (low, middle) if reached(middle) else (middle, high)
        return high

    def protocol(self, game: PlayedGame) -> str:
        return (
            f"along the gradient of the mean of D over {self.samples:,} latents until it has risen by {self.rise:g}; "
            f"at most {self.furthest:g}"
        )


class Belief:
    """The mean of D(G(z; w)) over fixed latents, as a function of G's weights.

    Args:
        gan: G in eval mode, without the running mean of its weights.
        samples: latents.
    """

    def __init__(self, gan: LoadedGAN, samples: int) -> None:
        self._gan, self._generator = gan, gan.networks.generator
        rng = gan.streams.rng("claims/latents")
        self._codes = gan.recipe.generator.draw((samples,), gan.networks.space, rng=rng)
        self._weights = {name: each.detach() for name, each in self._generator.named_parameters()}

    def at(self, moved: dict[str, Tensor]) -> float:
        """The mean after the weights have moved."""
        with torch.no_grad():
            return float(self._mean({name: each + moved[name] for name, each in self._weights.items()}))

    def with_gradient(self) -> tuple[float, dict[str, Tensor]]:
        """The mean, and its gradient by weight."""
        leaves = {name: each.clone().requires_grad_() for name, each in self._weights.items()}
        mean = self._mean(leaves)
        found = torch.autograd.grad(mean, list(leaves.values()))
        return float(mean.detach()), dict(zip(leaves, found, strict=True))

    def _mean(self, weights: dict[str, Tensor]) -> Tensor:
        networks, recipe = self._gan.networks, self._gan.recipe
        with evaluating(networks):
            samples = functional_call(self._generator, weights, (self._codes.values,))
            score = recipe.discriminator.head.score(networks.discriminator(samples), self._codes.labels)
        return torch.sigmoid(score).mean()

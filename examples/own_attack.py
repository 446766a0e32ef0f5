"""An attack outside of the package; a recipe names it by its import path: `regime.attack=own_attack:Momentum`.

It only writes the search. The family keeps the budget and the range of the data, and restores the discriminator.
"""

import torch

from sparring.attacks import Attack, Epsilon, LossFunction
from sparring.core.randomness import Rng
from sparring.core.records import Count, Probability
from sparring.core.shapes import Samples, Space, expand_like


class Momentum(Attack):
    """Signed steps along a decaying sum of normalised gradients (Dong et al. 2018)."""

    epsilon: Epsilon = 8 / 255
    steps: Count = 5
    decay: Probability = 0.9

    def search(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        length = self.epsilon / self.steps * space.width
        moved, velocity = x, torch.zeros_like(x)
        for _ in range(self.steps):
            leaf = moved.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(loss(leaf).sum(), leaf)
            size = gradient.flatten(-len(space.shape)).abs().sum(-1).clamp(min=1e-12)
            velocity = self.decay * velocity + gradient / expand_like(size, gradient)
            moved = self.confine(x, moved + length * velocity.sign(), space)
        return moved

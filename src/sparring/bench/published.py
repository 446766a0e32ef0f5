"""The published way to play a round, written plainly, for comparison.

What the published codes of these papers have in common: an attack is a pass of its own, whose backward computes the
gradients of D's parameters, too, and throws them away; G's step makes fakes anew; all of it in fp32, contiguous, and
with every operation of the networks on its own. Gradients are those of cross-entropy on scores.

Source: the published codes of Rob-GAN and DAT; AS-GAN published none, and its algorithm 1 is read the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_EPSILON = 2 * 8 / 255
_STEPS = 5


@dataclass(frozen=True)
class Networks:
    """Two networks with their optimizers.

    Args:
        generator: latents to images.
        discriminator: images to a verdict.
        generator_optimizer, discriminator_optimizer: of all their parameters.
        latents: draws them for a batch.
    """

    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer
    latents: Callable[[], Tensor]

    def loss(self, images: Tensor, real: float) -> Tensor:
        """The cross-entropy of D for images that are real (1) or not (0)."""
        score = self.discriminator(images).score
        return F.binary_cross_entropy_with_logits(score, torch.full_like(score, real))

    def learn(self, loss: Tensor) -> None:
        """One step of D."""
        self.discriminator_optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.discriminator_optimizer.step()

    def fake(self) -> Tensor:
        """Images of G for D to learn from."""
        images: Tensor = self.generator(self.latents()).detach()
        return images

    def teach(self) -> None:
        """One step of G, on fakes of its own."""
        self.generator_optimizer.zero_grad()
        self.loss(self.generator(self.latents()), 1.0).backward()  # type: ignore[no-untyped-call]
        self.generator_optimizer.step()


def attacked(players: Networks, images: Tensor, real: float, steps: int, size: float) -> Tensor:
    """Images moved by steps along the sign of the gradient, within epsilon and the range."""
    moved = images.clone()
    for _ in range(steps):
        moved = moved.detach().requires_grad_()
        players.loss(moved, real).backward()  # type: ignore[no-untyped-call]
        assert moved.grad is not None
        moved = moved.detach() + size * moved.grad.sign()
        moved = torch.clamp(torch.min(torch.max(moved, images - _EPSILON), images + _EPSILON), -1, 1)
    return moved.detach()


def update_plain(players: Networks, images: Tensor) -> None:
    """D's update of every GAN."""
    players.learn(players.loss(images, 1.0) + players.loss(players.fake(), 0.0))


def update_replace(players: Networks, images: Tensor) -> None:
    """Rob-GAN's: PGD on real images, which take their place."""
    fake = players.fake()
    moved = attacked(players, images, 1.0, _STEPS, _EPSILON / 4)
    players.learn(players.loss(moved, 1.0) + players.loss(fake, 0.0))


def update_symmetric(players: Networks, images: Tensor) -> None:
    """AS-GAN's: a clean update, then one on images attacked before it."""
    fake = players.fake()
    moved = attacked(players, images, 1.0, 1, _EPSILON)
    players.learn(players.loss(images, 1.0) + players.loss(fake, 0.0))
    players.learn(players.loss(moved, 1.0) + players.loss(fake, 0.0))


def update_mixed(players: Networks, images: Tensor) -> None:
    """DAT's: one update on clean images and on attacked ones of both sides."""
    fake = players.fake()
    moved, moved_fake = (attacked(players, x, real, 1, _EPSILON) for x, real in ((images, 1.0), (fake, 0.0)))
    clean = players.loss(images, 1.0) + players.loss(fake, 0.0)
    players.learn(clean / 2 + (players.loss(moved, 1.0) + players.loss(moved_fake, 0.0)) / 2)

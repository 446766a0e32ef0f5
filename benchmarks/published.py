"""The published way to train a round, written plainly, for comparison.

The published codes of these papers have in common: an attack is a separate pass, whose backward also computes the
gradients of D's parameters and discards them; G's step generates new fakes; everything is fp32, contiguous, and no
operations are fused. The loss is cross-entropy on scores.

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
class PublishedGAN:
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
        """Cross-entropy of D for real (1) or generated (0) images."""
        score = self.discriminator(images).score
        return F.binary_cross_entropy_with_logits(score, torch.full_like(score, real))

    def update_discriminator(self, loss: Tensor) -> None:
        """One step of D."""
        self.discriminator_optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.discriminator_optimizer.step()

    def fake(self) -> Tensor:
        """Generated images for D's update."""
        images: Tensor = self.generator(self.latents()).detach()
        return images

    def update_generator(self) -> None:
        """One step of G, on newly generated images."""
        self.generator_optimizer.zero_grad()
        self.loss(self.generator(self.latents()), 1.0).backward()  # type: ignore[no-untyped-call]
        self.generator_optimizer.step()


def attacked(gan: PublishedGAN, images: Tensor, real: float, steps: int, size: float) -> Tensor:
    """Images moved by steps along the sign of the gradient, within epsilon and the range."""
    moved = images.clone()
    for _ in range(steps):
        moved = moved.detach().requires_grad_()
        gan.loss(moved, real).backward()  # type: ignore[no-untyped-call]
        assert moved.grad is not None
        moved = moved.detach() + size * moved.grad.sign()
        moved = torch.clamp(torch.min(torch.max(moved, images - _EPSILON), images + _EPSILON), -1, 1)
    return moved.detach()


def update_plain(gan: PublishedGAN, images: Tensor) -> None:
    """The plain update of D."""
    gan.update_discriminator(gan.loss(images, 1.0) + gan.loss(gan.fake(), 0.0))


def update_replace(gan: PublishedGAN, images: Tensor) -> None:
    """Rob-GAN: PGD on the real images, which the adversarial ones replace."""
    fake = gan.fake()
    moved = attacked(gan, images, 1.0, _STEPS, _EPSILON / 4)
    gan.update_discriminator(gan.loss(moved, 1.0) + gan.loss(fake, 0.0))


def update_symmetric(gan: PublishedGAN, images: Tensor) -> None:
    """AS-GAN: a clean update, then one on images attacked before it."""
    fake = gan.fake()
    moved = attacked(gan, images, 1.0, 1, _EPSILON)
    gan.update_discriminator(gan.loss(images, 1.0) + gan.loss(fake, 0.0))
    gan.update_discriminator(gan.loss(moved, 1.0) + gan.loss(fake, 0.0))


def update_mixed(gan: PublishedGAN, images: Tensor) -> None:
    """DAT: one update on clean and on attacked images, real and generated."""
    fake = gan.fake()
    moved, moved_fake = (attacked(gan, x, real, 1, _EPSILON) for x, real in ((images, 1.0), (fake, 0.0)))
    clean = gan.loss(images, 1.0) + gan.loss(fake, 0.0)
    gan.update_discriminator(clean / 2 + (gan.loss(moved, 1.0) + gan.loss(moved_fake, 0.0)) / 2)

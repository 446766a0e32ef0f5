"""Networks as they are used outside of the library: images in [0, 1], latents and class numbers apart, tensors alone.

    generator        latents (n, latent), and labels (n) if it is conditional   ->  images (n, ...)
    discriminator    images (n, ...)   ->  score (n), and a number for each class (n, classes) if it has a class head
    classifier       images (n, ...)   ->  logits (n, classes)

Inside of the library images are in [-1, 1], which is 2 x - 1. Samples without a range are the same in both places.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from sparring.core.errors import UsageError
from sparring.core.randomness import Rng
from sparring.core.shapes import Samples, Space
from sparring.networks import Classifier, Discriminator, Generator, Network, Verdict, chosen_classes, spread


class PortableNetwork(nn.Module, ABC):
    """A network in eval mode behind the range of its samples.

    Args:
        spec: of the network.
        network: as the library runs it, samples in `space.bounds`.
        space: of the samples.
    """

    def __init__(self, spec: Network, network: nn.Module, space: Space) -> None:
        super().__init__()
        self.spec, self.network, self.space = spec, network, space
        self.low = space.bounds[0] if space.bounds else 0.0
        self.eval()

    @property
    @abstractmethod
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs."""

    @abstractmethod
    def example(self, count: int) -> tuple[Tensor, ...]:
        """Inputs of `count` samples, always the same ones."""

    @property
    def samples(self) -> str:
        """What samples are called: images or samples."""
        return "images" if len(self.space.shape) == 3 else "samples"

    def _inside(self, samples: Samples) -> Samples:
        return self.low + self.space.width * samples

    def _outside(self, samples: Samples) -> Samples:
        return (samples - self.low) / self.space.width


class PortableGenerator(PortableNetwork):
    """Latents, and labels if it is conditional, to samples."""

    spec: Generator

    @property
    def inputs(self) -> tuple[str, ...]:
        return ("latents", "labels") if self.spec.conditional else ("latents",)

    @property
    def outputs(self) -> tuple[str, ...]:
        return (self.samples,)

    def example(self, count: int) -> tuple[Tensor, ...]:
        latents = self.spec.prior.draw((count, self.spec.latent), rng=Rng.of(0))
        return (latents, torch.arange(count) % self.space.classes) if self.spec.conditional else (latents,)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Samples:
        if (labels is not None) != self.spec.conditional:
            has = "conditional" if self.spec.conditional else "unconditional"
            raise UsageError(f"this generator is {has}", f"give it {' and '.join(self.inputs)}")
        return self._outside(self.network(self.spec.encode(latents, labels, self.space)))

    @torch.no_grad()
    def sample(self, count: int, labels: Tensor | int | None = None, *, seed: int = 0) -> Samples:
        """Samples `(count, ...)`; images in [0, 1].

        Args:
            count: of the samples.
            labels: the class of all, or of each `(count)`; all classes in order by default.
            seed: of the latents.

        Raises:
            UsageError: they are no classes, not as many, or the generator is unconditional.
        """
        device = next(self.network.parameters()).device
        latents = self.spec.prior.draw((count, self.spec.latent), rng=Rng.of(seed, device))
        inputs = [latents]
        if labels is not None and not self.spec.conditional:
            raise UsageError("labels: this generator is unconditional", "leave labels out")
        if self.spec.conditional:
            classes = self.space.classes
            chosen = spread(count, classes) if labels is None else chosen_classes(count, classes, labels)
            inputs.append(cast(Tensor, chosen).to(device))
        samples: Tensor = self(*inputs)
        return samples


class _OfSamples(PortableNetwork):
    """Samples to what the network says of them."""

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.samples,)

    def example(self, count: int) -> tuple[Tensor, ...]:
        return (Rng.of(0).uniform((count, *self.space.shape)),)


class PortableDiscriminator(_OfSamples):
    """Samples to a score, and to a number for each class if the head has them."""

    spec: Discriminator

    @property
    def outputs(self) -> tuple[str, ...]:
        return ("score", "classes") if self.spec.head.needs_classes else ("score",)

    def forward(self, samples: Samples) -> Tensor | tuple[Tensor, Tensor]:
        verdict: Verdict = self.network(self._inside(samples))
        return verdict.score if verdict.classes is None else (verdict.score, verdict.classes)


class PortableClassifier(_OfSamples):
    """Samples to logits."""

    outputs: ClassVar[tuple[str, ...]] = ("logits",)

    def forward(self, samples: Samples) -> Tensor:
        logits: Tensor = self.network(self._inside(samples))
        return logits


def portable(spec: Network, network: nn.Module, space: Space) -> PortableNetwork:
    """The portable form of a network; arguments as in `PortableNetwork`."""
    kinds: dict[str, type[PortableNetwork]] = {
        Generator.family: PortableGenerator,
        Discriminator.family: PortableDiscriminator,
        Classifier.family: PortableClassifier,
    }
    return kinds[spec.family](spec, network, space)


def as_tuple(outputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The outputs of a portable network, one or several, as a tuple."""
    return (outputs,) if isinstance(outputs, Tensor) else outputs

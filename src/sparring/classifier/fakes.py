"""Generated samples as additional training data: of the frozen generator of a run."""

from __future__ import annotations

from pathlib import Path

import torch

from sparring.core.errors import UsageError
from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import Space
from sparring.data import Batch
from sparring.gan.load import load_gan
from sparring.networks import forward
from sparring.recipes import Fakes
from sparring.runs.folder import RunFolder


class FrozenGenerator:
    """A class-conditional generator of a finished run, in eval mode; its running mean if the recipe keeps one.

    Args:
        fakes: the run.
        space: of the samples that it must generate.
        device: of the samples.

    Raises:
        UsageError: there is no such run, or its generator is unconditional.

    Source: Rob-GAN, equation (6): the expectation over P_fake, with uniform classes.
    """

    def __init__(self, fakes: Fakes, space: Space, device: torch.device) -> None:
        self._fakes, self._space = fakes, space
        self.weight = fakes.weight
        self._recipe = RunFolder.open(Path(fakes.run)).game_recipe()
        spec = self._recipe.generator
        if not spec.conditional:
            raise UsageError(
                f"fakes.run = {fakes.run}: its generator is unconditional, so its samples have no labels",
                "train without them, fakes=null, or name a run with generator.conditional=true",
            )
        self.network = spec.build(space, (), rng=Rng.of(0)).to(device).eval().requires_grad_(False)

    def load_weights(self) -> None:
        """Load the weights of the run's newest checkpoint.

        Raises:
            UsageError: the run has no checkpoint yet, no such game, or other samples.
            CorruptInput: no checkpoint is intact.
        """
        gan = load_gan(RunFolder.open(Path(self._fakes.run)), "cpu").game(self._fakes.game)
        if gan.networks.space != self._space:
            raise UsageError(
                f"fakes.run = {self._fakes.run}: makes samples of {gan.networks.space}, "
                f"and the data have {self._space}",
                "train on the data of that run",
            )
        self.network.load_state_dict(gan.networks.sampler.state_dict())

    @torch.no_grad()
    def draw(self, count: int, streams: Streams, number: int) -> Batch:
        """Samples `(count, ...)` and their classes."""
        codes = self._recipe.generator.draw((count,), self._space, rng=streams.rng("fakes", number))
        return Batch(forward(self.network, codes.values, self._recipe.precision), codes.labels)

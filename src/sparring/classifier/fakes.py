"""A frozen class-conditional generator: fresh labelled samples every round, the classes uniform.

Source: Rob-GAN, equation (6): the expectation over P_fake.
"""

from __future__ import annotations

from pathlib import Path

import torch

from sparring.core.errors import UsageError
from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import Space
from sparring.data import Batch
from sparring.gan.load import load_gan
from sparring.networks.precision import forward
from sparring.recipes import Fakes
from sparring.runs.folder import RunFolder


class FrozenGenerator:
    """The generator of a run in eval mode, or the running mean of it where its recipe keeps one; never updated.

    Args:
        fakes: which run's.
        space: of the samples that it must make.
        device: where it draws.

    Raises:
        UsageError: there is no such run, or its generator is unconditional.
    """

    def __init__(self, fakes: Fakes, space: Space, device: torch.device) -> None:
        self._fakes, self._space, self._device = fakes, space, device
        self.weight = fakes.weight
        self._recipe = RunFolder.open(Path(fakes.run)).game_recipe()
        spec = self._recipe.generator
        if not spec.conditional:
            raise UsageError(
                f"fakes.run = {fakes.run}: its generator is unconditional, so nobody knows the classes of its samples",
                "train without them, fakes=null, or name a run with generator.conditional=true",
            )
        self.network = spec.build(space, (), rng=Rng.of(0)).to(device).eval().requires_grad_(False)

    def take_weights(self) -> None:
        """Take the weights of the run's newest checkpoint.

        Raises:
            UsageError: the run has no checkpoint yet, no such game, or samples of another kind.
            CorruptInput: no checkpoint is sound.
        """
        loaded = load_gan(RunFolder.open(Path(self._fakes.run)), "cpu").game(self._fakes.game)
        if loaded.networks.space != self._space:
            raise UsageError(
                f"fakes.run = {self._fakes.run}: makes samples of {loaded.networks.space.in_words()}, "
                f"and the data have {self._space.in_words()}",
                "train on the data of that run",
            )
        self.network.load_state_dict(loaded.networks.sampler.state_dict())

    @torch.no_grad()
    def draw(self, count: int, streams: Streams, number: int) -> Batch:
        """Samples `(count, ...)` and the classes that they were asked for."""
        codes = self._recipe.generator.draw((count,), self._space, rng=streams.rng("fakes", number))
        return Batch(forward(self.network, codes.values, self._recipe.precision), codes.labels)

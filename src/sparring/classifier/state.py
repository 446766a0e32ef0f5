"""A classifier in training: network, optimizer, data, frozen generator and random streams; its state as tensors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from sparring.classifier.load import load_start
from sparring.core.descent import Descent
from sparring.core.errors import UsageError
from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import Samples, Space
from sparring.core.step_log import StepLog
from sparring.data import Batch, Source
from sparring.gan.load import load_gan
from sparring.gan.state import laid_out
from sparring.networks import forward
from sparring.recipes import ClassifierRecipe, Fakes
from sparring.runs.folder import RunFolder
from sparring.runs.tensors import (
    below,
    fill,
    load_optimizer_state,
    optimizer_state,
    saved,
    within,
)


class WeightedBatch(NamedTuple):
    """Labelled samples of one term of the loss.

    Args:
        origin: of the samples.
        weight: of the term.
        samples: `(n, ...)`.
        labels: `(n)`.
    """

    origin: Literal["real", "fake"]
    weight: float
    samples: Samples
    labels: Tensor


class ClassifierState:
    """All that a round of a classifier's training reads and writes.

    Args:
        recipe: of the training.
        source: opened data, with labels.
        device: of the training.

    Raises:
        UsageError: the data have no labels, or the generator does not fit them.
    """

    def __init__(self, recipe: ClassifierRecipe, source: Source, device: torch.device) -> None:
        self.recipe, self.source, self.device = recipe, source, device
        self.space = source.facts.space
        if not self.space.classes:
            raise UsageError(
                f"data: {recipe.data.name!r} have no labels, and a classifier learns from them",
                "choose data with labels, for example digits",
            )
        self.streams = Streams(recipe.seed, None, device)
        recipe.attack.check(self.space)
        rng = Streams(recipe.seed).rng("init/classifier")
        network = recipe.classifier.build(self.space, (), rng=rng)
        recipe.classifier.init.apply(network, rng=rng)
        network = network.to(device)
        if recipe.memory_format == "channels_last":
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = network
        self.optimizer = recipe.optimizer.build(network.parameters())
        self.fakes = [FrozenGenerator(recipe.fakes, self.space, device)] if recipe.fakes and recipe.fakes.weight else []
        self.log = StepLog((), device)
        self.descent = Descent("classifier", network.parameters(), self.optimizer, self.log)

    @classmethod
    def build(cls, recipe: ClassifierRecipe, source: Source, device: torch.device) -> ClassifierState:
        """The state before the first round, with the recipe's starting weights.

        Raises:
            UsageError, CorruptInput: the runs that the recipe names cannot be used.
        """
        state = cls(recipe, source, device)
        if recipe.start:
            load_start(state.network, recipe.start)
        for generator in state.fakes:
            generator.load_weights()
        return state

    def set_rate(self, step: int) -> None:
        """Set the learning rate of round `step`."""
        self.recipe.optimizer.set_rate(self.optimizer, step / self.recipe.steps)

    def batches(self, step: int) -> Iterator[WeightedBatch]:
        """The batches of round `step`: real samples, and as many generated ones if the recipe has `fakes`."""
        count = self.recipe.batch_size
        yield self._weighted("real", 1.0, self.source.batch(step, count, self.streams))
        for generator in self.fakes:
            yield self._weighted("fake", generator.weight, generator.draw(count, self.streams, step))

    def classify(self, samples: Samples) -> Tensor:
        """Logits `(n, classes)` in fp32, under the recipe's precision."""
        logits: Tensor = forward(self.network, samples, self.recipe.precision)
        return logits

    def state(self) -> dict[str, Tensor]:
        """All state, flat: classifier, frozen generator, optimizer, running sums of the log."""
        state = within("classifier/", self.network.state_dict())
        for generator in self.fakes:
            state |= within("fakes/", generator.network.state_dict())
        state |= within("optimizer/", optimizer_state(self.optimizer))
        return saved(state | within("watch/", self.log.state()))

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from `state`, exactly.

        Raises:
            CorruptInput: tensors are missing, unknown or of another shape.
        """
        fill(self.network, below("classifier/", state))
        for generator in self.fakes:
            fill(generator.network, below("fakes/", state))
        load_optimizer_state(self.optimizer, below("optimizer/", state))
        self.log.load_state(below("watch/", state))

    def _weighted(self, origin: Literal["real", "fake"], weight: float, batch: Batch) -> WeightedBatch:
        assert batch.labels is not None
        return WeightedBatch(origin, weight, laid_out(self.recipe, batch.samples), batch.labels)


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

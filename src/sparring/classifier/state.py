"""A classifier in training: network, optimizer, data, frozen generator, random streams; all of its state as a value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from sparring.classifier.fakes import FrozenGenerator
from sparring.classifier.inheritance import inherit
from sparring.core.descent import Descent
from sparring.core.errors import UsageError
from sparring.core.randomness import Streams
from sparring.core.shapes import Samples
from sparring.core.step_log import StepLog
from sparring.data import Batch, Source
from sparring.gan.sampling import laid_out
from sparring.networks.precision import forward
from sparring.recipes import ClassifierRecipe
from sparring.runs.tensors import (
    below,
    fill,
    load_optimizer_state,
    optimizer_state,
    require_known,
    saved,
    sums,
    within,
)


class Share(NamedTuple):
    """A part of the loss.

    Args:
        side: whose samples it is over.
        weight: in the loss.
        samples: `(n, ...)`.
        labels: their classes, `(n)`.
    """

    side: Literal["real", "fake"]
    weight: float
    samples: Samples
    labels: Tensor


class Pupil:
    """Everything that one round of a classifier's training reads and writes.

    Args:
        recipe: what is trained.
        source: opened data, with labels.
        device: where it is trained.

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
        network = recipe.classifier.build(self.space, (), rng=Streams(recipe.seed).rng("init/classifier")).to(device)
        if recipe.memory_format == "channels_last":
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = network
        self.optimizer = recipe.optimizer.build(network.parameters())
        self.fakes = [FrozenGenerator(recipe.fakes, self.space, device)] if recipe.fakes and recipe.fakes.weight else []
        self.log = StepLog((), device)
        self.descent = Descent("classifier", network.parameters(), self.optimizer, self.log)

    @classmethod
    def begun(cls, recipe: ClassifierRecipe, source: Source, device: torch.device) -> Pupil:
        """A pupil before its first round, with the weights that it inherits.

        Raises:
            UsageError, CorruptInput: what is inherited from cannot be used.
        """
        pupil = cls(recipe, source, device)
        if recipe.start:
            inherit(pupil.network, recipe.start)
        for generator in pupil.fakes:
            generator.take_weights()
        return pupil

    def set_rate(self, step: int) -> None:
        """Set the learning rate of round `step`."""
        self.recipe.optimizer.set_rate(self.optimizer, step / self.recipe.steps)

    def shares(self, step: int) -> Iterator[Share]:
        """What the loss of round `step` is over: real samples, and as many generated ones where they weigh anything."""
        count = self.recipe.batch_size
        yield self._share("real", 1.0, self.source.batch(step, count, self.streams))
        for generator in self.fakes:
            yield self._share("fake", generator.weight, generator.draw(count, self.streams, step))

    def _share(self, side: Literal["real", "fake"], weight: float, batch: Batch) -> Share:
        assert batch.labels is not None
        return Share(side, weight, laid_out(self.recipe, batch.samples), batch.labels)

    def classify(self, samples: Samples) -> Tensor:
        """Logits `(n, classes)` in fp32, under the recipe's precision."""
        return forward(self.network, samples, self.recipe.precision)

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
        require_known(state, ("classifier/", *["fakes/" for _ in self.fakes], "optimizer/", "watch/"))
        fill(self.network, below("classifier/", state))
        for generator in self.fakes:
            fill(generator.network, below("fakes/", state))
        load_optimizer_state(self.optimizer, below("optimizer/", state))
        self.log.load_state(sums(below("watch/", state), ()))

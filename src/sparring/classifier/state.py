"""A classifier in training: network, optimizer, data, frozen generator and random streams; its state as tensors."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from sparring.classifier.average import RunningMean
from sparring.classifier.batches import SampleOrigin, WeightedBatch
from sparring.classifier.fakes import generated_samples
from sparring.classifier.load import load_start
from sparring.classifier.perturbations import KeptPerturbations, Perturbations, SearchedPerturbations
from sparring.classifier.selection import SelectedClassifier, split_data
from sparring.core.descent import Descent
from sparring.core.errors import UsageError
from sparring.core.randomness import Streams
from sparring.core.shapes import Samples
from sparring.core.step_log import StepLog
from sparring.data import Batch, Source
from sparring.gan.state import laid_out
from sparring.networks import forward
from sparring.recipes import ClassifierRecipe
from sparring.runs.tensors import (
    below,
    fill,
    load_optimizer_state,
    optimizer_state,
    saved,
    within,
)


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
        self.recipe, self.device = recipe, device
        self.space = source.facts.space
        if self.space.classes < 2:
            lacks = "one class" if self.space.classes else "no labels"
            raise UsageError(
                f"data: {recipe.data.name!r} have {lacks}, and a classifier learns to tell classes apart",
                "choose data with several classes, for example digits",
            )
        self.source, validation = split_data(recipe, source)
        self.streams = Streams(recipe.seed, None, device)
        recipe.attack.check(self.space)
        recipe.mixing.check(self.space)
        rng = Streams(recipe.seed).rng("init/classifier")
        network = recipe.classifier.build(self.space, (), rng=rng)
        recipe.classifier.init.apply(network, rng=rng)
        network = network.to(device)
        if recipe.memory_format == "channels_last":
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = network
        self.optimizer = recipe.optimizer.build(network.parameters())
        uses_fakes = recipe.fakes and recipe.fakes.weight != 0
        self.fakes = [generated_samples(recipe.fakes, source.facts, device)] if recipe.fakes and uses_fakes else []
        self.means = [RunningMean(network, recipe.ema)] if recipe.ema else []
        self.selected: SelectedClassifier | None = None
        if recipe.selection and validation:
            self.selected = SelectedClassifier(recipe, recipe.selection, network, validation, source)
        self.perturbations: Perturbations
        if recipe.free:
            self.perturbations = KeptPerturbations(recipe, self.space, self.streams)
        else:
            self.perturbations = SearchedPerturbations(recipe, network, self.classify, self.space, self.streams)
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
        for mean in state.means:
            mean.network.load_state_dict(state.network.state_dict())
        if state.selected:
            state.selected.network.load_state_dict(state.network.state_dict())
        for fakes in state.fakes:
            fakes.load_weights()
        return state

    @property
    def evaluated(self) -> nn.Module:
        """The classifier that is evaluated: the running mean if the recipe keeps one."""
        return next((mean.network for mean in self.means), self.network)

    def set_rate(self, step: int) -> None:
        """Set the learning rate of round `step`."""
        self.recipe.optimizer.set_rate(self.optimizer, step / self.recipe.steps)

    def batches(self, step: int) -> Iterator[WeightedBatch]:
        """The batches of round `step`: real samples and a second one of generated ones, or one of both."""
        recipe, number = self.recipe, step // self.recipe.replays
        real = self.source.batch(number, recipe.images_a_round, self.streams)
        drawn = [each.draw(recipe.generated_a_round, self.streams, number) for each in self.fakes]
        if recipe.fakes and recipe.fakes.share:
            yield self._weighted("mixed", 1.0, _joined([real, *drawn]), number)
            return
        yield self._weighted("real", 1.0, real, number)
        for fake in drawn:
            assert recipe.fakes is not None
            assert recipe.fakes.weight is not None
            yield self._weighted("fake", recipe.fakes.weight, fake, number)

    def classify(self, samples: Samples) -> Tensor:
        """Logits `(n, classes)` of the trained weights in fp32, under the recipe's precision."""
        logits: Tensor = forward(self.network, samples, self.recipe.precision)
        return logits

    def classify_evaluated(self, samples: Samples) -> Tensor:
        """The same for the classifier that is evaluated."""
        logits: Tensor = forward(self.evaluated, samples, self.recipe.precision)
        return logits

    def end_round(self, step: int) -> None:
        """Update the running mean, measure for the selection where it is due, and end the round of the log."""
        for mean in self.means:
            mean.update(step)
        if self.selected and self.selected.is_due(step + 1):
            accuracy = self.selected.consider(self.evaluated, self.classify_evaluated, step + 1)
            self.log.add({"robust_accuracy_validation": torch.tensor(accuracy, device=self.device)})
        self.log.end_round()

    def state(self) -> dict[str, Tensor]:
        """All state, flat: classifier, its mean, frozen generator, kept perturbations, optimizer, sums of the log."""
        state = within("classifier/", self.network.state_dict())
        for fakes in self.fakes:
            state |= fakes.state()
        for mean in self.means:
            state |= within("average/", mean.network.state_dict())
        state |= self.selected.state() if self.selected else {}
        state |= self.perturbations.state() | within("optimizer/", optimizer_state(self.optimizer))
        return saved(state | within("watch/", self.log.state()))

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from `state`, exactly.

        Raises:
            CorruptInput: tensors are missing, unknown or of another shape.
        """
        fill(self.network, below("classifier/", state))
        for fakes in self.fakes:
            fakes.load_state(state)
        for mean in self.means:
            fill(mean.network, below("average/", state))
        if self.selected:
            self.selected.load_state(state)
        self.perturbations.load_state(state)
        load_optimizer_state(self.optimizer, below("optimizer/", state))
        self.log.load_state(below("watch/", state))

    def _weighted(self, origin: SampleOrigin, weight: float, batch: Batch, number: int) -> WeightedBatch:
        assert batch.labels is not None
        rng = self.streams.rng(f"mixing/{origin}", number)
        mixed = self.recipe.mixing.mix(batch.samples, batch.labels, rng=rng)
        return WeightedBatch(origin, weight, laid_out(self.recipe, mixed.samples), mixed.targets)


def _joined(batches: list[Batch]) -> Batch:
    """Labelled batches as one."""
    labels = [batch.labels for batch in batches if batch.labels is not None]
    return Batch(torch.cat([batch.samples for batch in batches]), torch.cat(labels))

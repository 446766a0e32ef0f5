"""Choice of the classifier by its robust accuracy on validation samples, which are part of neither training nor test.

Adversarial training overfits: the robust accuracy on held-out samples falls long before the training ends (Rice et al.
2020), and in training with one step it may fall at once (catastrophic overfitting, Wong et al. 2020). The weights of
the best measurement are kept; both kinds of fall leave them as they were.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sparring.attacks import Classify, Threat, fool, main_attack
from sparring.core.modules import evaluating
from sparring.core.randomness import Rng, Streams
from sparring.data import Batch, Source
from sparring.networks import forward
from sparring.recipes import CheckpointSelection, ClassifierRecipe
from sparring.runs.tensors import below, fill, within

_AT_ONCE = 250
"""Samples a backward pass."""
_NUMBERS = ("accuracy", "latest", "before", "round")


class SplitData(NamedTuple):
    """The source that is trained on, and the validation samples that were taken out of it; None without a selection."""

    training: Source
    validation: Batch | None


def split_data(recipe: ClassifierRecipe, source: Source) -> SplitData:
    """The data of a training: all of them, or without the validation samples of its selection.

    Raises:
        UsageError: there are not enough samples, or the data cannot be split.
    """
    return SplitData(*source.split(recipe.selection.samples)) if recipe.selection else SplitData(source, None)


class SelectedClassifier:
    """The classifier with the highest robust accuracy so far.

    Args:
        recipe: of the training.
        selection: its settings.
        network: what is evaluated in training; copied.
        validation: labelled samples.
        source: of the training samples.

    Attributes:
        network: with the weights of the best measurement.
        numbers: its robust accuracy, those of the latest measurement and the one before, and the round of the best.
    """

    def __init__(
        self,
        recipe: ClassifierRecipe,
        selection: CheckpointSelection,
        network: nn.Module,
        validation: Batch,
        source: Source,
    ) -> None:
        self._recipe, self._selection, self._validation = recipe, selection, validation
        self._space = source.facts.space
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.numbers = dict.fromkeys(_NUMBERS, 0.0)
        attack = main_attack(recipe.trained_against).model_copy(update={"steps": selection.attack_steps})
        self._threat = Threat(name=f"PGD-{attack.steps}", kind="white-box", attack=attack)

    @property
    def protocol(self) -> str:
        """How the classifier was chosen, for reports."""
        attack, count = self._threat.attack, len(self._validation.samples)
        seen = "; runs that the recipe names may have been trained on them" if self._recipe.names_runs else ""
        return (
            f"chosen by {self._threat.name} at {attack.describe_size(self._space)} on {count:,} validation samples, "
            f"which are part of neither training nor test{seen}"
        )

    @property
    def drop(self) -> float:
        """How far the last two measurements are below the best robust accuracy: one bad measurement is no fall."""
        return self.numbers["accuracy"] - max(self.numbers["latest"], self.numbers["before"])

    def is_due(self, done: int) -> bool:
        """Whether a measurement follows `done` rounds."""
        return done % self._selection.every == 0 or done == self._recipe.steps

    def consider(self, network: nn.Module, classify: Classify, done: int) -> float:
        """Measure the classifier after `done` rounds, and keep its weights if it is the best so far.

        Returns:
            Its robust accuracy.
        """
        samples, labels = self._validation
        assert labels is not None
        rng = Streams(self._recipe.seed, None, samples.device).rng("selection", done)
        with evaluating(network):
            fooled = [self._fooled(network, classify, x, y, rng) for x, y in _parts(samples, labels)]
        accuracy = 1.0 - float(torch.cat(fooled).double().mean())
        if accuracy >= self.numbers["accuracy"]:
            self.network.load_state_dict(network.state_dict())
            self.numbers |= {"accuracy": accuracy, "round": float(done)}
        self.numbers |= {"latest": accuracy, "before": self.numbers["latest"]}
        return accuracy

    def classify(self, samples: Tensor) -> Tensor:
        """Logits `(n, classes)` of the best classifier."""
        logits: Tensor = forward(self.network, samples, self._recipe.precision)
        return logits

    def state(self) -> dict[str, Tensor]:
        """The best weights and the numbers."""
        numbers = {name: torch.tensor(value, dtype=torch.float64) for name, value in self.numbers.items()}
        return within("selected/", self.network.state_dict()) | within("selection/", numbers)

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from `state`."""
        fill(self.network, below("selected/", state))
        self.numbers |= {name: float(value) for name, value in below("selection/", state).items()}

    def _fooled(self, network: nn.Module, classify: Classify, x: Tensor, y: Tensor, rng: Rng) -> Tensor:
        return fool(self._threat, classify, x, y, network=network, space=self._space, rng=rng).fooled


def _parts(samples: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
    return list(zip(torch.split(samples, _AT_ONCE), torch.split(labels, _AT_ONCE), strict=True))

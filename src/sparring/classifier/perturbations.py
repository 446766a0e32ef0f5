"""Where the attacked samples of a classifier's training come from: a search for every batch, or a kept perturbation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from sparring.attacks import Attack, Classify
from sparring.classifier.batches import SampleOrigin, WeightedBatch
from sparring.core.modules import evaluating
from sparring.core.randomness import Streams
from sparring.core.shapes import Samples, Space
from sparring.recipes import ClassifierRecipe
from sparring.runs.tensors import below, within


class Perturbations(ABC):
    """The attacked samples of every batch.

    Attributes:
        learns: whether it takes in the gradient of the update with respect to the attacked samples.
    """

    learns: ClassVar[bool] = False

    @abstractmethod
    def move(self, batch: WeightedBatch, step: int) -> Samples:
        """The attacked samples of a batch in round `step`, detached."""

    def learn(self, origin: SampleOrigin, gradient: Samples | None, step: int) -> None:  # noqa: B027
        """Take in the gradient of the update, if it `learns`.

        Args:
            origin: of the samples.
            gradient: d loss / d sample of every sample of the batch, `(n, ...)`.
            step: the round.
        """

    def state(self) -> dict[str, Tensor]:
        """What outlives a round."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:  # noqa: B027
        """Continue from `state`."""


class SearchedPerturbations(Perturbations):
    """The recipe's attack on the classifier in eval mode, anew for every batch.

    Args:
        recipe: of the training.
        network: the classifier.
        classify: samples to logits.
        space: of the samples.
        streams: of the training.
    """

    def __init__(
        self, recipe: ClassifierRecipe, network: nn.Module, classify: Classify, space: Space, streams: Streams
    ) -> None:
        self._recipe, self._network, self._classify = recipe, network, classify
        self._space, self._streams = space, streams

    def move(self, batch: WeightedBatch, step: int) -> Samples:
        recipe, x = self._recipe, batch.samples

        @torch.no_grad()
        def clean() -> Tensor:
            return self._classify(x)

        with evaluating(self._network):
            ascended = recipe.loss.ascended(recipe.criterion, clean)

            def loss(samples: Samples) -> Tensor:
                return batch.over_labels(partial(ascended, self._classify(samples)))

            attack, rng = attack_of_round(recipe, step), self._streams.rng(f"attack/{batch.origin}", step)
            return attack.perturb(x, loss, network=self._network, space=self._space, rng=rng)


class KeptPerturbations(Perturbations):
    """Free adversarial training: one perturbation for each place in the batch, kept from round to round.

        x' = confine(x + delta),    delta <- project(delta + step(d loss / d x'))

    with the gradient of the update itself, in training mode; it costs no pass. delta is zero before the first round.

    Args:
        recipe: of the training, with `free`.
        space: of the samples.
        streams: of the training.

    Source: Shafahi et al. 2019, algorithm 1.
    """

    learns: ClassVar[bool] = True

    def __init__(self, recipe: ClassifierRecipe, space: Space, streams: Streams) -> None:
        self._recipe, self._space, self._streams = recipe, space, streams
        self._kept: dict[str, Samples] = {}

    def move(self, batch: WeightedBatch, step: int) -> Samples:
        x = batch.samples
        delta = self._kept.setdefault(batch.origin, torch.zeros_like(x))
        return attack_of_round(self._recipe, step).confine(x, x + delta, self._space)

    def learn(self, origin: SampleOrigin, gradient: Samples | None, step: int) -> None:
        assert gradient is not None
        attack, delta = attack_of_round(self._recipe, step), self._kept[origin]
        rng = self._streams.rng(f"attack/{origin}", step)
        self._kept[origin] = attack.advanced(delta, gradient, space=self._space, rng=rng)

    def state(self) -> dict[str, Tensor]:
        return within("kept/", self._kept)

    def load_state(self, state: dict[str, Tensor]) -> None:
        self._kept = {origin: delta.to(self._streams.device) for origin, delta in below("kept/", state).items()}


def attack_of_round(recipe: ClassifierRecipe, step: int) -> Attack:
    """The attack with the budget of round `step`."""
    return recipe.attack.scaled(recipe.warmup.factor(step))

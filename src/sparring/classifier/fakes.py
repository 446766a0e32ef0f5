"""Generated samples as additional training data: of the frozen generator of a run, or of a store of labelled images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import torch
from torch import Tensor, nn

from sparring.classifier.load import load_classifier
from sparring.core.errors import UsageError
from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import Space
from sparring.data import Batch, Facts, Source, are_classes_of
from sparring.gan.load import load_gan
from sparring.networks import forward
from sparring.recipes import Fakes, require_classifier
from sparring.runs.folder import RunFolder
from sparring.runs.tensors import below, fill, within


class GeneratedSamples(ABC):
    """Labelled samples that are not of the data.

    Attributes:
        networks: frozen, in eval mode; their weights are part of a checkpoint. A resume still reads the recipes of the
            runs that they come from.
    """

    networks: dict[str, nn.Module]

    @abstractmethod
    def load_weights(self) -> None:
        """Load the weights of the runs that the recipe names.

        Raises:
            UsageError, CorruptInput: they cannot be used.
        """

    @abstractmethod
    def draw(self, count: int, streams: Streams, number: int) -> Batch:
        """Samples `(count, ...)` and their classes."""

    def state(self) -> dict[str, Tensor]:
        """The weights of the networks."""
        return {
            name: tensor
            for prefix, network in self.networks.items()
            for name, tensor in within(f"{prefix}/", network.state_dict()).items()
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from `state`."""
        for prefix, network in self.networks.items():
            fill(network, below(f"{prefix}/", state))


class FrozenGenerator(GeneratedSamples):
    """A generator of a finished run, in eval mode; its running mean if the recipe keeps one.

    Args:
        run: of a GAN.
        game: index of the packed game.
        space: of the samples that it must generate.
        device: of the samples.
        needs_labels: whether its samples must have classes.

    Raises:
        UsageError: there is no such run, or its generator is unconditional.

    Source: Rob-GAN, equation (6): the expectation over P_fake, with uniform classes.
    """

    def __init__(self, run: str, game: int, space: Space, device: torch.device, *, needs_labels: bool) -> None:
        self._run, self._game, self._space = run, game, space
        self._recipe = RunFolder.open(Path(run)).game_recipe()
        spec = self._recipe.generator
        if needs_labels and not spec.conditional:
            raise UsageError(
                f"fakes.run = {run}: its generator is unconditional, so its samples have no labels",
                "train without them, fakes=null, name a run with generator.conditional=true, or let a classifier label "
                "them, fakes.labels=RUN",
            )
        self.network = spec.build(space, (), rng=Rng.of(0)).to(device).eval().requires_grad_(False)
        self.networks = {"fakes": self.network}

    def load_weights(self) -> None:
        gan = load_gan(RunFolder.open(Path(self._run)), "cpu").game(self._game)
        found, space = gan.networks.space, self._space
        wanted = space if self._recipe.generator.conditional else Space(space.shape, space.bounds, found.classes)
        _require_same(f"fakes.run = {self._run}", found, wanted)
        self.network.load_state_dict(gan.networks.sampler.state_dict())

    @torch.no_grad()
    def draw(self, count: int, streams: Streams, number: int) -> Batch:
        codes = self._recipe.generator.draw((count,), self._space, rng=streams.rng("fakes", number))
        return Batch(forward(self.network, codes.values, self._recipe.precision), codes.labels)


class StoredSamples(GeneratedSamples):
    """Images of a store, in a random order of their own.

    Args:
        source: opened.
        facts: of the data that are trained on.
        needs_labels: whether the store must have labels.

    Raises:
        UsageError: its samples are of another shape or range, or have no labels or other classes.
    """

    def __init__(self, source: Source, facts: Facts, *, needs_labels: bool) -> None:
        found, space = source.facts, facts.space
        wanted = space if needs_labels else Space(space.shape, space.bounds, found.space.classes)
        _require_same("fakes.data", found.space, wanted)
        if needs_labels and not are_classes_of(found.classes, facts.classes):
            theirs, ours = ", ".join(found.classes), ", ".join(facts.classes)
            raise UsageError(
                f"fakes.data: its classes are {theirs}, and those of the data {ours}",
                "name them alike and in one order, or number them",
            )
        self._source, self.networks = source, {}

    def load_weights(self) -> None:
        pass

    def draw(self, count: int, streams: Streams, number: int) -> Batch:
        own = Streams(streams.derived("fakes")[0], None, streams.device)
        return self._source.batch(number, count, own)


class PseudoLabelled(GeneratedSamples):
    """Samples with the classes that a classifier predicts for them (Carmon et al. 2019; Gowal et al. 2021).

    Args:
        samples: to be labelled.
        run: of the classifier.
        space: of the samples.
        device: of the samples.

    Raises:
        UsageError: there is no such run, or it trains a GAN.
    """

    def __init__(self, samples: GeneratedSamples, run: str, space: Space, device: torch.device) -> None:
        self._samples, self._run, self._space = samples, run, space
        self._recipe = require_classifier(RunFolder.open(Path(run)).recipe(), f"fakes.labels = {run}")
        network = self._recipe.classifier.build(space, (), rng=Rng.of(0))
        self._network = network.to(device).eval().requires_grad_(False)
        self.networks = samples.networks | {"labels": self._network}

    def load_weights(self) -> None:
        self._samples.load_weights()
        loaded = load_classifier(RunFolder.open(Path(self._run)), "cpu")
        _require_same(f"fakes.labels = {self._run}", loaded.space, self._space)
        self._network.load_state_dict(loaded.network.state_dict())

    @torch.no_grad()
    def draw(self, count: int, streams: Streams, number: int) -> Batch:
        samples = self._samples.draw(count, streams, number).samples
        return Batch(samples, forward(self._network, samples, self._recipe.precision).argmax(-1))


def generated_samples(fakes: Fakes, facts: Facts, device: torch.device) -> GeneratedSamples:
    """The generated samples that a recipe names, before their weights are loaded.

    Args:
        fakes: of the recipe.
        facts: of the data that are trained on.
        device: of the samples.

    Raises:
        UsageError: they do not fit.
    """
    needs_labels, space = fakes.labels is None, facts.space
    samples: GeneratedSamples
    if fakes.run is not None:
        samples = FrozenGenerator(fakes.run, fakes.game, space, device, needs_labels=needs_labels)
    else:
        assert fakes.data is not None
        samples = StoredSamples(fakes.data.open(device), facts, needs_labels=needs_labels)
    return samples if fakes.labels is None else PseudoLabelled(samples, fakes.labels, space, device)


def _require_same(what: str, found: Space, wanted: Space) -> None:
    if found != wanted:
        raise UsageError(
            f"{what}: makes samples of {found}, and the data have {wanted}",
            "train on the data of that run, or `sparring data prepare` the images with the same --size",
        )

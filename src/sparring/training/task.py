"""What the training loop trains, a GAN or a classifier, with all that is measured of it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sparring.classifier.selection import SelectedClassifier
from sparring.classifier.state import ClassifierState
from sparring.classifier.step import train_step
from sparring.core.descent import first_non_finite, require_finite
from sparring.core.process import Progress
from sparring.core.randomness import Streams
from sparring.core.step_log import StepLog
from sparring.data import Source
from sparring.gan.sampling import draw
from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.monitoring.classifier_metrics import ClassHeadMetrics, ClassifierMetrics
from sparring.monitoring.collapse_metrics import ClassifierCollapseMetrics, GANCollapseMetrics
from sparring.monitoring.discriminator_probe import DiscriminatorProbe
from sparring.monitoring.endurance_study import EnduranceStudy
from sparring.monitoring.generator_metrics import NO_FEATURES, GeneratorMetrics, first_successes
from sparring.monitoring.pictures import save_probe, save_samples
from sparring.recipes import ClassifierRecipe, Recipe, TrainingRecipe
from sparring.runs.environment import precision_remarks
from sparring.runs.folder import RunFolder
from sparring.runs.schema import MetricValue
from sparring.training.first_round import (
    play_first_round,
    require_classifier_contracts,
    require_contracts,
    train_first_step,
)


class Task(ABC):
    """A training with all that is measured of it.

    Attributes:
        remedy: advice if its numbers turn non-finite.
        recipe: of the training.
        source: opened data.
        log: running means of the numbers of rounds.
        streams: random streams of this process.
        picture_every: interval of pictures in rounds; 0 means never.
        evaluated_on: the samples of a classifier's accuracies, as text; empty for a GAN.
    """

    remedy: ClassVar[str]
    recipe: TrainingRecipe
    source: Source
    log: StepLog
    streams: Streams
    picture_every: int
    evaluated_on: str = ""

    @abstractmethod
    def train_round(self, step: int) -> None:
        """Run round `step`.

        Raises:
            NotFiniteStep: a loss or a gradient of a single game is not finite.
        """

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """All state, flat, on the CPU."""

    def means(self) -> dict[str, Any]:
        """The means of the numbers of rounds since the last call."""
        return dict(self.log.means())

    @abstractmethod
    def remarks(self) -> list[str]:
        """Remarks for the user before the first round, in addition to the recipe's warnings."""

    @abstractmethod
    def locate(self, step: int) -> str | None:
        """Run a round again that failed with `NotFiniteStep`, and name the first tensor that is not finite."""

    @abstractmethod
    def measure(self, done: int) -> dict[str, Any]:
        """The numbers of an evaluation after `done` rounds, for the log."""

    @abstractmethod
    def collapse_metrics(self, done: int) -> dict[str, Any]:
        """The numbers that alarms depend on, after `done` rounds; changes no state."""

    @abstractmethod
    def metrics(self, rows: list[dict[str, Any]], *, complete: bool) -> dict[str, MetricValue]:
        """The final metrics of the run, for summary.json.

        Args:
            rows: the log.
            complete: whether all rounds are complete.
        """

    @abstractmethod
    def networks(self) -> dict[str, nn.Module]:
        """The networks that are trained, by name."""

    def budget(self, done: int) -> dict[str, Any]:
        """Images, epochs and parameters of `Summary`, in which compared runs should agree."""
        images, count = done * self.recipe.images_a_round, self.source.facts.count
        parameters = {
            name: sum(parameter.numel() for parameter in network.parameters()) // math.prod(self.recipe.lead)
            for name, network in self.networks().items()
        }
        return {"images": images, "epochs": images / count if count else None, "parameters": parameters}

    def save_pictures(self, run: RunFolder, done: int) -> None:  # noqa: B027
        """Save pictures after `done` rounds."""


class GANTask(Task):
    """A GAN with all that is measured of it.

    Args:
        game: the state of the GAN.
        progress: of the preparation of its metrics; receives remarks on what does not apply.
    """

    remedy: ClassVar[str] = "train again with lower learning rates, or with another control of D's Lipschitz constant"
    recipe: Recipe

    def __init__(self, game: GANState, progress: Progress) -> None:
        require_contracts(game)
        self.game, self.recipe, self.source, self.log = game, game.recipe, game.source, game.log
        self.streams = game.own_streams
        self._play = play_first_round
        self.picture_every = game.recipe.sample_every
        self.measures = _measures(game, progress)
        self.probe = DiscriminatorProbe(game.source, game.device)
        self._collapse = GANCollapseMetrics(game, self.measures.reference.classifier if self.measures else None)
        heads = self.measures is not None and game.recipe.class_loss.needs_logits
        self.class_heads = [ClassHeadMetrics(game)] if heads else []

    def train_round(self, step: int) -> None:
        self.streams.seed_torch("round", step)
        self._play(self.game, step)
        self._play = play_round

    def state(self) -> dict[str, Tensor]:
        return self.game.state()

    def networks(self) -> dict[str, nn.Module]:
        return {"generator": self.game.networks.generator, "discriminator": self.game.networks.discriminator}

    def means(self) -> dict[str, Any]:
        return self.game.diverged.blank(super().means())

    def remarks(self) -> list[str]:
        remarks = self.recipe.regime.remarks(couples_samples=self.game.couples_samples)
        return [*precision_remarks(self.recipe.precision, self.game.device), *remarks]

    def locate(self, step: int) -> str | None:
        if self.game.group.part.of > 1:
            return None  # the other processes have ended
        networks = self.networks()
        self.game.generator, self.game.discriminator = networks.values()  # not compiled, so that hooks are called
        return first_non_finite(networks, self.game.optimizers, lambda: self.train_round(step))

    def measure(self, done: int) -> dict[str, Any]:
        assert self.measures is not None  # the recipe has an interval of evaluations
        numbers = dict(self.probe.measure(self.game, done))
        for head in self.class_heads:
            numbers |= head.measure(done)
        samples = draw(self.game, self.measures.samples, "measure", done).samples
        measured = self.measures.measure(samples, self.game.diverged.games)
        if self.recipe.ema:
            generator = self.game.networks.generator
            live = draw(self.game, self.measures.samples, "measure", done, generator=generator).samples
            measured |= self.measures.measure_live(live, self.game.diverged.games)
        return self._of_games(numbers) | measured

    def collapse_metrics(self, done: int) -> dict[str, Any]:
        return self._of_games(self._collapse.measure(done))

    def metrics(self, rows: list[dict[str, Any]], *, complete: bool) -> dict[str, MetricValue]:
        """The last measurement, when the games first succeeded or diverged, and the study of attack endurance."""
        protocols = self.probe.protocols()
        for head in self.class_heads:
            protocols |= head.protocols()
        measured = [row for row in rows if protocols.keys() <= row.keys()]
        if self.measures is None or not measured:
            return self._divergences()
        last = measured[-1]
        metrics = self.measures.values(last) | first_successes(measured) | self._divergences()
        metrics |= {name: MetricValue(value=last[name], protocol=protocol) for name, protocol in protocols.items()}
        # The study's step is a share of the samples' range: points of the plane have none.
        if complete and self.probe.space.bounds is not None:
            metrics |= EnduranceStudy().run(self.game, self.probe.real)
        return metrics

    def save_pictures(self, run: RunFolder, done: int) -> None:
        save_samples(self.game, run, done)
        save_probe(self.game, self.probe, run, done)

    def _of_games(self, numbers: Mapping[str, Any]) -> dict[str, Any]:
        """Numbers without those of diverged games; a packed game with a number that is not finite is one."""
        if self.recipe.lead:
            tensors = {name: torch.tensor(values) for name, values in numbers.items()}
            require_finite("measurement", tensors, self.game.diverged)
        return self.game.diverged.blank(numbers)

    def _divergences(self) -> dict[str, MetricValue]:
        """The round of every game's divergence, if any has diverged."""
        since = self.game.diverged.since
        if not since:
            return {}
        rounds = tuple(since.get(game) for game in range(self.recipe.replicas))
        protocol = "round in which a number of the game was not finite; it stopped there and counts as failed"
        return {"diverged": MetricValue(value=rounds, protocol=protocol)}


def _measures(game: GANState, progress: Progress) -> GeneratorMetrics | None:
    if not game.recipe.evaluate_every:
        return None
    measures = GeneratorMetrics(game.recipe, game.source, game.device, progress=progress)
    if measures.lacks_features:
        progress.note(NO_FEATURES)
    return measures


class ClassifierTask(Task):
    """A classifier with all that is measured of it.

    Args:
        classifier: the state of the classifier.
    """

    remedy: ClassVar[str] = "train again with a lower learning rate"
    recipe: ClassifierRecipe
    picture_every = 0

    def __init__(self, classifier: ClassifierState) -> None:
        require_classifier_contracts(classifier)
        recipe, source = classifier.recipe, classifier.source
        self.streams = classifier.streams
        self._train = train_first_step
        self.classifier, self.recipe, self.source, self.log = classifier, recipe, source, classifier.log
        self.measures = ClassifierMetrics(recipe.trained_against, recipe.seed, source, classifier.device)
        self.evaluated_on = self.measures.evaluated_on
        self._collapse = ClassifierCollapseMetrics(classifier)

    def train_round(self, step: int) -> None:
        self.streams.seed_torch("round", step)
        self._train(self.classifier, step)
        self._train = train_step

    def state(self) -> dict[str, Tensor]:
        return self.classifier.state()

    def networks(self) -> dict[str, nn.Module]:
        return {"classifier": self.classifier.network}

    def locate(self, step: int) -> str | None:
        optimizers = {"classifier": self.classifier.optimizer}
        return first_non_finite(self.networks(), optimizers, lambda: self.train_round(step))

    def remarks(self) -> list[str]:
        return [*precision_remarks(self.recipe.precision, self.classifier.device), *self.recipe.attack.remarks()]

    def measure(self, done: int) -> dict[str, Any]:
        return self.measures.measure(self.classifier.evaluated, self.classifier.classify_evaluated, done)

    def collapse_metrics(self, done: int) -> dict[str, Any]:
        return self._collapse.measure()

    def metrics(self, rows: list[dict[str, Any]], *, complete: bool) -> dict[str, MetricValue]:
        """The last metrics, and those of the best classifier: the selected one, if any, or the best row of the log."""
        measured = [row for row in rows if self.measures.protocols().keys() <= row.keys()]
        if not measured:
            return {}
        last, selected = self.measures.values(measured[-1]), self.classifier.selected
        if selected and not (complete and selected.numbers["round"]):
            return last  # none is selected yet, or a stop must not wait until it is measured
        best = self._of_selected(selected) if selected else self._of_best_row(measured)
        return last | {f"{name}_best": entry for name, entry in best.items()}

    def _of_selected(self, selected: SelectedClassifier) -> dict[str, MetricValue]:
        done = int(selected.numbers["round"])
        numbers = self.measures.measure(selected.network, selected.classify, done)
        return self.measures.values(numbers, f"; at round {done:,}, {selected.protocol}")

    def _of_best_row(self, measured: list[dict[str, Any]]) -> dict[str, MetricValue]:
        if not self.measures.has_held_out:
            return {}
        best = max(measured, key=lambda row: float(row["robust_accuracy_test"]))
        note = (
            f"; at round {best['step']:,}, the best of {len(measured)} measurements by robust_accuracy_test, "
            "chosen on the same samples"
        )
        return self.measures.values(best, note)

"""The training of a GAN: rounds, metrics of G, probes of D, pictures, and the final study of attack endurance."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from sparring.core.descent import first_non_finite
from sparring.core.process import Progress
from sparring.gan.sampling import draw
from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.monitoring.classifier_metrics import ClassHeadMetrics
from sparring.monitoring.collapse_metrics import GANCollapseMetrics
from sparring.monitoring.discriminator_probe import DiscriminatorProbe
from sparring.monitoring.endurance_study import EnduranceStudy
from sparring.monitoring.generator_metrics import GeneratorMetrics, first_successes
from sparring.monitoring.pictures import save_probe, save_samples
from sparring.recipes import Recipe
from sparring.runs.folder import RunFolder
from sparring.runs.schema import MetricValue
from sparring.training.task import Task


class GANTask(Task):
    """A GAN with all that is measured of it.

    Args:
        game: the state of the GAN.
        progress: receives remarks on what takes time or does not apply.
    """

    remedy: ClassVar[str] = "train again with lower learning rates, or with another control of D's Lipschitz constant"
    recipe: Recipe

    def __init__(self, game: GANState, progress: Progress) -> None:
        self.game, self.recipe, self.source, self.log = game, game.recipe, game.source, game.log
        self.picture_every = game.recipe.sample_every
        self.measures = _measures(game, progress)
        self.probe = DiscriminatorProbe(game.source, game.device)
        self._collapse = GANCollapseMetrics(game, self.measures.reference.classifier if self.measures else None)
        heads = self.measures is not None and game.recipe.class_loss.needs_logits
        self.class_heads = [ClassHeadMetrics(game)] if heads else []

    def train_round(self, step: int) -> None:
        play_round(self.game, step)

    def state(self) -> dict[str, Tensor]:
        return self.game.state()

    def means(self) -> dict[str, Any]:
        return self.game.diverged.blank(super().means())

    def remarks(self) -> list[str]:
        return self.recipe.regime.remarks(couples_samples=self.game.couples_samples)

    def locate(self, step: int) -> str | None:
        if self.game.group.part.of > 1:
            return None  # the other processes have ended
        networks = {"generator": self.game.networks.generator, "discriminator": self.game.networks.discriminator}
        self.game.generator, self.game.discriminator = networks.values()  # not compiled, so that hooks are called
        return first_non_finite(networks, self.game.optimizers, lambda: self.train_round(step))

    def measure(self, done: int) -> dict[str, Any]:
        assert self.measures is not None  # the recipe has an interval of evaluations
        diverged = self.game.diverged
        samples = draw(self.game, self.measures.samples, "measure", done).samples
        numbers = self.measures.measure(samples, diverged.games)
        for head in self.class_heads:
            numbers |= diverged.blank(head.measure(done))
        return numbers | diverged.blank(self.probe.measure(self.game, done))

    def collapse_metrics(self, done: int) -> dict[str, Any]:
        return self.game.diverged.blank(self._collapse.measure(done))

    def metrics(self, rows: list[dict[str, Any]], *, complete: bool) -> dict[str, MetricValue]:
        """The last measurement, when the games first succeeded or diverged, and the study of attack endurance."""
        protocols = self.probe.protocols()
        for head in self.class_heads:
            protocols |= head.protocols()
        measured = [row for row in rows if protocols.keys() <= row.keys()]
        if self.measures is None or not measured:
            return {} if self.measures is None else self._divergences()
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
    progress.note("preparing the metrics of G")
    measures = GeneratorMetrics(game.recipe, game.source, game.device)
    if not measures.metrics:
        progress.note(
            "no metric of G applies to these data: for images without labels no classifier can be trained; "
            "name one, extractor={name: inception, weights: FILE}"
        )
    return measures

"""A run as one object: its networks, samples, log and summary.

run = sparring.train("robgan/digits", steps=200, out="runs/a")
run = sparring.load("runs/a")
images = run.sample(16, label=3)
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sparring.classifier.load import LoadedClassifier, load_classifier
from sparring.cli.terminal import show_progress
from sparring.core.errors import UsageError
from sparring.core.records import Record
from sparring.data import Source
from sparring.evaluation.evaluate import Evaluation
from sparring.evaluation.evaluate import evaluate as evaluate_run
from sparring.gan.load import LoadedGAN, load_gan
from sparring.gan.sampling import class_number, draw
from sparring.networks import ClassHead, chosen_classes, spread
from sparring.recipes import AnyRecipe, Recipe, load_with, validated, with_keys
from sparring.report import card_of, report_folder
from sparring.runs.environment import choose_device
from sparring.runs.folder import RunFolder
from sparring.runs.schema import Summary
from sparring.training.loop import resume as resume_run
from sparring.training.loop import train as train_recipe

PathLike = str | os.PathLike[str]
Device = str | torch.device
ClassLabel = int | str
"""A class, by its number or its name in the data."""


class Run:
    """A run, as it is on disk when something of it is first used.

    Args:
        path: the run folder.
        device: of the networks: `auto`, `cpu`, `cuda`, `cuda:N` or a `torch.device`.
        game: index of a packed game; None for all of them.

    Attributes:
        recipe: of the run, or of the game.

    Raises:
        UsageError: there is no run, no such device or no such game.
        CorruptInput: its recipe cannot be read.
    """

    def __init__(self, path: PathLike, *, device: Device = "auto", game: int | None = None) -> None:
        self.path, self.device, self._game = Path(path), choose_device(str(device)), game
        self._folder = RunFolder.open(self.path)
        self.recipe: AnyRecipe = self._folder.recipe()
        if game is not None:
            self.recipe = self._gan.recipe

    def __repr__(self) -> str:
        trained, summary = "a GAN" if isinstance(self.recipe, Recipe) else "a classifier", self._folder.summary()
        verdict = f", {summary.steps:,} rounds, {summary.status}. {summary.verdict}" if summary else ""
        return f"Run({str(self.path)!r}): {trained} on {self.recipe.data.name}{verdict}"

    def _repr_html_(self) -> str:
        """What a notebook shows of the run."""
        return card_of(self._folder)

    @property
    def summary(self) -> Summary:
        """Status, metrics and alarms: summary.json.

        Raises:
            UsageError: the run has not ended yet.
        """
        summary = self._folder.summary()
        if summary is None:
            raise UsageError(f"{self.path}: no summary yet", "wait for the end of the run, or resume it")
        return summary

    @property
    def log(self) -> list[dict[str, Any]]:
        """The logged rows, oldest first: `step`, and what was measured then."""
        return self._folder.rows()

    @property
    def step(self) -> int:
        """Rounds that the networks were trained for: those of the checkpoint, or of a selected classifier."""
        return self._gan.step if isinstance(self.recipe, Recipe) else self._classifier.step

    @property
    def generator(self) -> nn.Module:
        """G in eval mode, or the running mean of its weights: codes `(*lead, n, inputs)` to samples; see `sample`."""
        return self._gan.networks.sampler

    @property
    def discriminator(self) -> nn.Module:
        """D in eval mode: samples `(*lead, n, ...)` to a verdict, a `score` and perhaps `classes`."""
        return self._gan.networks.discriminator

    @property
    def classifier(self) -> nn.Module:
        """A classifier in eval mode, images in [-1, 1] to logits: that of the run, or the class head of its D.

        Raises:
            UsageError: D has no class head.
        """
        if not isinstance(self.recipe, Recipe):
            return self._classifier.network
        if not self.recipe.discriminator.head.classifies:
            head = self.recipe.discriminator.head.name
            raise UsageError(f"{self.path}: D has no class head, its head is {head}", "load a run of robgan/...")
        return ClassHead(self._gan.networks.discriminator)

    def sample(self, count: int, label: ClassLabel | Sequence[ClassLabel] | None = None, *, seed: int = 0) -> Tensor:
        """Samples of G `(*lead, count, ...)`; images in [-1, 1].

        Args:
            count: samples a game.
            label: the class of all, or of each, by number or name; by default all classes in order, equally often.
            seed: of the latents.

        Raises:
            UsageError: no such count or class, or labels for an unconditional generator; the run trains a classifier.
            NonFinite: a sample is not finite.
        """
        if count < 1:
            raise UsageError(f"count = {count}: should be at least 1", "write, for example, run.sample(16)")
        return draw(self._gan, count, "sample", seed, labels=self._labels(count, label)).samples

    def data(self) -> Source:
        """The data that the run was trained on, opened; see `gan.load.same_data`."""
        return (self._gan if isinstance(self.recipe, Recipe) else self._classifier).data()

    def evaluate(self, samples: int = 10_000, *, seed: int = 0) -> Evaluation:
        """The newest checkpoint measured again, every game; see `evaluation.evaluate`."""
        return evaluate_run(self.path, samples=samples, seed=seed, device=str(self.device))

    def report(self) -> Path:
        """Write report.html, and return its path."""
        return report_folder(self.path)

    @cached_property
    def _gan(self) -> LoadedGAN:
        loaded = load_gan(self._folder, str(self.device))
        loaded = loaded if self._game is None else loaded.game(self._game)
        loaded.networks.eval()
        return loaded

    @cached_property
    def _classifier(self) -> LoadedClassifier:
        return load_classifier(self._folder, str(self.device))

    def _labels(self, count: int, label: ClassLabel | Sequence[ClassLabel] | None) -> Tensor | None:
        gan, classes = self._gan, self._gan.networks.space.classes
        if label is None:
            return spread(count, classes)
        if not gan.recipe.generator.conditional:
            remedy = "leave label out, or train with generator.conditional=true"
            raise UsageError(f"label = {label}: this generator is unconditional", remedy)
        each = [label] if isinstance(label, str) or not isinstance(label, Sequence) else label
        if any(isinstance(one, str) for one in each):
            return chosen_classes(count, classes, [class_number(gan, one) for one in each])
        return chosen_classes(count, classes, label)


def load(path: PathLike, *, device: Device = "auto", game: int | None = None) -> Run:
    """A run that was trained, or is in training; arguments and errors as in `Run`."""
    return Run(path, device=device, game=game)


def train(
    recipe: PathLike | Mapping[str, Any] | AnyRecipe,
    *,
    out: PathLike,
    device: Device = "auto",
    loggers: Sequence[str] = (),
    **changes: Any,
) -> Run:
    """Train a recipe in a new run folder, with progress on standard error.

    Args:
        recipe: a name from `sparring list recipes`, a YAML file, plain values, or a recipe.
        out: the run folder to create.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or a `torch.device`.
        loggers: names of further sinks of the log, as `wandb` and `mlflow`.
        changes: keys of the recipe, `steps=200`; below the top dotted ones, `**{"regime.attack.epsilon": "8/255"}`.
            Values are plain, as in YAML, or pieces: `objective=Hinge()`.

    Raises:
        InvalidRecord: with every mistake in the recipe.
        UsageError, CorruptInput, FolderBusy, StorageError, NonFinite, Interrupted: as `training.loop.train`.
    """
    chosen = _changed(recipe, changes)
    with show_progress("rounds") as progress:
        train_recipe(chosen, Path(out), device=str(device), loggers=loggers, progress=progress)
    return Run(out, device=device)


def resume(path: PathLike, *, device: Device = "auto", loggers: Sequence[str] = ()) -> Run:
    """Continue a run from its newest checkpoint, with progress on standard error.

    Raises:
        As `training.loop.resume`.
    """
    with show_progress("rounds") as progress:
        resume_run(Path(path), device=str(device), loggers=loggers, progress=progress)
    return Run(path, device=device)


def _changed(recipe: PathLike | Mapping[str, Any] | AnyRecipe, changes: Mapping[str, Any]) -> AnyRecipe:
    """The recipe with some of its keys changed."""
    keys = {key: _plain(value) for key, value in changes.items()}
    if isinstance(recipe, str | os.PathLike):
        return load_with(os.fspath(recipe), keys)
    return validated(with_keys(copy.deepcopy(dict(_plain(recipe))), keys), "recipe")


def _plain(value: Any) -> Any:
    """A record or a path as YAML has it."""
    if isinstance(value, Record):
        return value.model_dump(mode="json")
    return os.fspath(value) if isinstance(value, os.PathLike) else value

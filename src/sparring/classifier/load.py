"""A classifier from a checkpoint: of its own run, or from the trunk of a GAN's discriminator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor, nn

from sparring.classifier.selection import split_data
from sparring.core.errors import UsageError
from sparring.core.modules import plain_weights
from sparring.core.randomness import Rng
from sparring.core.shapes import Samples, Space
from sparring.data import Source
from sparring.gan.load import load_gan, newest_checkpoint, same_data
from sparring.networks import ClassifierModule, forward
from sparring.recipes import ClassifierRecipe, StartingPoint, require_classifier
from sparring.runs.checkpoint import SavedRun
from sparring.runs.environment import choose_device
from sparring.runs.folder import RunFolder
from sparring.runs.tensors import below, fill, within

Weights = Literal["classifier", "average", "selected"]


@dataclass(frozen=True)
class LoadedClassifier:
    """The classifier of a run after `step` rounds, in eval mode; the data of the run are not opened.

    It is the running mean if the recipe keeps one, and that of the best measurement if the recipe selects it, unless
    the final one was asked for.

    Args:
        path: of the run.
        recipe: of the run.
        network: with the weights of the checkpoint.
        space: of its samples.
        step: rounds that the weights were trained for.
        weights: which of the checkpoint's: the last ones, their running mean, or those of the best measurement.
        problems: newer checkpoints that could not be read, and whether none is selected yet.
    """

    path: Path
    recipe: ClassifierRecipe
    network: ClassifierModule
    space: Space
    step: int
    weights: Weights
    problems: tuple[str, ...]

    def data(self) -> Source:
        """The training data of the run, without its validation samples; see `same_data`."""
        source = same_data(self.path, self.recipe, self.space, next(self.network.parameters()).device)
        return split_data(self.recipe, source).training

    def classify(self, samples: Samples) -> Tensor:
        """Logits `(n, classes)` in fp32, under the recipe's precision."""
        logits: Tensor = forward(self.network, samples, self.recipe.precision)
        return logits


def load_classifier(run: RunFolder, device: str) -> LoadedClassifier:
    """The classifier of a run at its newest intact checkpoint, in eval mode.

    Before the first measurement of its selection this is the one after the last round, and `problems` say so.

    Raises:
        UsageError: the run trains a GAN, or has no checkpoint yet.
        CorruptInput: no checkpoint is intact.
    """
    recipe = require_classifier(run.recipe(), str(run.path))
    if recipe.selection is None:
        return load_final_classifier(run, device)
    checkpoint, problems = newest_checkpoint(run)
    step = int(checkpoint.tensors["selection/round"])
    if step:
        return _loaded(run, recipe, device, checkpoint, "selected", step, problems)
    last = checkpoint.progress.step
    none_yet = f"no classifier is selected before round {recipe.selection.every:,}; that of round {last:,} is used"
    return _loaded(run, recipe, device, checkpoint, _last_weights(recipe), last, [*problems, none_yet])


def load_final_classifier(run: RunFolder, device: str) -> LoadedClassifier:
    """The same after the last round of the checkpoint, whatever the recipe selects.

    Raises:
        UsageError, CorruptInput: as there.
    """
    recipe = require_classifier(run.recipe(), str(run.path))
    checkpoint, problems = newest_checkpoint(run)
    return _loaded(run, recipe, device, checkpoint, _last_weights(recipe), checkpoint.progress.step, problems)


def _last_weights(recipe: ClassifierRecipe) -> Weights:
    return "average" if recipe.ema else "classifier"


def _loaded(
    run: RunFolder,
    recipe: ClassifierRecipe,
    device: str,
    checkpoint: SavedRun,
    weights: Weights,
    step: int,
    problems: Sequence[str],
) -> LoadedClassifier:
    """The network with these weights of the checkpoint."""
    place, space = choose_device(device), checkpoint.progress.space
    network = recipe.classifier.build(space, (), rng=Rng.of(0))
    with checkpoint.named_in_errors():
        fill(network, below(f"{weights}/", checkpoint.tensors))
    return LoadedClassifier(run.path, recipe, network.to(place).eval(), space, step, weights, tuple(problems))


def load_start(network: ClassifierModule, start: StartingPoint) -> None:
    """Copy the weights of a run's newest checkpoint into a classifier.

    The class layer keeps its initial weights if the run is a GAN whose discriminator has no class logits.

    Raises:
        UsageError: there is no such run, checkpoint or game, or the networks differ.
        CorruptInput: no checkpoint is intact.
    """
    run = RunFolder.open(Path(start.run))
    if isinstance(run.recipe(), ClassifierRecipe):
        weights = load_classifier(run, "cpu").network.state_dict()
    else:
        gan = load_gan(run, "cpu").game(start.game)
        weights = branch_weights(gan.networks.discriminator, classifies=gan.recipe.discriminator.head.classifies)
    try:
        network.load_state_dict(network.state_dict() | weights)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise UsageError(
            f"start.run = {start.run}: its network is not that of this classifier: {first}",
            "`sparring finetune` writes a recipe whose classifier is the branch of a run's discriminator",
        ) from None


def branch_weights(discriminator: nn.Module, *, classifies: bool) -> dict[str, Tensor]:
    """The weights of a discriminator by the names that its class branch, a classifier, has for them.

    Weights under spectral normalisation are the normalised ones.

    Args:
        discriminator: a trunk and a head.
        classifies: whether the head has a layer of class logits.
    """
    state = plain_weights(discriminator)
    trunk, classes = within("features.", below("trunk.", state)), within("output.", below("head.classes.", state))
    return trunk | (classes if classifies else {})

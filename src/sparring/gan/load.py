"""The networks of a run, loaded from its newest sound checkpoint; the recipe in the run folder says which they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from sparring.core.diverged import DivergedGames
from sparring.core.errors import CorruptInput, UsageError
from sparring.core.randomness import Streams
from sparring.core.shapes import Space
from sparring.data import Source
from sparring.gan.state import Networks
from sparring.recipes import AnyRecipe, Recipe
from sparring.runs.checkpoint import SavedRun
from sparring.runs.environment import choose_device
from sparring.runs.folder import RunFolder


@dataclass(frozen=True)
class LoadedGAN:
    """The networks of a run as they were after `step` rounds; its data are not needed.

    Args:
        path: of the run.
        recipe: of the run.
        networks: with the weights of the checkpoint.
        streams: of random numbers.
        step: rounds of the checkpoint.
        problems: newer checkpoints that could not be read, and games that diverged.
        diverged: those games.
    """

    path: Path
    recipe: Recipe
    networks: Networks
    streams: Streams
    step: int
    problems: tuple[str, ...]
    diverged: DivergedGames

    def data(self) -> Source:
        """The data that the run was trained on; as `same_data`."""
        return same_data(self.path, self.recipe, self.networks.space, self.streams.device)

    def game(self, index: int) -> LoadedGAN:
        """One of the packed games.

        Raises:
            UsageError: there is no such game.
        """
        replicas = self.recipe.replicas
        if not 0 <= index < replicas:
            raise UsageError(f"game {index}: the run has {replicas}, counted from 0", f"at most --game {replicas - 1}")
        if not self.recipe.lead:
            return self
        recipe = self.recipe.single(index)
        networks = Networks(recipe, self.networks.space)
        networks.load_state_dict({name: tensor[index] for name, tensor in self.networks.state_dict().items()})
        streams = recipe.streams(self.streams.device)
        return LoadedGAN(
            self.path, recipe, networks.to(streams.device), streams, self.step, self.problems, DivergedGames(0)
        )


def load_gan(run: RunFolder, device: str) -> LoadedGAN:
    """The networks of a run at its newest sound checkpoint, to sample and measure.

    Raises:
        UsageError: the run has no checkpoint yet.
        CorruptInput: there are checkpoints, and none is sound.
    """
    recipe, place = run.game_recipe(), choose_device(device)
    checkpoint, problems = newest_checkpoint(run)
    networks = Networks(recipe, checkpoint.progress.space)
    with checkpoint.named_in_errors():
        networks.load_state(checkpoint.tensors)
    streams = recipe.streams(place)
    diverged = DivergedGames(recipe.replicas if recipe.lead else 0)
    diverged.load_state(checkpoint.tensors)
    problems += [f"{recipe.title(game)} diverged at round {at:,}" for game, at in diverged.since.items()]
    step = checkpoint.progress.step
    return LoadedGAN(run.path, recipe, networks.to(place), streams, step, tuple(problems), diverged)


def same_data(path: Path, recipe: AnyRecipe, saved: Space, device: torch.device) -> Source:
    """The data that a run's recipe names, opened.

    Raises:
        UsageError: they are not where the recipe says.
        CorruptInput: they are damaged, or others than those that the run was trained on.
    """
    try:
        source = recipe.data.open(device)
    except UsageError as error:
        remedy = (
            f"put back the data; a relative path in {path / 'recipe.yaml'} counts from where the training was started"
        )
        raise UsageError(error.cause, remedy) from None
    found = source.facts.space
    if saved != found:
        raise CorruptInput(
            f"{path}: was trained on samples of {saved}, and its data have {found}",
            "put back the data that the recipe names",
        )
    return source


def newest_checkpoint(run: RunFolder) -> tuple[SavedRun, list[str]]:
    """The newest intact checkpoint of a run, and what is wrong with newer ones.

    Raises:
        UsageError: the run has no checkpoint yet.
        CorruptInput: no checkpoint is intact.
    """
    checkpoint, problems = run.latest()
    if checkpoint is None:
        raise UsageError(f"{run.path}: no checkpoint yet", "wait for the first one, or `sparring resume` the run")
    return checkpoint, problems

"""The weights that a classifier starts from: another classifier's, or those of a discriminator's class branch."""

from __future__ import annotations

import copy
from pathlib import Path

from torch import Tensor, nn
from torch.nn.utils import parametrize

from sparring.engine.loading import load_classifier, load_players
from sparring.engine.rundir import RunFolder
from sparring.errors import UsageError
from sparring.networks import ClassifierModule
from sparring.recipes import ClassifierRecipe, Start


def inherit(network: ClassifierModule, start: Start) -> None:
    """Give a classifier the weights of a run's newest checkpoint.

    A discriminator whose head does not classify gives its trunk; the class layer stays as it was drawn.

    Raises:
        UsageError: there is no such run, checkpoint or game, or the networks are unlike.
        CorruptInput: no checkpoint is sound.
    """
    run = RunFolder.open(Path(start.run))
    given = _of_classifier(run) if isinstance(run.recipe(), ClassifierRecipe) else _of_discriminator(run, start.game)
    try:
        network.load_state_dict(network.state_dict() | given)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise UsageError(
            f"start.run = {start.run}: its network is not that of this classifier: {first}",
            "`sparring finetune` writes a recipe whose classifier is the branch of a run's discriminator",
        ) from None


def _of_classifier(run: RunFolder) -> dict[str, Tensor]:
    return load_classifier(run, "cpu").network.state_dict()


def _of_discriminator(run: RunFolder, game: int) -> dict[str, Tensor]:
    loaded = load_players(run, "cpu").game(game)
    given = _renamed(plain(loaded.players.discriminator).state_dict(), "trunk.", "features.")
    if loaded.recipe.discriminator.head.classifies:
        given |= _renamed(plain(loaded.players.discriminator).state_dict(), "head.classes.", "output.")
    return given


def plain(network: nn.Module) -> nn.Module:
    """A copy whose weights are what the network computes with, with no parametrization (spectral norm, say) left."""
    network = copy.deepcopy(network)
    for module in network.modules():
        if parametrize.is_parametrized(module):
            for name in list(module.parametrizations):  # type: ignore[arg-type]
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    return network


def _renamed(state: dict[str, Tensor], prefix: str, other: str) -> dict[str, Tensor]:
    return {other + name.removeprefix(prefix): each for name, each in state.items() if name.startswith(prefix)}

"""The weights that a classifier starts from: another classifier's, or those of a discriminator's class branch."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from torch.nn.utils import parametrize

from sparring.core.errors import UsageError
from sparring.gan.load import load_classifier, load_gan
from sparring.networks import ClassifierModule
from sparring.recipes import ClassifierRecipe, StartingPoint
from sparring.runs.folder import RunFolder
from sparring.runs.tensors import below, within


def inherit(network: ClassifierModule, start: StartingPoint) -> None:
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
    loaded = load_gan(run, "cpu").game(game)
    return branch_state(loaded.networks.discriminator, classifies=loaded.recipe.discriminator.head.classifies)


def branch_state(discriminator: nn.Module, *, classifies: bool) -> dict[str, Tensor]:
    """The weights that a discriminator gives to its branch.

    Args:
        discriminator: a trunk and a head.
        classifies: whether the head has a layer of class logits.
    """
    state = effective_state(discriminator)
    trunk, classes = within("features.", below("trunk.", state)), within("output.", below("head.classes.", state))
    return trunk | (classes if classifies else {})


def effective_state(network: nn.Module) -> dict[str, Tensor]:
    """The state of a network whose own weights are what it computes with, where spectral norm, say, lies over them."""
    state = {name: tensor for name, tensor in network.state_dict().items() if "parametrizations." not in name}
    for path, module in network.named_modules():
        if parametrize.is_parametrized(module):
            state |= {f"{path}.{name}": getattr(module, name).detach() for name in module.parametrizations}
    return state

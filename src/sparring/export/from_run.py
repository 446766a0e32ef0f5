"""The network of a run that is exported: the weights that evaluations use, in a network of its own on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor, nn

from sparring import __version__
from sparring.attacks import Attack
from sparring.classifier.load import branch_weights, load_classifier
from sparring.core.errors import SparringError, UsageError
from sparring.core.modules import plain_weights
from sparring.core.pieces import Piece
from sparring.core.shapes import Space
from sparring.data import Source
from sparring.export.export_config import ExportConfig, What
from sparring.gan.load import LoadedGAN, load_gan
from sparring.networks import Branch, ClassHead, Network
from sparring.recipes import AnyRecipe, ClassifierRecipe, Recipe
from sparring.runs.folder import RunFolder


class ChosenNetwork(NamedTuple):
    """A network of a run.

    Args:
        config: of its export.
        weights: by name, without reparametrisations.
        original: the network that the run evaluates, in eval mode.
        recipe: of the run, or of the packed game.
        problems: checkpoints that could not be read.
    """

    config: ExportConfig
    weights: dict[str, Tensor]
    original: nn.Module
    recipe: AnyRecipe
    problems: tuple[str, ...]


def chosen_network(run: RunFolder, what: What | None = None, game: int = 0) -> ChosenNetwork:
    """A network at the run's newest checkpoint.

    Args:
        run: of a GAN or a classifier.
        what: the kind of network; by default G, or the classifier of a run that trains one.
        game: index of a packed game.

    Raises:
        UsageError: the run has no such network, game, or checkpoint.
        CorruptInput: no checkpoint is intact.
    """
    if isinstance(run.recipe(), ClassifierRecipe):
        if what not in (None, "classifier"):
            raise UsageError(f"{run.path}: trains a classifier, and has no {what}", "leave --what out")
        if game:
            raise UsageError(f"{run.path}: trains one classifier, and has no game {game}", "leave --game out")
        return _classifier(run)
    gan = load_gan(run, "cpu").game(game)
    gan.networks.eval()
    return _OF_GAMES[what or "generator"](gan)


def _classifier(run: RunFolder) -> ChosenNetwork:
    loaded = load_classifier(run, "cpu")
    recipe = loaded.recipe
    selection, weights = recipe.selection, f"those after round {loaded.step:,}"
    if recipe.ema:
        weights = f"the running mean (decay {recipe.ema:g}) after round {loaded.step:,}"
    if selection and loaded.weights == "selected":
        weights += f", the best by robust accuracy on {selection.samples:,} validation samples"
    config = _config(
        "classifier", recipe.classifier, recipe, loaded.space, loaded.step, weights, recipe.trained_against, loaded.data
    )
    if selection:
        config = config.model_copy(update={"validation_samples": selection.samples})
    return ChosenNetwork(config, loaded.network.state_dict(), loaded.network, recipe, loaded.problems)


def _generator(gan: LoadedGAN) -> ChosenNetwork:
    weights = f"those of G after round {gan.step:,}"
    if gan.recipe.ema:
        weights = f"the running mean of G's (decay {gan.recipe.ema:g}) after round {gan.step:,}, as evaluations use"
    return _of_game(gan, "generator", gan.recipe.generator, gan.networks.sampler, weights)


def _discriminator(gan: LoadedGAN) -> ChosenNetwork:
    weights = f"those of D after round {gan.step:,}"
    return _of_game(gan, "discriminator", gan.recipe.discriminator, gan.networks.discriminator, weights)


def _class_head(gan: LoadedGAN) -> ChosenNetwork:
    head = gan.recipe.discriminator.head
    if not head.classifies:
        raise UsageError(
            f"{gan.path}: D has no class head, its head is {head.name}",
            "export the generator or the discriminator, or train robgan/...",
        )
    discriminator = gan.networks.discriminator
    spec = Branch(discriminator=gan.recipe.discriminator)
    chosen = _of_game(gan, "classifier", spec, discriminator, f"those of D's class branch after round {gan.step:,}")
    return chosen._replace(weights=branch_weights(discriminator, classifies=True), original=ClassHead(discriminator))


_OF_GAMES: dict[What, Callable[[LoadedGAN], ChosenNetwork]] = {
    "generator": _generator,
    "discriminator": _discriminator,
    "classifier": _class_head,
}


def _of_game(gan: LoadedGAN, what: What, spec: Network, network: nn.Module, weights: str) -> ChosenNetwork:
    recipe: Recipe = gan.recipe
    attack = recipe.regime.trained_against if what != "generator" else None
    config = _config(what, spec, recipe, gan.networks.space, gan.step, weights, attack, gan.data)
    return ChosenNetwork(config, plain_weights(network), network, recipe, gan.problems)


def _config(
    what: What,
    spec: Network,
    recipe: AnyRecipe,
    space: Space,
    step: int,
    weights: str,
    attack: Attack | None,
    data: Callable[[], Source],
) -> ExportConfig:
    return ExportConfig(
        version=__version__,
        what=what,
        network=_plain(spec),
        shape=space.shape,
        bounds=space.bounds,
        classes=_class_names(space, data),
        weights=weights,
        step=step,
        data=_plain(recipe.data),
        trained_against=_plain(attack) if attack else None,
    )


def _plain(piece: Piece) -> dict[str, Any]:
    values: dict[str, Any] = piece.model_dump(mode="json")
    return values


def _class_names(space: Space, data: Callable[[], Source]) -> tuple[str, ...]:
    """The names in the data, or numbers if the data are gone: the network does not need them."""
    try:
        return data().facts.classes
    except SparringError:
        return tuple(map(str, range(space.classes)))

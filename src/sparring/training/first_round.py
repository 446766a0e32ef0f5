"""The first round, in which what every piece returns is compared once with the contract of its family.

Data and networks are tried on a few samples before it. Later rounds run without any of this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sparring.classifier.state import ClassifierState
from sparring.classifier.step import train_step
from sparring.core.errors import UsageError
from sparring.core.modules import evaluating, untraced
from sparring.core.pieces import Piece
from sparring.data import Batch
from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.networks import Verdict, forward
from sparring.recipes import ClassifierRecipe, Recipe
from sparring.regimes import DiscriminatorUpdate, Origin, Response, View

_FEW = 2
Contract = Callable[[Sequence[Any], Mapping[str, Any]], torch.Size]
"""From the arguments of a call and its keywords to the shape of what it should return."""


def _shape_of(number: int) -> Contract:
    return lambda arguments, _: arguments[number].shape


_OBJECTIVE = dict.fromkeys(("real", "fake", "generator"), _shape_of(0))
_FEEDBACK = {"transmit": _shape_of(1)}
_CLASS_LOSS = {"payoff": _shape_of(1)}
_LIPSCHITZ: dict[str, Contract] = {
    "penalty": lambda arguments, keywords: arguments[1].shape[: keywords["batch_axes"]],
    "disturb": _shape_of(0),
}
_CLASSIFIER_LOSS = {"losses": _shape_of(1)}


def require_contracts(game: GANState) -> None:
    """Try the data and the networks of a GAN on a few samples. Their state stays as it is.

    Raises:
        UsageError: what one returns is not what its family promises: the piece, what it returned, what is wanted.
    """
    recipe, space, networks = game.recipe, game.networks.space, game.networks
    _require_batch(recipe.data, game.real_batch(0), (*recipe.lead, game.share), space.shape)
    lead = (*recipe.lead, _FEW)
    codes = recipe.generator.draw(lead, space, rng=game.streams.rng("contracts"))
    fake = _output(recipe.generator, networks.generator, codes.values, recipe)
    _require(recipe.generator, "its network returned", fake, torch.Size((*lead, *space.shape)))
    verdict = _output(recipe.discriminator, networks.discriminator, fake, recipe)
    if not isinstance(verdict, Verdict):
        wanted = f"a Verdict whose score has the shape {lead}"
        raise _broken(
            recipe.discriminator, "its network returned", verdict, wanted, "return Verdict(score) of sparring.networks"
        )
    _require(recipe.discriminator, "the score of its network is", verdict.score, torch.Size(lead))


def require_classifier_contracts(state: ClassifierState) -> None:
    """Try the data and the network of a classifier on a few samples; errors as `require_contracts`."""
    recipe, classes = state.recipe, state.space.classes
    batch = state.source.batch(0, recipe.batch_size, state.streams)
    _require_batch(recipe.data, batch, (recipe.batch_size,), state.space.shape)
    logits = _output(recipe.classifier, state.network, batch.samples[:_FEW], recipe)
    _require(recipe.classifier, "its network returned", logits, torch.Size((_FEW, classes)))
    assert batch.labels is not None
    losses = recipe.criterion.loss(logits, batch.labels[:_FEW])
    _require(recipe.criterion, "`loss` returned", losses, torch.Size((_FEW,)))


def play_first_round(state: GANState, step: int) -> None:
    """A round that compares what every piece returns with its contract; the same numbers as `play_round`.

    Raises:
        UsageError: the piece, what it returned, what is wanted.
    """
    recipe = state.recipe
    watched = {
        "objective": _Watched(recipe.objective, _OBJECTIVE, differentiable=("generator",)),
        "feedback": _Watched(recipe.feedback, _FEEDBACK, differentiable=("transmit",)),
        "class_loss": _Watched(recipe.class_loss, _CLASS_LOSS),
        "lipschitz": _Watched(recipe.lipschitz, _LIPSCHITZ),
        "regime": _WatchedRegime(recipe.regime),
    }
    state.recipe = recipe.model_copy(update=watched)
    try:
        play_round(state, step)
    finally:
        state.recipe = recipe


def train_first_step(state: ClassifierState, step: int) -> None:
    """The same as `play_first_round` for a classifier."""
    recipe = state.recipe
    loss = _Watched(recipe.loss, _CLASSIFIER_LOSS, differentiable=("losses",))
    state.recipe = recipe.model_copy(update={"loss": loss})
    try:
        train_step(state, step)
    finally:
        state.recipe = recipe


class _Watched:
    """A piece whose methods have their results compared with the shapes that they should have.

    Args:
        piece: of the recipe.
        contracts: by method.
        differentiable: methods whose result must depend on their arguments through autograd.
    """

    def __init__(self, piece: Piece, contracts: Mapping[str, Contract], differentiable: Sequence[str] = ()) -> None:
        self._piece, self._contracts, self._differentiable = piece, contracts, differentiable

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._piece, name)
        if name not in self._contracts:
            return found

        def checked(*arguments: Any, **keywords: Any) -> Any:
            result = found(*arguments, **keywords)
            _require(self._piece, f"`{name}` returned", result, self._contracts[name](arguments, keywords))
            if name in self._differentiable and torch.is_grad_enabled() and not result.requires_grad:
                wanted = "one that depends on its input through autograd"
                raise _broken(
                    self._piece, f"`{name}` returned", result, wanted, "leave out detach(), numpy() and no_grad()"
                )
            return result

        return checked


class _WatchedRegime:
    """A regime that is seen to train D on whole batches, with a step after everything that it shows."""

    def __init__(self, regime: Any) -> None:
        self._regime = regime

    def __getattr__(self, name: str) -> Any:
        return getattr(self._regime, name)

    def update(self, d: DiscriminatorUpdate, real: Tensor, fake: Tensor) -> None:
        watched = _WatchedUpdate(d, self._regime, real.shape)
        self._regime.update(watched, real, fake)
        if watched.pending or not watched.steps:
            raise UsageError(
                f"regime {self._regime.name}: its `update` made {watched.steps} steps of D, and showed "
                f"{watched.pending} views after the last one; wanted: a step after everything that is shown",
                "call d.show(View(real, fake)), then d.step()",
            )


class _WatchedUpdate:
    def __init__(self, d: DiscriminatorUpdate, regime: Piece, shape: torch.Size) -> None:
        self._d, self._regime, self._shape = d, regime, shape
        self.steps = self.pending = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._d, name)

    def show(self, view: View, gradients: Sequence[Origin] = ()) -> Mapping[Origin, Response]:
        for samples in (view.real, view.fake):
            _require(self._regime, "the view that it shows is", samples, self._shape)
        self.pending += 1
        return self._d.show(view, gradients)

    def step(self) -> None:
        self._d.step()
        self.steps, self.pending = self.steps + 1, 0


def _output(piece: Piece, network: nn.Module, inputs: Tensor, recipe: Recipe | ClassifierRecipe) -> Any:
    """What a network returns in eval mode."""
    with untraced(network), evaluating(network), torch.no_grad():
        try:
            return forward(network, inputs, recipe.precision)
        except (RuntimeError, TypeError, AttributeError, IndexError, ValueError) as error:
            first = (str(error) or type(error).__name__).splitlines()[0]
            shape = tuple(inputs.shape)
            raise UsageError(
                f"{piece.family} {piece.name}: its network cannot run on inputs of shape {shape}: {first}",
                "see the contract of its family, and `sparring.testing.check`",
            ) from error


def _require_batch(data: Piece, batch: Batch, lead: tuple[int, ...], shape: tuple[int, ...]) -> None:
    _require(data, "the samples of its `batch` are", batch.samples, torch.Size((*lead, *shape)))
    labels = batch.labels
    if labels is not None and (labels.dtype != torch.int64 or labels.shape != torch.Size(lead)):
        raise _broken(data, "the labels of its `batch` are", labels, f"int64 of shape {lead}", "give labels.long()")


def _require(piece: Piece, what: str, found: Any, wanted: torch.Size) -> None:
    if not isinstance(found, Tensor) or found.shape != wanted or not found.is_floating_point():
        remedy = "return a floating-point tensor of that shape; means over samples are taken later"
        raise _broken(piece, what, found, f"shape {tuple(wanted)}", remedy)


def _broken(piece: Piece, what: str, found: Any, wanted: str, remedy: str) -> UsageError:
    if isinstance(found, Tensor):
        got = f"{str(found.dtype).removeprefix('torch.')} of shape {tuple(found.shape)}"
    else:
        got = "nothing" if found is None else f"a {type(found).__name__}"
    return UsageError(f"{piece.family} {piece.name}: {what} {got}, wanted {wanted}", remedy)

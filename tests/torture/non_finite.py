"""A number that is not finite, anywhere in any round, ends the run before it is saved; the error names the place.

Packed games that diverge stand still instead: tests/gan/test_packing.py.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor, nn

from sparring.attacks import Attack
from sparring.core.descent import Descent
from sparring.core.eager_optimizers import EagerAdam
from sparring.core.errors import NonFinite
from sparring.gan import sampling
from sparring.gan.state import GANState
from sparring.networks import Generator
from sparring.optimizers import RMSpropSteps
from sparring.recipes import AnyRecipe, Recipe
from sparring.runs.checkpoint import read_checkpoint
from sparring.runs.folder import RunFolder
from sparring.training.task import ClassifierTask, GANTask, Task
from torture.games import differences, play, recipe_of, undisturbed
from torture.promise import Promise, Trial

BAD = (math.nan, math.inf, -math.inf)


class Planter:
    """Replaces one number of a tensor, in one round and in the measurement after it.

    Args:
        at: the round, from 1.
        bad: the number.
        draw: chooses its place in a tensor.
        recipe: of the run.
    """

    def __init__(self, at: int, bad: float, draw: random.Random, recipe: AnyRecipe) -> None:
        self.at, self.bad, self.recipe, self.is_due = at, bad, recipe, False
        self._draw = draw

    def begin(self, training: Task, step: int) -> None:
        """Remember what is trained and whether the round has come."""
        self.training, self.is_due = training, step + 1 == self.at

    def spoil(self, tensor: Tensor) -> Tensor:
        """The tensor, with one number replaced if the round has come."""
        if not self.is_due or not tensor.numel():
            return tensor
        where = torch.zeros(tensor.shape, dtype=torch.bool)
        where.view(-1)[self._draw.randrange(tensor.numel())] = True
        return tensor.masked_fill(where, self.bad)

    def one_of(self, tensors: Sequence[Tensor]) -> None:
        """Replace one number of one of the tensors, in place."""
        chosen = self._draw.choice([tensor for tensor in tensors if tensor.is_floating_point()])
        chosen.data.copy_(self.spoil(chosen.data))


Patch = tuple[Any, str, Callable[..., Any]]
"""A function that is replaced: its owner, its name, and by what."""


class Site(NamedTuple):
    """A place in which a number is planted.

    Args:
        cause: what the error names, as a pattern.
        kinds: recipes that have it.
        plant: the functions to replace.
        at: the rounds in which it may be planted.
    """

    cause: str
    kinds: Sequence[str]
    plant: Callable[[Planter], Sequence[Patch]]
    at: Sequence[int] = range(1, 25)


def _result(owner: Any, name: str, spoil: Callable[[Any], Any]) -> Patch:
    """A function with one number of its result replaced."""
    original = getattr(owner, name)
    return owner, name, lambda *arguments, **options: spoil(original(*arguments, **options))


def _field(owner: Any, name: str, planter: Planter, field: str) -> Patch:
    """A function with one number of a field of its result replaced."""
    return _result(owner, name, lambda found: found._replace(**{field: planter.spoil(getattr(found, field))}))


def _before(owner: Any, name: str, act: Callable[..., object]) -> Patch:
    """A function with something done before it."""
    original = getattr(owner, name)

    def patched(*arguments: Any, **options: Any) -> Any:
        act(*arguments)
        return original(*arguments, **options)

    return owner, name, patched


def _after(owner: Any, name: str, act: Callable[..., object]) -> Patch:
    """A function with something done after it."""
    original = getattr(owner, name)

    def patched(*arguments: Any, **options: Any) -> Any:
        result = original(*arguments, **options)
        act(*arguments)
        return result

    return owner, name, patched


def _data(planter: Planter) -> Sequence[Patch]:
    return [_field(type(planter.recipe.data.open(torch.device("cpu"))), "batch", planter, "samples")]


def _piece(key: str, name: str) -> Callable[[Planter], Sequence[Patch]]:
    """A function of one of the recipe's pieces, with its result spoilt."""
    return lambda planter: [_result(type(getattr(planter.recipe, key)), name, planter.spoil)]


def _stepping(
    player: str, spoil: Callable[[Planter, torch.optim.Optimizer], object]
) -> Callable[[Planter], list[Patch]]:
    """Spoil a network or its optimizer after the step."""

    def plant(planter: Planter) -> list[Patch]:
        steps: list[str] = []

        def act(optimizer: torch.optim.Optimizer) -> None:
            if planter.is_due and steps[-1] == player:
                spoil(planter, optimizer)

        noting = [_before(Descent, "step", lambda descent, _: steps.append(descent.name))]
        return [*noting, *(_after(kind, "step", act) for kind in (EagerAdam, RMSpropSteps))]

    return plant


def _weights(planter: Planter, optimizer: torch.optim.Optimizer) -> None:
    planter.one_of([weight for group in optimizer.param_groups for weight in group["params"]])


def _moments(planter: Planter, optimizer: torch.optim.Optimizer) -> None:
    planter.one_of([each for kept in optimizer.state.values() for each in kept.values()])


def _gradients(player: str) -> Callable[[Planter], list[Patch]]:
    """The gradient of a player, before its optimizer steps."""

    def plant(planter: Planter) -> list[Patch]:
        def act(descent: Descent, _loss: Tensor) -> None:
            if descent.name == player:
                planter.one_of([each.grad for each in descent.parameters if each.grad is not None])

        return [_before(Descent, "step", act)]

    return plant


def _at_the_end(spoil: Callable[[Planter, GANState], object]) -> Callable[[Planter], list[Patch]]:
    """Spoil a game at the end of a round."""
    return lambda planter: [_after(GANState, "_update_average", lambda game, _done: spoil(planter, game))]


def _too_large(planter: Planter, game: GANState) -> None:
    """Finite weights whose products are not."""
    if planter.is_due:
        for weight in game.discriminator.parameters():
            weight.data.fill_(3e38)


def _hooked(planter: Planter) -> Callable[..., None]:
    """The samples that a generator draws outside of training."""

    def act(_recipe: Recipe, generator: nn.Module, _codes: Tensor) -> None:
        if planter.is_due:
            generator.register_forward_hook(lambda _module, _given, samples: planter.spoil(samples))

    return act


GAMES = ("plain", "GP", "images", "classes", "bf16", "channels last")
ATTACKED = ("symmetric", "mixed", "PGD", "images")
LEARNED = ("classifier", "classifier from runs")
MEASURED = (16, 24)
"""Rounds after which every recipe is measured."""
INPUT, D, G = "input of discriminator", "(loss|gradient) of (the )?discriminator", "(loss|gradient) of (the )?generator"
SITES: dict[str, Site] = {
    "real samples": Site(INPUT, GAMES, _data),
    "latents": Site("input of generator", GAMES, lambda p: [_field(Generator, "draw", p, "values")]),
    "generated samples": Site(INPUT, GAMES, lambda p: [_field(GANState, "generate", p, "samples")]),
    "score": Site(D, GAMES, lambda p: [_field(GANState, "judge", p, "score")]),
    "class loss": Site(D, ["classes"], _piece("class_loss", "payoff")),
    "payoff of D on real": Site(D, GAMES, _piece("objective", "real")),
    "payoff of G": Site(G, GAMES, lambda p: [_result(type(p.recipe.feedback), "transmit", p.spoil)]),
    "penalty": Site(D, ["GP", "adversarial penalty"], _piece("lipschitz", "penalty")),
    "adversarial samples": Site(
        INPUT, ATTACKED, lambda p: [_result(Attack, name, p.spoil) for name in ("__call__", "from_gradient")]
    ),
    **{
        f"{what} of {player}": Site(".+", kinds, plant(player))
        for player, kinds in (("generator", GAMES), ("discriminator", GAMES), ("classifier", LEARNED))
        for what, plant in {
            "gradient": _gradients,
            "weights": lambda player: _stepping(player, _weights),
            "moments": lambda player: _stepping(player, _moments),
        }.items()
    },
    "running statistics of generator": Site(
        ".+", ["images", "classes"], _at_the_end(lambda p, game: p.one_of(list(game.generator.buffers())))
    ),
    "running mean": Site(".+", GAMES, _at_the_end(lambda p, game: p.one_of(list(game.networks.average.parameters())))),
    "overflow": Site(
        "output of discriminator",
        ["bf16", "plain"],
        lambda p: [_before(GANState, "set_rates", lambda game, _: _too_large(p, game))],
    ),
    "samples of a measurement": Site(
        "samples of G in eval mode", GAMES, lambda p: [_before(sampling, "rendered", _hooked(p))], MEASURED
    ),
    "real samples of a classifier": Site("input of classifier", LEARNED, _data),
    "class loss of a classifier": Site(
        ".+", LEARNED, lambda p: [_result(torch.nn.functional, "cross_entropy", p.spoil)]
    ),
    "running statistics of classifier": Site(
        ".+",
        LEARNED,
        lambda p: [_after(Descent, "step", lambda *_: p.one_of(list(p.training.classifier.network.buffers())))],
    ),
}

FIRST = {
    *("real samples", "latents", "generated samples", "score", "payoff of D on real", "payoff of G", "penalty"),
    *("adversarial samples", "gradient of discriminator", "weights of generator"),
    *("moments of discriminator", "running mean", "running statistics of generator", "samples of a measurement"),
    "class loss of a classifier",
}
"""Those that every test run tries."""


@contextmanager
def planted(site: Site, planter: Planter) -> Iterator[None]:
    """A block in which the number is planted."""
    noting = [_before(kind, "train_round", planter.begin) for kind in (GANTask, ClassifierTask)]
    with ExitStack() as patches:
        for owner, name, replacement in [*site.plant(planter), *noting]:
            patches.enter_context(mock.patch.object(owner, name, replacement))
        yield


def _trial(trial: Trial) -> None:
    """Plant one number; the run ends, and is completed without it."""
    site = SITES[trial.turn(sorted(SITES, key=lambda name: name not in FIRST))]
    kind, at, bad = trial.draw.choice(site.kinds), trial.draw.choice(site.at), trial.draw.choice(BAD)
    recipe, path = recipe_of(kind, trial.shared), trial.folder / "run"
    whole = undisturbed(kind, trial.shared)
    last = at if site.at is MEASURED else at - 1  # a state is saved before it is measured
    run = RunFolder(path)
    for _ in range(2):  # the second time from the last checkpoint
        planter = Planter(at, bad, trial.draw, recipe)
        planter.is_due = (run.checkpoints / f"{at:09d}").exists()  # a start there measures first
        with planted(site, planter):
            error = _ended(recipe, path)
        assert error.exit_code == 6
        assert re.search(f"not finite: {site.cause}", error.cause), error.cause
        summary = run.summary()
        assert summary.status == "non-finite"
        assert at <= summary.steps <= at + recipe.checkpoint_every
        for folder in run.saved():
            assert int(folder.name) <= last
            assert all(tensor.isfinite().all() for tensor in read_checkpoint(folder).tensors.values())
    play(recipe, path)
    assert not differences(whole, path)


def _ended(recipe: AnyRecipe, path: Path) -> NonFinite:
    try:
        play(recipe, path)
    except NonFinite as error:
        return error
    raise AssertionError("the run went on")


PROMISE = Promise(
    6, "A number that is not finite ends the run in its round, by name, and is never saved", len(FIRST), 240, _trial
)

"""Packed games are the single games with their seeds: with every piece of every family."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from piece_arguments import ARGUMENTS
from sparring.attacks import Attack
from sparring.core.errors import Interrupted, NonFinite, UsageError
from sparring.core.pieces import Piece, members
from sparring.core.progress import Progress
from sparring.core.randomness import Streams
from sparring.data import Batch, Source
from sparring.feedback import Feedback, Perturbation
from sparring.gan.load import load_gan
from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.lipschitz import Lipschitz
from sparring.networks import Discriminator, Generator, MLPDiscriminator
from sparring.networks.mlp import MLPGenerator
from sparring.objectives import ClassLoss, Objective
from sparring.optimizers import Optimizer
from sparring.recipes import Recipe, load
from sparring.regimes import Regime
from sparring.runs.folder import RunFolder
from sparring.training import gan_task
from sparring.training.loop import resume, train
from torture.games import require_same

CPU = torch.device("cpu")
Short = Callable[..., Recipe]
CLASSES = ("data=digits", "generator.conditional=true", "discriminator.head=auxiliary")
LIE = "feedback={name: mixture, perturbations: [{perturbation: %s, probability: 0.3}]}"
PLACES: dict[type[Piece], tuple[str, ...]] = {
    Objective: ("objective=%s",),
    ClassLoss: ("class_loss=%s", *CLASSES),
    Perturbation: (LIE,),
    Feedback: ("feedback=%s",),
    Lipschitz: ("lipschitz=%s", "optimizers.discriminator.lr=0.1"),  # steep enough to pay
    Regime: ("regime=%s", "data=digits"),
    Attack: ("regime={name: replace, attacked: both, attack: %s}", "data=digits"),
    Optimizer: ("optimizers.generator=%s", "optimizers.discriminator=%s"),
}
"""Where a piece of a family stands in a recipe, and what else the recipe then says."""
FEW_STEPS = {("attack", name): {"steps": 2} for name in ("apgd", "bim", "pgd", "pgd_l2")}


def recipe_with(short: Short, family: type[Piece], name: str) -> Recipe:
    """A small game with a piece in its place."""
    given = ARGUMENTS | FEW_STEPS
    values = json.dumps({"name": name} | given.get((family.family, name), {}))
    return short(*(place % values if "%s" in place else place for place in PLACES[family]), "batch_size=16")


def placed() -> Iterator[tuple[type[Piece], str]]:
    """Every piece of the families that take part in a round."""
    return ((family, name) for family in PLACES for name in members(family))


@pytest.fixture
def wide() -> Iterator[None]:
    """Everything in fp64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def opened(recipe: Recipe) -> Source:
    """The data in the type that the test computes in, where a file holds them in another."""
    source = recipe.data.open(CPU)
    batch = source.batch

    def wide_batch(number: int, size: int, streams: Streams) -> Batch:
        drawn = batch(number, size, streams)
        return Batch(drawn.samples.to(torch.get_default_dtype()), drawn.labels)

    source.batch = wide_batch  # type: ignore[method-assign]
    return source


def play(recipe: Recipe, rounds: int = 3) -> GANState:
    game = GANState(recipe, opened(recipe), CPU)
    for step in range(rounds):
        play_round(game, step)
    return game


def require_equal(packed: GANState, logged: Mapping[str, Any], rounds: int = 3) -> None:
    """Every game is what it would have been by itself: all of its state, and all that was logged of it."""
    state = packed.networks.state_dict()
    for index in range(packed.recipe.replicas):
        single = play(packed.recipe.single(index), rounds)
        for name, expected in single.networks.state_dict().items():
            torch.testing.assert_close(state[name][index], expected, rtol=1e-9, atol=1e-9)
        alone = single.log.means()
        assert alone.keys() == logged.keys()
        for name, value in alone.items():
            assert logged[name][index] == pytest.approx(value, rel=1e-9, abs=1e-9), name


@pytest.mark.parametrize(
    ("family", "name"), [pytest.param(*pair, id=f"{pair[0].family}-{pair[1]}") for pair in placed()]
)
@pytest.mark.usefixtures("wide")
def test_packed_games_equal_single_games(family: type[Piece], name: str, short: Short) -> None:
    packed = play(recipe_with(short, family, name).model_copy(update={"seed": 4, "replicas": 3}))
    require_equal(packed, packed.log.means())


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd, momentum: 0.9"])
def test_they_stay_equal_with_averages_and_several_updates_of_d(optimizer: str, short: Short) -> None:
    chosen = f"optimizers.discriminator={{name: {optimizer}, lr: 1e-3, schedule: {{name: linear}}}}"
    packed = play(short("ema=0.9", "critic_steps=2", "replicas=3", chosen), 8)
    require_equal(packed, packed.log.means(), 8)


class _Stop(Progress):
    """Asks for the end after five rounds."""

    def advance(self, done: int, total: int) -> None:
        if done == 5:
            signal.raise_signal(signal.SIGTERM)


def test_a_stopped_run_of_packed_games_ends_bit_identical(short: Short, tmp_path: Path) -> None:
    recipe = short("ema=0.9", "replicas=3", "seed=5")
    with pytest.raises(Interrupted):
        train(recipe, tmp_path / "run", device="cpu", progress=_Stop())
    resume(tmp_path / "run", device="cpu")
    train(recipe, tmp_path / "whole", device="cpu")
    require_same(tmp_path / "whole", tmp_path / "run")
    loaded = load_gan(RunFolder.open(tmp_path / "run"), "cpu")
    one = loaded.game(2)
    assert (one.recipe, one.recipe.seed) == (recipe.single(2), 7)
    assert torch.allclose(loaded.draw(5, "latents", 1).samples[2], one.draw(5, "latents", 1).samples, atol=1e-5)


def test_the_game_that_breaks_is_named(short: Short, run_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoilt(game: GANState, step: int) -> None:
        play_round(game, step)
        with torch.no_grad():
            next(game.generator.parameters())[1].fill_(torch.nan)

    monkeypatch.setattr(gan_task, "play_round", spoilt)
    with pytest.raises(NonFinite, match=r"round \d+: not finite: .* \(seed 1\)$"):
        train(short("replicas=3"), run_path, device="cpu")


def test_a_network_that_does_not_pack_names_those_that_do() -> None:
    digits = ("data=digits", "generator.width=4", "generator.latent=4", "discriminator.width=4")
    recipe = load("dishonest/mnist", [*digits, "replicas=2"])
    with pytest.raises(UsageError, match=r"mnist.* does not support packed games") as refused:
        GANState(recipe, recipe.data.open(CPU), CPU)
    assert refused.value.remedy == "set replicas=1, or a network that supports them: mlp"
    packing = [cls for family in (Generator, Discriminator) for cls in members(family).values() if cls.packs]  # type: ignore[type-abstract]
    assert packing == [MLPGenerator, MLPDiscriminator]

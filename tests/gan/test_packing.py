"""Packed games whose numbers differ are the single games with those numbers: for every number that may differ."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from test_families import ARGUMENTS

from sparring.attacks import Attack
from sparring.core.errors import Interrupted, NonFinite, UsageError
from sparring.core.pieces import FAMILIES, Piece, members
from sparring.core.progress import Nobody
from sparring.core.randomness import Streams
from sparring.core.records import MAY_DIFFER, InvalidRecord
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
from sparring.recipes import Recipe, load, to_yaml
from sparring.recipes.variation import packable, value_at
from sparring.regimes import Regime
from sparring.report.format import game as game_in_words
from sparring.runs.folder import RunFolder
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
KEYS = {
    Objective: "objective.",
    ClassLoss: "class_loss.",
    Perturbation: "feedback.perturbations.0.perturbation.",
    Feedback: "feedback.",
    Lipschitz: "lipschitz.",
    Regime: "regime.",
    Attack: "regime.attack.",
    Optimizer: "optimizers.",
}
SHARES = (0.5, 1.0, 1.5)
"""The values of three games, as multiples of the recipe's own."""
UNTOLD = 0.002
"""What they are multiples of where the recipe gives none, or zero."""
FEW_STEPS = {("attack", name): {"steps": 2} for name in ("apgd", "bim", "pgd", "pgd_l2")}
OWN = {"objective.knee": 0.004}
"""And where its own would not show in three rounds."""


def recipe_with(short: Short, family: type[Piece], name: str) -> Recipe:
    """A small game with a piece in its place."""
    given = ARGUMENTS | FEW_STEPS
    values = json.dumps({"name": name} | given.get((family.family, name), {}))
    return short(*(place % values if "%s" in place else place for place in PLACES[family]), "batch_size=16")


def marked() -> Iterator[tuple[type[Piece], str]]:
    """Every piece with a number of its own, or within it, that may differ."""
    for family in PLACES:
        for name in members(family):
            values = {"name": name} | ARGUMENTS.get((family.family, name), {})
            if any(packable(family.model_validate(values))):
                yield family, name


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
        assert game.log.first_bad() is None
    return game


def varied(recipe: Recipe, vary: dict[str, Any]) -> Recipe:
    """The recipe, packed."""
    values = recipe.model_dump(mode="json") | {"replicas": len(next(iter(vary.values()))), "vary": vary}
    return Recipe.model_validate(values)


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
    ("family", "name"), [pytest.param(*pair, id=f"{pair[0].family}-{pair[1]}") for pair in marked()]
)
@pytest.mark.usefixtures("wide")
def test_games_whose_numbers_differ_equal_single_games(family: type[Piece], name: str, short: Short) -> None:
    recipe = recipe_with(short, family, name)
    alike = play(recipe.model_copy(update={"seed": 4}))
    means = alike.log.means()
    for key in packable(recipe):
        if key.startswith(KEYS[family]):
            own = OWN.get(key) or value_at(recipe, key) or UNTOLD
            packed = play(varied(recipe, {"seed": [4, 4, 4], key: [share * own for share in SHARES]}))
            logged = packed.log.means()
            require_equal(packed, logged)
            shows = [abs(logged[each][0] - means[each]) > 1e-9 for each in means]  # type: ignore[index, operator]
            assert any(shows), f"{key} makes no difference"


def test_every_number_that_may_differ_has_a_place() -> None:
    for family in FAMILIES.values():
        for cls in members(family).values():
            fields = [key for key, field in cls.model_fields.items() if MAY_DIFFER in field.metadata]
            assert not fields or any(issubclass(cls, placed) for placed in PLACES), f"{cls.__name__}: {fields}"


TOGETHER = {
    "seed": [7, 3, 3, 9],
    "feedback.probability": [0.0, 0.2, 0.4, 0.4],
    "lipschitz.bound": [0.1, 0.1, 0.05, 0.2],
    "optimizers.discriminator.lr": [1e-3, 1e-3, 2e-3, 1e-3],
}


@pytest.mark.usefixtures("wide")
def test_many_numbers_differ_at_once(short: Short) -> None:
    for optimizer in ("adam", "rmsprop", "{name: sgd, momentum: 0.9}"):
        chosen = f"optimizers.discriminator={{name: {optimizer.strip('{}').removeprefix('name: ')}, lr: 1e-3}}"
        packed = varied(short("ema=0.9", "critic_steps=2", chosen), TOGETHER)
        played = play(packed, 8)
        require_equal(played, played.log.means(), 8)


def test_neighbours_of_equal_rate_step_together(short: Short) -> None:
    recipe = varied(short(), TOGETHER)
    game = GANState(recipe, recipe.data.open(CPU), CPU)
    apart, together = game.optimizers["discriminator"], game.optimizers["generator"]
    assert [group["params"][0].shape[0] for group in apart.param_groups] == [2, 1, 1]
    assert [group["lr"] for group in apart.param_groups] == [1e-3, 2e-3, 1e-3]
    assert len(together.param_groups) == 1
    assert together.param_groups[0]["params"] == list(game.generator.parameters())
    stacked = next(game.discriminator.parameters())
    assert apart.param_groups[1]["params"][0].data_ptr() == stacked[2].data_ptr()


def test_the_schedule_holds_for_every_rate(short: Short) -> None:
    schedule = "optimizers.discriminator.schedule={name: linear, start: 0.0, end: 0.0}"
    recipe = varied(short(schedule, "steps=10"), TOGETHER)
    game = GANState(recipe, recipe.data.open(CPU), CPU)
    for step in (5, 5, 0):  # a rate is a function of the round, not of the rate before
        game.set_rates(step)
        rates = [group["lr"] for group in game.optimizers["discriminator"].param_groups]
        assert rates == pytest.approx([rate * (1 - step / 10) for rate in (1e-3, 2e-3, 1e-3)])


class _Stop(Nobody):
    """Asks for the end after five rounds."""

    def played(self, done: int, total: int) -> None:
        if done == 5:
            signal.raise_signal(signal.SIGTERM)


def test_a_stopped_run_of_unlike_games_ends_bit_identical(short: Short, tmp_path: Path) -> None:
    recipe = varied(short("ema=0.9"), TOGETHER)
    with pytest.raises(Interrupted):
        train(recipe, tmp_path / "run", device="cpu", spectator=_Stop())
    resume(tmp_path / "run", device="cpu")
    train(recipe, tmp_path / "whole", device="cpu")
    require_same(tmp_path / "whole", tmp_path / "run")
    run = RunFolder.open(tmp_path / "run")
    assert run.recipe() == recipe
    loaded = load_gan(run, "cpu")
    one = loaded.game(2)
    assert one.recipe == recipe.single(2)
    assert (one.recipe.seed, one.recipe.feedback.honest_probability, one.recipe.vary) == (3, 0.6, {})
    assert torch.allclose(loaded.draw(5, "latents", 1).samples[2], one.draw(5, "latents", 1).samples, atol=1e-5)


def test_the_game_that_breaks_is_named(short: Short, run_path: Path) -> None:
    recipe = varied(short("lipschitz=none"), {"optimizers.discriminator.lr": [1e-3, 1e38, 1e-3]})
    with pytest.raises(NonFinite, match=r"round \d+: not finite: .* \(seed 1, optimizers\.discriminator\.lr 1e\+38\)$"):
        train(recipe, run_path, device="cpu")


def test_streams_of_any_seeds_are_those_of_single_games() -> None:
    packed = Streams.packed((9, 2, 9)).rng("data", 4).normal((3, 5))
    for row, seed in enumerate((9, 2, 9)):
        assert torch.equal(packed[row], Streams(seed).rng("data", 4).normal((5,)))


def test_as_many_games_as_values(short: Short) -> None:
    values = short().model_dump(mode="json")
    del values["replicas"]
    recipe = Recipe.model_validate(values | {"vary": {"feedback.probability": [0.1, 0.2]}})
    assert (recipe.replicas, recipe.seeds, recipe.lead) == (2, (0, 1), (2,))
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe
    assert "feedback.probability:\n  - 0.1\n" in to_yaml(recipe)
    assert recipe.title(1) == "seed 1, feedback.probability 0.2"
    assert short("replicas=3", "seed=5").seeds == (5, 6, 7)


@pytest.mark.parametrize(
    ("vary", "said"),
    {
        "{feedback.probabilty: [0, 0.1]}": r"vary\.feedback\.probabilty.*unknown key; did you mean feedback",
        "{batch_size: [16, 32]}": r"batch_size.*cannot differ between packed games; allowed: seed, .*lipschitz\.bound",
        "{feedback: [flip, honest]}": r"feedback = .*cannot differ",
        "{seed: [1, 2, 3]}": r"vary\.seed = 3 values: should be a value for each of several games, and replicas = 2",
        "{feedback.probability: [0.1, 1.5]}": r"feedback\.probability = 1\.5: .*less than or equal to 1 \(game 1,",
        "{feedback.probability: [0.1, .nan]}": r"finite number \(game 1,",
        "{seed: [1, true]}": r"vary\.seed = True: should be a valid integer \(game 1,",
        "{seed: 3}": r"vary\.seed = 3: should be a list",
    }.items(),
)
def test_a_value_that_cannot_be_is_refused(vary: str, said: str, short: Short) -> None:
    with pytest.raises(InvalidRecord, match=said):
        short("replicas=2", f"vary={vary}")


def test_one_game_differs_from_none(short: Short) -> None:
    with pytest.raises(InvalidRecord, match="there is one game"):
        short("vary={seed: [1]}")


def test_rules_between_numbers_hold_for_every_game(short: Short) -> None:
    with pytest.raises(InvalidRecord, match=r"inner_slope should be less.*\(game 1"):
        short(
            "replicas=2",
            "objective=piecewise_linear",
            "vary={objective.knee: [0.1, 0.4], objective.inner_slope: [1, 1.5]}",
        )


def test_warnings_name_the_games_that_they_are_of(short: Short) -> None:
    recipe = short("replicas=3", "vary={feedback.probability: [0.1, 0.6, 0.6]}")
    (warning,) = recipe.warnings()
    assert warning.endswith("(seed 1, feedback.probability 0.6; seed 2, feedback.probability 0.6)")
    assert "seed" not in short("replicas=3", "feedback.probability=0.6").warnings()[0]


def test_the_words_of_a_report_tell_how_games_differ(short: Short) -> None:
    told = game_in_words(short("replicas=2", "vary={seed: [4, 9], feedback.probability: [0.1, 0.25]}"))
    assert "flip with 0.1" in told
    assert "2 games, seeds 4, 9" in told
    assert told.endswith("in their order they have feedback.probability 0.1, 0.25.")
    assert "seeds 0 to 2" in game_in_words(short("replicas=3"))


def test_a_network_that_does_not_pack_names_those_that_do() -> None:
    digits = ("data=digits", "generator.width=4", "generator.latent=4", "discriminator.width=4")
    recipe = load("dishonest/mnist", [*digits, "replicas=2"])
    with pytest.raises(UsageError, match=r"mnist.* has no packed form") as refused:
        GANState(recipe, recipe.data.open(CPU), CPU)
    assert refused.value.remedy == "set replicas=1, or use a network that packs: mlp"
    packing = [cls for family in (Generator, Discriminator) for cls in members(family).values() if cls.packs]  # type: ignore[type-abstract]
    assert packing == [MLPGenerator, MLPDiscriminator]

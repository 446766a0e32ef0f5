"""Packed games equal the single games with their seeds, for every member of every family."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from piece_arguments import ARGUMENTS
from sparring.attacks import Attack
from sparring.core.descent import require_finite
from sparring.core.errors import UsageError
from sparring.core.pieces import Piece, members
from sparring.core.process import Progress
from sparring.core.randomness import Rng, Streams
from sparring.data import Batch, Source
from sparring.evaluation.evaluate import evaluate
from sparring.evaluation.samples import write_samples
from sparring.feedback import Feedback, Perturbation
from sparring.gan.load import load_gan
from sparring.gan.sampling import draw
from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.lipschitz import Lipschitz
from sparring.metrics.mode_coverage import Modes
from sparring.monitoring.classifier_metrics import ClassHeadMetrics
from sparring.monitoring.collapse_metrics import GANCollapseMetrics
from sparring.monitoring.endurance_study import EnduranceStudy
from sparring.networks import Discriminator, Generator, MLPDiscriminator, Verdict
from sparring.networks.mlp import MLPGenerator
from sparring.objectives import ClassLoss, Objective
from sparring.optimizers import Optimizer
from sparring.recipes import Recipe, load
from sparring.regimes import Regime
from sparring.report import report_run
from sparring.runs.folder import RunFolder
from sparring.training import task
from sparring.training.load import load_training
from sparring.training.loop import resume, train
from untimed import untimed_rows

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
"""The override that puts a piece of a family into a recipe, and further overrides."""
FEW_STEPS = {("attack", name): {"steps": 2} for name in ("apgd", "bim", "pgd", "pgd_l2")}
FEW_STEPS |= {("attack", name): {"queries": 8} for name in ("random_search", "square", "square_l2")}


def recipe_with(short: Short, family: type[Piece], name: str) -> Recipe:
    """A small game with a piece in its place."""
    arguments = ARGUMENTS | FEW_STEPS
    values = json.dumps({"name": name} | arguments.get((family.family, name), {}))
    return short(*(place % values if "%s" in place else place for place in PLACES[family]), "batch_size=16")


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
    """Every packed game equals the single game with its seed: its state and its logged means."""
    state = packed.networks.state_dict()
    for index in range(packed.recipe.replicas):
        single = play(packed.recipe.single(index), rounds)
        for name, expected in single.networks.state_dict().items():
            torch.testing.assert_close(state[name][index], expected, rtol=1e-9, atol=1e-9)
        means = single.log.means()
        assert means.keys() == logged.keys()
        for name, value in means.items():
            assert logged[name][index] == pytest.approx(value, rel=1e-9, abs=1e-9), name


@pytest.mark.parametrize(
    ("family", "name"),
    [
        pytest.param(family, name, id=f"{family.family}-{name}")
        for family in PLACES
        for name, member in members(family).items()
        if not getattr(member, "seeks_boundary", False)  # no attack of a training
    ],
)
@pytest.mark.usefixtures("wide")
def test_packed_games_equal_single_games(family: type[Piece], name: str, short: Short) -> None:
    packed = play(recipe_with(short, family, name).model_copy(update={"seed": 4, "replicas": 2}))
    require_equal(packed, packed.log.means())


COMBINED: dict[str, tuple[str, ...]] = {
    "averages, critic steps": ("ema=0.9", "critic_steps=2", "optimizers.discriminator.schedule={name: linear}"),
    "momentum": ("optimizers.discriminator={name: sgd, momentum: 0.9, lr: 1e-3}",),
    "projection": (*CLASSES, "discriminator.head=projection", "objective=hinge", "lipschitz=spectral_norm"),
    "penalty with classes": (*CLASSES, "class_loss=split", "lipschitz=gradient_penalty", "objective=wasserstein"),
    "attack on classes": (*CLASSES, "class_loss=split", "regime={name: replace, attack: {name: pgd, steps: 2}}"),
    "unused classes": ("data=digits", "generator.conditional=true"),
}


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("name", COMBINED)
def test_packed_games_equal_single_games_in_combinations(name: str, short: Short) -> None:
    packed = play(short(*COMBINED[name], "replicas=2"), 6)
    require_equal(packed, packed.log.means(), 6)


def test_one_game_of_a_packed_run_is_loaded(short: Short, run_path: Path) -> None:
    recipe = short("ema=0.9", "replicas=3", "seed=5")
    train(recipe, run_path, device="cpu")
    loaded = load_gan(RunFolder.open(run_path), "cpu")
    one = loaded.game(2)
    assert (one.recipe, one.recipe.seed) == (recipe.single(2), 7)
    assert torch.allclose(draw(loaded, 5, "latents", 1).samples[2], draw(one, 5, "latents", 1).samples, atol=1e-5)


class Overflow:
    """A game of a pack whose score overflows in one round, and in that round only.

    Args:
        game: which.
        step: the round, from 0.
        score: NaN, or infinity, at which a bounded payoff is still finite.
    """

    def __init__(self, game: int, step: int, score: float = torch.nan) -> None:
        self.game, self.step, self.score = game, step, score

    def __call__(self, state: GANState, step: int) -> None:
        hook = state.discriminator.register_forward_hook(self._overflow) if step == self.step else None
        play_round(state, step)
        if hook:
            hook.remove()

    def _overflow(self, _module: nn.Module, _inputs: Any, verdict: Verdict) -> Verdict:
        return verdict._replace(score=verdict.score.index_fill(0, torch.tensor(self.game), self.score))


PACK = ("replicas=3", "seed=2", "ema=0.9", "evaluate_every=10", "steps=30", "checkpoint_every=10", "log_every=5")


def test_a_diverged_game_stands_still_and_the_others_go_on(short: Short) -> None:
    recipe = short(*PACK)
    diverging, undisturbed = GANState(recipe, opened(recipe), CPU), play(recipe, 12)
    overflow = Overflow(1, 7)
    for step in range(12):
        overflow(diverging, step)
        if step == 6:
            before = {name: value[1].clone() for name, value in diverging.networks.named_parameters()}
    assert diverging.diverged.since == {1: 8}
    for name, value in diverging.networks.named_parameters():
        if not name.startswith("average"):
            assert torch.equal(value[1], before[name])
        assert torch.equal(value[0], undisturbed.networks.get_parameter(name)[0])
        assert torch.equal(value[2], undisturbed.networks.get_parameter(name)[2])


def test_a_diverged_game_counts_as_failed(short: Short, run_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Modes, "measure", lambda *_: dict.fromkeys(Modes.names, 1.0))  # as if all games succeeded
    monkeypatch.setattr(task, "play_round", Overflow(1, 7, torch.inf))
    summary = train(short(*PACK), run_path, device="cpu")
    assert summary.status == "complete"
    assert summary.metrics["diverged"].value == (None, 8, None)
    assert summary.metrics["success"].value == (1.0, 0.0, 1.0)
    assert summary.metrics["modes"].value == (1.0, None, 1.0)
    assert summary.metrics["success_rate"].value == pytest.approx(2 / 3)
    rows = RunFolder.open(run_path).rows()
    lost = [row["payoff_d"][1] is None for row in rows if "payoff_d" in row]
    assert lost == [row["step"] > 7 for row in rows if "payoff_d" in row] and any(lost)
    assert all(value is not None for row in rows if "payoff_d" in row for value in row["payoff_d"][::2])
    assert "diverged" in report_run(RunFolder.open(run_path)).read_text()


def test_a_game_that_overflows_in_a_measurement_has_diverged(
    short: Short, run_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the samples of G or in a collapse metric: the pack goes on, and an evaluation knows it."""

    def overflowing(gan: Any, count: int, stream: str, number: int, **options: Any) -> Batch:
        drawn = draw(gan, count, stream, number, **options)
        if stream == "measure" and number == 20:
            drawn.samples[2] = torch.inf
            require_finite("sampling", {"samples": drawn.samples}, gan.diverged)
        return drawn

    def far(self: GANCollapseMetrics, step: int) -> dict[str, Any]:
        return {"collapse_spread": [1.0, torch.inf if step >= 12 else 1.0, 1.0]}

    monkeypatch.setattr(task, "draw", overflowing)
    monkeypatch.setattr(GANCollapseMetrics, "measure", far)
    summary = train(short(*PACK), run_path, device="cpu")
    assert summary.metrics["diverged"].value == (None, 12, 20)
    evaluation = evaluate(run_path, samples=64, device="cpu")
    measured = evaluation.metrics
    assert measured["success"].value[1:] == (0.0, 0.0)  # type: ignore[index]
    assert measured["modes"].value[1:] == (None, None)  # type: ignore[index]
    assert {"seed 3 diverged at round 12", "seed 4 diverged at round 20"} <= set(evaluation.problems)


def test_a_game_whose_generator_overflows_is_left_out_of_every_measurement(
    short: Short, run_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overflowing(state: GANState, step: int) -> None:
        play_round(state, step)
        if step == 7:
            with torch.no_grad():
                for parameter in state.networks.generator.parameters():
                    parameter[1].fill_(3e38)

    monkeypatch.setattr(task, "play_round", overflowing)
    summary = train(short(*PACK, "sample_every=10"), run_path, device="cpu")
    assert summary.metrics["diverged"].value == (None, 8, None)
    assert [value is None for value in summary.metrics["wasserstein1"].value] == [False, True, False]  # type: ignore[union-attr]
    measured = evaluate(run_path, samples=64, device="cpu").metrics
    for name in ("gradient_norm_fake", "lipschitz_bound", "steepest_pair"):
        assert [value is None for value in measured[name].value] == [False, True, False], name  # type: ignore[union-attr]
    write_samples(run_path, tmp_path / "points.png", count=8, seed=0, device="cpu")
    quiet = train(short(*PACK, "evaluate_every=0"), tmp_path / "quiet", device="cpu")
    assert quiet.metrics["diverged"].value == (None, 8, None)


def test_what_is_measured_of_d_leaves_out_a_game_that_is_not_finite(short: Short) -> None:
    recipe = short(*CLASSES, "class_loss=split", "replicas=2")
    game = GANState(recipe, recipe.data.open(CPU), CPU)
    with torch.no_grad():
        for parameter in game.networks.discriminator.parameters():
            parameter[1].fill_(torch.nan)
    head = ClassHeadMetrics(game).measure(1)
    assert head and all(math.isfinite(first) and math.isnan(second) for first, second in head.values())
    real = game.source.held_out(8, rng=Rng.of(0)).samples
    for metric in EnduranceStudy(cap=2, samples=4).run(game, real).values():
        assert [value is None for value in metric.value] == [False, True]  # type: ignore[union-attr]


def test_a_diverged_game_is_known_after_a_resume(
    short: Short, run_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = short(*PACK)
    monkeypatch.setattr(task, "play_round", Overflow(1, 7))
    whole = train(recipe, run_path, device="cpu")

    class Stop(Progress):
        def advance(self, done: int, total: int) -> None:
            if done == 14:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "stopped", device="cpu", progress=Stop())
    resumed = resume(tmp_path / "stopped", device="cpu")
    assert resumed.metrics == whole.metrics
    assert untimed_rows(tmp_path / "stopped") == untimed_rows(run_path)
    assert load_training(RunFolder.open(run_path), "cpu").state.diverged.round == recipe.steps


def test_a_network_that_does_not_pack_names_those_that_do() -> None:
    digits = ("data=digits", "generator.width=4", "generator.latent=4", "discriminator.width=4")
    recipe = load("dishonest/mnist", [*digits, "replicas=2"])
    with pytest.raises(UsageError, match=r"mnist.* does not support packed games") as refused:
        GANState(recipe, recipe.data.open(CPU), CPU)
    assert refused.value.remedy == "set replicas=1, or a network that supports them: mlp"
    packing = [cls for family in (Generator, Discriminator) for cls in members(family).values() if cls.packs]  # type: ignore[type-abstract]
    assert packing == [MLPGenerator, MLPDiscriminator]

"""Rounds that are recorded once and played again are the rounds that are played one operation after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from cpu_tape import CpuTape
from sparring.core.distributed import Together
from sparring.core.randomness import Part
from sparring.gan import rounds as engine_rounds
from sparring.gan.rounds import WARM_UP, Plain, Recorded, Rounds, Tape, chosen_rounds
from sparring.gan.state import Game
from sparring.recipes import Recipe, load, require_game

CPU = torch.device("cpu")
ROUNDS = 12
ADAM = "{name: adam, lr: 0.002, schedule: {name: linear}}"
GAMES = {
    "plain": ("regime=plain",),
    "symmetric": ("regime={name: symmetric, attack: {name: fgsm, epsilon: 0.1}}",),
    "mixed": ("regime={name: mixed, attack: {name: fgsm, epsilon: 0.1}, aim: payoff}",),
    "DAT": ("regime=mixed",),
    "PGD": ("regime={name: replace, attack: {name: pgd, epsilon: 0.1, steps: 2}}",),
    "a warm-up": ("regime={name: replace, attack: {name: fgsm, epsilon: 0.1}, warmup: {start: 1, end: 5}}",),
    "GP": ("lipschitz=gradient_penalty", "critic_steps=3"),
    "ALP": ("lipschitz=adversarial_lipschitz_penalty",),
    "spectral norm": ("lipschitz=spectral_norm",),
    "noise that ends": ("lipschitz={name: instance_noise, until: 0.2}",),
    "a running mean": ("ema=0.9",),
    "lies": ("feedback={name: flip, probability: 0.3}", "objective=nonsaturating"),
    "bf16": ("precision=bf16",),
    "packed": ("replicas=3", "feedback={name: flip, probability: 0.3}"),
    "packed, unlike": ("replicas=3", "vary={optimizers.generator.lr: [0.001, 0.002, 0.004], seed: [4, 9, 4]}"),
    "clipped, packed": ("replicas=2", "lipschitz=clip", "vary={lipschitz.bound: [0.05, 0.1]}"),
    "classes": ("generator.conditional=true", "discriminator.head=auxiliary", "class_loss=ac"),
}


@pytest.fixture
def recipe(short: Callable[..., Recipe]) -> Callable[..., Recipe]:
    def build(*overrides: str) -> Recipe:
        optimizers = [f"optimizers.{player}={ADAM}" for player in ("generator", "discriminator")]
        return short("feedback=honest", "lipschitz=none", *optimizers, *overrides)

    return build


def as_on_a_gpu(recipe: Recipe, *, rates: bool = True) -> Game:
    """A game on the CPU whose draws are counted, and whose rates stand in memory."""
    game = Game(recipe, recipe.data.open(CPU), CPU)
    game.streams, game.own_streams = game.streams.counted(), game.own_streams.counted()
    for optimizer in game.optimizers.values():
        for group in optimizer.param_groups:
            if rates:
                group["lr"] = torch.tensor(group["lr"], dtype=torch.float64)
    return game


def played(rounds: Rounds, first: int = 0, end: int = ROUNDS) -> dict[str, Tensor]:
    for step in range(first, end):
        rounds.play(step)
        assert rounds.game.watch.first_bad() is None
    return rounds.game.state()


def silent(reason: str) -> None:
    raise AssertionError(reason)


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert [name for name in found if not torch.equal(found[name], expected[name])] == []


@pytest.mark.parametrize("name", GAMES)
def test_a_recording_plays_the_very_rounds(recipe: Callable[..., Recipe], name: str) -> None:
    tape, plain = CpuTape(), as_on_a_gpu(recipe(*GAMES[name]), rates=False)
    game = as_on_a_gpu(plain.recipe)
    rounds, expected = Recorded(game, tape, silent), Plain(plain)
    assert_same(played(rounds, end=ROUNDS - 2), played(expected, end=ROUNDS - 2))
    assert game.watch.means() == plain.watch.means()  # a row of the log, after which sums begin anew
    assert_same(played(rounds, ROUNDS - 2), played(expected, ROUNDS - 2))
    assert (tape.captures, tape.replays) == (1, ROUNDS - WARM_UP - game.steady_from)
    assert game.watch.means() == plain.watch.means()


def test_a_recording_of_images(short: Callable[..., Recipe]) -> None:
    """Batch normalisation, memory formats and a regime that takes passes of its own."""
    overrides = [
        *(f"{player}={{name: dcgan, width: 8}}" for player in ("generator", "discriminator")),
        "regime=mixed",
        "memory_format=channels_last",
        "batch_size=8",
        "data=digits",
        "evaluate_every=0",
    ]
    recipe = require_game(load("asgan/cifar10-dcgan", overrides), "images")
    expected = played(Plain(as_on_a_gpu(recipe, rates=False)), end=6)
    assert_same(played(Recorded(as_on_a_gpu(recipe), CpuTape(), silent), end=6), expected)


def test_a_recording_is_made_anew_after_a_resume(recipe: Callable[..., Recipe]) -> None:
    told = recipe("regime=symmetric", "ema=0.9")
    expected = played(Plain(as_on_a_gpu(told, rates=False)))
    before, after, tape = as_on_a_gpu(told), as_on_a_gpu(told), CpuTape()
    after.load_state(played(Recorded(before, CpuTape(), silent), end=6))
    assert_same(played(Recorded(after, tape, silent), 6), expected)
    assert tape.replays == ROUNDS - 6 - WARM_UP


def test_numbers_that_turn_non_finite_in_a_replay_are_named(recipe: Callable[..., Recipe]) -> None:
    game, tape = as_on_a_gpu(recipe()), CpuTape()
    rounds = Recorded(game, tape, silent)
    played(rounds, end=6)
    assert tape.replays
    with torch.no_grad():
        next(game.generator.parameters()).fill_(torch.inf)
    rounds.play(6)
    assert game.watch.first_bad() == "generated samples"


def test_what_a_round_reads_of_memory_is_all_that_changes(recipe: Callable[..., Recipe]) -> None:
    """Rates that Python holds would be those of the recording: the test's own tape shows it."""
    told = recipe()
    expected = played(Plain(as_on_a_gpu(told, rates=False)))
    frozen = played(Recorded(as_on_a_gpu(told, rates=False), CpuTape(), silent))
    assert any(not torch.equal(frozen[name], expected[name]) for name in expected)


class Peeking(nn.Module):
    """A layer that looks at numbers."""

    def forward(self, x: Tensor) -> Tensor:
        return x if float(x.detach().sum()) > 0 else 1 * x


@pytest.mark.parametrize(("layer", "reason"), [(Peeking(), "not permitted while capturing"), (nn.Dropout(), "random")])
def test_what_cannot_be_recorded_is_played_plainly(
    recipe: Callable[..., Recipe], layer: nn.Module, reason: str
) -> None:
    told: list[str] = []
    plain, game = (as_on_a_gpu(recipe("critic_steps=2"), rates=rates) for rates in (False, True))
    for each in (plain, game):
        each.generator.output = layer
    state = torch.get_rng_state()
    expected = played(Plain(plain))
    torch.set_rng_state(state)
    assert_same(played(Recorded(game, CpuTape(), told.append)), expected)
    assert len(told) == 1 and "without a CUDA graph" in told[0] and reason in told[0]


class Late(nn.Module):
    """A layer of D that looks at numbers once an attack has had its gradients."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.requires_grad or float(x.sum()) > -1e9 else 1 * x


def test_a_capture_that_fails_late_leaves_nothing_behind(recipe: Callable[..., Recipe]) -> None:
    told: list[str] = []
    plain, game = (as_on_a_gpu(recipe(*GAMES["mixed"]), rates=rates) for rates in (False, True))
    for each in (plain, game):
        each.discriminator.trunk = nn.Sequential(Late(), each.discriminator.trunk)
    expected = played(Plain(plain))
    assert_same(played(Recorded(game, CpuTape(), told.append)), expected)
    assert game.watch.means() == plain.watch.means()
    assert len(told) == 1 and "not permitted while capturing" in told[0]


class EndsBadly(CpuTape):
    """Whose captures that fail end with an error of their own, as torch's do."""

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        try:
            return super().capture(work)
        finally:
            if not self.replays:
                raise RuntimeError("operation failed due to a previous error during capture")


def test_the_first_error_of_a_capture_is_told(recipe: Callable[..., Recipe]) -> None:
    told: list[str] = []
    game = as_on_a_gpu(recipe())
    game.generator.output = Peeking()
    played(Recorded(game, EndsBadly(), told.append), end=6)
    assert len(told) == 1 and "not permitted while capturing" in told[0]


def test_rounds_are_chosen_by_the_device(recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    game = as_on_a_gpu(recipe())
    assert isinstance(chosen_rounds(game, silent), Plain)
    game.device = torch.device("cuda")
    with monkeypatch.context() as patched:
        patched.setattr(engine_rounds, "CudaTape", lambda device: CpuTape())
        patched.setattr(engine_rounds.torch, "zeros", lambda *_shape, **_where: Tensor())
        assert isinstance(chosen_rounds(game, silent), Recorded)
    game.party = Together(Part(0, 2), CPU)
    assert isinstance(chosen_rounds(game, told.append), Plain)
    assert len(told) == 1 and "several processes" in told[0]


def test_the_tape_is_one() -> None:
    assert isinstance(CpuTape(), Tape)


@contextmanager
def no_synchronisation() -> Iterator[None]:
    """A block in which waiting for the GPU is an error."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


ON_A_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="wants a GPU: CUDA graphs and its debug mode")


def on_the_gpu(recipe: Recipe) -> Game:
    device = torch.device("cuda")
    return Game(recipe, recipe.data.open(device), device)


@ON_A_GPU
@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("optimizer", [ADAM, "{name: rmsprop, lr: 0.001}", "{name: sgd, lr: 0.01, momentum: 0.5}"])
def test_a_graph_plays_the_very_rounds(recipe: Callable[..., Recipe], name: str, optimizer: str) -> None:
    told = recipe(*GAMES[name], *(f"optimizers.{player}={optimizer}" for player in ("generator", "discriminator")))
    expected = played(Plain(on_the_gpu(told)))
    found = played(chosen_rounds(on_the_gpu(told), silent))
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-3, atol=1e-4, msg=lambda text, key=key: f"{key}: {text}")


@ON_A_GPU
@pytest.mark.parametrize("way", [Plain, lambda game: chosen_rounds(game, silent)])
@pytest.mark.parametrize("name", GAMES)
def test_no_round_waits_for_the_gpu(recipe: Callable[..., Recipe], name: str, way: Callable[[Game], Rounds]) -> None:
    game = on_the_gpu(recipe(*GAMES[name]))
    rounds = way(game)
    played(rounds, end=1)  # bases of streams, and what is asked of the networks once
    for step in range(1, ROUNDS):
        with no_synchronisation():
            rounds.play(step)
        assert game.watch.first_bad() is None

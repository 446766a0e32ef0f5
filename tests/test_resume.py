"""A run that is stopped at any moment ends as if it had not been; and the test of that can fail."""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import random
import re
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sparring.engine import RunFolder, load_game, resume, train, trainer
from sparring.engine.checkpoint import read_checkpoint
from sparring.engine.game import Game
from sparring.engine.round import play_round
from sparring.engine.trainer import Nobody
from sparring.errors import CorruptInput, FolderBusy, Interrupted
from sparring.evaluation import verify
from sparring.recipes import Recipe

WHOLE = (
    "ema=0.9",
    "critic_steps=2",
    "feedback.probability=0.3",
    "optimizers.generator.schedule=linear",
    "sample_every=9",
    "evaluate_every=8",
)
"""Keys that bring every item of state into a game."""


def fingerprint(run: Path) -> dict[str, str]:
    """The final state, the rows and the pictures of a run, hashed."""
    folder = RunFolder.open(run).saved()[-1]
    parts = {"weights": folder / "tensors.safetensors", "rows": run / "metrics.jsonl"}
    pictures = [*(run / "samples").iterdir(), *(run / "probes").glob("*")]
    parts |= {f"{picture.parent.name}/{picture.name}": picture for picture in pictures}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in parts.items()}


class _Stop(Nobody):
    """Sends this process a signal after some rounds."""

    def __init__(self, after: int, number: signal.Signals) -> None:
        self.after, self.number = after, number

    def played(self, done: int, total: int) -> None:
        if done == self.after:
            os.kill(os.getpid(), self.number)


class _Crash(Nobody):
    """Dies after some rounds, as a killed process would: nothing is saved on the way out."""

    def __init__(self, after: int) -> None:
        self.after = after

    def played(self, done: int, total: int) -> None:
        if done == self.after:
            raise RuntimeError("killed")


def play(recipe: Recipe, run: Path) -> None:
    """Start or continue a run, as a user would."""
    if (run / "recipe.yaml").is_file():
        resume(run, device="cpu")
    else:
        train(recipe, run, device="cpu")


def test_killed_at_random_moments_a_run_ends_bit_identical(short: Callable[..., Recipe], tmp_path: Path) -> None:
    recipe = short(*WHOLE, "steps=300", "checkpoint_every=17", "replicas=2", "evaluate_every=100", "sample_every=90")
    began = time.monotonic()
    play(recipe, tmp_path / "whole")
    length = time.monotonic() - began
    expected, draw, kills, run = fingerprint(tmp_path / "whole"), random.Random(1), 0, tmp_path / "0"
    while kills < 20:
        child = multiprocessing.get_context("fork").Process(target=play, args=(recipe, run))
        child.start()
        child.join(draw.uniform(0, length / 2))
        if child.is_alive():
            child.kill()
            child.join()
            kills += 1
        else:
            assert child.exitcode == 0
            assert fingerprint(run) == expected
            run = tmp_path / str(kills)
    play(recipe, run)
    assert fingerprint(run) == expected
    assert not list(tmp_path.rglob(".partial-*"))


def test_what_a_kill_left_of_a_folder_is_removed_by_the_next_start(
    short: Callable[..., Recipe], tmp_path: Path
) -> None:
    dead = multiprocessing.get_context("fork").Process(target=int)
    dead.start()
    dead.join()
    left, alive = tmp_path / f".partial-run-{dead.pid}-00c0ffee", tmp_path / f".partial-run-{os.getpid()}-00c0ffee"
    for folder in (left, alive):
        folder.mkdir()
    train(short(), tmp_path / "run", device="cpu")
    assert not left.exists()
    assert alive.exists()


def interrupted(recipe: Recipe, run: Path, after: int) -> None:
    """A run that was stopped by SIGTERM after some rounds."""
    with pytest.raises(Interrupted):
        train(recipe, run, device="cpu", spectator=_Stop(after, signal.SIGTERM))


def whole_and_resumed(recipe: Recipe, tmp_path: Path, after: int) -> tuple[dict[str, str], dict[str, str]]:
    """Fingerprints of an undisturbed run, and of one stopped after some rounds and resumed."""
    train(recipe, tmp_path / "whole", device="cpu")
    interrupted(recipe, tmp_path / "stopped", after)
    resume(tmp_path / "stopped", device="cpu")
    return fingerprint(tmp_path / "whole"), fingerprint(tmp_path / "stopped")


GAMES = {
    "flip": (),
    "replicas": ("replicas=3",),
    "power mixture": ("feedback={name: mixture, perturbations: [{perturbation: sqrt, probability: 0.3}]}",),
    "per batch": ("feedback.delivery=per_batch",),
    "gradient penalty": ("lipschitz=gradient_penalty", "objective=wasserstein"),
    "batch norm": (
        "data=digits",
        "generator={name: mnist, latent: 8, width: 4, batch_norm: true}",
        "discriminator={name: mnist, width: 4}",
        "lipschitz=spectral_norm",
        "evaluate_every=0",
    ),
    "bf16": ("precision=bf16",),
    "symmetric": ("regime=symmetric", "regime.warmup={start: 2, end: 15}"),
    "mixed": ("regime=mixed", "lipschitz=spectral_norm", "regime.attack=pgd"),
    "replace": ("regime=replace", "regime.attacked=both", "lipschitz=instance_noise"),
    "one-sided penalty": ("regime=mixed", "lipschitz=lipschitz_penalty"),
    "adversarial penalty": ("regime=symmetric", "lipschitz=adversarial_lipschitz_penalty"),
    "zero-centred penalty": ("regime=replace", "lipschitz=zero_centred"),
    "controls together": ("lipschitz={name: together, controls: [spectral_norm, instance_noise]}",),
    "channels last": (
        "data=digits",
        "generator={name: mnist, latent: 8, width: 4}",
        "discriminator={name: mnist, width: 4}",
        "optimizers.discriminator={name: adam, lr: 0.001}",
        "memory_format=channels_last",
        "evaluate_every=0",
    ),
}


@pytest.mark.parametrize("game", GAMES)
def test_stopped_and_resumed_equals_undisturbed(game: str, short: Callable[..., Recipe], tmp_path: Path) -> None:
    whole, resumed = whole_and_resumed(short(*WHOLE, *GAMES[game]), tmp_path, after=10)
    assert whole == resumed


def test_a_resumed_run_of_images_is_probed_as_an_undisturbed_one(
    short: Callable[..., Recipe], tmp_path: Path, no_metrics: None
) -> None:
    whole, resumed = whole_and_resumed(
        short(*WHOLE, *GAMES["batch norm"], "regime=symmetric", "evaluate_every=8"), tmp_path, after=10
    )
    assert whole == resumed
    assert sum(name.startswith("probes/") for name in whole) == 4
    assert any("probe_d_adversarial" in row for row in RunFolder.open(tmp_path / "whole").rows())


ITEMS = (
    r"players/generator.*(weight|bias)",
    r"players/discriminator.*(weight|bias|original)",
    r"players/average.*(weight|bias)",
    r"players/.*running_mean",
    r"players/.*running_var",
    r"players/.*num_batches_tracked",
    r"players/discriminator.*\.[uv]",
    r"optimizer.generator/.*/exp_avg",
    r"optimizer.generator/.*/exp_avg_sq",
    r"optimizer.generator/.*/step",
    r"optimizer.discriminator/.*/square_avg",
    r"optimizer.discriminator/.*/step",
    r"watch/.*",
)
"""Every item of a game's state, as a pattern of its names."""


@pytest.mark.parametrize("item", ITEMS)
def test_leaving_out_an_item_of_state_is_noticed(
    item: str, short: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_load = Game.load_state

    def forgetful(game: Game, state: dict[str, torch.Tensor]) -> None:
        fresh = game.state()
        left_out = [name for name in state if re.fullmatch(item, name)]
        assert left_out, "the item is part of the state"
        whole_load(game, state | {name: fresh.get(name, torch.ones_like(state[name])) for name in left_out})

    monkeypatch.setattr(Game, "load_state", forgetful)
    whole, resumed = whole_and_resumed(short(*WHOLE, *GAMES["batch norm"]), tmp_path, after=10)
    assert whole != resumed


def test_every_item_of_state_is_in_the_list(short: Callable[..., Recipe]) -> None:
    recipe = short(*WHOLE, *GAMES["batch norm"])
    game = Game(recipe, recipe.data.open(torch.device("cpu")), torch.device("cpu"))
    play_round(game, 0)
    assert not [name for name in game.state() if not any(re.fullmatch(item, name) for item in ITEMS)]


def test_leaving_out_the_step_is_noticed(
    short: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "load_game", lambda run, device: replace(load_game(run, device), step=9))
    whole, resumed = whole_and_resumed(short(*WHOLE), tmp_path, after=10)
    assert whole != resumed


@pytest.mark.parametrize("rewinds", [True, False])
def test_rows_after_the_checkpoint_are_taken_back(
    rewinds: bool, short: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = short(*WHOLE)
    train(recipe, tmp_path / "whole", device="cpu")
    with pytest.raises(RuntimeError, match="killed"):
        train(recipe, tmp_path / "crashed", device="cpu", spectator=_Crash(13))
    if not rewinds:
        monkeypatch.setattr(RunFolder, "rewind", lambda run, step, log_bytes: None)
        with pytest.raises(CorruptInput, match="out of order"):
            resume(tmp_path / "crashed", device="cpu")
        return
    resume(tmp_path / "crashed", device="cpu")
    assert fingerprint(tmp_path / "whole") == fingerprint(tmp_path / "crashed")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_gives_its_exit_code(
    number: signal.Signals, code: int, short: Callable[..., Recipe], run_path: Path
) -> None:
    with pytest.raises(Interrupted) as caught:
        train(short(), run_path, device="cpu", spectator=_Stop(5, number))
    assert caught.value.exit_code == code
    assert [folder.name for folder in RunFolder.open(run_path).saved()] == ["000000006"]
    assert RunFolder.open(run_path).summary()["status"] == "interrupted"


def test_two_processes_on_one_folder(short: Callable[..., Recipe], run_path: Path) -> None:
    recipe = short()
    train(recipe, run_path, device="cpu")
    with RunFolder.open(run_path).owned():
        for start in (lambda: resume(run_path, device="cpu"), lambda: train(recipe, run_path, device="cpu")):
            with pytest.raises(FolderBusy, match=f"process {os.getpid()}"):
                start()


def _flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("file", ["tensors.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("damage", [_flip_a_byte, lambda path: os.truncate(path, 40), Path.unlink])
@pytest.mark.parametrize("after", [16, 20])
def test_a_damaged_checkpoint_is_never_used(
    after: int, file: str, damage: Callable[[Path], Any], short: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe = short(*WHOLE)
    train(recipe, tmp_path / "whole", device="cpu")
    with contextlib.suppress(Interrupted):
        train(recipe, tmp_path / "run", device="cpu", spectator=_Stop(after, signal.SIGTERM))
    newest = RunFolder.open(tmp_path / "run").saved()[-1]
    damage(newest / file)
    with pytest.raises(CorruptInput):
        read_checkpoint(newest)
    notes: list[str] = []
    watcher = Nobody()
    watcher.note = notes.append  # type: ignore[method-assign]
    resume(tmp_path / "run", device="cpu", spectator=watcher)
    assert any(str(newest) in note and "falling back to round 14" in note for note in notes)
    assert verify(tmp_path / "run")
    assert fingerprint(tmp_path / "whole") == fingerprint(tmp_path / "run")

"""A run that is made longer ends as one that had its length from the start."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sparring.claims.games import RunIndex
from sparring.core.errors import CorruptInput, UsageError
from sparring.core.process import Progress
from sparring.data import prepare
from sparring.recipes import Recipe, load
from sparring.report.read import read_run
from sparring.runs.checkpoint import read_checkpoint
from sparring.runs.folder import RunFolder
from sparring.training import loop
from sparring.training.lengthen import lengthen
from sparring.training.loop import resume, train
from torture import games
from untimed import untimed_rows

CONSTANT = ("optimizers.generator.schedule=constant", "optimizers.discriminator.schedule=constant")
Command = Callable[..., Any]
"""The fixture `sparring`."""


def tensors(run: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(RunFolder.open(run).saved()[-1]).tensors


@pytest.mark.parametrize("kind", ["symmetric", "classifier"])
def test_a_longer_run_equals_one_of_that_length(kind: str, shared: Path, tmp_path: Path) -> None:
    keys = ["checkpoint_every=7", "log_every=3", "evaluate_every=16"]
    networks = ["optimizer"] if kind == "classifier" else ["optimizers.generator", "optimizers.discriminator"]
    constant = [f"{network}.schedule=constant" for network in networks]
    short, long = (games.recipe_of(kind, shared, *keys, *constant, f"steps={steps}") for steps in (10, 24))
    train(short, tmp_path / "grown", device="cpu")
    assert not lengthen(tmp_path / "grown", "steps=24")
    assert RunFolder(tmp_path / "grown").recipe() == long
    assert resume(tmp_path / "grown", device="cpu").steps == 24
    train(long, tmp_path / "whole", device="cpu")
    one, other = tensors(tmp_path / "grown"), tensors(tmp_path / "whole")
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    assert untimed_rows(tmp_path / "grown") == untimed_rows(tmp_path / "whole")


def test_a_longer_run_on_the_command_line(sparring: Command, short: Callable[..., Recipe], run_path: Path) -> None:
    train(short(*CONSTANT), run_path, device="cpu")
    assert json.loads(sparring("resume", run_path, "steps=30", "--json").out)["steps"] == 30
    assert json.loads(sparring("resume", run_path, "steps=33", "--json").out)["status"] == "complete"
    assert RunFolder(run_path).recipe().steps == 33
    lengths = RunFolder(run_path).environment()["earlier_lengths"]
    assert [(each["steps"], each["trained"], each["followed_by"]) for each in lengths] == [(20, 20, []), (30, 30, [])]
    before = (run_path / "recipe.yaml").read_bytes()
    answer = sparring("resume", run_path, "steps=40", "batch_size=3")
    assert answer.code == 2 and (run_path / "recipe.yaml").read_bytes() == before, "nothing has changed"
    refused = {
        "steps=33": "33 rounds are trained, and steps=33 asks for no more",
        "steps=many": "should be a valid integer",
        "batch_size=3": "of a run that has begun only steps can change",
    }
    for override, cause in refused.items():
        answer = sparring("resume", run_path, override)
        assert answer.code == 2 and cause in answer.err and len(answer.err.strip().splitlines()) == 2
    assert "sparring train" in answer.err and "batch_size=3 --out NEW" in answer.err
    assert (run_path / "recipe.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("optimizers.discriminator.schedule=linear", "optimizers.discriminator.schedule"),
        ("lipschitz=instance_noise", "lipschitz"),
    ],
)
def test_what_followed_the_length_is_said_and_recorded(
    override: str, key: str, short: Callable[..., Recipe], run_path: Path, sparring: Command
) -> None:
    train(short(*CONSTANT, override), run_path, device="cpu")
    answer = sparring("resume", run_path, "steps=30")
    assert answer.code == 0
    assert f"{key} depend on the share of all rounds: the first 20 followed 20 rounds, the next follow 30" in answer.err
    assert RunFolder(run_path).environment()["earlier_lengths"][0]["followed_by"] == [key]


def test_a_decay_that_has_not_begun_may_begin_later(short: Callable[..., Recipe], run_path: Path) -> None:
    train(short(*CONSTANT, "optimizers.generator.schedule={name: steps, after: [0.99]}"), run_path, device="cpu")
    assert not lengthen(run_path, "steps=30")
    assert resume(run_path, device="cpu").steps == 30


def test_the_length_that_a_run_has_says_nothing(short: Callable[..., Recipe], run_path: Path) -> None:
    class Stopped(Progress):
        def advance(self, done: int, total: int) -> None:
            if done == 7:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(short("lipschitz=instance_noise"), run_path, device="cpu", progress=Stopped())
    assert lengthen(run_path, "steps=20") == ""
    assert "earlier_lengths" not in RunFolder(run_path).environment()


def test_a_run_of_two_lengths_is_not_taken_for_one_of_the_second(short: Callable[..., Recipe], run_path: Path) -> None:
    train(short("lipschitz=instance_noise"), run_path, device="cpu")
    found = [RunIndex.of(run_path / "nothing", [run_path]).games]
    lengthen(run_path, "steps=30")
    resume(run_path, device="cpu")
    found.append(RunIndex.of(run_path / "nothing", [run_path]).games)
    assert [len(games) for games in found] == [1, 0]


def test_a_run_that_grows_is_not_complete_until_it_is_resumed(short: Callable[..., Recipe], run_path: Path) -> None:
    train(short(), run_path, device="cpu")
    lengthen(run_path, "steps=30")
    summary = RunFolder(run_path).summary()
    assert summary is not None and (summary.status, summary.steps) == ("interrupted", 20)


def test_a_resume_that_is_refused_leaves_the_log(
    short: Callable[..., Recipe], run_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise UsageError("weights: no such file", "")

    train(short("steps=3"), run_path, device="cpu")
    before = RunFolder(run_path).rows_path.read_bytes()
    monkeypatch.setattr(loop, "_task", refuse)
    with pytest.raises(UsageError, match="no such file"):
        resume(run_path, device="cpu")
    assert RunFolder(run_path).rows_path.read_bytes() == before


def test_a_refused_resume_leaves_the_length(
    short: Callable[..., Recipe], tmp_path: Path, sparring: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, run = tmp_path / "store", tmp_path / "my runs" / "a"
    prepare("digits", store)
    recipe = load("robgan/digits-classifier", [f"data={store}", "steps=4", "evaluate_every=0", "log_every=2"])
    train(recipe, run, device="cpu")
    before = {path.name: path.read_bytes() for path in run.glob("*.*")}
    monkeypatch.setenv("WORLD_SIZE", "2")
    answer = sparring("resume", run, "steps=8")
    assert answer.code == 2 and f"`sparring resume '{run}'`" in answer.err, "the command can be pasted"
    monkeypatch.delenv("WORLD_SIZE")
    store.rename(tmp_path / "moved")
    answer = sparring("resume", run, "steps=8")
    assert answer.code == 2 and "no such data" in answer.err
    assert "a relative path in" in answer.err and "data=PATH" not in answer.err
    assert {path.name: path.read_bytes() for path in run.glob("*.*")} == before


def test_a_killed_resume_is_not_reported_as_the_stop_before_it(short: Callable[..., Recipe], run_path: Path) -> None:
    class Killed(Progress):
        def advance(self, done: int, total: int) -> None:
            if done == 27:
                raise SystemExit

    train(short("checkpoint_every=4"), run_path, device="cpu")
    lengthen(run_path, "steps=30")
    with pytest.raises(SystemExit):
        resume(run_path, device="cpu", progress=Killed())
    assert RunFolder(run_path).summary() is None
    assert "stopped without a summary after round 27" in read_run(RunFolder(run_path)).status.text
    assert resume(run_path, device="cpu").status == "complete"


def test_a_length_written_by_hand_is_refused(short: Callable[..., Recipe], run_path: Path) -> None:
    train(short(), run_path, device="cpu")
    recipe = run_path / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("steps: 20\n", "steps: 30\n"))
    with pytest.raises(CorruptInput, match="saved under another recipe"):
        resume(run_path, device="cpu")

"""Networks that draw from torch's own generator in training: the draws are a function of the seed and the round."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import torch

from sparring.core.errors import Interrupted
from sparring.core.process import Progress
from sparring.core.randomness import Part, Streams
from sparring.recipes import load
from sparring.runs.checkpoint import read_checkpoint
from sparring.runs.folder import RunFolder
from sparring.training.loop import resume, train
from untimed import untimed_rows

NETWORK = "{name: 'dropout_networks:DropoutMLP', hidden: [32]}"
TRAININGS = {
    "gan": ("dishonest/ring-small", f"discriminator={NETWORK}", "replicas=1"),
    "classifier": ("robgan/digits-classifier", f"classifier={{name: branch, discriminator: {NETWORK}}}"),
}
EVERY = ("steps=8", "log_every=4", "checkpoint_every=4", "evaluate_every=4")


class StopsAfterFour(Progress):
    """A signal in the fourth round: it is saved, and its row of the log is left to the next start."""

    def advance(self, done: int, total: int) -> None:
        if done == 3:
            signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("kind", TRAININGS)
def test_dropped_features_follow_from_the_seed_and_the_round(kind: str, tmp_path: Path) -> None:
    name, *keys = TRAININGS[kind]
    recipe = load(name, [*keys, *EVERY])
    train(recipe, tmp_path / "whole", device="cpu")
    torch.rand(1000)
    with pytest.raises(Interrupted):
        train(recipe, tmp_path / "resumed", device="cpu", progress=StopsAfterFour())
    torch.manual_seed(5)
    resume(tmp_path / "resumed", device="cpu")
    whole, resumed = (
        read_checkpoint(RunFolder.open(tmp_path / run).saved()[-1]).tensors for run in ("whole", "resumed")
    )
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert untimed_rows(tmp_path / "whole") == untimed_rows(tmp_path / "resumed")


def test_training_leaves_the_generator_of_its_caller_alone(tmp_path: Path) -> None:
    name, *keys = TRAININGS["gan"]
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(load(name, [*keys, *EVERY]), tmp_path / "run", device="cpu")
    assert torch.equal(torch.rand(3), expected)


def test_rounds_seeds_and_processes_draw_different_numbers() -> None:
    streams = [Streams(0), Streams(1), Streams(0).parted(Part(1, 2))]
    drawn = []
    with torch.random.fork_rng(devices=[]):
        for each in streams:
            for number in range(3):
                each.seed_torch("round", number)
                drawn.append(float(torch.rand(())))
    assert len(set(drawn)) == 9

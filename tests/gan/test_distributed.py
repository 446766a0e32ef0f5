"""A game trained by several processes equals that of one, up to rounding; stop through torchrun, and resume."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sparring.core.distributed import SINGLE, ProcessGroup
from sparring.core.errors import UsageError
from sparring.core.pieces import members
from sparring.core.randomness import WHOLE, Part, Rng, Streams
from sparring.data import Digits, Ring
from sparring.gan.state import GANState
from sparring.lipschitz import Lipschitz
from sparring.recipes import load, require_game
from sparring.regimes import Regime
from sparring.runs.folder import RunFolder
from two_processes import CONTROLS, GAMES, REGIMES, RUN, difference, train
from untimed import untimed_rows

CPU = torch.device("cpu")
HERE = Path(__file__).parents[1]
DEADLINE = 600
"""Seconds, against hanging; generous, so that a busy machine fails no test."""
ROUNDING = 2e-5
"""fp32 over 10 rounds, relative to the largest value of a tensor."""


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes, which `torchrun` started and a signal stopped."""
    run = tmp_path_factory.mktemp("stopped") / "run"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "sparring", "train", "dishonest/ring-small", *RUN, "--out", str(run)]
    while True:
        first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        rows = run / "metrics.jsonl"
        while first.poll() is None and not (rows.is_file() and rows.read_text().count("\n") > 3):
            time.sleep(0.05)
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=DEADLINE)
        summary = RunFolder(run).summary()
        if summary is None or summary.status != "complete":
            break
        shutil.rmtree(run)  # it was faster than the signal
    return run


@pytest.fixture(scope="module")
def trained(stopped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes write."""
    out = tmp_path_factory.mktemp("two")
    shutil.copytree(stopped, out / "resumed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, str(HERE / "two_processes.py"), str(out)]
    both = [
        subprocess.Popen(command, env=os.environ | shared | {"RANK": rank, "LOCAL_RANK": rank}) for rank in ("0", "1")
    ]
    assert [process.wait() for process in both] == [0, 0]
    return out


@pytest.fixture(scope="module")
def differences(trained: Path) -> dict[str, float]:
    """The relative difference of each game between two processes and one."""
    return json.loads((trained / "0.json").read_text()) | json.loads((trained / "1.json").read_text())


@pytest.mark.parametrize("name", GAMES)
def test_two_processes_train_the_game_of_one(name: str, differences: dict[str, float]) -> None:
    assert differences[name] < ROUNDING


def test_batch_statistics_are_of_each_process(differences: dict[str, float]) -> None:
    assert differences["batch normalisation"] > 10 * ROUNDING, "as the documentation says"


def test_every_regime_and_control_is_among_the_games() -> None:
    assert set(REGIMES) == {name for name, regime in members(Regime).items() if not regime.keeps}
    assert all(any(name in control for control in CONTROLS) for name in members(Lipschitz))


@pytest.fixture(scope="module")
def free() -> dict[str, torch.Tensor]:
    """The state at the end of a game without a Lipschitz control."""
    return train(GAMES["plain, none"], SINGLE)


@pytest.mark.parametrize("control", [control for control in CONTROLS if control != "none"])
def test_every_control_changes_its_game(control: str, free: dict[str, torch.Tensor]) -> None:
    bound = train(GAMES[f"plain, {control}"], SINGLE)
    common = free.keys() & bound.keys()
    found = difference({name: bound[name] for name in common}, {name: free[name] for name in common})
    assert found > 100 * ROUNDING


@pytest.mark.parametrize("of", [2, 3])
def test_parts_of_a_draw_are_the_draw(of: int) -> None:
    def rng(part: Part = WHOLE) -> Rng:
        return Streams(5).parted(part).rng("latents", 7)

    parts = [rng(Part(rank, of)) for rank in range(of)]
    assert torch.equal(torch.cat([each.normal((4, 3)) for each in parts]), rng().normal((4 * of, 3)))
    parts = [rng(Part(rank, of)) for rank in range(of)]
    assert torch.equal(torch.cat([each.integers((4,), 9) for each in parts]), rng().integers((4 * of,), 9))
    scalars = [rng(Part(rank, of)).uniform((1,)) for rank in range(of)]
    assert all(torch.equal(each, rng().uniform((1,))) for each in scalars)


@pytest.mark.parametrize("data", [Digits(), Ring()])
@pytest.mark.parametrize("number", [0, 3, 60])
def test_parts_of_a_batch_are_the_batch(data: Digits | Ring, number: int) -> None:
    source = data.open(CPU)
    whole = source.batch(number, 30, Streams(1))
    parts = [source.batch(number, 10, Streams(1).parted(Part(rank, 3))) for rank in range(3)]
    assert torch.equal(torch.cat([part.samples for part in parts]), whole.samples)


@pytest.mark.parametrize(
    ("change", "key"),
    [("batch_size=50", "batch_size"), ("batch_size=3", "a single sample"), ("replicas=2", "replicas")],
    ids=["uneven", "too small", "packed"],
)
def test_what_cannot_be_split_is_refused(change: str, key: str) -> None:
    recipe = require_game(load("dishonest/ring-small", ["replicas=1", change]), "a test")
    with pytest.raises(UsageError, match=key):
        GANState(recipe, recipe.data.open(CPU), CPU, ProcessGroup(Part(2, 3)))


@pytest.mark.long
def test_a_game_of_two_processes_is_stopped_and_resumed(
    sparring: Callable[..., tuple[int, str, str]], stopped: Path, trained: Path
) -> None:
    found = RunFolder(stopped).latest()[0]
    assert found is not None, "saved on exit"
    assert 3 <= found.progress.step < 120
    assert found.progress.processes == 2

    code, _, error = sparring("resume", stopped)
    assert code == 2
    assert "trained by 2 processes, not 1" in error
    assert f"torchrun --nproc-per-node 2 -m sparring resume {stopped}" in error

    resumed, undisturbed = trained / "resumed", trained / "run"
    assert json.loads((trained / "0.txt").read_text())["status"] == "complete"
    assert (trained / "1.txt").read_text() == "", "one process prints"
    assert untimed_rows(resumed) == untimed_rows(undisturbed)
    last = [RunFolder(each).latest()[0] for each in (resumed, undisturbed)]
    assert last[0] and last[1]
    assert all(torch.equal(tensor, last[1].tensors[name]) for name, tensor in last[0].tensors.items())

"""One thread, quiet caches, and the recipes that several tests train for a few rounds."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from sparring.cli import main
from sparring.recipes import Recipe, load
from sparring.report.charts import Chart
from sparring.robustness import transfer

torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that tests start
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as for what a script starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
pytest_plugins = ["report_pages"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests marked `gpu` are skipped without a CUDA device."""
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a GPU")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `long` come first, so that no worker is left with one of them at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all processes of the test session, for what several trials train alike."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "torture"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(autouse=True)
def _own_cache(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained classifiers go where the whole test session shares them, never to the user's cache."""
    monkeypatch.setenv("SPARRING_CACHE", str(shared / "cache"))


class Answer(NamedTuple):
    """The exit code of a command, and what it printed on standard output and standard error."""

    code: int
    out: str
    err: str


@pytest.fixture
def sparring(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Runs a command line in this process."""

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["sparring", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Answer(int(ended.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture
def short() -> Callable[..., Recipe]:
    """The small ring with networks and intervals small enough for a test, and any further overrides."""

    def build(*overrides: str) -> Recipe:
        small = [
            "generator.hidden=[16, 16]",
            "generator.latent=8",
            "discriminator.hidden=[16, 16]",
            "batch_size=32",
            "steps=20",
            "replicas=1",
            "log_every=3",
            "sample_every=0",
            "checkpoint_every=7",
            "evaluate_every=0",
        ]
        whole = tuple(f"{override.partition('=')[0]}." for override in overrides)
        kept = [each for each in small if not each.startswith(whole)]  # another network has other keys
        return load("dishonest/ring-small", [*kept, *overrides])

    return build


@pytest.fixture
def no_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images as if without labels: no classifier is trained for them, and no metric of features applies."""
    monkeypatch.setattr("sparring.monitoring.generator_metrics.classifier_for", lambda *_: None)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages with empty charts: matplotlib takes most of the time of a page. Other tests of tests/report draw them."""
    monkeypatch.setattr(Chart, "svg", lambda _: "<svg></svg>")


@pytest.fixture
def quick_substitute(monkeypatch: pytest.MonkeyPatch) -> None:
    """The substitute of a black-box attacker after three updates; tests of sanity checks and of transfer train it."""
    monkeypatch.setattr(transfer, "_UPDATES", 3)


@pytest.fixture
def run_path(tmp_path: Path) -> Path:
    """Where a test's run folder goes."""
    return tmp_path / "run"

"""Promise 9: what a stranger's run, checkpoint or weights say is refused or read, and never run."""

from __future__ import annotations

import json
import os
import random
import re
import resource
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from sparring.core.errors import SparringError
from sparring.evaluation.trained import evaluate, verify, write_samples
from sparring.gan.load import load_players
from sparring.report import report_run
from sparring.robustness.own_models import Foreign
from sparring.runs.checkpoint import STATE, TENSORS
from sparring.runs.folder import RunFolder
from sparring.training.loop import resume
from torture.games import require_same
from torture.observed import MARK, offences
from torture.own_source import PLANTED, found_in, violations
from torture.promise import Promise, Trial
from torture.refusals import refusal, refused
from torture.strangers_runs import (
    CHECKPOINTS,
    DOCUMENTS,
    PAYLOAD,
    RECIPES,
    archived,
    climbing,
    copy_of,
    pickled,
    rehash,
    whole_run,
    with_objects,
)

_MEMORY = 300 << 20
"""Bytes beyond what was held before."""
_CONVERT = "turn it into safetensors"


def attempt(trial: Trial) -> None:
    """Hand over one hostile thing."""
    run = copy_of(trial.shared, trial.folder)
    before, peak = Path.cwd(), _memory()
    os.chdir(trial.folder)  # where a payload would leave its mark
    try:
        name, check = trial.turn(CHECKS)
        check(run, trial)
    except Exception as error:
        error.add_note(name)
        raise
    finally:
        os.chdir(before)
    assert _memory() - peak < _MEMORY, f"{name}: {(_memory() - peak) >> 20} MB"
    assert not list(trial.folder.rglob(MARK)), f"{name}: a payload ran"


def _of_checkpoint(name: str) -> Callable[[Path, Trial], None]:
    def check(run: Path, trial: Trial) -> None:
        CHECKPOINTS[name](run, trial.draw)
        before = _content(run)
        refused(lambda: resume(run, device="cpu"), 4)
        for look in (
            lambda: load_players(RunFolder.open(run), "cpu"),
            lambda: evaluate(run, samples=20, device="cpu"),
            lambda: verify(run),
        ):
            told = refusal(look)  # what they need of it may be sound
            assert told is None or told.exit_code == 4, told
        assert _content(run) == before, "something was written"

    return check


def _mutated(run: Path, trial: Trial) -> None:
    """A few bytes of state.json, or of the header of the tensors, are others, and the hashes agree."""
    path = RunFolder.open(run).saved()[-1] / trial.draw.choice((TENSORS, STATE))
    content = bytearray(path.read_bytes())
    end = 8 + int.from_bytes(content[:8], "little") if path.name == TENSORS else len(content)
    for _ in range(trial.draw.randint(1, 4)):
        content[trial.draw.randrange(end)] = trial.draw.choice(b'0123456789{}[]":,eE-x\xff\x00\x1b')
    path.write_bytes(content)
    rehash(run)
    for look in (lambda: verify(run), lambda: load_players(RunFolder.open(run), "cpu"), lambda: resume(run)):
        told = refusal(look)  # another number of seconds is no reason to refuse
        as_it_says = told is not None and f"{run}: played by" in told.cause  # by more processes than there are
        assert told is None or told.exit_code == 4 or as_it_says, told


def _of_recipe(name: str) -> Callable[[Path, Trial], None]:
    def check(run: Path, trial: Trial) -> None:
        path = run / "recipe.yaml"
        path.write_bytes(RECIPES[name](path.read_bytes()))
        for look in (lambda: resume(run), lambda: verify(run), lambda: report_run(RunFolder.open(run))):
            refused(look, 2, 4)

    return check


def _of_document(file: str, name: str) -> Callable[[Path, Trial], None]:
    def check(run: Path, trial: Trial) -> None:
        path = run / file
        path.write_bytes(DOCUMENTS[name](path.read_bytes().splitlines(keepends=True)[0] if file == _LOG else b"{}\n"))
        if file == _LOG:
            refused(lambda: verify(run), 4)
        told = refusal(lambda: report_run(RunFolder.open(run)))
        # A log may end in half a line, and say a round twice; of an evaluation that is damaged the page says so.
        assert told is None if file == "robustness.json" or (file == _LOG and name in _NO_ROW) else told, name
        assert told is None or told.exit_code == 4, told

    return check


_LOG = "metrics.jsonl"
_NO_ROW = ("nothing", "null", "deep list", "YAML", "much", "two documents")


def _link(name: str) -> Callable[[Path, Trial], None]:
    """A part of a run leads elsewhere: nothing is written there."""

    def check(run: Path, trial: Trial) -> None:
        elsewhere, path = trial.folder / "elsewhere", run / name
        if path.is_dir():
            shutil.move(path, elsewhere)
            (elsewhere / ".partial-precious").write_text("precious")
        else:
            elsewhere.write_text("precious")
            path.unlink(missing_ok=True)
        path.symlink_to(elsewhere)
        before = _content(elsewhere)
        refused(lambda: resume(run), 4)
        assert _content(elsewhere) == before

    return check


class _Network(nn.Module):
    """Somebody's model."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))


def _weights(content: Callable[[], bytes], ending: str) -> Callable[[Path, Trial], None]:
    def check(run: Path, trial: Trial) -> None:
        path = trial.folder / f"weights{ending}"
        path.write_bytes(content())
        foreign = Foreign(model=f"{__name__}:_Network", weights=str(path))
        told = refused(lambda: foreign.load(torch.device("cpu")), 4)
        assert _CONVERT in told.remedy and str(path) in told.cause, told.remedy

    return check


def _observed(run: Path, trial: Trial) -> None:
    """Everything that may be asked of a run, while Python says what it does; payloads wherever there is room."""
    for folder in ("samples", "probes", "checkpoints", "."):
        (run / folder).mkdir(exist_ok=True)
        for name, content in {"000000024.npz": with_objects(), "000000023.npz": climbing(), "x.pkl": pickled()}.items():
            (run / folder / name).write_bytes(content)
    (run / "robustness.npz").write_bytes(with_objects())
    (run / "robustness.json").write_text(json.dumps({"subjects": [{"subject": PAYLOAD}], "problems": [PAYLOAD]}))
    (run / f"{MARK}.py").write_text(PAYLOAD)
    (run / "environment.json").write_text(json.dumps({"device": "{{" + PAYLOAD + "}}", "packages": {}}))
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps(summary | {"status": PAYLOAD}))
    weights = run / "weights.pt"
    weights.write_bytes(archived())

    def work() -> None:
        for look in (
            lambda: verify(run),
            lambda: write_samples(run, run / "drawn.npz", count=4, seed=0, device="cpu"),
            lambda: evaluate(run, samples=20, device="cpu"),
            lambda: report_run(RunFolder.open(run)),
            lambda: Foreign(model=f"{__name__}:_Network", weights=str(weights)).load(torch.device("cpu")),
        ):
            try:
                look()
            except SparringError:
                continue

    found = offences(work, [run, trial.shared])
    assert not found, found[:5]


def _own_source(run: Path, trial: Trial) -> None:
    """No line of the package reads a pickle, or runs what it read; and who would is found."""
    assert not violations(), violations()
    unnoticed = [line for line in PLANTED if not list(found_in(line))]
    assert not unnoticed, unnoticed


def _sound(run: Path, trial: Trial) -> None:
    """What is not hostile is read: else all of this would prove nothing."""
    rehash(run)
    assert refusal(lambda: verify(run)) is None
    assert refusal(lambda: resume(run, device="cpu")) is None
    require_same(whole_run(trial.shared), run)


_FIRST = (
    ("a sound run", _sound),
    ("the package's own source", _own_source),
    ("payloads, observed", _observed),
)
_OTHERS = (
    *((f"recipe: {name}", _of_recipe(name)) for name in RECIPES),
    *((f"link: {name}", _link(name)) for name in ("checkpoints", "samples", "probes", "tb", _LOG, ".lock")),
    ("weights: a pickle", _weights(pickled, ".pt")),
    ("weights: an archive", _weights(archived, ".pth")),
    ("weights: a pickle by another name", _weights(pickled, ".safetensors")),
    ("weights: nothing", _weights(bytes, ".safetensors")),
    *((f"checkpoint: {name}", _of_checkpoint(name)) for name in CHECKPOINTS),
    *(
        (f"{file}: {name}", _of_document(file, name))
        for file in ("summary.json", "environment.json", "robustness.json", _LOG)
        for name in DOCUMENTS
    ),
    *(("a mutated checkpoint", _mutated) for _ in range(100)),
)

CHECKS: Sequence[tuple[str, Callable[[Path, Trial], None]]] = (
    *_FIRST,
    *random.Random(0).sample(_OTHERS, len(_OTHERS)),
)
"""In an order in which a few are a bit of everything."""


def _content(path: Path) -> dict[str, bytes]:
    files = path.rglob("*") if path.is_dir() else [path]
    return {str(file): file.read_bytes() for file in files if file.is_file() and file.name != ".lock"}


def _memory() -> int:
    """The most memory that this process held, in bytes; from this call on, where the system lets us say so."""
    try:
        held = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) << 10  # type: ignore[index]
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    return held


PROMISE = Promise(
    number=9,
    title="A stranger's run, checkpoint or weights are refused or read, never run",
    quick=60,
    long=2000,
    trial=attempt,
)

"""Runs of earlier versions open: each is reported, sampled, evaluated, resumed and fine-tuned by this one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

import corpus
from corpus.write import STEPS, inside
from sparring.classifier.finetune import finetuning
from sparring.core.errors import CorruptInput
from sparring.evaluation.trained import evaluate, write_samples
from sparring.report import report_run
from sparring.robustness.evaluate import evaluate_robustness, robust_options
from sparring.runs.checkpoint import read_checkpoint
from sparring.runs.folder import RunFolder
from sparring.training.loop import resume, train
from torture.promise import Promise, Trial

CORPUS = Path(corpus.__file__).parent
FUTURE = "9.9.9"
"""A version that is not there yet."""


def versions() -> list[Path]:
    """The runs of every version that wrote some, oldest first."""
    folders = [path for path in CORPUS.iterdir() if path.is_dir() and path.name[0].isdecimal()]
    return sorted(folders, key=lambda path: [int(part) for part in path.name.split(".")])


def newest() -> Path:
    """The runs of the newest version that wrote some."""
    return versions()[-1]


def _report(run: RunFolder) -> None:
    assert report_run(run).stat().st_size > 10_000


def _sample(run: RunFolder) -> None:
    found = write_samples(run.path, run.path / "out.npz", count=4, seed=0, device="cpu")
    assert found["samples"] == 4 * run.game_recipe().replicas


def _evaluate(run: RunFolder) -> None:
    assert evaluate(run.path, samples=8, extractor=None, device="cpu")["step"] == STEPS


def _robustly(run: RunFolder) -> None:
    found = evaluate_robustness(run.path, robust_options({"samples": 4, "threats": "fgsm"}), device="cpu")
    assert found["step"] == STEPS


def _finetune(run: RunFolder) -> None:
    made = finetuning(run, overrides=["steps=1", "batch_size=8", "evaluate_every=0", "attack.steps=1"])
    assert train(made.recipe, Path("tuned"), device="cpu")["status"] == "complete"


def _resume(run: RunFolder) -> None:
    """What is played again from half-way ends where it did, up to what another machine rounds otherwise."""
    newest = run.saved()[-1]
    expected, rows = read_checkpoint(newest).tensors, run.rows()
    shutil.rmtree(newest)
    assert resume(run.path, device="cpu")["status"] == "complete"
    found = read_checkpoint(newest).tensors
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(
            found[name], tensor, rtol=0.02, atol=0.01, msg=lambda told, name=name: f"{name}: {told}"
        )
    assert [row.keys() for row in run.rows()] == [row.keys() for row in rows]


def _format_of_the_future(run: RunFolder) -> None:
    """A checkpoint of a format that is not known yet."""
    _written_by(FUTURE, run)
    for folder in run.saved():
        manifest = folder / "manifest.json"
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 99}))
    with pytest.raises(CorruptInput, match=rf"written by sparring {FUTURE}.*format 99") as caught:
        resume(run.path, device="cpu")
    assert FUTURE in caught.value.remedy


def _recipe_of_the_future(run: RunFolder) -> None:
    """A recipe with a key that is not known yet; what else a later version says is no reason to refuse a run."""
    _written_by(FUTURE, run)
    report_run(run)
    recipe = run.path / "recipe.yaml"
    recipe.write_text(recipe.read_text() + "entropy: 0.1\n")
    with pytest.raises(CorruptInput, match=rf"written by sparring {FUTURE}.*entropy") as caught:
        report_run(run)
    assert FUTURE in caught.value.remedy


def _written_by(name: str, run: RunFolder) -> None:
    """Let a run say that it is of this version, and more than any says yet."""
    for path in (run.path / "environment.json", run.path / "summary.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"said by none": [{"a": None}]}))
    path = run.path / "environment.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"packages": told["packages"] | {"sparring": name}}))


_ANY = (_report, _evaluate, _resume, _format_of_the_future, _recipe_of_the_future)
VERBS: dict[str, tuple[Callable[[RunFolder], None], ...]] = {
    "ring": (*_ANY, _sample),
    "attacked": (*_ANY, _sample, _finetune),
    "classes": (*_ANY, _sample, _finetune, _robustly),
    "classifier": (*_ANY, _robustly),
    "finetuned": (*_ANY, _robustly),
}
"""What is done with every run of the corpus."""
TRIALS = [(folder, name, verb) for folder in versions() for name, verbs in VERBS.items() for verb in verbs]


def _trial(trial: Trial) -> None:
    """A run that does not open any more is refused with the version that wrote it."""
    folder, name, verb = trial.turn(TRIALS)
    shutil.copytree(folder, trial.folder / folder.name)
    torch.set_num_threads(1)
    with inside(trial.folder / folder.name):
        try:
            verb(RunFolder.open(Path(name)))
        except CorruptInput as error:
            refused = error
        else:
            return
    assert folder.name != version("sparring"), refused
    assert folder.name in refused.cause


PROMISE = Promise(
    number=15,
    title="Runs of every released version open, or are refused with the version that wrote them",
    quick=len(TRIALS),
    long=len(TRIALS),
    trial=_trial,
)

"""A run that comes from elsewhere names code in vain, whatever opens it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparring.core.errors import CorruptInput
from sparring.evaluation.samples import write_samples
from sparring.recipes import Recipe, validated
from sparring.report import report_run
from sparring.runs.folder import RunFolder
from sparring.runs.trust import ALLOWED, named_modules
from sparring.training.loop import resume, train

OWN = '''
import pathlib
from sparring.objectives import Linear

pathlib.Path({canary!r}).touch()


class Mine(Linear):
    """An objective of one's own."""


def psi(theta):
    return theta
'''
NAMED: dict[str, Callable[[str], dict[str, object]]] = {
    "objective": lambda module: {"objective": f"{module}:Mine"},
    "feedback": lambda module: {"feedback": {"name": "function", "psi": f"{module}:psi"}},
}
VERBS: dict[str, Callable[[Path], object]] = {
    "resume": lambda run: resume(run, device="cpu"),
    "report": lambda run: report_run(RunFolder.open(run)),
    "sample": lambda run: write_samples(run, run.parent / "out.npz", count=2, seed=0, device="cpu"),
}


@pytest.fixture
def strange(
    request: pytest.FixtureRequest, short: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A run whose recipe names a module that this user has never run; the canary is touched when it is."""
    module = f"own_code_{len(list(tmp_path.parent.iterdir()))}"
    (tmp_path / f"{module}.py").write_text(OWN.format(canary=str(tmp_path / "canary")))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path / "cache"))
    train(short("steps=2"), tmp_path / "run", device="cpu")
    path = tmp_path / "run" / "recipe.yaml"
    values = yaml.safe_load(path.read_text()) | NAMED[getattr(request, "param", "objective")](module)
    path.write_text(yaml.safe_dump(values))
    return tmp_path / "run"


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("strange", NAMED, indirect=True)
def test_code_that_a_run_names_is_not_imported(verb: str, strange: Path) -> None:
    with pytest.raises(CorruptInput, match="names code that would be run, of own_code_") as caught:
        VERBS[verb](strange)
    assert f"{ALLOWED}=own_code_" in caught.value.remedy
    assert not (strange.parent / "canary").exists()


def test_code_is_imported_once_it_is_allowed(strange: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = next(strange.parent.glob("own_code_*.py")).stem
    monkeypatch.setenv(ALLOWED, f"another, {module}")
    assert type(RunFolder.open(strange).recipe().objective).__name__ == "Mine"
    assert (strange.parent / "canary").exists()


def test_what_the_user_started_needs_no_word(
    short: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path / "cache"))
    (tmp_path / "own_code_started.py").write_text(OWN.format(canary=str(tmp_path / "canary")))
    monkeypatch.syspath_prepend(tmp_path)
    train(short("steps=2", "objective=own_code_started:Mine"), tmp_path / "run", device="cpu")
    assert RunFolder.open(tmp_path / "run").recipe().objective.name == "own_code_started:Mine"
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(CorruptInput, match="own_code_started"):
        RunFolder.open(tmp_path / "run").recipe()


@pytest.fixture
def own(short: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run of the user's own piece and its module, seen as from another folder."""
    module, folder = f"own_piece_of_{tmp_path.name}", tmp_path / "project"
    folder.mkdir()
    (folder / f"{module}.py").write_text(OWN.format(canary=str(tmp_path / "canary")))
    with monkeypatch.context() as here:
        here.syspath_prepend(folder)
        train(short("steps=2", f"objective={module}:Mine"), folder / "run", device="cpu")
    del sys.modules[module]
    return folder


@pytest.mark.parametrize("verb", ["report", "resume"])
def test_an_own_piece_that_cannot_be_imported_from_here_is_named(
    verb: str, own: Path, sparring: Callable[..., Any]
) -> None:
    answer, module = sparring(verb, own / "run"), next(own.glob("*.py")).stem
    assert answer.code == 2
    assert f"module {module} is not importable from here" in answer.err
    assert f"run from the folder that holds the {module}.py of this run, or set PYTHONPATH" in answer.err
    assert len(answer.err.strip().splitlines()) == 2


def test_a_module_of_the_same_name_without_the_piece_is_named(
    own: Path, tmp_path: Path, sparring: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = next(own.glob("*.py")).stem
    (tmp_path / f"{module}.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    answer = sparring("report", own / "run")
    del sys.modules[module]
    assert answer.code == 2 and f"module {module} has no Mine" in answer.err


def test_every_recipe_without_own_code_names_none(short: Callable[..., Recipe]) -> None:
    assert not named_modules(short().model_dump(mode="json"))
    assert named_modules({"a": ["b.c:d", {"e": "f:g"}], "description": "h:i", "path": "/x/y:z", "note": "j: k"}) == {
        "b", "f",
    }  # fmt: skip


def test_only_identifiers_are_imported(short: Callable[..., Recipe]) -> None:
    values = short().model_dump(mode="json")
    with pytest.raises(Exception, match=r"package\.module:attribute"):
        validated(values | {"objective": "own-code:Mine"}, "a test")

"""A recipe ends bit-identical in another process, folder, hash order, language or time zone, on as many threads.

So does its report, except for the duration of the run, and so does a store that its data are prepared into.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

from sparring.data import prepare
from sparring.recipes import AnyRecipe, load, to_yaml
from sparring.report import report_folder
from sparring.report.format import duration
from sparring.runs.folder import RunFolder
from torture.games import KINDS, made_once, play, recipe_of, require_same
from torture.promise import Promise, Trial

_KINDS = tuple(reversed(KINDS))  # those with the most machinery first
_ZONES = ("UTC", "Asia/Kathmandu", "America/St_Johns")
_LANGUAGES = (
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    {"LC_ALL": "C.UTF-8"},
    {"LC_ALL": "POSIX", "PYTHONUTF8": "1"},
)


def _trial(trial: Trial) -> None:
    kind, draw = trial.turn(_KINDS), trial.draw
    recipe = recipe_of(kind, trial.shared, 'description="Größe, naïve, 雪"')
    expected = made_once(trial.shared / f"here {kind}", lambda folder: _make(recipe, folder))
    place = trial.folder / ("elsewhere" * draw.randint(1, 20)) / "and deeper"
    place.mkdir(parents=True)
    (place / "recipe.yaml").write_text(to_yaml(recipe), encoding="utf-8")
    outside = {"PYTHONHASHSEED": str(draw.randrange(2**32)), "TZ": draw.choice(_ZONES), **draw.choice(_LANGUAGES)}
    subprocess.run(
        [sys.executable, "-m", __name__, "recipe.yaml", "made"],
        cwd=place,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))} | outside,
        check=True,
    )
    require_same(expected / "run", place / "made" / "run")
    assert _page(expected / "run") == _page(place / "made" / "run"), "the pages differ"
    assert _files(expected / "store") == _files(place / "made" / "store"), "the stores differ"


def _make(recipe: AnyRecipe, folder: Path) -> None:
    """A run, its report, and a store."""
    play(recipe, folder / "run")
    report_folder(folder / "run")
    prepare("digits", folder / "store", size=16)


def _page(run: Path) -> str:
    """The report of a run without its duration."""
    page = (run / "report.html").read_text(encoding="utf-8")
    summary = RunFolder.open(run).summary()
    assert summary is not None
    took = f'<span class="chip">{duration(summary.seconds)}</span>'
    assert page.count(took) == 1
    return page.replace(took, "")


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


PROMISE = Promise(
    number=14,
    title="The same recipe twice: another process, folder, hash seed, language: bit-identical on a CPU",
    quick=1,
    long=40,
    trial=_trial,
)

if __name__ == "__main__":
    torch.set_num_threads(1)
    _make(load(sys.argv[1]), Path(sys.argv[2]))

"""Promise 3: a damaged checkpoint is refused by name, and the one before it is used."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from sparring.core.errors import CorruptInput
from sparring.runs.checkpoint import MANIFEST, STATE, TENSORS
from sparring.runs.folder import RunFolder
from sparring.training.loop import resume
from torture.games import Notes, made_once, play, recipe_of, require_same
from torture.promise import Promise, Trial

GAME = "flip"
FILES = (TENSORS, STATE, MANIFEST)
RESUMED = 25
"""One of so many trials resumes to the end."""
HOPELESS = 10
"""In one of so many trials no intact checkpoint is left."""


@dataclass(frozen=True)
class Scene:
    """What is damaged.

    Args:
        draw: the source of all chance.
        run: a copy of a run, to be damaged.
        other: a run of the same game with another seed.
        folder: the checkpoint to be damaged.
        older: the one before it.
    """

    draw: random.Random
    run: RunFolder
    other: RunFolder
    folder: Path
    older: Path

    def file(self) -> Path:
        """Any file of the checkpoint."""
        return self.folder / self.draw.choice(FILES)


def _flip(scene: Scene) -> Path:
    return _flipped(scene.file(), scene.draw, 1)


def _flipped(file: Path, draw: random.Random, bits: int, start: int = 0, end: int | None = None) -> Path:
    content = bytearray(file.read_bytes())
    for bit in draw.sample(range(8 * start, 8 * (end or len(content))), bits):
        content[bit // 8] ^= 1 << bit % 8
    file.write_bytes(content)
    return file


def _cut(scene: Scene) -> Path:
    file = scene.file()
    os.truncate(file, scene.draw.randrange(file.stat().st_size))
    return file


def _member_of_another(scene: Scene) -> Path:
    file = scene.file()
    return Path(shutil.copy(scene.other.checkpoints / scene.folder.name / file.name, file))


def _of_another(scene: Scene) -> Path:
    shutil.rmtree(scene.folder)
    return Path(shutil.copytree(scene.other.checkpoints / scene.folder.name, scene.folder))


def _of_another_round(scene: Scene) -> Path:
    shutil.rmtree(scene.folder)
    return Path(shutil.copytree(scene.other.checkpoints / scene.older.name, scene.folder))


def _lose_a_file(scene: Scene) -> Path:
    file = scene.file()
    file.unlink()
    return file


def _file_for_folder(scene: Scene) -> Path:
    shutil.rmtree(scene.folder)
    scene.folder.write_bytes(b"{}")
    return scene.folder


def _cut_the_log(scene: Scene) -> Path:
    shortest, longest = _log_bytes(scene.older), _log_bytes(scene.folder)
    os.truncate(scene.run.rows_path, scene.draw.randrange(shortest, longest))
    return scene.run.rows_path


def _damage_the_log(scene: Scene) -> Path:
    return _flipped(scene.run.rows_path, scene.draw, 1, _log_bytes(scene.older), _log_bytes(scene.folder))


def _log_bytes(folder: Path) -> int:
    return int(json.loads((folder / STATE).read_bytes())["log_bytes"])


DAMAGES: tuple[Callable[[Scene], Path], ...] = (
    _flip,
    _cut,
    _member_of_another,
    _of_another,
    _of_another_round,
    _lose_a_file,
    _file_for_folder,
    _cut_the_log,
    _damage_the_log,
)
"""Each damages the run and returns the path that the error must name."""


def attempt(trial: Trial) -> None:
    """Damage the newest checkpoint of a run and look for the latest one."""
    whole, other = _runs(trial.shared)
    run = RunFolder.open(Path(shutil.copytree(whole.path, trial.folder / "run", symlinks=True)))
    older, newest = run.saved()
    damage, rounds = trial.turn(DAMAGES), int(newest.name) - int(older.name)
    named = damage(Scene(trial.draw, run, other, newest, older))
    named = newest if named.name == MANIFEST else named  # no file can be blamed without the manifest
    if trial.index % HOPELESS == HOPELESS - 1:
        _flipped(older / trial.draw.choice(FILES), trial.draw, 1)
        _require_refused(run, named, older)
        return
    found, problems = run.latest()
    assert found is not None and found.folder == older, f"{damage.__name__}: used {found}"
    assert len(problems) == 1 and str(named) in problems[0], problems
    if trial.index % RESUMED == 0:
        notes = Notes()
        resume(run.path, device="cpu", progress=notes)
        message = f"falling back to round {int(older.name)}: {rounds} rounds are run again"
        assert any(str(named) in note and message in note for note in notes.lines), notes.lines
        require_same(whole.path, run.path)


def _require_refused(run: RunFolder, *named: Path) -> None:
    before = _content(run.path)
    with pytest.raises(CorruptInput) as caught:
        resume(run.path, device="cpu")
    assert all(str(path) in caught.value.cause for path in named), caught.value.cause
    assert _content(run.path) == before, "what a user might still repair was changed"


def _content(folder: Path) -> dict[str, object]:
    files = (path for path in folder.rglob("*") if path.name not in (".lock", "tb"))
    return {str(path): path.read_bytes() if path.is_file() and not path.is_symlink() else None for path in files}


def _runs(shared: Path) -> tuple[RunFolder, RunFolder]:
    """A whole run with two checkpoints, and one of another seed."""
    seeds = {seed: recipe_of(GAME, shared, f"seed={seed}") for seed in (0, 1)}
    made = (
        made_once(shared / f"{GAME}, seed {seed}", lambda path, recipe=recipe: play(recipe, path))
        for seed, recipe in seeds.items()
    )
    whole, other = (RunFolder.open(path) for path in made)
    return whole, other


PROMISE = Promise(number=3, title="A damaged checkpoint is never used", quick=10, long=5000, trial=attempt)

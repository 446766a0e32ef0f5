"""Of many processes that start one run at once, one plays it; the others say so and touch nothing."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sparring.core.progress import Nobody
from sparring.recipes import AnyRecipe
from sparring.runs.folder import RunFolder
from sparring.training.loop import resume, train
from torture.games import play, recipe_of, require_same, undisturbed
from torture.promise import Promise, Trial
from torture.starts import KILLED, Start, Witness, kill_all, require_swept

_STARTERS = 8
_KIND = "flip"
_DONE, _USAGE, _BUSY, _CORRUPT, _REFUSED = 0, 2, 3, 4, 5
_Play = Callable[[Path, AnyRecipe, Nobody], object]


def _begin(run: Path, recipe: AnyRecipe, spectator: Nobody) -> None:
    train(recipe, run, device="cpu", spectator=spectator)


def _go_on(run: Path, recipe: AnyRecipe, spectator: Nobody) -> None:
    resume(run, device="cpu", spectator=spectator)


class _Pause(Nobody):
    """Waits after some rounds until a file is there."""

    def __init__(self, witness: Witness, after: int, gate: Path) -> None:
        self._witness, self._after, self._gate = witness, after, gate

    def played(self, done: int, total: int) -> None:
        self._witness.played(done, total)
        while done >= self._after and not self._gate.exists():
            time.sleep(0.01)


def _at_once(trial: Trial) -> None:
    """Eight start a run that is not there, and its owner is killed; eight again, and its owner ends it."""
    run, draw = trial.folder / "run", trial.draw
    owner, others = _together(trial, [_begin] * _STARTERS, trial.folder / "never")
    assert others == [_BUSY] * (_STARTERS - 1), others
    assert owner.code(within=0) == KILLED
    starters = [_go_on, *(draw.choice([_begin, _go_on]) for _ in range(_STARTERS - 1))]
    draw.shuffle(starters)
    gate = trial.folder / "gate"
    owner, others = _together(trial, starters, gate)
    # To train where a run lies that nobody holds yet is a mistake, not a coincidence.
    assert set(others) <= {_BUSY, _USAGE} and others.count(_USAGE) <= starters.count(_begin), others
    gate.touch()
    assert owner.code() == _DONE
    require_same(undisturbed(_KIND, trial.shared), run)


def _together(trial: Trial, starters: Sequence[_Play], gate: Path) -> tuple[Start, list[int]]:
    """Start all at the same moment; the one that plays, waiting at a gate, and the exit codes of the others."""
    run, recipe, after = trial.folder / "run", recipe_of(_KIND, trial.shared), trial.draw.randint(8, 20)
    barrier = multiprocessing.get_context("fork").Barrier(len(starters))

    def lead(starter: _Play) -> Callable[[Witness], None]:
        def play_when_all_are_there(witness: Witness) -> None:
            barrier.wait()
            starter(run, recipe, _Pause(witness, after, gate))

        return play_when_all_are_there

    started = [Start(lead(starter)) for starter in starters]
    while not any(start.last >= after for start in started):
        assert any(start.is_alive for start in started), "none of them plays"
        time.sleep(0.01)
    owner = next(start for start in started if start.last >= after)
    others = [start for start in started if start is not owner]
    while any(start.is_alive for start in others) and not any(start.first for start in others):
        time.sleep(0.01)
    assert not any(start.first for start in others), "more than one plays"
    return owner, [start.code() for start in others]


def _owners_killed(trial: Trial) -> None:
    """Some try to own a run again and again, and whoever owns it is killed, until it is complete."""
    run, recipe, draw = trial.folder / "run", recipe_of(_KIND, trial.shared), trial.draw
    kills = draw.randint(2, 6)
    starters: list[Start] = []
    while True:
        starters = [start for start in starters if start.is_alive]
        starters += [Start(lambda witness: play(recipe, run, witness)) for _ in range(4 - len(starters))]
        time.sleep(draw.uniform(0, 0.3))
        if kills:
            owner = RunFolder(run).lock.holder()
            victims = [start for start in starters if owner and owner.startswith(f"process {start.number} ")]
            for victim in victims:
                victim.code(within=0)
                kills -= 1
        elif all(start.code() in (_DONE, _USAGE, _BUSY) for start in starters):
            break
    play(recipe, run)
    require_swept(trial.folder)
    require_same(undisturbed(_KIND, trial.shared), run)


def _stale_lock(trial: Trial) -> None:
    """A lock file that a process left behind locks nobody out, whatever it says."""
    words = trial.draw.choice(
        [b"", b"process 1 on here\n", f"process {os.getpid()} on {socket.gethostname()}\n".encode(), b"\xff" * 5000]
    )
    run = _stopped(trial)
    (run / ".lock").write_bytes(words)
    assert _resumed(run) == _DONE
    require_same(undisturbed(_KIND, trial.shared), run)


def _lock_removed(trial: Trial) -> None:
    """A lock file is removed while its owner lives: who goes on is the owner, and the one before writes no more."""
    run, gate, recipe = trial.folder / "run", trial.folder / "gate", recipe_of(_KIND, trial.shared)
    after = trial.draw.randint(1, 20)
    first = Start(lambda witness: play(recipe, run, _Pause(witness, after, gate)))
    while first.last < after:
        time.sleep(0.01)
    (run / ".lock").unlink()
    second = Start(lambda witness: resume(run, device="cpu", spectator=_Pause(witness, 22, trial.folder / "end")))
    while second.last < 22:
        time.sleep(0.01)
    gate.touch()
    assert first.code() == _BUSY
    (trial.folder / "end").touch()
    assert second.code() == _DONE
    require_same(undisturbed(_KIND, trial.shared), run)


def _not_a_lock_file(trial: Trial) -> None:
    """What else lies where the lock file belongs is named, and left alone."""
    run, victim = _stopped(trial), trial.folder / "victim"
    lock, content = run / ".lock", "precious"

    def bind() -> None:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(lock))

    kinds: dict[str, Callable[[], object]] = {
        "folder": lock.mkdir,
        "link": lambda: lock.symlink_to(victim),
        "link to nothing": lambda: lock.symlink_to(trial.folder / "nothing"),
        "hard link": lambda: lock.hardlink_to(victim),
        "pipe": lambda: os.mkfifo(lock),
        "socket": bind,
    }
    for kind, make in kinds.items():
        victim.write_text(content)
        _remove(lock)
        make()
        assert _resumed(run) == _CORRUPT, kind
        assert not RunFolder(run).is_owned()
        assert victim.read_text() == content, kind
        assert not (trial.folder / "nothing").exists(), kind
    _remove(lock)
    lock.touch(0)
    assert _resumed(run) == (_DONE if os.access(lock, os.W_OK) else _REFUSED)


def _children_live_on(trial: Trial) -> None:
    """What an owner started does not hold the folder when the owner is killed."""
    run, after = trial.folder / "run", trial.draw.randint(1, 20)
    numbers = trial.folder / "numbers"

    class Parent(Nobody):
        def played(self, done: int, total: int) -> None:
            if done == after:
                child = os.fork()
                if not child:
                    time.sleep(600)
                    os._exit(0)
                other = subprocess.Popen(["sleep", "600"], close_fds=trial.draw.random() < 0.5)
                numbers.write_text(f"{child} {other.pid}")
                os.kill(os.getpid(), signal.SIGKILL)

    recipe = recipe_of(_KIND, trial.shared)
    assert Start(lambda _witness: play(recipe, run, Parent())).code() == KILLED
    try:
        assert _resumed(run) == _DONE
        require_same(undisturbed(_KIND, trial.shared), run)
    finally:
        for number in numbers.read_text().split():
            os.kill(int(number), signal.SIGKILL)


def _stopped(trial: Trial) -> Path:
    """A run whose process was killed."""
    run, gate = trial.folder / "run", trial.folder / "never"
    recipe, after = recipe_of(_KIND, trial.shared), trial.draw.randint(1, 20)
    start = Start(lambda witness: play(recipe, run, _Pause(witness, after, gate)))
    while start.last < after:
        time.sleep(0.01)
    assert start.code(within=0) == KILLED
    return run


def _resumed(run: Path) -> int:
    """The exit code of a process that goes on."""
    return Start(lambda witness: resume(run, device="cpu", spectator=witness)).code(within=60)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


_WAYS = (_at_once, _owners_killed, _stale_lock, _lock_removed, _not_a_lock_file, _children_live_on)


def _trial(trial: Trial) -> None:
    try:
        trial.turn(_WAYS)(trial)
    finally:
        kill_all()


PROMISE = Promise(
    number=12,
    title="Two processes, one folder: one owner, the others exit with 3",
    quick=6,
    long=100,
    trial=_trial,
)

"""The comparison of promise 1 can fail: a resumed run that forgets any item of state ends otherwise.

One trial is one mutant: a library that forgets one item when a killed run is resumed.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from sparring.classifier.state import ClassifierState
from sparring.core.distributed import ProcessGroup
from sparring.core.process import Progress
from sparring.core.randomness import Rng, Streams
from sparring.gan.state import GANState
from sparring.runs.folder import RunFolder
from sparring.training import loop as trainer
from sparring.training.load import LoadedTraining
from sparring.training.loop import resume
from torture.games import GAMES, differences, made_once, play, recipe_of, undisturbed
from torture.promise import Promise, Trial
from torture.starts import KILLED, Start, kill_oneself

_MOMENTS = (10, 17)
"""Rounds after which a run is killed: three after a checkpoint, with rows of the log that come again."""
_DONE, _REFUSED = 0, 4

ITEMS: dict[str, tuple[str, ...]] = {
    "images": (
        r"players/generator.*(weight|bias)",
        r"players/discriminator.*(weight|bias|original)",
        r"players/average.*(weight|bias)",
        r"players/.*running_mean",
        r"players/.*running_var",
        r"players/.*num_batches_tracked",
        r"players/discriminator.*\.[uv]",
        r"optimizer.generator/.*/exp_avg",
        r"optimizer.generator/.*/exp_avg_sq",
        r"optimizer.generator/.*/step",
        r"optimizer.discriminator/.*/square_avg",
        r"optimizer.discriminator/.*/step",
        r"watch/.*",
    ),
    "spectral norm, replicas": (
        r"players/(generator|discriminator|average).*(weight|bias|original)",
        r"players/discriminator.*\.[uv]",
        r"optimizer.(generator|discriminator)/.*/(exp_avg|exp_avg_sq|square_avg|step)",
        r"watch/.*",
    ),
    "channels last": (r"optimizer.discriminator/.*/exp_avg", r"optimizer.discriminator/.*/exp_avg_sq"),
    "classifier from runs": (
        r"classifier/.*(weight|bias)",
        r"classifier/.*running_mean",
        r"classifier/.*running_var",
        r"classifier/.*num_batches_tracked",
        r"fakes/.*(weight|bias)",
        r"fakes/.*(running_mean|running_var)",
        r"fakes/.*num_batches_tracked",
        r"optimizer/.*/exp_avg",
        r"optimizer/.*/exp_avg_sq",
        r"optimizer/.*/step",
        r"watch/.*",
    ),
}
"""Every item of state, as a pattern of the names of its tensors, with a kind of run that has it."""
STREAMS: dict[str, tuple[str, ...]] = {
    "PGD": (
        "data",
        "latents",
        "feedback",
        "attack/real",
        "attack/fake",
        "disturb/real",
        "disturb/fake",
        "disturb/generator",
        "measure",
        "probe/latents",
        "collapse",
    ),
    "adversarial penalty": ("lipschitz/0", "lipschitz/1"),
    "images, replicas": ("order",),
    "classifier": ("attack/real",),
    "classifier from runs": ("fakes",),
}
"""Every random stream that is counted, so that its count is state, with a kind of run that draws from it."""
NOT_DRAWN = ("probe/attack", "measure/test", "measure/train", "mixing/real", "mixing/fake")
"""Streams of attacks with a zero start, or whose random start does not change an accuracy, and of no mixing."""


@dataclass(frozen=True)
class _Mutant:
    """A library that forgets an item of state when it resumes a run of some kind."""

    kind: str
    forgets: str
    forgetting: Callable[[], AbstractContextManager[object]]


def _tensors(kind: str, pattern: str) -> _Mutant:
    """Takes the tensors of these names as they are before the first round."""
    trained: type[GANState] | type[ClassifierState] = GANState if kind in GAMES else ClassifierState
    load_state = trained.load_state

    def load_the_rest(self: Any, state: dict[str, Tensor]) -> None:
        fresh, left_out = self.state(), {name for name in state if re.fullmatch(pattern, name)}
        if not left_out:
            raise LookupError(f"{pattern} is no part of the state")
        unchanged = {name: tensor for name, tensor in state.items() if name not in left_out}
        moments = {name: torch.zeros_like(state[name]) for name in left_out if name.startswith("optimizer")}
        load_state(self, unchanged | moments | {name: fresh[name] for name in left_out & fresh.keys()})

    return _Mutant(kind, pattern, lambda: mock.patch.object(trained, "load_state", load_the_rest))


def _stream(kind: str, name: str) -> _Mutant:
    """Counts the draws of this stream anew."""
    rng, first = Streams.rng, dict[str, int]()

    def count_anew(self: Streams, asked: str, number: int = 0) -> Rng:
        return rng(self, asked, number - first.setdefault(asked, number) if asked == name else number)

    return _Mutant(kind, f"numbers of the stream {name}", lambda: mock.patch.object(Streams, "rng", count_anew))


def _value(name: str, forgotten: Any) -> _Mutant:
    """Replaces a value that goes with the tensors."""
    load_training = trainer.load_training

    def load_the_rest(run: RunFolder, device: str, group: ProcessGroup) -> LoadedTraining:
        torch.set_num_threads(2)  # what this process would have chosen
        return replace(load_training(run, device, group), **{name: forgotten})

    return _Mutant("flip", name, lambda: mock.patch.object(trainer, "load_training", load_the_rest))


def _rows() -> _Mutant:
    """Leaves rows in the log that come again."""
    return _Mutant("flip", "the log", lambda: mock.patch.object(RunFolder, "rewind"))


MUTANTS = (
    _value("step", 0),
    _value("log_bytes", 0),
    _value("threads", None),
    _rows(),
    *(_tensors(kind, pattern) for kind, patterns in ITEMS.items() for pattern in patterns),
    *(_stream(kind, name) for kind, names in STREAMS.items() for name in names),
)


def _trial(trial: Trial) -> None:
    mutant, moment = trial.turn(MUTANTS), trial.draw.choice(_MOMENTS)
    expected = undisturbed(mutant.kind, trial.shared)
    killed = made_once(
        trial.shared / f"killed {mutant.kind} {moment}", lambda path: _kill(mutant.kind, moment, path, trial.shared)
    )
    shutil.copytree(killed, trial.folder / "run")
    code = _gone_on(trial.folder / "run", mutant.forgetting)
    assert code in (_DONE, _REFUSED), f"exit code {code}"
    caught = code == _REFUSED or differences(expected, trial.folder / "run")
    assert caught, f"{mutant.forgets} of {mutant.kind!r} may be forgotten"


def _kill(kind: str, moment: int, run: Path, shared: Path) -> None:
    class Killer(Progress):
        def advance(self, done: int, total: int) -> None:
            if done == moment:
                kill_oneself()

    recipe = recipe_of(kind, shared)
    assert Start(lambda _witness: play(recipe, run, Killer())).code() == KILLED


def _gone_on(run: Path, forgetting: Callable[[], AbstractContextManager[object]]) -> int:
    """The exit code of a process that forgets and goes on."""

    def go_on(_witness: object) -> None:
        with forgetting():
            resume(run, device="cpu")

    return Start(go_on).code()


PROMISE = Promise(
    number=2,
    title="Promise 1 can fail: whatever item of state is left out, the comparison catches it",
    quick=8,
    long=2 * len(MUTANTS),
    trial=_trial,
)

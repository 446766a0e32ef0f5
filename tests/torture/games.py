"""The tiny recipes that all promises train, about half a second of one core each, and the comparison of two runs."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from sparring.core.process import SILENT, Progress
from sparring.recipes import AnyRecipe, changed, load, validated
from sparring.runs.checkpoint import read_checkpoint
from sparring.runs.folder import RunFolder
from sparring.training.loop import resume, train
from untimed import untimed_rows

ROUNDS, CHECKPOINT_EVERY = 24, 7
_ROUNDS = (f"steps={ROUNDS}", "log_every=3", f"checkpoint_every={CHECKPOINT_EVERY}", "evaluate_every=16")
"""Intervals that share no moment but the end."""
_GAME = (
    *_ROUNDS,
    "sample_every=9",
    "generator={name: mlp, latent: 8, hidden: [16, 16]}",
    "discriminator={name: mlp, hidden: [16, 16]}",
    "optimizers.generator.schedule=linear",
    "batch_size=32",
    "critic_steps=2",
    "replicas=1",
    "ema=0.9",
)
_IMAGES = (
    "data=digits",
    "critic_steps=1",
    "generator={name: mnist, latent: 8, width: 4, batch_norm: true}",
    "discriminator={name: mnist, width: 4}",
    "lipschitz=spectral_norm",
)
GAMES: dict[str, tuple[str, ...]] = {
    "plain": ("objective=log", "feedback=honest"),
    "flip": ("feedback={name: flip, probability: 0.3}",),
    "flip, replicas": ("feedback={name: flip, probability: 0.3}", "replicas=2"),
    "per batch": ("feedback.delivery=per_batch",),
    "symmetric": ("regime=symmetric", "regime.warmup={start: 2, end: 15}"),
    "mixed": ("regime=mixed", "regime.attack=pgd"),
    "PGD": ("regime=replace", "regime.attacked=both", "lipschitz=instance_noise"),
    "GP": ("lipschitz=gradient_penalty", "objective=wasserstein"),
    "adversarial penalty": ("regime=symmetric", "lipschitz=adversarial_lipschitz_penalty"),
    "spectral norm, replicas": ("lipschitz=spectral_norm", "replicas=2"),
    "bf16": ("precision=bf16",),
    "images": (*_IMAGES, "regime=symmetric"),
    # Convolutional networks are refused with replicas: only the MLPs have a packed form.
    "images, replicas": ("data=digits", "critic_steps=1", "replicas=2", "batch_size=256"),
    "classes": (*_IMAGES, "generator.conditional=true", "discriminator.head=auxiliary", "class_loss=split"),
    "channels last": (
        *_IMAGES,
        "lipschitz=none",
        "optimizers.discriminator={name: adam, lr: 0.001}",
        "memory_format=channels_last",
    ),
}
"""Every game as overrides of dishonest/ring-small, on top of those that make it tiny and give it all kinds of state."""
CLASSIFIERS: dict[str, Callable[[Path], Sequence[str]]] = {
    "classifier": lambda _shared: ("attack={name: pgd, epsilon: 0.1, steps: 2}", "warmup.end=9"),
    "classifier from runs": lambda shared: (
        f"start.run={_donor('classifier', shared)}",
        f"fakes={{run: {_donor('classes', shared)}, weight: 0.5}}",
        "attack=none",
        "data.augment=[{name: flip}]",
        "memory_format=channels_last",
    ),
}
"""Every classifier by its overrides; the runs that it starts from are made in the shared folder."""
KINDS = (*GAMES, *CLASSIFIERS)
"""The names of all recipes."""

_SPEED = ("seconds", "preparation_seconds", "log_bytes", "log_sha256")
"""The keys of state.json and summary.json that differ between equal runs, since rows of the log have times."""
_OF_A_PROCESS = ("tb", ".lock", "environment.json", "report.html", "summary.json", "checkpoints")
"""Parts of a run folder that depend on the process, are made on demand, or are compared by their content."""


def recipe_of(kind: str, shared: Path, *overrides: str) -> AnyRecipe:
    """The recipe of a kind, with further overrides."""
    if kind in GAMES:
        return load("dishonest/ring-small", [*_GAME, *GAMES[kind], *overrides])
    small = {
        "data": "digits",
        "classifier": {"name": "small_resnet", "width": 2},
        "optimizer": {"name": "adam", "lr": 0.01, "schedule": "steps"},
        "batch_size": 16,
    }
    return validated(changed(small, [*_ROUNDS, *CLASSIFIERS[kind](shared), *overrides]), kind)


class Notes(Progress):
    """Keeps the messages of a run."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def made_once(path: Path, make: Callable[[Path], object]) -> Path:
    """A path that `make` fills, once for all processes that ask."""
    if not path.exists():
        own = path.with_name(f"{path.name}-{os.getpid()}")
        make(own)
        try:
            os.rename(own, path)
        except OSError:  # another process was first
            shutil.rmtree(own)
    return path


def _donor(kind: str, shared: Path) -> Path:
    short = recipe_of(kind, shared, "steps=3", "evaluate_every=0")
    return made_once(shared / f"donor {kind}", lambda path: train(short, path, device="cpu"))


def play(recipe: AnyRecipe, run: Path, progress: Progress = SILENT) -> None:
    """Start or resume a run, as a user would."""
    if (run / "recipe.yaml").is_file():
        resume(run, device="cpu", progress=progress)
    else:
        train(recipe, run, device="cpu", progress=progress)


def undisturbed(kind: str, shared: Path) -> Path:
    """A run of this kind that was not disturbed."""
    recipe = recipe_of(kind, shared)
    return made_once(shared / f"undisturbed {kind}", lambda path: play(recipe, path))


def fingerprint(run: Path) -> dict[str, str]:
    """The content of a run by name: tensors and values of its newest checkpoint, and the other files."""
    folder = RunFolder.open(run)
    checkpoint = read_checkpoint(folder.saved()[-1])
    found = {f"tensor {name}": _tensor_hash(tensor) for name, tensor in checkpoint.tensors.items()}
    for source, values in {"state": checkpoint.state, "summary": folder.summary().as_json()}.items():
        found |= {f"{source} {name}": repr(value) for name, value in values.items() if name not in _SPEED}
    files = {path.relative_to(run): path for path in run.rglob("*") if path.is_file()}
    found |= {str(name): _hash(path.read_bytes()) for name, path in files.items() if name.parts[0] not in _OF_A_PROCESS}
    return found | {"metrics.jsonl": repr(untimed_rows(run))}


def differences(expected: Path, found: Path) -> list[str]:
    """The names under which the fingerprints of two runs differ."""
    first, second = fingerprint(expected), fingerprint(found)
    return sorted(name for name in first | second if first.get(name) != second.get(name))


def require_same(expected: Path, found: Path) -> None:
    """Two runs differ in nothing."""
    names = differences(expected, found)
    assert not names, f"{len(names)} differences: {', '.join(names[:5])}"


def _tensor_hash(tensor: Tensor) -> str:
    return f"{tensor.dtype} {tuple(tensor.shape)} {_hash(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())}"


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

"""Write small runs of every kind with this version: `python tests/corpus/write.py`, once for each release.

They become tests/corpus/VERSION/NAME, and stay: later versions must open them, or say in one sentence why not.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import torch

from sparring.classifier.finetune import finetuning
from sparring.core.files import whole_folder
from sparring.recipes import AnyRecipe, load
from sparring.robustness.evaluate import evaluate_robustness, robust_options
from sparring.runs.folder import RunFolder
from sparring.training.loop import train

HERE = Path(__file__).parent
STEPS, HALF = 12, 6
"""Rounds of a run, and those after which it was saved first."""
_OF_THE_MACHINE = ("tb", ".lock", "report.html")
"""What a run folder has that tells of the machine, or is made on demand."""
_ROUNDS = [f"steps={STEPS}", f"checkpoint_every={HALF}", f"evaluate_every={HALF}", "log_every=3", "batch_size=16"]
_GAME = [*_ROUNDS, f"sample_every={HALF}"]
_SMALL = ["generator={name: mlp, latent: 4, hidden: [8]}", "discriminator={name: mlp, hidden: [8]}"]
_CNN = [
    "replicas=1",
    "generator={name: mnist, latent: 4, width: 1, batch_norm: true}",
    "discriminator={name: mnist, width: 2, batch_norm: true}",
]
_CLASSES = ["generator.conditional=true", "discriminator.head=auxiliary", "class_loss=split"]
GAMES: dict[str, tuple[str, list[str]]] = {
    "ring": ("dishonest/ring-small", [*_GAME, *_SMALL, "replicas=2", "ema=0.9"]),
    "attacked": ("dishonest/digits", [*_GAME, *_CNN, "regime={name: symmetric, attack: {name: fgsm, epsilon: 8/255}}"]),
    "classes": (
        "dishonest/digits",
        [*_GAME, *_CNN, *_CLASSES, "regime={name: replace, attack: {name: pgd, steps: 2}}"],
    ),
    "classifier": (
        "robgan/digits-adversarial-training",
        [
            *_ROUNDS,
            "classifier={name: small_resnet, width: 1}",
            "attack={name: pgd, epsilon: 8/255, steps: 2}",
        ],
    ),
}
"""Runs by name: a recipe and what is changed in it."""
NAMES = (*GAMES, "finetuned")


def write(folder: Path) -> None:
    """Write one run of each kind into an existing folder, `classes` with an evaluation of its robustness."""
    torch.set_num_threads(1)
    with inside(folder):
        for name, (recipe, changes) in GAMES.items():
            _play(load(recipe, changes), Path(name))
        evaluate_robustness(
            Path("classes"), robust_options({"on": ["class"], "samples": 8, "threats": "fgsm,square"}), device="cpu"
        )
        paths = ["start.run=classes", "fakes.run=classes"]
        tuned = finetuning(RunFolder.open(Path("classes")), overrides=[*_ROUNDS, *paths, "attack.steps=1"])
        _play(tuned.recipe, Path("finetuned"))


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """The current folder within the block: a run of the corpus names another by its path from there."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _play(recipe: AnyRecipe, path: Path) -> None:
    train(recipe, path, device="cpu")
    for name in _OF_THE_MACHINE:
        shutil.rmtree(path / name) if (path / name).is_dir() else (path / name).unlink(missing_ok=True)


def main() -> int:
    """Write the runs of this version, unless they are there."""
    target = HERE / version("sparring")
    if target.exists():
        print(f"{target} is there; what a release wrote stays as it is", file=sys.stderr)
        return 1
    with whole_folder(target) as folder:
        write(folder)
    print(f"{target}: {sum(file.stat().st_size for file in target.rglob('*') if file.is_file()):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Trains games with a second process and alone, and writes their differences; with the second one, trains a whole run
and resumes another.

python two_processes.py OUT, once for each RANK, by gan/test_distributed.py. The run to resume is OUT/resumed.
"""

from __future__ import annotations

import io
import itertools
import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext, redirect_stdout, suppress
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor

from sparring.cli import main as command_line
from sparring.core.distributed import SINGLE, ProcessGroup, process_group
from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.recipes import load, require_game
from sparring.training import loop

ROUNDS = 10
STEEP = 2.0
"""Factor of D's initial weights: one-sided penalties are then positive."""
_GAME = (
    "data=digits",
    "generator={name: mlp, latent: 8, hidden: [16, 16]}",
    "discriminator={name: mlp, hidden: [16, 16]}",
    "optimizers.generator={name: sgd, lr: 0.005, momentum: 0.5}",
    "optimizers.discriminator={name: sgd, lr: 0.005, momentum: 0.5}",
    "objective=log",
    "feedback=honest",
    "batch_size=16",
    "replicas=1",
    "ema=0.9",
    f"steps={ROUNDS}",
)
REGIMES = ("plain", "symmetric", "mixed", "replace")
CONTROLS = (
    "none",
    "clip",
    "spectral_norm",
    "instance_noise",
    "gradient_penalty",
    "lipschitz_penalty",
    "{name: adversarial_lipschitz_penalty, epsilon: [0.1, 1.0], xi: 1.0}",
    "{name: zero_centred, at: both}",
    "{name: together, controls: [spectral_norm, instance_noise, gradient_penalty]}",
)
_CONVOLUTIONS = (
    "generator={name: dcgan, latent: 8, width: 8, batch_norm: false}",
    "discriminator={name: dcgan, width: 8, batch_norm: false}",
)
GAMES: dict[str, tuple[str, ...]] = {
    **{f"plain, {control}": ("regime=plain", f"lipschitz={control}") for control in CONTROLS},
    **{f"{regime}, none": (f"regime={regime}", "lipschitz=none") for regime in REGIMES},
    "mixed, gradient_penalty": ("regime=mixed", "lipschitz=gradient_penalty"),
    "flip": ("feedback={name: flip, probability: 0.3}", "critic_steps=2"),
    "per batch": ("feedback={name: flip, probability: 0.3, delivery: per_batch}",),
    "augmented": ("data={name: digits, augment: [flip, dequantize]}",),
    "adam": ("optimizers.generator={name: adam, lr: 0.0002}", "optimizers.discriminator={name: adam, lr: 0.0002}"),
    "classes": (
        "generator.conditional=true",
        "discriminator.head=auxiliary",
        "class_loss=split",
        "regime={name: symmetric, attacked: both}",
    ),
    "convolutions": (*_CONVOLUTIONS, "regime=mixed", "lipschitz=gradient_penalty"),
    "ring": ("data=ring", "regime=mixed"),
}
RUN = (
    *("replicas=1", "batch_size=16", "steps=120", "log_every=1"),
    *("checkpoint_every=0", "evaluate_every=80", "sample_every=0"),
)
"""The run as overrides of dishonest/ring-small."""
NORMALISED = (
    "generator={name: dcgan, latent: 8, width: 8}",
    "discriminator={name: dcgan, width: 8}",
)


def main(out: Path) -> None:
    """Write {game: the largest difference of a tensor's values, relative to its own largest one}, and what `resume`
    prints.
    """
    torch.set_num_threads(1)
    printed = io.StringIO()
    with process_group("cpu") as (group, _device):
        parallel = {name: train(changes, group) for name, changes in _all()}
        with mock.patch.object(loop, "process_group", lambda device: nullcontext((group, device))):
            loop.train(load("dishonest/ring-small", RUN), out / "run", device="cpu")
            sys.argv = ["sparring", "resume", str(out / "resumed"), "--json"]
            with redirect_stdout(printed), suppress(SystemExit):
                command_line()
    differences = {
        name: difference(parallel[name], train(changes, SINGLE))
        for name, changes in itertools.islice(_all(), group.part.rank, None, group.part.of)
    }
    assert "torch._dynamo" not in sys.modules, "a training imports no compiler"
    out.joinpath(f"{group.part.rank}.txt").write_text(printed.getvalue())
    out.joinpath(f"{group.part.rank}.json").write_text(json.dumps(differences))


def _all() -> Iterator[tuple[str, tuple[str, ...]]]:
    yield from GAMES.items()
    yield "batch normalisation", NORMALISED


def train(changes: tuple[str, ...], group: ProcessGroup) -> dict[str, Tensor]:
    """The state at the end of a game."""
    recipe = require_game(load("dishonest/digits", [*_GAME, *changes]), "a test")
    device = torch.device("cpu")
    game = GANState(recipe, recipe.data.open(device), device, group)
    with torch.no_grad():
        for parameter in game.discriminator.parameters():
            parameter *= STEEP
    for step in range(ROUNDS):
        play_round(game, step)
    return game.state()


def difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The largest of all tensors' values, relative to its own largest one."""
    assert one.keys() == other.keys()
    return max(_relative(one[name].double(), other[name].double()) for name in one)


def _relative(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max().clamp(min=1e-6))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

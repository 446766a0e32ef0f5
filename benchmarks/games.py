"""Rounds of a GAN, and D's updates alone: this library against the published way.

Images are 32 x 32 noise, in batches of 64, or of 16 for rounds of the ResNet; their content does not change the time.
The attacks ascend D's loss; with DAT's own aim and batch normalisation, `mixed` needs extra passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks.case import Candidate, Case, Line, compared
from benchmarks.ceiling import Ceiling
from benchmarks.published import PublishedGAN, update_mixed, update_plain, update_replace, update_symmetric
from benchmarks.timing import Work
from sparring.core.randomness import Rng
from sparring.core.shapes import IMAGE_BOUNDS
from sparring.data import ArraySource, Facts, ImageArrays
from sparring.gan.state import GANState
from sparring.gan.step import DiscriminatorTurn, play_round
from sparring.networks.folded import unfold
from sparring.recipes import Recipe, load, require_game

_CPU = torch.device("cpu")
_NETWORKS = {
    "dcgan32": ("generator={name: dcgan, width: 64}", "discriminator={name: dcgan, width: 64}", "batch_size=64"),
    "resnet32": (
        "generator=robgan_resnet",
        "discriminator={name: robgan_resnet, batch_norm: false}",
        "batch_size=16",
    ),
}
REGIMES = {
    "plain": "plain",
    "symmetric": "{name: symmetric, attack: {name: fgsm, epsilon: 8/255}}",
    "mixed": "{name: mixed, aim: payoff, attack: {name: fgsm, epsilon: 8/255}}",
    "replace": "{name: replace, attack: {name: pgd, epsilon: 8/255, steps: 5, start: zero}}",
}
_BOTH = "{name: symmetric, attacked: both, attack: {name: fgsm, epsilon: 8/255}}"
_PUBLISHED: dict[str, Callable[..., None]] = {
    "plain": update_plain,
    "symmetric": update_symmetric,
    "mixed": update_mixed,
    "replace": update_replace,
}
_CHANNELS_LAST = "memory_format=channels_last"
_BF16 = ("precision=bf16", _CHANNELS_LAST)


def game_of_noise(networks: str, regime: str, *overrides: str, device: torch.device = _CPU) -> GANState:
    """A GAN on images of noise.

    Args:
        networks: `dcgan32` or `resnet32`.
        regime: as a recipe has it.
        overrides: further `KEY=VALUE`.
        device: where it is trained.
    """
    settings = [*_NETWORKS[networks], f"regime={regime}", "data=digits", *overrides]
    recipe: Recipe = require_game(load("asgan/cifar10-dcgan", settings), networks)
    samples = Rng.of(0).integers((8 * recipe.batch_size, 3, 32, 32), 256).byte().to(device)
    arrays, facts = ImageArrays(samples, None), Facts((3, 32, 32), IMAGE_BOUNDS)
    return GANState(recipe, ArraySource(facts, arrays, arrays, scale=127.5, device=device), device)


def _numbers() -> Iterator[int]:
    return iter(range(1 << 30))


def rounds_of(game: GANState) -> Work:
    """Rounds of this library, one per call."""
    steps = _numbers()

    def work() -> None:
        play_round(game, next(steps))

    return work


def _update(game: GANState) -> Work:
    """This library's updates of D, one per call."""
    steps = _numbers()

    def work() -> None:
        step = next(steps)
        real, fake = game.real_batch(step), game.generate("latents", step)
        side = DiscriminatorTurn(game, step, step, {"real": real.labels, "fake": fake.labels})
        game.recipe.regime.update(side, real.samples, fake.samples.detach())

    return work


def _published(networks: str, *overrides: str) -> tuple[PublishedGAN, GANState]:
    """Networks without folds, and the game that holds their data."""
    game, rng = game_of_noise(networks, "plain", *overrides), Rng.of(1)
    unfold(game.generator)
    unfold(game.discriminator)

    def latents() -> Tensor:
        return game.recipe.generator.draw((game.recipe.batch_size,), game.networks.space, rng=rng).values

    ahead, against = game.optimizers["generator"], game.optimizers["discriminator"]
    return PublishedGAN(game.generator, game.discriminator, ahead, against, latents), game


def _published_work(networks: str, regime: str, *overrides: str, with_generator: bool) -> Work:
    (gan, game), numbers = _published(networks, *overrides), _numbers()

    def work() -> None:
        _PUBLISHED[regime](gan, game.real_batch(next(numbers)).samples)
        if with_generator:
            gan.update_generator()

    return work


def _rounds(networks: str, regime: str, ceiling: Ceiling) -> list[Line]:
    ours = REGIMES[regime]
    candidates = [
        Candidate("published way", _published_work(networks, regime, with_generator=True)),
        Candidate("fp32", rounds_of(game_of_noise(networks, ours))),
        Candidate("fp32, channels_last", rounds_of(game_of_noise(networks, ours, _CHANNELS_LAST))),
        Candidate("bf16, channels_last", rounds_of(game_of_noise(networks, ours, *_BF16)), "bf16"),
    ]
    return compared(candidates, ceiling, unit="s a round")


def _updates_of_robgan(ceiling: Ceiling) -> list[Line]:
    """Rob-GAN's update of D."""
    ours, batch = REGIMES["replace"], "batch_size=64"
    frozen = game_of_noise("resnet32", ours, batch, _CHANNELS_LAST)
    unfold(frozen.discriminator)
    unfold(frozen.generator)
    candidates = [
        Candidate("published way", _published_work("resnet32", "replace", batch, with_generator=False)),
        Candidate("fp32, channels_last, without folds", _update(frozen)),
        Candidate("fp32, channels_last", _update(game_of_noise("resnet32", ours, batch, _CHANNELS_LAST))),
        Candidate("bf16, channels_last", _update(game_of_noise("resnet32", ours, batch, *_BF16)), "bf16"),
    ]
    return compared(candidates, ceiling, unit="s an update of D", turns=3)


def _updates_by_regime(ceiling: Ceiling) -> list[Line]:
    """The cost of an adversarial update in plain ones."""
    works = {
        "plain": _update(game_of_noise("dcgan32", "plain")),
        "symmetric, both sides": _update(game_of_noise("dcgan32", _BOTH)),
        "mixed": _update(game_of_noise("dcgan32", REGIMES["mixed"])),
        "published plain": _published_work("dcgan32", "plain", with_generator=False),
        "published mixed": _published_work("dcgan32", "mixed", with_generator=False),
    }
    return compared([Candidate(name, work) for name, work in works.items()], ceiling, unit="s an update of D", turns=15)


CASES = (
    *(
        Case(f"round-{networks}-{regime}", f"a round of {regime}, {networks}", partial(_rounds, networks, regime))
        for networks in _NETWORKS
        for regime in REGIMES
    ),
    Case("update-robgan", "D's update under PGD-5, resnet32", _updates_of_robgan),
    Case("update-regimes", "D's updates of the regimes, dcgan32", _updates_by_regime),
)

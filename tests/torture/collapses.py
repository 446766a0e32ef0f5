"""Planted collapses: from some round on, the forward pass of a network is replaced, in one of the packed games."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch import Tensor

from sparring.classifier.state import ClassifierState
from sparring.core.randomness import Rng
from sparring.data import Batch
from sparring.gan.state import GANState
from sparring.networks import Verdict
from sparring.training.task import ClassifierTask, GANTask

Damage = Callable[[GANState], None]


@contextmanager
def planted(round_: int, damage: Callable[[GANState | ClassifierState], None]) -> Iterator[None]:
    """Damage every training within the block just before this round, counted from 0."""
    plays = {GANTask: GANTask.train_round, ClassifierTask: ClassifierTask.train_round}

    def damaged(self: GANTask | ClassifierTask, step: int) -> None:
        if step == round_:
            damage(self.game if isinstance(self, GANTask) else self.classifier)
        plays[type(self)](self, step)  # type: ignore[arg-type]

    with patch.object(GANTask, "train_round", damaged), patch.object(ClassifierTask, "train_round", damaged):
        yield


def constant_generator(game: GANState, victim: int) -> None:
    """G makes one real sample from every latent."""
    _replace_samples(game, victim, lambda codes: _real(game).samples[:1].expand(len(codes), *_shape(game)))


def one_mode(game: GANState, victim: int) -> None:
    """Samples around one real sample: of a mixture one mode, of images one image with a little noise."""
    facts = game.source.facts
    centre = _real(game).samples[0] if facts.centres is None else facts.centres[0]
    width = facts.std or 0.1

    def around(codes: Tensor) -> Tensor:
        directions = Rng.of(1).normal((codes.shape[-1], centre.numel())) / codes.shape[-1] ** 0.5
        return centre + width * (codes @ directions).reshape(len(codes), *centre.shape)

    _replace_samples(game, victim, around)


def one_class(game: GANState, victim: int) -> None:
    """Real samples of one class."""
    real = _real(game)
    of_class = real.samples[real.labels == 3]
    _replace_samples(game, victim, lambda codes: of_class[_hash(codes) % len(of_class)])


def constant_discriminator(game: GANState, victim: int) -> None:
    """One score for everything."""
    _replace_scores(game, victim, lambda score: 0 * score + 0.3)


def scaled_discriminator(game: GANState, victim: int) -> None:
    """Scores so large that every saturating payoff is flat."""
    _replace_scores(game, victim, lambda score: 1e6 * score)


def clipped_discriminator(game: GANState, victim: int) -> None:
    """Scores that jump between two values: D itself is flat, whatever the payoff."""
    _replace_scores(game, victim, lambda score: (1e9 * (score - score.mean())).clamp(-20, 20))


def one_predicted_class(state: ClassifierState, _victim: int) -> None:
    """One class for everything."""
    network, original = state.network, state.network.forward
    network.forward = lambda x: 1e-3 * original(x) + 5 * torch.eye(state.space.classes)[3]  # type: ignore[method-assign]


def _replace_samples(game: GANState, victim: int, make: Callable[[Tensor], Tensor]) -> None:
    """Replace the samples of one game; adding 0 times the own ones keeps the graph of gradients."""
    generator, packed = game.generator, bool(game.recipe.lead)
    original = generator.forward

    def forward(codes: Tensor) -> Tensor:
        own = original(codes)
        if not packed:
            return make(codes) + 0 * own
        return torch.stack([make(codes[i]) + 0 * own[i] if i == victim else own[i] for i in range(len(own))])

    generator.forward = forward  # type: ignore[method-assign]


def _replace_scores(game: GANState, victim: int, change: Callable[[Tensor], Tensor]) -> None:
    discriminator, packed = game.discriminator, bool(game.recipe.lead)
    original = discriminator.forward

    def forward(samples: Tensor) -> Verdict:
        verdict = original(samples)
        if not packed:
            return Verdict(change(verdict.score), verdict.classes)
        scores = [change(score) if i == victim else score for i, score in enumerate(verdict.score)]
        return Verdict(torch.stack(scores), verdict.classes)

    discriminator.forward = forward  # type: ignore[method-assign]


def _real(game: GANState) -> Batch:
    return game.source.held_out(256, rng=Rng.of(5))


def _shape(game: GANState) -> tuple[int, ...]:
    return game.source.facts.shape


def _hash(codes: Tensor) -> Tensor:
    return (codes.sum(-1).abs() * 1e4).long()

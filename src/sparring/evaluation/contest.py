"""Contest: a subject before an attack that is itself under test; what comes back is judged here, by the model."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from sparring.attacks import Attack, Classify, Criterion, GradientAttack, Threat, attempt
from sparring.evaluation.subjects import Subject
from sparring.randomness import Rng, derive
from sparring.shapes import Samples, Space


@runtime_checkable
class Attempt(Protocol):
    """One try of a threat on every sample, as `attacks.attempt`."""

    def __call__(
        self,
        threat: Threat,
        classify: Classify,
        x: Samples,
        labels: Tensor,
        targets: Tensor | None = None,
        *,
        network: nn.Module,
        space: Space,
        rng: Rng,
    ) -> Samples: ...


class Tried(NamedTuple):
    """What an attack made of the samples, and which of them are still classified right, clean and attacked."""

    samples: Samples
    stands: Bool[Tensor, n]


class Contest:
    """Tries attacks on a subject, and remembers what came of them.

    Args:
        subject: the model, and all samples that are attacked.
        attack: the attack under test, at the main epsilon.
        criterion: what it ascends.
        attempt: how it is tried.
        seed: of everything drawn.
    """

    def __init__(
        self, subject: Subject, attack: GradientAttack, criterion: Criterion, *, attempt: Attempt, seed: int
    ) -> None:
        self.subject, self.attack, self.criterion = subject, attack, criterion
        self.tried: dict[GradientAttack, Tried] = {}
        self._attempt, self._seed = attempt, seed
        self.right = self.classified_right(subject.samples)

    def rng(self, name: str) -> Rng:
        """A stream of this contest."""
        return Rng.of(derive(self._seed, f"battery/{name}", 0), self.subject.samples.device)

    def threat(self, attack: Attack) -> Threat:
        """One try of an attack."""
        return Threat(name=attack.name, kind="white-box", attack=attack, criterion=self.criterion)

    def at(self, epsilon: float) -> GradientAttack:
        """The attack under test with another budget, and steps of the same share of it."""
        scaled = self.attack.scaled(epsilon / self.attack.epsilon)
        return scaled.model_copy(update={"epsilon": epsilon})

    def loss(self, samples: Samples) -> float:
        """The mean of what the attack ascends."""
        losses = self.criterion.loss(self.subject.answers(samples), self.subject.labels)
        return float(losses.double().mean())

    def classified_right(self, samples: Samples) -> Bool[Tensor, n]:
        """Of which samples the model says their own class."""
        return self.subject.answers(samples).argmax(1) == self.subject.labels

    def under(self, attack: GradientAttack) -> Tried:
        """What a form of the attack under test does; all forms start from the same draws."""
        if attack not in self.tried:
            self.tried[attack] = self._tried(self._attempt, attack, "attack")
        return self.tried[attack]

    def under_other(self, attack: Attack) -> Tried:
        """What an attack that is not under test does."""
        return self._tried(attempt, attack, attack.name)

    def _tried(self, trial: Attempt, attack: Attack, stream: str) -> Tried:
        subject, threat, rng = self.subject, self.threat(attack), self.rng(stream)
        network, space = subject.network, subject.space
        parts = [
            trial(threat, subject.logits, *part, network=network, space=space, rng=rng) for part in subject.parts()
        ]
        moved = torch.cat(parts)
        return Tried(moved, self.right & self.classified_right(moved))

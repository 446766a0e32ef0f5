"""Contest: a subject before an attack that is itself under test; what comes back is judged here, by the model."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from sparring.attacks import Attack, Classify, Criterion, GradientAttack, Threat, attempt
from sparring.core.randomness import Rng, derive
from sparring.core.shapes import Samples, Space, expand_like
from sparring.robustness.targets import Subject


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
    stands: Bool[Tensor, " n"]


class Contest:
    """Tries attacks on a subject, and remembers what came of them.

    Args:
        subject: the model, and all samples that are attacked.
        attack: the attack under test, at the main epsilon.
        criterion: what it ascends.
        attempt: how it is tried.
        tries: how often, of which every sample takes the one that fools, or else that of the highest loss.
        seed: of everything drawn.
    """

    def __init__(
        self,
        subject: Subject,
        attack: GradientAttack,
        criterion: Criterion,
        *,
        attempt: Attempt,
        tries: int,
        seed: int,
    ) -> None:
        self.subject, self.attack, self.criterion = subject, attack, criterion
        self.tried: dict[GradientAttack, Tried] = {}
        self._attempt, self._tries, self._seed = attempt, tries, seed
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

    def classified_right(self, samples: Samples) -> Bool[Tensor, " n"]:
        """Of which samples the model says their own class."""
        return self.subject.answers(samples).argmax(1) == self.subject.labels

    def under(self, attack: GradientAttack) -> Tried:
        """What a form of the attack under test does; all forms start from the same draws."""
        if attack not in self.tried:
            self.tried[attack] = self._tried(self._attempt, attack, "attack", self._tries)
        return self.tried[attack]

    def under_other(self, attack: Attack) -> Tried:
        """What an attack that is not under test does."""
        return self._tried(attempt, attack, attack.name, 1)

    def _tried(self, attempt: Attempt, attack: Attack, stream: str, tries: int) -> Tried:
        """What the tries of an attack come to; a perturbation that only lowers the loss is not taken back."""
        rng, threat, best = self.rng(stream), self.threat(attack), self.subject.samples
        highest = torch.full_like(self.right, -torch.inf, dtype=torch.float64)
        for _ in range(tries):
            moved = torch.cat([self._moved(attempt, threat, *part, rng=rng) for part in self.subject.parts()])
            logits = self.subject.answers(moved)
            fools = logits.argmax(1) != self.subject.labels
            loss = self.criterion.loss(logits, self.subject.labels).double().nan_to_num(-torch.inf)
            rank = torch.where(fools, torch.inf, loss)
            better = (rank > highest) | (highest == -torch.inf)
            best, highest = torch.where(expand_like(better, best), moved, best), torch.where(better, rank, highest)
        return Tried(best, self.right & self.classified_right(best))

    def _moved(self, attempt: Attempt, threat: Threat, x: Samples, labels: Tensor, *, rng: Rng) -> Samples:
        subject = self.subject
        return attempt(threat, subject.logits, x, labels, network=subject.network, space=subject.space, rng=rng)

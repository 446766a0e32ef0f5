"""The attack that the sanity checks test: its forms at other budgets and steps, judged by the target itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor

from sparring.attacks import Attack, Criterion, GradientAttack, Threat, attempt, width_of
from sparring.core.randomness import Rng, derive
from sparring.core.shapes import Samples, expand_like
from sparring.robustness.targets import Target

Attempt = Callable[..., Samples]
"""One try of a threat on every sample; the signature is that of `attacks.attempt`."""


class AttackedSamples(NamedTuple):
    """Attacked samples, and which of them are classified correctly, clean and attacked."""

    samples: Samples
    correct: Bool[Tensor, " n"]

    @property
    def accuracy(self) -> float:
        """The share of samples classified correctly, clean and attacked."""
        return float(self.correct.double().mean())


class AttackUnderTest:
    """Runs forms of an attack on a target and keeps their results.

    Args:
        target: the model, and all samples that are attacked.
        attack: the attack under test, at the main epsilon.
        criterion: the loss that it ascends.
        attempt: how it is run.
        tries: per sample; the first that fools counts, else the one of the highest loss.
        seed: of everything random.
    """

    def __init__(
        self,
        target: Target,
        attack: GradientAttack,
        criterion: Criterion,
        *,
        attempt: Attempt,
        tries: int,
        seed: int,
    ) -> None:
        self.target, self.attack, self.criterion = target, attack, criterion
        self.results: dict[GradientAttack, AttackedSamples] = {}
        self._attempt, self._tries, self._seed = attempt, tries, seed
        self.clean = AttackedSamples(target.samples, target.correct(target.samples))

    def rng(self, name: str) -> Rng:
        """A random stream of this test."""
        return Rng.of(derive(self._seed, f"sanity_checks/{name}", 0), self.target.samples.device)

    def threat(self, attack: Attack) -> Threat:
        """One try of an attack."""
        return Threat(name=attack.name, kind="white-box", attack=attack, criterion=self.criterion)

    def at(self, epsilon: float) -> AttackedSamples:
        """The result at another epsilon, with proportional step sizes."""
        scaled = self.attack.scaled(epsilon / self.attack.epsilon)
        return self.under(scaled.model_copy(update={"epsilon": epsilon}))

    def under(self, attack: GradientAttack) -> AttackedSamples:
        """The result of a form of the attack under test; all forms start from the same random draws."""
        if attack not in self.results:
            self.results[attack] = self._run(self._attempt, attack, "attack", self._tries)
        return self.results[attack]

    def under_other(self, attack: Attack) -> AttackedSamples:
        """The result of an attack that is not under test."""
        return self._run(attempt, attack, attack.name, 1)

    def loss(self, samples: Samples) -> float:
        """The mean of the criterion."""
        losses = self.criterion.loss(self.target.predicted_logits(samples), self.target.labels)
        return float(losses.double().mean())

    def sizes(self, result: AttackedSamples) -> Tensor:
        """The size of every perturbation, in units of [0, 1]."""
        moved = result.samples.double() - self.target.samples.double()
        return self.attack.ball.size(moved, 1) / width_of(self.target.space)

    def _run(self, attempt: Attempt, attack: Attack, stream: str, tries: int) -> AttackedSamples:
        """The best of the tries, even if it lowers the loss of the clean sample."""
        target, rng, threat = self.target, self.rng(stream), self.threat(attack)
        best, highest = target.samples, torch.full_like(target.labels, -torch.inf, dtype=torch.float64)
        for _ in range(tries):
            parts = [
                attempt(threat, target.logits, x, labels, network=target.network, space=target.space, rng=rng)
                for x, labels in target.batches()
            ]
            moved = torch.cat(parts)
            logits = target.predicted_logits(moved)
            loss = self.criterion.loss(logits, target.labels).double().nan_to_num(-torch.inf)
            rank = torch.where(logits.argmax(1) != target.labels, torch.inf, loss)
            better = (rank > highest) | (highest == -torch.inf)
            best, highest = torch.where(expand_like(better, best), moved, best), torch.where(better, rank, highest)
        return AttackedSamples(best, self.clean.correct & target.correct(best))

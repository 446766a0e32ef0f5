"""Sanity checks of a robust accuracy: of the attack, of the model, and against weaker attacks.

A check that fails is a flag, and a flagged accuracy should not be quoted.

Source: Carlini et al. 2019, On evaluating adversarial robustness; Athalye, Carlini, Wagner 2018, section 3.1; Croce and
Hein 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor

from sparring.attacks import PGD, Attack, CrossEntropy, GradientAttack, RandomSearch, Threat, attempt
from sparring.core.balls import Linf
from sparring.core.intervals import percent
from sparring.core.modules import noise_from
from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import Samples, expand_like
from sparring.robustness.model_checks import HALF_A_POINT, TWO_POINTS, changes, model_checks, network_state
from sparring.robustness.targets import Target
from sparring.robustness.transfer import Attempt, adversarial_samples, substitute
from sparring.runs.robustness_schema import SanityCheck

_SAMPLES = 200
_QUERIES = 200
_FEW = 2
"""Samples in which PGD with twice the steps may differ, where that is more than two points."""
_NOTHING_LEFT = 0.01
_ROUNDING = 1e-6
"""Of sizes, in units of [0, 1]."""
_USED = 0.9
"""The share of epsilon that signed steps should use."""


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
        attempt: how it is run.
        tries: per sample; the first that fools counts, else the one of the highest loss.
        seed: of everything random.
    """

    def __init__(self, target: Target, attack: GradientAttack, *, attempt: Attempt, tries: int, seed: int) -> None:
        self.target, self.attack = target, attack
        self.results: dict[GradientAttack, AttackedSamples] = {}
        self._attempt, self._tries, self._seed = attempt, tries, seed
        self.clean = AttackedSamples(target.samples[:], target.correct(target.samples))

    def rng(self, name: str) -> Rng:
        """A random stream of this test."""
        return Streams(self._seed, None, self.target.device).rng(f"sanity_checks/{name}")

    def at(self, epsilon: float) -> AttackedSamples:
        """The result at another epsilon, with proportional step sizes."""
        scaled = self.attack.scaled(epsilon / self.attack.epsilon)
        return self.under(scaled.model_copy(update={"epsilon": epsilon}))

    def under(self, attack: GradientAttack) -> AttackedSamples:
        """The result of a form of the attack under test; all forms start from the same random draws."""
        if attack not in self.results:
            self.results[attack] = self._best_of_tries(attack)
        return self.results[attack]

    def accuracy_under(self, other: Attack, source: Target, stream: str) -> float:
        """The accuracy under one try of another attack on this target, or on a network whose samples transfer."""
        return self._judged(adversarial_samples(source, _threat(other), rng=self.rng(stream))).accuracy

    def losses(self, logits: Tensor) -> Tensor:
        """The loss that the attack ascends: the cross-entropy of all samples, `(n)` in fp64."""
        return CrossEntropy().loss(logits, self.target.labels).double()

    def sizes(self, result: AttackedSamples) -> Tensor:
        """The size of every perturbation, in units of [0, 1]."""
        moved = result.samples.double() - self.clean.samples.double()
        return self.attack.ball.size(moved, 1) / self.target.space.width

    def _best_of_tries(self, attack: GradientAttack) -> AttackedSamples:
        """The best of the tries, even if it lowers the loss of the clean sample."""
        target, rng, judged = self.target, self.rng("attack"), self.rng("noise of verdicts")
        best, highest = self.clean.samples, torch.full_like(target.labels, -torch.inf, dtype=torch.float64)
        for _ in range(self._tries):
            moved = adversarial_samples(target, _threat(attack), rng=rng, attempt=self._attempt)
            with noise_from(judged):
                logits = target.predicted_logits(moved)
            loss = self.losses(logits).nan_to_num(-torch.inf)
            rank = torch.where(logits.argmax(1) != target.labels, torch.inf, loss)
            better = (rank > highest) | (highest == -torch.inf)
            best, highest = torch.where(expand_like(better, best), moved, best), torch.where(better, rank, highest)
        return self._judged(best)

    def _judged(self, moved: Samples) -> AttackedSamples:
        with noise_from(self.rng("noise of the verdict")):
            return AttackedSamples(moved, self.clean.correct & self.target.correct(moved))


def sanity_checks(
    target: Target,
    attack: GradientAttack,
    *,
    epsilons: Sequence[float] = (),
    samples: int = _SAMPLES,
    tries: int = 1,
    seed: int = 0,
    attempt: Attempt = attempt,
) -> list[SanityCheck]:
    """All checks, on the first samples of a target.

    Args:
        target: the model under attack; left unchanged.
        attack: the main attack, at the main epsilon.
        epsilons: more budgets, at which accuracy must not rise.
        samples: how many, at most.
        tries: of the attack on every sample.
        seed: of everything random.
        attempt: how the attack is run.
    """
    before = network_state(target.network)
    test = AttackUnderTest(target.first(samples), attack, attempt=attempt, tries=tries, seed=seed)
    budgets = sorted({*epsilons, attack.epsilon})
    checks = [
        _raises_the_loss(test),
        _gains_from_steps(test),
        _gains_from_epsilon(test, budgets),
        _beats_noise(test, budgets),
        _changes_nothing_at_zero(test),
        _keeps_budget_and_range(test),
        _uses_epsilon(test),
        *model_checks(test.target, rng=test.rng("directions")),
        _beats_transfer(test),
        _beats_random_search(test),
    ]
    changed = changes(before, network_state(target.network))
    detail = f"changed: {', '.join(changed[:3])}" if changed else "parameters, gradients, modes and buffers unchanged"
    return [*checks, SanityCheck(name="the model is unchanged", holds=not changed, detail=detail)]


def _raises_the_loss(test: AttackUnderTest) -> SanityCheck:
    samples = (test.target.samples, test.under(test.attack).samples)
    start, end = (float(test.losses(test.target.predicted_logits(each)).mean()) for each in samples)
    detail = f"mean cross_entropy from {start:.4g} to {end:.4g}"
    return SanityCheck(name="the attack raises the loss", holds=end > start, detail=detail)


def _gains_from_steps(test: AttackUnderTest) -> SanityCheck:
    attack = test.attack
    one = attack.model_copy(update={"steps": 1, "step_size": None})
    twice = attack.model_copy(update={"steps": 2 * attack.steps})
    found = {form.steps: test.under(form).accuracy for form in (one, attack, twice)}
    helps = found[attack.steps] <= found[1] + HALF_A_POINT
    allowed = max(TWO_POINTS, _FEW / len(test.target.samples) + 1e-9)
    has_converged = abs(found[attack.steps] - found[twice.steps]) <= allowed
    holds = helps and (has_converged or not test.target.gradients)  # estimates of gradients give an upper bound
    accuracies = ", ".join(f"{percent(accuracy)} after {steps}" for steps, accuracy in found.items())
    detail = f"accuracy {accuracies} steps, {_on(test)}"
    return SanityCheck(name="more steps help the attack", holds=holds, detail=detail)


def _gains_from_epsilon(test: AttackUnderTest, budgets: Sequence[float]) -> SanityCheck:
    found = {0.0: test.clean.accuracy} | {epsilon: test.at(epsilon).accuracy for epsilon in budgets}
    whole = _whole_range(test)
    if whole is not None:
        found[whole] = test.at(whole).accuracy
    falls = all(found[more] <= found[less] + HALF_A_POINT for less, more in pairwise(sorted(found)))
    ends = whole is None or not test.target.gradients or found[whole] <= _NOTHING_LEFT
    accuracies = ", ".join(f"{percent(found[epsilon])} at {epsilon:.3g}" for epsilon in sorted(found))
    reach = "; samples without a range have no largest epsilon" if whole is None else ", the whole range"
    detail = f"accuracy {accuracies}{reach}, {_on(test)}"
    return SanityCheck(name="more epsilon helps the attack", holds=falls and ends, detail=detail)


def _beats_noise(test: AttackUnderTest, budgets: Sequence[float]) -> SanityCheck:
    pairs = {}
    for epsilon in budgets:
        noise = RandomSearch(epsilon=epsilon, ball=test.attack.ball, queries=1)
        pairs[epsilon] = test.accuracy_under(noise, test.target, noise.name), test.at(epsilon).accuracy
    holds = all(attacked <= noisy + HALF_A_POINT for noisy, attacked in pairs.values())
    listed = ", ".join(f"{percent(noisy)} to {percent(hit)} at {size:.3g}" for size, (noisy, hit) in pairs.items())
    detail = f"accuracy under noise to that under attack: {listed}, {_on(test)}"
    return SanityCheck(name="random noise is weaker", holds=holds, detail=detail)


def _changes_nothing_at_zero(test: AttackUnderTest) -> SanityCheck:
    samples = test.at(0.0).samples
    correct = test.target.correct(samples)
    accuracy = float(correct.double().mean())
    detail = f"accuracy {percent(accuracy)} at epsilon 0, {percent(test.clean.accuracy)} clean, {_on(test)}"
    if test.target.draws > 1:  # other draws may classify the same samples otherwise
        holds = torch.equal(samples, test.clean.samples)
    else:
        holds = torch.equal(correct, test.clean.correct)
    return SanityCheck(name="epsilon 0 changes nothing", holds=holds, detail=detail)


def _keeps_budget_and_range(test: AttackUnderTest) -> SanityCheck:
    beyond = max(float(test.sizes(result).max()) - attack.epsilon for attack, result in test.results.items())
    outside = max(_outside_range(test, result) for result in test.results.values())
    detail = f"at most {max(beyond, 0):.1e} beyond epsilon and {max(outside, 0):.1e} beyond the range"
    holds = beyond <= _ROUNDING and outside <= _ROUNDING
    return SanityCheck(name="epsilon and range are kept", holds=holds, detail=detail)


def _uses_epsilon(test: AttackUnderTest) -> SanityCheck:
    name, attack = "epsilon is used", test.attack
    if test.target.space.bounds is None:
        return SanityCheck(name=name, holds=None, detail="not applicable: unbounded data")
    if attack.ball.norm != Linf.norm:
        detail = f"not applicable: the range can stop a step inside of a {attack.ball.norm} ball"
        return SanityCheck(name=name, holds=None, detail=detail)
    used = float(test.sizes(test.under(attack)).median()) / attack.epsilon
    return SanityCheck(name=name, holds=used >= _USED, detail=f"the median perturbation is {percent(used)} of epsilon")


def _beats_transfer(test: AttackUnderTest) -> SanityCheck:
    attack, other = test.attack, substitute(test.target, seed=0)
    pgd = PGD(epsilon=attack.epsilon, steps=20, ball=attack.ball, direction=attack.direction)
    accuracy = test.accuracy_under(pgd, other, "transfer")
    return _beats(test, "a transfer attack is weaker", f"PGD-20 on {other.name}", accuracy)


def _beats_random_search(test: AttackUnderTest) -> SanityCheck:
    search = RandomSearch(epsilon=test.attack.epsilon, ball=test.attack.ball, queries=_QUERIES)
    accuracy = test.accuracy_under(search, test.target, search.name)
    return _beats(test, "random search is weaker", f"{_QUERIES} random perturbations", accuracy)


def _beats(test: AttackUnderTest, name: str, weaker: str, accuracy: float) -> SanityCheck:
    direct = test.under(test.attack).accuracy
    detail = f"accuracy {percent(accuracy)} under {weaker}, {percent(direct)} under attack, {_on(test)}"
    return SanityCheck(name=name, holds=direct <= accuracy + HALF_A_POINT, detail=detail)


def _threat(attack: Attack) -> Threat:
    return Threat(name=attack.name, kind="white-box", attack=attack)


def _on(test: AttackUnderTest) -> str:
    return f"on {len(test.target.samples)} samples"


def _whole_range(test: AttackUnderTest) -> float | None:
    """The smallest epsilon that turns any sample into any other, in units of [0, 1]."""
    space = test.target.space
    if space.bounds is None:
        return None
    corner = torch.ones((1, *space.shape), dtype=torch.float64)
    return float(test.attack.ball.size(corner, 1))


def _outside_range(test: AttackUnderTest, result: AttackedSamples) -> float:
    """The largest excess of a pixel over the range, or over its clean value if that is outside of the range."""
    space, clean = test.target.space, test.clean.samples
    if space.bounds is None:
        return 0.0
    low, high = space.bounds
    above, below = result.samples - clean.clamp(min=high), clean.clamp(max=low) - result.samples
    return float(torch.maximum(above, below).max()) / space.width

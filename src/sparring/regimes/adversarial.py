"""What the adversarial regimes share: the attack, its loss, whose samples it moves, and its warm-up.

A one-step attack takes its gradient from the backward pass of the clean view, which the update needs anyway:

    grad_x loss(g(D(x))) = loss'(g) grad_x g(D(x)),

exact if D scores every sample independently, or if the slope of the loss is the same for all samples. Otherwise the
attack computes its own passes. (A D that draws random numbers, as dropout does, is attacked in the pass that updates
it.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from types import MappingProxyType
from typing import Literal

import torch
from pydantic import model_validator
from torch import Tensor

from sparring.attacks import FGSM, Aim, Attack, Payoff, TrainingAttack, batch_axes_of
from sparring.core.records import Every, Record
from sparring.core.shapes import Samples, Scores, expand_like
from sparring.regimes.base import DiscriminatorUpdate, Origin, Regime, Response, View

NOTHING: Mapping[str, Tensor] = MappingProxyType({})


class Warmup(Record):
    """The attack's budget over time: nothing until `start`, all of it from `end` on, linear between.

    Args:
        start, end: rounds.
    """

    start: Every = 0
    end: Every = 0

    @model_validator(mode="after")
    def _in_order(self) -> Warmup:
        if self.end < self.start:
            raise ValueError(f"end = {self.end} comes before start = {self.start}")
        return self

    def factor(self, step: int) -> float:
        """The share of the budget in this round."""
        if step >= self.end:
            return 1.0
        if step <= self.start:
            return 0.0
        return (step - self.start) / (self.end - self.start)


class AdversarialRegime(Regime):
    """A regime that shows D adversarial samples.

    Args:
        attack: moves samples; its budget is in units of [0, 1].
        aim: what it ascends.
        attacked: which side's samples are moved.
        warmup: when the budget grows.
    """

    attack: TrainingAttack = FGSM()
    aim: Aim = Payoff()
    attacked: Literal["real", "fake", "both"] = "both"
    warmup: Warmup = Warmup()

    @property
    def trained_against(self) -> Attack | None:
        return self.attack if self.attack.epsilon > 0 else None

    @property
    def origins(self) -> tuple[Origin, ...]:
        """The origins of the samples that are attacked."""
        return ("real", "fake") if self.attacked == "both" else (self.attacked,)

    def remarks(self, *, couples_samples: bool) -> list[str]:
        return self.attack.remarks()

    def craft(
        self, d: DiscriminatorUpdate, view: View, seen: Mapping[Origin, Response] | None, weight: float = 1.0
    ) -> View:
        """The view with its attacked samples moved.

        Args:
            d: D, not updated since it was shown the view.
            view: clean samples.
            seen: D's response to them, or None if it was not shown them. Where it has no gradient, the attack computes
                its own passes.
            weight: of the new view.
        """
        attack, origins = self.attack.scaled(self.warmup.factor(d.round)), self.origins
        moved = {origin: self._moved(d, attack, origin, view, seen) for origin in origins}
        return View(moved.get("real", view.real), moved.get("fake", view.fake), weight, origins)

    def _moved(
        self, d: DiscriminatorUpdate, attack: Attack, origin: Origin, view: View, seen: Mapping[Origin, Response] | None
    ) -> Samples:
        x, rng = getattr(view, origin), d.rng(f"attack/{origin}")
        response = seen[origin] if seen else None
        if response is not None and response.gradient is not None:
            slope = self.aim.slope(response.payoff, response.opposite)
            moved = attack.from_gradient(x, expand_like(slope, x) * response.gradient, space=d.space, rng=rng)
            raises = {f"attack_{origin}_raises": slope > 0}
        else:
            opposite = response.opposite if response else _mean_payoff(d, origin, view)
            loss = partial(self._loss, d, origin, opposite)
            moved = attack.perturb(x, loss, network=d.network, space=d.space, rng=rng)
            raises = {f"attack_{origin}_raises": self.aim.slope(response.payoff, opposite) > 0} if response else {}
        self.record_size(d, origin, moved - x, raises)
        return moved

    def record_size(
        self, d: DiscriminatorUpdate, origin: Origin, delta: Samples, numbers: Mapping[str, Tensor] = NOTHING
    ) -> None:
        """Add the size of perturbations, in units of [0, 1], and more numbers per sample, to the log."""
        size = self.attack.ball.size(delta, batch_axes_of(delta, d.space)) / d.space.width
        d.record({f"attack_{origin}_size": size, f"attack_{origin}_idle": size == 0, **numbers})

    def _loss(self, d: DiscriminatorUpdate, origin: Origin, opposite: Callable[[], Tensor], samples: Samples) -> Scores:
        return self.aim.loss(d.payoff(origin, samples), opposite)


class CleanFirst(AdversarialRegime):
    """A regime that shows D the clean view before the adversarial one."""

    def reuses(self, *, couples_samples: bool) -> bool:
        """Whether the backward pass of the clean view gives the attack its gradient, exactly up to rounding."""
        return self.attack.can_reuse() and (self.aim.constant_slope or not couples_samples)

    def remarks(self, *, couples_samples: bool) -> list[str]:
        remarks = super().remarks(couples_samples=couples_samples)
        if self.attack.can_reuse() and not self.reuses(couples_samples=couples_samples):
            remarks.append(
                f"regime: D couples the samples of a batch (as batch normalisation does), and the aim "
                f"{self.aim.name!r} weighs them unequally, so the attack computes its own passes"
            )
        return remarks

    def show_clean(self, d: DiscriminatorUpdate, view: View) -> Mapping[Origin, Response]:
        """Show the clean view, with the gradients that the attack can reuse."""
        reuses = self.reuses(couples_samples=d.couples_samples)
        return d.show(view, gradients=self.origins if reuses else ())


def _mean_payoff(d: DiscriminatorUpdate, origin: Origin, view: View) -> Callable[[], Tensor]:
    """The mean payoff of D for the samples of the other origin as if they came from this one, computed once."""
    other: Origin = "fake" if origin == "real" else "real"

    @cache
    def mean() -> Tensor:
        with torch.no_grad():
            return d.mean(d.payoff(origin, getattr(view, other), labels_of=other))

    return mean

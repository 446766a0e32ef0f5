"""What the adversarial regimes share: whom they attack, how, for what, and from which round on.

A one-step attack takes its gradient from the backward pass of the clean view, which the update needs anyway:

    grad_x loss(g(D(x))) = loss'(g) grad_x g(D(x)),

exact if D sees every sample alone, or if the loss has the same slope for all. Elsewhere the attack runs by itself. (A D
that draws random numbers of its own, as dropout does, is attacked in the pass that it is updated by.)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Literal

import torch
from pydantic import model_validator
from torch import Tensor

from sparring.attacks import FGSM, Aim, Attack, Payoff, batch_axes_of, width_of
from sparring.core.records import Every, Record
from sparring.core.shapes import Samples, expand_like
from sparring.regimes.base import DiscriminatorUpdate, Origin, Regime, Response, Responses, View


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

    attack: Attack = FGSM()
    aim: Aim = Payoff()
    attacked: Literal["real", "fake", "both"] = "both"
    warmup: Warmup = Warmup()

    @property
    def trained_against(self) -> Attack | None:
        return self.attack if self.attack.epsilon > 0 else None

    @property
    def sides(self) -> tuple[Origin, ...]:
        """The sides that are attacked."""
        return ("real", "fake") if self.attacked == "both" else (self.attacked,)

    def remarks(self, *, couples_samples: bool) -> list[str]:
        return self.attack.remarks()

    def craft(self, side: DiscriminatorUpdate, view: View, seen: Responses | None, weight: float = 1.0) -> View:
        """The view with its attacked sides moved.

        Args:
            side: D's side, not updated since it saw the view.
            view: clean samples.
            seen: how D took them, or None if it was not shown them; a side whose gradient is not known is attacked by
                passes of the attack's own.
            weight: of the new view.
        """
        attack = self.attack.scaled(self.warmup.factor(side.round))
        real = self._moved(side, attack, "real", view, seen.real if seen else None)
        fake = self._moved(side, attack, "fake", view, seen.fake if seen else None)
        return View(real, fake, weight, self.sides)

    def _moved(
        self, side: DiscriminatorUpdate, attack: Attack, name: Origin, view: View, seen: Response | None
    ) -> Samples:
        other: Origin = "fake" if name == "real" else "real"
        x, others = view.of(name), view.of(other)
        if name not in self.sides:
            return x
        rng = side.rng(f"attack/{name}")
        if seen is not None and seen.gradient is not None:
            gradient = expand_like(self._slope(seen), x) * seen.gradient
            moved = attack.from_gradient(x, gradient, space=side.space, rng=rng)
        else:

            def of_others() -> Tensor:
                return side.mean(side.payoff(name, others, of=other))

            opposite = (lambda: seen.opposite) if seen else _once(of_others)

            def loss(samples: Samples) -> Tensor:
                return self.aim.loss(side.payoff(name, samples), opposite)

            moved = attack(x, loss, network=side.network, space=side.space, rng=rng)
        size = attack.ball.size(moved - x, batch_axes_of(x, side.space)) / width_of(side.space)
        side.note(f"attack_{name}_size", size)
        side.note(f"attack_{name}_idle", (size == 0).float())
        if seen is not None:
            side.note(f"attack_{name}_raises", (self._slope(seen) > 0).float())
        return moved

    def _slope(self, seen: Response) -> Tensor:
        return self.aim.slope(seen.payoff, lambda: seen.opposite)


class CleanFirst(AdversarialRegime):
    """A regime that shows D the clean view before the adversarial one."""

    def reuses(self, *, couples_samples: bool) -> bool:
        """Whether the clean view's own backward pass gives the attack its gradient, exactly (up to rounding)."""
        return self.attack.can_reuse() and (self.aim.constant_slope or not couples_samples)

    def remarks(self, *, couples_samples: bool) -> list[str]:
        remarks = super().remarks(couples_samples=couples_samples)
        if self.attack.can_reuse() and not self.reuses(couples_samples=couples_samples):
            remarks.append(
                f"regime: D couples the samples of a batch (as batch normalisation does), and the aim "
                f"{self.aim.name!r} weighs them unlike, so the attack takes passes of its own"
            )
        return remarks

    def show_clean(self, side: DiscriminatorUpdate, view: View) -> Responses:
        """Show the clean view, with the gradients that the attack can use."""
        reuses = self.reuses(couples_samples=side.couples_samples)
        return side.show(view, gradients=self.sides if reuses else ())


def _once(mean: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """A number that is computed when it is first asked for, without a graph."""

    @cache
    def opposite() -> Tensor:
        with torch.no_grad():
            return mean()

    return opposite

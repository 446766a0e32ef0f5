"""What the adversarial regimes share: whom they attack, how, for what, and from which round on.

A one-step attack takes its gradient from the backward pass of the clean view, which the update needs anyway:

    grad_x loss(g(D(x))) = loss'(g) grad_x g(D(x)),

exact if D sees every sample alone, or if the loss has the same slope for all. Elsewhere the attack runs by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import model_validator
from torch import Tensor, nn

from sparring.attacks import FGSM, Aim, Attack, Payoff, batch_axes_of, width_of
from sparring.modules import batch_statistics
from sparring.records import Every, Record
from sparring.regimes.base import DiscriminatorSide, Regime, Response, Responses, Side, View
from sparring.shapes import Samples, expand_like, over_samples


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
        return max(0.0, (step - self.start) / (self.end - self.start))


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
    def sides(self) -> tuple[Side, ...]:
        """The sides that are attacked."""
        return ("real", "fake") if self.attacked == "both" else (self.attacked,)

    def reuses(self, discriminator: nn.Module) -> bool:
        """Whether the clean view's own backward pass gives the attack its gradient, exactly."""
        exact = self.aim.constant_slope or batch_statistics(discriminator) is None
        return self.attack.can_reuse() and exact

    def remarks(self, discriminator: nn.Module) -> list[str]:
        return self.attack.remarks()

    def craft(self, side: DiscriminatorSide, view: View, seen: Responses, weight: float = 1.0) -> View:
        """The view with its attacked sides moved.

        Args:
            side: D's side, not updated since it saw the view.
            view: clean samples.
            seen: how D took them; a side without a gradient is attacked by passes of the attack's own.
            weight: of the new view.
        """
        attack = self.attack.scaled(self.warmup.factor(side.round))
        real = self._moved(side, attack, "real", view.real, seen.real)
        fake = self._moved(side, attack, "fake", view.fake, seen.fake)
        return View(real, fake, weight, self.sides)

    def _moved(self, side: DiscriminatorSide, attack: Attack, name: Side, x: Samples, seen: Response) -> Samples:
        if name not in self.sides:
            return x
        rng = side.rng(f"attack/{name}")
        if seen.gradient is None:

            def loss(samples: Samples) -> Tensor:
                return self.aim.loss(side.payoff(name, samples), seen.opposite)

            moved = attack(x, loss, network=side.network, space=side.space, rng=rng)
        else:
            slope = self.aim.slope(seen.payoff, seen.opposite)
            moved = attack.from_gradient(x, expand_like(slope, x) * seen.gradient, space=side.space, rng=rng)
            side.note(f"attack_{name}_raises", (slope > 0).float())
        size = attack.ball.size(moved - x, batch_axes_of(x, side.space)) / width_of(side.space)
        side.note(f"attack_{name}_size", size)
        side.note(f"attack_{name}_idle", (size == 0).float())
        return moved


class CleanFirst(AdversarialRegime):
    """A regime that shows D the clean view before the adversarial one."""

    def remarks(self, discriminator: nn.Module) -> list[str]:
        remarks = super().remarks(discriminator)
        layer = batch_statistics(discriminator)
        if self.attack.can_reuse() and not self.reuses(discriminator):
            remarks.append(
                f"regime: layer {layer!r} of D couples the samples of a batch, and the aim {self.aim.name!r} weighs "
                "them unlike, so the attack takes passes of its own; discriminator.batch_norm=false saves them"
            )
        return remarks

    def show_clean(self, side: DiscriminatorSide, view: View) -> Responses:
        """Show the clean view, with the gradients that the attack can use."""
        return side.show(view, gradients=self.sides if self.reuses(side.network) else ())


def unseen(side: DiscriminatorSide, view: View) -> Responses:
    """Responses of a D that has not been shown the view; what an aim asks for is computed when it asks."""

    def opposite(own: Side, samples: Samples) -> Callable[[], Tensor]:
        return lambda: over_samples(side.payoff(own, samples)).detach()

    nothing = view.real.new_zeros(view.real.shape[: batch_axes_of(view.real, side.space)])
    return Responses(
        Response(nothing, opposite("real", view.fake), None), Response(nothing, opposite("fake", view.real), None)
    )

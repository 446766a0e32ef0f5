"""Free adversarial training of D: the gradient of its own updates moves a perturbation that is kept.

    x_hat = confine(x + delta),    theta <- theta + eta grad V(theta, x_hat, z)
    delta <- project(delta - epsilon sign(grad_x V(theta, x_hat, z)))       from the same backward pass

twice for every batch of real samples. delta, one perturbation for each place in the batch, is kept from batch to batch.
No pass is spent on an attack.

Source: Zhong, Liu, Hsieh 2020, Improving the speed and quality of GAN by adversarial training (FastGAN); Shafahi et al.
2019.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import model_validator

from sparring.attacks import FGSM, Attack, TrainingAttack
from sparring.core.errors import UsageError
from sparring.core.pieces import piece
from sparring.core.shapes import Samples, expand_like
from sparring.regimes.adversarial import AdversarialRegime
from sparring.regimes.base import DiscriminatorUpdate, Origin, Response, View


@piece("free")
class Free(AdversarialRegime):
    """Two updates on a batch with a kept perturbation, which the same backward passes move: FastGAN.

    Args:
        attack: its ball and epsilon bound the perturbation, its step size moves it; one step from the sample itself.
    """

    steps: ClassVar[int] = 2
    keeps: ClassVar[bool] = True

    attack: TrainingAttack = FGSM(epsilon=0.003)
    attacked: Literal["real", "fake", "both"] = "real"

    @model_validator(mode="after")
    def _takes_one_gradient(self) -> Free:
        if not self.attack.can_reuse():
            raise ValueError(f"attack: free has one gradient a step, and {self.attack.name} needs its own; use fgsm")
        if not self.attack.ball.limited:
            raise ValueError(f"attack: free keeps a perturbation, and {self.attack.name} does not bound it; use fgsm")
        return self

    def update(self, d: DiscriminatorUpdate, real: Samples, fake: Samples) -> None:
        attack = self.attack.scaled(self.warmup.factor(d.round))
        for turn in range(self.steps):
            samples = {"real": real, "fake": fake}
            for origin in self.origins:
                x = samples[origin]
                samples[origin] = attack.confine(x, x + self._kept(d, origin, x), d.space)
                self.record_size(d, origin, samples[origin] - x)
            seen = d.show(View(samples["real"], samples["fake"], attacked=self.origins), gradients=self.origins)
            d.step()
            for origin in self.origins:
                d.kept[origin] = self._moved_on(d, attack, origin, seen[origin], turn)

    def _kept(self, d: DiscriminatorUpdate, origin: Origin, x: Samples) -> Samples:
        delta = d.kept.setdefault(origin, torch.zeros_like(x))
        if delta.shape != x.shape:
            cause = f"keeps a perturbation of {tuple(delta.shape)}, and this batch has {tuple(x.shape)}"
            raise UsageError(f"regime free: {cause}", "leave out smaller batches: DataLoader(..., drop_last=True)")
        return delta

    def _moved_on(self, d: DiscriminatorUpdate, attack: Attack, origin: Origin, seen: Response, turn: int) -> Samples:
        assert seen.gradient is not None
        slope = self.aim.slope(seen.payoff, seen.opposite)
        gradient = expand_like(slope, seen.gradient) * seen.gradient
        return attack.advanced(d.kept[origin], gradient, space=d.space, rng=d.rng(f"attack/{origin}/{turn}"))

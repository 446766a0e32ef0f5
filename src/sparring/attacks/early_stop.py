"""A classifier's loss for a search that ends at a sample's first success: that sample costs no further call."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from sparring.attacks.losses import Labels, Logits, Losses
from sparring.core.shapes import Samples, expand_like

Tries = Int[Tensor, " m"]
"""Their numbers in the batch."""
Judge = Callable[[Samples, Tries], tuple[Samples, Bool[Tensor, " m"]]]
"""From perturbed samples `(m, ...)` and the numbers of their tries to the same within the budget, and which succeed."""


class EarlyStop:
    """The loss of a batch of tries, of which only those on samples without a success are classified.

    A try keeps its first success, which ends all tries on its sample. From then on their loss is constant and has a
    gradient of zero, so that any attack can run on, at no cost for them. Where no gradient is asked for, samples equal
    to those of the highest loss of their try so far are not classified again: their loss is known.

    Args:
        x: the clean samples, one a try, `(n, ...)`.
        labels: their classes, `(n)`.
        rows: which sample of a larger batch each is, `(n)`.
        logits: from samples and the numbers of their tries to logits; differentiable.
        loss: from logits and the numbers of their tries to losses.
        judge: asked where the logits say that the class is wrong.
    """

    def __init__(
        self,
        x: Samples,
        labels: Labels,
        rows: Labels,
        *,
        logits: Callable[[Samples, Tries], Logits],
        loss: Callable[[Logits, Tries], Losses],
        judge: Judge,
    ) -> None:
        self._logits, self._loss, self._judge = logits, loss, judge
        self._first, self._labels, self._rows = x.clone(), labels, rows
        self._highest, self._best = x.new_full((len(x),), -torch.inf), torch.full_like(x, torch.nan)  # equal to nothing
        self._left = torch.arange(len(x), device=x.device)
        self.done = torch.zeros_like(labels, dtype=torch.bool)

    def __call__(self, samples: Samples) -> Losses:
        """The losses, `(n)`, of the current samples."""
        asked = self._left if samples.requires_grad else self._left[self._new(samples)[self._left]]
        if not len(asked):
            return self._highest + 0 * samples.flatten(1).sum(1)
        logits = self._logits(samples[asked], asked)
        losses = self._loss(logits, asked)
        self._highest = self._highest.to(losses.dtype)
        everything = self._highest.index_put((asked,), losses)
        self._note(samples.detach(), everything.detach())
        self._keep(samples.detach(), asked[logits.detach().argmax(-1) != self._labels[asked]])
        return everything

    def first(self, samples: Samples) -> Samples:
        """The first success of every try, or these samples where there is none."""
        return torch.where(expand_like(self.done, samples), self._first, samples)

    def _new(self, samples: Samples) -> Bool[Tensor, " n"]:
        """Which samples differ from the best ones of their tries."""
        return (samples - self._best).flatten(1).abs().amax(1) != 0

    def _note(self, samples: Samples, losses: Losses) -> None:
        better = losses > self._highest
        self._best = torch.where(expand_like(better, samples), samples, self._best)
        self._highest = torch.where(better, losses, self._highest)

    def _keep(self, samples: Samples, wrong: Tries) -> None:
        if len(wrong):
            confined, success = self._judge(samples[wrong], wrong)
            self._first[wrong[success]] = confined[success]
            self.done[wrong[success]] = True
            self._left = (~torch.isin(self._rows, self._rows[self.done])).nonzero()[:, 0]

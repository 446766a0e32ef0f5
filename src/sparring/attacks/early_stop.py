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
    gradient of zero, so that any attack can run on, at no cost for them.

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
        self._last: Losses | None = None
        self._left = torch.arange(len(x), device=x.device)
        self.done = torch.zeros_like(labels, dtype=torch.bool)

    def __call__(self, samples: Samples) -> Losses:
        """The losses, `(n)`, of the current samples."""
        left = self._left
        if self._last is not None and not len(left):
            return self._last + 0 * samples.flatten(1).sum(1)
        logits = self._logits(samples[left], left)
        losses = self._loss(logits, left)
        if self._last is not None:
            losses = self._last.index_put((left,), losses)
        self._last = losses.detach()
        self._keep(samples.detach(), left[logits.detach().argmax(-1) != self._labels[left]])
        return losses

    def first(self, samples: Samples) -> Samples:
        """The first success of every try, or these samples where there is none."""
        return torch.where(expand_like(self.done, samples), self._first, samples)

    def _keep(self, samples: Samples, wrong: Tries) -> None:
        if len(wrong):
            confined, success = self._judge(samples[wrong], wrong)
            self._first[wrong[success]] = confined[success]
            self.done[wrong[success]] = True
            self._left = (~torch.isin(self._rows, self._rows[self.done])).nonzero()[:, 0]

"""A classifier's loss for a search that ends at a sample's first success: that sample costs no further call."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool
from torch import Tensor

from sparring.attacks.losses import Labels, Logits, Losses
from sparring.core.shapes import Samples, expand_like

Judge = Callable[[Samples, Labels], tuple[Samples, Bool[Tensor, " m"]]]
"""From perturbed samples `(m, ...)` and their row numbers to the same within the budget, and which succeed."""


class EarlyStop:
    """The loss of a batch of which only the samples without a success are classified.

    A sample keeps its first success. From then on its loss is constant and has a gradient of zero, so that any attack
    can run on, at no cost for it.

    Args:
        x: the clean samples, `(n, ...)`.
        labels: their classes, `(n)`.
        rows: their row numbers in a larger batch, which `logits`, `loss` and `judge` are given, `(n)`.
        logits: from samples and row numbers to logits; differentiable.
        loss: from logits and row numbers to losses.
        judge: asked where the logits say that the class is wrong.
    """

    def __init__(
        self,
        x: Samples,
        labels: Labels,
        rows: Labels,
        *,
        logits: Callable[[Samples, Labels], Logits],
        loss: Callable[[Logits, Labels], Losses],
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
        logits = self._logits(samples[left], self._rows[left])
        losses = self._loss(logits, self._rows[left])
        if self._last is not None:
            losses = self._last.index_put((left,), losses)
        self._last = losses.detach()
        self._keep(samples.detach(), left[logits.detach().argmax(-1) != self._labels[left]])
        return losses

    def first(self, samples: Samples) -> Samples:
        """The first success of every sample, or these samples where there is none."""
        return torch.where(expand_like(self.done, samples), self._first, samples)

    def _keep(self, samples: Samples, wrong: Labels) -> None:
        if len(wrong):
            confined, success = self._judge(samples[wrong], self._rows[wrong])
            self._first[wrong[success]] = confined[success]
            self.done[wrong] = success
            self._left = (~self.done).nonzero()[:, 0]

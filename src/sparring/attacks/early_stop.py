"""A classifier's loss for a search that ends at a sample's first success: that sample costs no further call."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool
from torch import Tensor

from sparring.attacks.losses import Labels, Logits, Losses
from sparring.core.shapes import Samples

Judge = Callable[[Samples, Labels], tuple[Samples, Bool[Tensor, " m"]]]
"""From perturbed samples `(m, ...)` and their row numbers `(m)` to the same within the budget, and which succeed."""


class EarlyStop:
    """The loss of a batch of which only the samples without a success are classified.

    A sample keeps its first success. From then on its loss is constant and has a gradient of zero, so that any attack
    can run on, at no cost for it.

    Args:
        logits: from samples and their row numbers to logits; differentiable.
        loss: from logits and row numbers to losses.
        judge: asked where the logits say that the class is wrong.
        labels: of the batch, `(n)`.
    """

    def __init__(
        self,
        logits: Callable[[Samples, Labels], Logits],
        loss: Callable[[Logits, Labels], Losses],
        judge: Judge,
        labels: Labels,
    ) -> None:
        self._logits, self._loss, self._judge, self._labels = logits, loss, judge, labels
        self.done = torch.zeros_like(labels, dtype=torch.bool)
        self._first: Samples | None = None
        self._last: Losses | None = None

    def __call__(self, samples: Samples) -> Losses:
        """The losses, `(n)`, of the current samples."""
        rows = (~self.done).nonzero()[:, 0]
        if self._last is None:
            self._first = samples.detach().clone()
        elif not len(rows):
            return self._last + 0 * samples.flatten(1).sum(1)
        logits = self._logits(samples[rows], rows)
        losses = self._loss(logits, rows)
        if self._last is None:
            self._last = torch.zeros(len(samples), dtype=losses.dtype, device=losses.device)
        returned = self._last.index_put((rows,), losses)
        self._last = returned.detach()
        self._keep(samples.detach(), rows[logits.detach().argmax(-1) != self._labels[rows]])
        return returned

    def first(self, samples: Samples) -> Samples:
        """The first success of every sample, or these samples where there is none."""
        if self._first is None:
            return samples
        return torch.where(self.done.view(-1, *(1,) * (samples.dim() - 1)), self._first, samples)

    def _keep(self, samples: Samples, wrong: Labels) -> None:
        assert self._first is not None
        if len(wrong):
            confined, success = self._judge(samples[wrong], wrong)
            self._first[wrong[success]] = confined[success]
            self.done[wrong] = success

"""One round of a classifier's training. Read this first.

    w <- w - eta grad L,   L = mean over real of l(x, x_adv, y; w) + lambda mean over generated of l(x~, x~_adv, y~; w)

The loss l and what the attack ascends are the recipe's; by default both are the cross-entropy of attacked samples.
With a `weight` of fakes, real and generated samples pass through f one after the other, each normalised by its own
batch statistics; the running statistics are those of real samples. With a `share` they are one batch, with common ones.

Source: Rob-GAN, equations (3), (6) and (10).
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.attacks import batch_axes_of
from sparring.classifier.batches import WeightedBatch
from sparring.classifier.state import ClassifierState
from sparring.classifier_losses import ClassifierResponse
from sparring.core.modules import same_buffers
from sparring.core.shapes import Samples


def train_step(state: ClassifierState, step: int) -> None:
    """One update on the batches of a round."""
    recipe = state.recipe
    state.set_rate(step)
    batches = ((batch, attacked(state, batch, step)) for batch in state.batches(step))
    backward, progress = partial(_backward, state), step / recipe.steps
    terms = recipe.weight_perturbation.descend(state.network, batches, backward, progress=progress)
    total = sum((term.batch.weight * term.losses.mean() for term in terms), torch.zeros((), device=state.device))
    for batch, losses, right, gradient in terms:
        state.log.add_samples({f"loss_{batch.origin}": losses, f"accuracy_{batch.origin}": right})
        state.perturbations.learn(batch.origin, gradient, step)
    state.log.add({"loss": total})
    state.descent.step(total)
    state.end_round(step)


class LossTerm(NamedTuple):
    """One term of the loss, after its backward pass.

    Args:
        batch: of the term.
        losses: `(n)`, detached.
        right: whether the attacked samples are classified correctly, `(n)`.
        gradient: d loss / d attacked sample of every sample, `(n, ...)`; None if not asked for.
    """

    batch: WeightedBatch
    losses: Tensor
    right: Tensor
    gradient: Samples | None


def _backward(state: ClassifierState, batches: Iterable[tuple[WeightedBatch, Samples]]) -> list[LossTerm]:
    """Add the gradient of the weighted loss on batches and their attacked samples to that of the weights."""
    terms, loss, learns = [], state.recipe.loss, state.perturbations.learns
    for batch, moved in batches:
        with _running_statistics(state, batch):
            differentiable = learns or loss.needs_slopes
            response = ClassifierResponse(state.classify, batch.samples, moved, differentiable=differentiable)
            losses = batch.over_labels(partial(loss.losses, response))
            inputs = [*state.descent.parameters, *([response.attacked_samples] if learns else [])]
            (batch.weight * losses.mean()).backward(inputs=inputs)  # type: ignore[no-untyped-call]
        right = (response.attacked.detach().argmax(-1) == batch.labels).to(losses)
        slopes = response.attacked_samples.grad
        gradient = None if slopes is None else slopes * (len(losses) / batch.weight)
        terms.append(LossTerm(batch, losses.detach(), right, gradient))
    return terms


def attacked(state: ClassifierState, batch: WeightedBatch, step: int) -> Samples:
    """The samples of a batch after the attack, or the kept perturbation, of round `step`."""
    attack, x = state.recipe.attack, batch.samples
    moved = state.perturbations.move(batch, step)
    size = attack.ball.size(moved - x, batch_axes_of(x, state.space)) / state.space.width
    state.log.add_samples({f"attack_{batch.origin}_size": size, f"attack_{batch.origin}_idle": (size == 0).to(size)})
    return moved


def fit(network: nn.Module, batches: Iterable[tuple[Samples, Tensor]], optimizer: torch.optim.Optimizer) -> None:
    """Plain training: one optimizer step down the cross-entropy for each batch of samples and labels."""
    for samples, labels in batches:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(network(samples), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def _running_statistics(state: ClassifierState, batch: WeightedBatch) -> AbstractContextManager[None]:
    """Running statistics follow real samples, on which the classifier is used."""
    return same_buffers(state.network) if batch.origin == "fake" else nullcontext()

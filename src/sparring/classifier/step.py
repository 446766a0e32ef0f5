"""One round of a classifier's training. Read this first.

    w <- w - eta grad L,   L = mean over real of l(x, x_adv, y; w) + lambda mean over generated of l(x~, x~_adv, y~; w)

The loss l and what the attack ascends are the recipe's; by default both are the cross-entropy of attacked samples.
Real and generated samples pass through f one after the other, each normalised by its own batch statistics; the running
statistics are those of real samples.

Source: Rob-GAN, equations (3), (6) and (10).
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.attacks import batch_axes_of
from sparring.classifier.state import ClassifierState, WeightedBatch
from sparring.classifier_losses import ClassifierResponse
from sparring.core.modules import evaluating, same_buffers
from sparring.core.shapes import Samples


def train_step(state: ClassifierState, step: int) -> None:
    """One update on a batch of real samples and, if the recipe has `fakes`, on as many generated ones."""
    state.set_rate(step)
    total = torch.zeros((), device=state.device)
    for batch in state.batches(step):
        with _running_statistics(state, batch):
            loss = batch.weight * _loss(state, batch, attacked(state, batch, step))
            loss.backward(inputs=state.descent.parameters)  # type: ignore[no-untyped-call]
        total += loss.detach()
    state.log.add({"loss": total})
    state.descent.step(total)
    state.log.end_round()


def attacked(state: ClassifierState, batch: WeightedBatch, step: int) -> Samples:
    """The samples of a batch after the recipe's attack on the classifier in eval mode."""
    recipe, x = state.recipe, batch.samples
    attack, rng = recipe.attack.scaled(recipe.warmup.factor(step)), state.streams.rng(f"attack/{batch.origin}", step)

    @torch.no_grad()
    def clean() -> Tensor:
        return state.classify(x)

    with evaluating(state.network):
        ascended = recipe.loss.ascended(recipe.criterion, clean)

        def loss(samples: Samples) -> Tensor:
            return ascended(state.classify(samples), batch.labels)

        moved = attack(x, loss, network=state.network, space=state.space, rng=rng)
    size = attack.ball.size(moved - x, batch_axes_of(x, state.space)) / state.space.width
    state.log.add_samples({f"attack_{batch.origin}_size": size, f"attack_{batch.origin}_idle": (size == 0).to(size)})
    return moved


def fit(network: nn.Module, batches: Iterable[tuple[Samples, Tensor]], optimizer: torch.optim.Optimizer) -> None:
    """Plain training: one optimizer step down the cross-entropy for each batch of samples and labels."""
    for samples, labels in batches:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(network(samples), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def _loss(state: ClassifierState, batch: WeightedBatch, moved: Samples) -> Tensor:
    """The mean loss of a batch."""
    response = ClassifierResponse(state.classify, batch.samples, moved)
    losses = state.recipe.loss.losses(response, batch.labels)
    right = (response.attacked.detach().argmax(-1) == batch.labels).to(losses)
    state.log.add_samples({f"loss_{batch.origin}": losses, f"accuracy_{batch.origin}": right})
    return losses.mean()


def _running_statistics(state: ClassifierState, batch: WeightedBatch) -> AbstractContextManager[None]:
    """Running statistics follow real samples alone, on which the classifier is used."""
    return nullcontext() if batch.origin == "real" else same_buffers(state.network)

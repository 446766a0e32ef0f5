"""One round of a classifier's training: attacked samples, their cross-entropy, one step down. Read this first.

    L = mean over real of l(f(x_adv; w), y) + lambda mean over generated of l(f(x~_adv; w), y~)

Real and generated samples pass through f one after the other, each normalised by the batch statistics of its own kind.

Source: Rob-GAN, equations (3), (6) and (10).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sparring.attacks import batch_axes_of, width_of
from sparring.data import Batch
from sparring.engine.pupil import Pupil
from sparring.engine.sampling import evaluating
from sparring.engine.stepping import descend
from sparring.shapes import Samples, over_samples


def give_lesson(pupil: Pupil, step: int) -> None:
    """Play round `step`: one update on a batch of real samples, and on as many generated ones where the recipe asks."""
    pupil.set_rate(step)
    loss = torch.zeros((), device=pupil.device)
    for side, weight, batch in pupil.batches(step):
        pupil.watch.finite(f"{side} samples", [batch.samples])
        own = weight * _loss(pupil, side, Batch(attacked(pupil, side, batch, step), batch.labels))
        own.backward(inputs=pupil.parameters)  # type: ignore[no-untyped-call]
        loss += own.detach()
    pupil.watch.mean("loss", loss)
    descend("classifier", pupil.parameters, pupil.optimizer, pupil.watch, 0)


def attacked(pupil: Pupil, side: str, batch: Batch, step: int) -> Samples:
    """The samples of a side moved by the recipe's attack on the classifier in eval mode, which leaves no trace."""
    x, y = batch
    attack = pupil.recipe.attack.scaled(pupil.recipe.warmup.factor(step))
    with evaluating(pupil.network):
        moved = attack(
            x,
            lambda samples: pupil.recipe.criterion.loss(pupil.classify(samples), y),
            network=pupil.network,
            space=pupil.space,
            rng=pupil.streams.rng(f"attack/{side}", step),
        )
    size = attack.ball.size(moved - x, batch_axes_of(x, pupil.space)) / width_of(pupil.space)
    pupil.watch.mean(f"attack_{side}_size", over_samples(size))
    pupil.watch.mean(f"attack_{side}_idle", over_samples((size == 0).float()))
    return moved


def _loss(pupil: Pupil, side: str, batch: Batch) -> Tensor:
    """The mean cross-entropy of a side."""
    logits = pupil.classify(batch.samples)
    loss = over_samples(F.cross_entropy(logits, batch.labels, reduction="none"))
    pupil.watch.finite(f"loss on {side} samples", [loss])
    pupil.watch.mean(f"loss_{side}", loss)
    pupil.watch.mean(f"accuracy_{side}", over_samples((logits.argmax(-1) == batch.labels).float()))
    return loss

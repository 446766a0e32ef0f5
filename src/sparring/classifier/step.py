"""One round of a classifier's training: attacked samples, their cross-entropy, one step down. Read this first.

    L = mean over real of l(f(x_adv; w), y) + lambda mean over generated of l(f(x~_adv; w), y~)

Real and generated samples pass through f one after the other, each normalised by the batch statistics of its own kind;
the running statistics are those of real samples.

Source: Rob-GAN, equations (3), (6) and (10).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

from sparring.attacks import batch_axes_of, width_of
from sparring.classifier.state import Pupil, Share
from sparring.core.modules import evaluating, same_buffers
from sparring.core.shapes import Samples


def give_lesson(pupil: Pupil, step: int) -> None:
    """Round `step`: one update on a batch of real samples, and on as many generated ones where the recipe asks."""
    pupil.set_rate(step)
    total = torch.zeros((), device=pupil.device)
    for share in pupil.shares(step):
        with _statistics(pupil, share):
            loss = share.weight * _loss(pupil, share, attacked(pupil, share, step))
            loss.backward(inputs=pupil.descent.parameters)  # type: ignore[no-untyped-call]
        total += loss.detach()
    pupil.log.add({"loss": total})
    pupil.descent.step(total)
    pupil.log.end_round()


def _statistics(pupil: Pupil, share: Share) -> AbstractContextManager[None]:
    """Running statistics are those of real samples, on which the classifier is used."""
    return nullcontext() if share.side == "real" else same_buffers(pupil.network)


def attacked(pupil: Pupil, share: Share, step: int) -> Samples:
    """The samples of a share after the recipe's attack on the classifier in eval mode."""
    recipe, x = pupil.recipe, share.samples
    attack, rng = recipe.attack.scaled(recipe.warmup.factor(step)), pupil.streams.rng(f"attack/{share.side}", step)

    def loss(samples: Samples) -> Tensor:
        return recipe.criterion.loss(pupil.classify(samples), share.labels)

    with evaluating(pupil.network):
        moved = attack(x, loss, network=pupil.network, space=pupil.space, rng=rng)
    size = attack.ball.size(moved - x, batch_axes_of(x, pupil.space)) / width_of(pupil.space)
    pupil.log.add_samples({f"attack_{share.side}_size": size, f"attack_{share.side}_idle": (size == 0).to(size)})
    return moved


def _loss(pupil: Pupil, share: Share, samples: Samples) -> Tensor:
    """The mean cross-entropy of a share."""
    logits = pupil.classify(samples)
    losses = F.cross_entropy(logits, share.labels, reduction="none")
    right = (logits.detach().argmax(-1) == share.labels).to(losses)
    pupil.log.add_samples({f"loss_{share.side}": losses, f"accuracy_{share.side}": right})
    return losses.mean()

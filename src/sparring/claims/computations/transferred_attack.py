"""A black-box attack by transfer: adversarial examples of one's own classifier, shown to another one.

Source: course notes, section 2.2.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from sparring.attacks import PGD
from sparring.claims.computations.base import Computation
from sparring.claims.values import Value
from sparring.classifier.step import fit
from sparring.core.eager_optimizers import EagerAdam
from sparring.core.pieces import piece
from sparring.core.randomness import Rng, Streams
from sparring.core.records import Count, Positive
from sparring.data import Batch, Digits, Source
from sparring.networks import ClassifierModule, SmallCNN

_BATCH = 64


@piece("transferred_attack")
class TransferredAttack(Computation):
    """Two classifiers of the built-in digits with other initial weights, trained on different halves of the data.

    Returns accuracies of the attacked one on held-out digits: `clean`; `transferred`, attacked by PGD on the other one;
    `white_box`, attacked by PGD on itself; `noise`, with random signs of the same size; and `gradient_cosine`, the mean
    cosine of both classifiers' input gradients.

    Args:
        epsilon: of PGD, in units of [0, 1].
        rounds: of training.
    """

    epsilon: Positive = 0.15
    rounds: Count = 600

    def compute(self, seed: int) -> Mapping[str, Value]:
        streams, source = Streams(seed), Digits().open(torch.device("cpu"))
        target, own = (self._trained(source, streams, half) for half in range(2))
        test = source.held_out(10_000, rng=Rng.of(0))
        assert test.labels is not None
        x, labels = test.samples, test.labels

        def accuracy(samples: Tensor) -> float:
            with torch.no_grad():
                return float((target(samples).argmax(-1) == labels).double().mean())

        def attacked(network: ClassifierModule) -> Tensor:
            return PGD(epsilon=self.epsilon, steps=20)(
                x,
                lambda samples: F.cross_entropy(network(samples), labels, reduction="none"),
                network=network,
                space=source.facts.space,
                rng=streams.rng("attack"),
            )

        noise = (streams.rng("noise").normal(x.shape).sign() * 2 * self.epsilon + x).clamp(-1, 1)
        mine, its = _slope(own, x, labels), _slope(target, x, labels)
        return {
            "clean": accuracy(x),
            "transferred": accuracy(attacked(own)),
            "white_box": accuracy(attacked(target)),
            "noise": accuracy(noise),
            "gradient_cosine": float(F.cosine_similarity(mine, its, dim=-1).mean()),
        }

    def _trained(self, source: Source, streams: Streams, half: int) -> ClassifierModule:
        network = SmallCNN(width=8).build(source.facts.space, (), rng=streams.rng("init", half))
        batches = (source.batch(number, _BATCH, streams) for number in range(self.rounds))
        fit(network, (_half(batch, half) for batch in batches), EagerAdam(network.parameters(), lr=2e-3))
        return network.eval()


def _half(batch: Batch, half: int) -> tuple[Tensor, Tensor]:
    """The samples of a batch whose digest is even or odd: the same half in every epoch."""
    assert batch.labels is not None
    kept = (batch.samples.flatten(1).double() @ torch.arange(64).double()).mul(8).round().long() % 2 == half
    return batch.samples[kept], batch.labels[kept]


def _slope(network: ClassifierModule, x: Tensor, labels: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(F.cross_entropy(network(leaf), labels, reduction="sum"), leaf)
    return slope.flatten(1)

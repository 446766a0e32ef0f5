"""What is measured of a classifier at a moment: accuracy with and without attack, and local Lipschitz values.

Each on held-out samples and on as many training ones, never augmented, so that the gaps between them show.

    LLV = mean over (x, y) of || d l(f(x; w), y) / d x ||_2,    l the cross-entropy, f in eval mode

Source: Rob-GAN, section 3.1 and figure 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.attacks import PGD, Attack, Classify, Normalised, Sign, Threat, fool
from sparring.core.balls import L2
from sparring.core.gradients import input_gradient
from sparring.core.intervals import wilson
from sparring.core.modules import evaluating, untraced
from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import Samples, sample_norm
from sparring.data import Source
from sparring.gan.sampling import require_finite
from sparring.runs.schema import MetricValue

MEASURED = 1000
"""Held-out samples of a measurement, at most, and as many training ones."""
EPSILON = 8 / 255
"""The budget of the attack on a classifier that was trained under none."""
STEPS = 20
_AT_ONCE = 250
"""Samples a backward pass."""

Row = dict[str, Any]


class ClassifierMeasures:
    """The samples and the attack that a classifier is measured with, the same ones at every moment.

    Args:
        trained: the attack that it is trained against, or None.
        seed: of the attack's random starts.
        source: the data.
        device: where it lives.
        samples: of each kind, at most.
    """

    def __init__(
        self, trained: Attack | None, seed: int, source: Source, device: torch.device, *, samples: int = MEASURED
    ) -> None:
        self.seed, self.space = seed, source.facts.space
        self.attack = main_attack(trained)
        self.threat = Threat(name=f"PGD-{STEPS}", kind="white-box", attack=self.attack)
        test = source.held_out(samples, rng=Rng.of(0, device))
        train = source.unaugmented().batch(0, len(test.samples), Streams(0, None, device))
        self._batches = {"test": test, "train": train}
        self._kinds = {"test": source.facts.evaluated_on, "train": "training"}

    def measure(self, network: nn.Module, classify: Classify, number: int) -> dict[str, float]:
        """The numbers of `protocols`; the network is left without a trace.

        Args:
            network: what the classifier runs.
            classify: the classifier, samples `(n, ...)` to logits `(n, classes)`.
            number: of the moment, for the attack's random stream.

        Raises:
            NonFinite: a logit or a gradient is not finite.
        """
        numbers: dict[str, float] = {}
        for kind, (samples, labels) in self._batches.items():
            assert labels is not None
            parts = zip(*(torch.split(each, _AT_ONCE) for each in (samples, labels)), strict=True)
            rng = Streams(self.seed, None, samples.device).rng(f"measure/{kind}", number)
            with evaluating(network), untraced(network):
                found = [self._look(network, classify, x, y, rng) for x, y in parts]
            shares = {name: torch.cat([each[name] for each in found]) for name in found[0]}
            require_finite(f"round {number}", shares)
            numbers |= {f"{name}_{kind}": float(values.double().mean()) for name, values in shares.items()}
        return numbers

    def entries(self, numbers: Mapping[str, Any], note: str = "") -> dict[str, MetricValue]:
        """Numbers of `measure` as summary.json has them."""
        protocols, count = self.protocols(), len(self._batches["test"].samples)
        return {
            name: MetricValue(
                value=numbers[name],
                interval=wilson(round(numbers[name] * count), count) if "accuracy" in name else None,
                protocol=protocols[name] + note,
            )
            for name in protocols
        }

    def protocols(self) -> dict[str, str]:
        """What every number of `measure` is."""
        found: dict[str, str] = {}
        attack = self.attack
        under = (
            f"{self.threat.name} up the cross-entropy, {attack.ball.norm}, {attack.describe_size(self.space)}, "
            f"step {attack.step_length:.3g}, random start"
        )
        for kind, batch in self._batches.items():
            on = f"{len(batch.samples):,} {self._kinds[kind]} samples, classifier in eval mode"
            found |= {
                f"accuracy_{kind}": f"share of samples classified right; {on}",
                f"robust_accuracy_{kind}": f"share of samples still classified right under {under}; {on}",
                f"llv_{kind}": (
                    "local Lipschitz value: mean Euclidean norm of the gradient of the cross-entropy with respect to "
                    f"the sample, per unit of the data's own range; {on}"
                ),
            }
        return found

    def _look(self, network: nn.Module, classify: Classify, x: Samples, y: Tensor, rng: Rng) -> dict[str, Tensor]:
        def loss(samples: Tensor) -> Tensor:
            return F.cross_entropy(classify(samples), y, reduction="none")

        slope = input_gradient(loss, x)
        fooled = fool(self.threat, classify, x, y, network=network, space=self.space, rng=rng).fooled
        with torch.no_grad():
            right = (classify(x).argmax(-1) == y).float()
        slopes = sample_norm(slope.gradient, 1)
        return {"accuracy": right, "robust_accuracy": (~fooled).float(), "llv": slopes}


def main_attack(trained: Attack | None) -> PGD:
    """PGD-20 in the ball and with the budget that a classifier was trained under, or L-infinity and 8/255."""
    if trained is None or not trained.ball.limited:
        return PGD(epsilon=EPSILON, steps=STEPS)
    direction = Normalised() if isinstance(trained.ball, L2) else Sign()
    return PGD(epsilon=trained.epsilon, ball=trained.ball, direction=direction, steps=STEPS)

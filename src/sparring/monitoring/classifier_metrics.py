"""Metrics of a classifier, or of D's class head: accuracy with and without attack, and local Lipschitz values.

Each is measured on held-out samples, where the data have some, and on as many training samples without augmentation.

    LLV = mean over (x, y) of || d l(f(x; w), y) / d x ||_2,    l the cross-entropy, f in eval mode

Source: Rob-GAN, section 3.1, figures 2 and 6.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.attacks import Attack, Classify, Threat, fool, main_attack
from sparring.core.descent import require_finite
from sparring.core.errors import NonFinite
from sparring.core.intervals import wilson
from sparring.core.modules import evaluating, input_gradient, untraced
from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import Samples, sample_norm
from sparring.data import Batch, Source
from sparring.gan.state import GANState
from sparring.runs.schema import MetricValue

SAMPLES = 1000
"""Held-out samples of a measurement, at most, and as many training samples."""
CLASS_HEAD_SAMPLES = 256
"""The same for D's class head, which is measured at every evaluation of a game."""
_KINDS = {"test": "held-out samples", "train": "training samples"}
_AT_ONCE = 250
"""Samples a backward pass."""


class ClassifierMetrics:
    """Measures classifiers with the same samples and the same attack at every moment.

    Args:
        trained: the attack of its adversarial training, or None.
        seed: of the attack's random starts.
        source: the data.
        device: of the classifier.
        samples: of each kind, at most.

    Attributes:
        has_held_out: whether the data have held-out samples; without them nothing is called test.
    """

    def __init__(
        self, trained: Attack | None, seed: int, source: Source, device: torch.device, *, samples: int = SAMPLES
    ) -> None:
        self.seed, self.space = seed, source.facts.space
        self.attack = main_attack(trained)
        self.threat = Threat(name=f"PGD-{self.attack.steps}", kind="white-box", attack=self.attack)
        test = source.held_out(samples, rng=Rng.of(0, device))
        rows = source.training_set(len(test.samples), Streams(0, None, device))
        train = Batch(rows.samples[:], rows.labels)
        self.has_held_out = source.facts.evaluated_on == "held-out"
        self._batches = {"test": test, "train": train} if self.has_held_out else {"train": train}

    @property
    def evaluated_on(self) -> str:
        """How many samples of which kind the accuracies are of: `360 held-out images`."""
        kind = "held-out" if self.has_held_out else "training"
        count = len(next(iter(self._batches.values())).samples)
        return f"{count:,} {kind} {'images' if len(self.space.shape) == 3 else 'samples'}"

    def measure(self, network: nn.Module, classify: Classify, number: int) -> dict[str, float]:
        """The numbers of `protocols`; the network is restored afterwards.

        Args:
            network: evaluated by the classifier.
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
                measured = [self._measure(network, classify, x, y, rng) for x, y in parts]
            values = {name: torch.cat([each[name] for each in measured]) for name in measured[0]}
            require_finite(f"round {number}", values)
            numbers |= {f"{name}_{kind}": float(each.double().mean()) for name, each in values.items()}
        return numbers

    def values(self, numbers: Mapping[str, Any], note: str = "") -> dict[str, MetricValue]:
        """Numbers of `measure` for summary.json, with a note after every protocol."""
        metrics = {}
        for name, protocol in self.protocols().items():
            count = len(self._batches[name.rsplit("_", 1)[-1]].samples)
            interval = wilson(round(numbers[name] * count), count) if "accuracy" in name else None
            metrics[name] = MetricValue(value=numbers[name], interval=interval, protocol=protocol + note)
        return metrics

    def protocols(self) -> dict[str, str]:
        """The definition of every number of `measure`."""
        protocols: dict[str, str] = {}
        attack = self.attack
        under = (
            f"{self.threat.name} on the cross-entropy, {attack.ball.norm}, {attack.describe_size(self.space)}, "
            f"step {attack.step_length:.3g}, random start"
        )
        for kind, batch in self._batches.items():
            on = f"{len(batch.samples):,} {_KINDS[kind]}, classifier in eval mode"
            protocols |= {
                f"accuracy_{kind}": f"share of samples classified correctly; {on}",
                f"robust_accuracy_{kind}": f"share of samples still classified correctly under {under}; {on}",
                f"llv_{kind}": (
                    "local Lipschitz value: mean Euclidean norm of the gradient of the cross-entropy with respect to "
                    f"the sample, per unit of the data's own range; {on}"
                ),
            }
        return protocols

    def _measure(self, network: nn.Module, classify: Classify, x: Samples, y: Tensor, rng: Rng) -> dict[str, Tensor]:
        def loss(samples: Tensor) -> Tensor:
            return F.cross_entropy(classify(samples), y, reduction="none")

        slopes = sample_norm(input_gradient(loss, x).gradient, 1)
        fooled = fool(self.threat, classify, x, y, network=network, space=self.space, rng=rng).fooled
        with torch.no_grad():
            correct = (classify(x).argmax(-1) == y).float()
        return {"accuracy": correct, "robust_accuracy": (~fooled).float(), "llv": slopes}


class ClassHeadMetrics:
    """Measures the class head of D as a classifier, in every game.

    Args:
        game: whose D has class heads.
    """

    def __init__(self, game: GANState) -> None:
        self.game = game
        trained = game.recipe.regime.trained_against
        self._metrics = ClassifierMetrics(
            trained, game.recipe.seed, game.source, game.device, samples=CLASS_HEAD_SAMPLES
        )

    def measure(self, number: int) -> dict[str, Any]:
        """The numbers of `ClassifierMetrics`; a list with replicas, NaN for a packed game that has diverged.

        Raises:
            NonFinite: a logit or a gradient of a single game is not finite.
        """
        lead = self.game.recipe.lead
        games = [self._measure(index, number) for index in itertools.product(*map(range, lead))]
        return {name: [numbers[name] for numbers in games] for name in games[0]} if lead else dict(games[0])

    def protocols(self) -> dict[str, str]:
        """The definition of every number of `measure`."""
        return {name: f"class head of D: {protocol}" for name, protocol in self._metrics.protocols().items()}

    def _measure(self, index: tuple[int, ...], number: int) -> dict[str, float]:
        try:
            return self._metrics.measure(self.game.discriminator, self._of(index), number)
        except NonFinite:
            if not index:
                raise
            return dict.fromkeys(self._metrics.protocols(), math.nan)

    def _of(self, index: tuple[int, ...]) -> Classify:
        """The class head of one game; the logits of the other packed games are dropped."""

        def classify(samples: Tensor) -> Tensor:
            every = samples.detach().expand(*self.game.recipe.lead, *samples.shape).clone()
            every[index] = samples  # alone, as the gradient of a game that has diverged is not finite
            classes = self.game.judge(every).classes
            assert classes is not None
            return classes[index]

        return classify

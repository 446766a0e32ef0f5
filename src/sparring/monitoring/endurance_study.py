"""DAT's confirmatory experiment: the number of small attacks after which D takes a sample of one side for the other's.

    xi_fake: until |D(x_hat_f) - mean D(x_r)| <= tolerance,    xi_real: until |D(x_hat_r) - mean D(x_f)| <= tolerance

with D = sigmoid(score) and x_f of "a generator without convergence": here G as initialised, or G after training. The
paper states neither the attack nor a cap: here one step of FGSM, epsilon 1/255, and at most 100 of them. Each attack
starts where the previous one ended. A step that is long for the slope of D may jump over the tolerance to its far side;
that ends the attacks on a sample as well, and is counted separately.

Source: Direct Adversarial Training for GANs, equation (1) and figure 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from sparring.attacks import FGSM, Attack
from sparring.core.randomness import Rng
from sparring.core.records import Count, Positive, Record
from sparring.core.shapes import Samples, Scores, Space, expand_like, over_samples
from sparring.gan.sampling import draw
from sparring.gan.state import Networks
from sparring.monitoring.discriminator_probe import GAN, score_of, undisturbed
from sparring.runs.schema import MetricValue

_WARM_UP = 256
"""Latents from which an untrained G computes its batch statistics."""
Opponent = Literal["initial", "trained"]
"""The generator of x_f: as initialised, or after training."""


class EnduranceStudy(Record):
    """The settings of the experiment.

    Args:
        tolerance: of |D - mean|, in probability.
        attack: the repeated attack; its budget holds for one repetition.
        cap: the largest number of attacks; samples that never reach the tolerance count as this many.
        samples: for each side and game, at most the number of real ones.
    """

    tolerance: Positive = 0.02
    attack: Attack = FGSM(epsilon=1 / 255)
    cap: Count = 100
    samples: Count = 32

    def run(self, gan: GAN, real: Samples, space: Space, opponent: Opponent = "initial") -> dict[str, Tensor]:
        """The numbers of `protocol`, each of shape `(*lead)`.

        Args:
            gan: whose D is attacked.
            real: held-out samples `(n, *space.shape)`, of which the first `samples` are used.
            space: shape and range of the samples.
            opponent: the generator of x_f.
        """
        recipe, lead = gan.recipe, gan.recipe.lead
        count = self._count(real)
        generator = self._generator(gan, space, opponent)
        fake = draw(recipe, generator, space, gan.streams, count, "study", 0).samples
        real = real[:count].expand(*lead, *real[:count].shape)
        with undisturbed(gan):
            with torch.no_grad():
                means = [over_samples(torch.sigmoid(score_of(gan, side))) for side in (real, fake)]
            target = [
                mean.unsqueeze(-1).expand(side.shape[: len(lead) + 1])
                for mean, side in zip(means, (fake, real), strict=True)
            ]
            counts = attack_until(
                torch.cat([fake, real], dim=len(lead)),
                torch.cat(target, dim=-1),
                score=lambda samples: score_of(gan, samples),
                attack=self.attack,
                tolerance=self.tolerance,
                cap=self.cap,
                network=gan.networks.discriminator,
                space=space,
                rng=gan.streams.rng("study/attack"),
            )
        numbers: dict[str, Tensor] = {}
        for name, values in (("", counts.attacks), ("_reached", counts.reached), ("_overshot", counts.overshot)):
            on_fake, on_real = torch.tensor_split(values.double(), [count], dim=-1)
            numbers |= {f"attacks_fake{name}": over_samples(on_fake), f"attacks_real{name}": over_samples(on_real)}
        return numbers

    def metrics(self, gan: GAN, real: Samples, space: Space, opponent: Opponent = "initial") -> dict[str, MetricValue]:
        """The numbers of `run` for summary.json."""
        numbers, protocol = self.run(gan, real, space, opponent), self.protocol(real, space, opponent)
        return {name: MetricValue(value=values.tolist(), protocol=protocol) for name, values in numbers.items()}

    def protocol(self, real: Samples, space: Space, opponent: Opponent = "initial") -> str:
        """The definition of the numbers of `run`, with the same arguments."""
        state = {
            "initial": "as it was initialised, with the batch statistics of that state",
            "trained": "as it is after training",
        }[opponent]
        return (
            f"mean number of attacks ({self.attack.describe(space)}) until |D(x) - mean D of the other side| <= "
            f"{self.tolerance:g}, D = sigmoid(score) in eval mode; {self._count(real)} samples a side, the generated "
            f"ones of G {state}; at most {self.cap} attacks, which is the number for samples that never got there; "
            "overshot: the share whose last attack jumped over the tolerance to the far side of the mean"
        )

    def _count(self, real: Samples) -> int:
        return min(self.samples, len(real))

    def _generator(self, gan: GAN, space: Space, opponent: Opponent) -> nn.Module:
        if opponent == "trained":
            return gan.networks.generator
        generator = Networks(gan.recipe, space).generator.to(gan.streams.device)
        _set_batch_statistics(generator, gan)
        return generator


class AttackCounts(NamedTuple):
    """How repeated attacks ended, for every sample.

    Args:
        attacks: their number `(*batch)`; the cap if D's output never came within the tolerance.
        reached: whether D's output came within the tolerance.
        overshot: whether it jumped from one side of the tolerance to the other instead.
        moved: the samples after the attacks.
    """

    attacks: Int[Tensor, "*batch"]
    reached: Bool[Tensor, "*batch"]
    overshot: Bool[Tensor, "*batch"]
    moved: Samples


def attack_until(
    x: Samples,
    target: Scores,
    *,
    score: Callable[[Samples], Scores],
    attack: Attack,
    tolerance: float,
    cap: int,
    network: nn.Module,
    space: Space,
    rng: Rng,
) -> AttackCounts:
    """Attack every sample until D's output is within a tolerance of its target.

    Args:
        x: `(*batch, *space.shape)`.
        target: D's mean output on the other side, `(*batch)`, in [0, 1].
        score: `(*batch, ...) -> (*batch)`, D's score of every sample by itself.
        attack: the repeated attack; its budget holds for one repetition.
        tolerance: of |D - target|.
        cap: the largest number of attacks.
        network: evaluated by `score`; it is restored afterwards.
        space: shape and range of the samples.
        rng: of the attack.
    """
    moved = x.detach()

    def loss(samples: Samples) -> Scores:
        return -difference(score(samples), target).abs()

    with torch.no_grad():
        before = difference(score(moved), target)
        reached = before.abs() <= tolerance
        attacks, overshot = torch.zeros_like(reached, dtype=torch.int64), torch.zeros_like(reached)
        for _ in range(cap):
            done = reached | overshot
            if bool(done.all()):
                break
            attacked = attack(moved, loss, network=network, space=space, rng=rng)
            moved = torch.where(expand_like(done, moved), moved, attacked)
            attacks += ~done
            now = difference(score(moved), target)
            reached |= ~done & (now.abs() <= tolerance)
            overshot |= ~done & (now * before < 0) & (now.abs() > tolerance)
            before = now
    return AttackCounts(attacks, reached, overshot, moved)


def difference(score: Scores, target: Scores) -> Scores:
    """sigmoid(score) - target in fp64, with a gradient that does not vanish where D is sure.

    1 - sigmoid(s) rounds to 0 beyond s = 17 in fp32; its equal sigmoid(-s) does not.
    """
    wide, mean = score.double(), target.double()
    tail = torch.sigmoid(torch.where(wide > 0, -wide, wide))
    return torch.where(wide > 0, (1 - mean) - tail, tail - mean)


@torch.no_grad()
def _set_batch_statistics(generator: nn.Module, gan: GAN) -> None:
    """Compute running statistics from one large batch; with the initial ones all samples would be alike."""
    for layer in generator.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.momentum = None  # the plain mean over all batches so far
    shape, rng = (*gan.recipe.lead, _WARM_UP), gan.streams.rng("study/settle")
    generator.train()(gan.recipe.generator.draw(shape, gan.networks.space, rng=rng).values)

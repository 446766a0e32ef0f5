"""DAT's confirmatory experiment: the number of small attacks after which D takes a sample of one side for the other's.

    xi_fake: until |D(x_hat_f) - mean D(x_r)| <= tolerance,    xi_real: until |D(x_hat_r) - mean D(x_f)| <= tolerance

with D = sigmoid(score) and x_f of "a generator without convergence": here G as initialised, or G after training. The
paper states neither the attack nor a cap: here one step of FGSM, epsilon 1/255, and at most 100 of them. Each attack
starts where the previous one ended. A step that is long for the slope of D may jump over the tolerance to its far side;
that ends the attacks on a sample as well, and is counted separately.

Source: Direct Adversarial Training for GANs, equation (1) and figure 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from sparring.attacks import FGSM, Attack
from sparring.core.descent import require_finite
from sparring.core.randomness import Rng
from sparring.core.records import Count, Positive, Record
from sparring.core.shapes import Samples, Scores, Space, expand_like, over_samples
from sparring.gan.load import load_gan
from sparring.gan.sampling import GAN, draw
from sparring.gan.state import Networks
from sparring.monitoring.discriminator_probe import score_of, undisturbed
from sparring.recipes import parse_yaml
from sparring.runs.folder import RunFolder
from sparring.runs.schema import MetricValue

_WARM_UP = 256
"""Latents from which an untrained G computes its batch statistics."""
Opponent = Literal["initial", "trained"]
"""The generator of x_f: as initialised, or after training."""


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

    def run(self, gan: GAN, real: Samples, opponent: Opponent = "initial") -> dict[str, MetricValue]:
        """Means over the samples of every game; None for one that has diverged.

        Args:
            gan: whose D is attacked.
            real: held-out samples `(n, ...)`, of which the first `samples` are used.
            opponent: the generator of x_f.

        Raises:
            NonFinite: an output of D, or a sample of G, of a single game is not finite.
        """
        lead, real = gan.recipe.lead, real[: self.samples]
        count = len(real)
        generator = gan.networks.generator if opponent == "trained" else _initial_generator(gan)
        fake = draw(gan, count, "study", 0, generator=generator).samples
        real = real.expand(*lead, *real.shape)
        with undisturbed(gan):
            with torch.no_grad():
                means = [over_samples(torch.sigmoid(score_of(gan, side))) for side in (real, fake)]
            require_finite("attack endurance", {"mean output of D": torch.stack(means, dim=-1)}, gan.diverged)
            counts = self.attack_until(
                torch.cat([fake, real], dim=len(lead)),
                torch.stack(means, dim=-1).repeat_interleave(count, dim=-1),
                score=lambda samples: score_of(gan, samples),
                network=gan.networks.discriminator,
                space=gan.networks.space,
                rng=gan.streams.rng("study/attack"),
            )
        numbers: dict[str, list[float] | float] = {}
        protocol = self._protocol(gan.networks.space, count, opponent)
        for name, values in (("", counts.attacks), ("_reached", counts.reached), ("_overshot", counts.overshot)):
            for side, part in zip(("fake", "real"), torch.split(values.double(), count, dim=-1), strict=True):
                numbers[f"attacks_{side}{name}"] = over_samples(part).tolist()
        known = gan.diverged.blank(numbers)
        return {name: MetricValue(value=value, protocol=protocol) for name, value in known.items()}

    def _protocol(self, space: Space, count: int, opponent: Opponent) -> str:
        state = {
            "initial": "as it was initialised, with the batch statistics of that state",
            "trained": "as it is after training",
        }[opponent]
        return (
            f"mean number of attacks ({self.attack.describe(space)}) until |D(x) - mean D of the other side| <= "
            f"{self.tolerance:g}, D = sigmoid(score) in eval mode; {count} samples a side, the generated "
            f"ones of G {state}; at most {self.cap} attacks, which is the number for samples that never got there; "
            "overshot: the share whose last attack jumped over the tolerance to the far side of the mean"
        )

    @torch.no_grad()
    def attack_until(
        self,
        x: Samples,
        target: Scores,
        *,
        score: Callable[[Samples], Scores],
        network: nn.Module,
        space: Space,
        rng: Rng,
    ) -> AttackCounts:
        """Attack every sample until D's output is within the tolerance of its target.

        Args:
            x: `(*batch, *space.shape)`.
            target: D's mean output on the other side, `(*batch)`, in [0, 1].
            score: `(*batch, ...) -> (*batch)`, D's score of every sample by itself.
            network: evaluated by `score`; it is restored afterwards.
            space: shape and range of the samples.
            rng: of the attack.
        """
        moved = x.detach()

        def loss(samples: Samples) -> Scores:
            return -difference(score(samples), target).abs()

        before = difference(score(moved), target)
        reached = before.abs() <= self.tolerance
        attacks, overshot = torch.zeros_like(reached, dtype=torch.int64), torch.zeros_like(reached)
        for _ in range(self.cap):
            done = reached | overshot
            if bool(done.all()):
                break
            attacked = self.attack.perturb(moved, loss, network=network, space=space, rng=rng)
            moved = torch.where(expand_like(done, moved), moved, attacked)
            attacks += ~done
            now = difference(score(moved), target)
            reached |= ~done & (now.abs() <= self.tolerance)
            overshot |= ~done & (now * before < 0) & (now.abs() > self.tolerance)
            before = now
        return AttackCounts(attacks, reached, overshot, moved)


def difference(score: Scores, target: Scores) -> Scores:
    """sigmoid(score) - target in fp64, with a gradient that does not vanish where D is sure.

    1 - sigmoid(s) rounds to 0 beyond s = 17 in fp32; its equal sigmoid(-s) does not.
    """
    wide, mean = score.double(), target.double()
    tail = torch.sigmoid(torch.where(wide > 0, -wide, wide))
    return torch.where(wide > 0, (1 - mean) - tail, tail - mean)


def attack_study(attack: str, *, within: float, cap: int, samples: int) -> EnduranceStudy:
    """Settings of the experiment.

    Args:
        attack: as in a recipe, a name or a YAML mapping.
        within: of |D - mean|, in probability.
        cap: the largest number of attacks.
        samples: real and generated samples per game; at most as many as there are real ones.

    Raises:
        InvalidRecord: there is no such attack, or a setting is out of range.
    """
    values = {"attack": parse_yaml(attack, attack), "tolerance": within, "cap": cap, "samples": samples}
    return EnduranceStudy.validated(values, "attack", "see `sparring list attacks`")


def study_attacks(paths: Sequence[Path], study: EnduranceStudy, *, device: str = "auto") -> list[dict[str, Any]]:
    """How many attacks the D of each run's newest checkpoint withstands, against G as initialised and as trained.

    Args:
        paths: run folders.
        study: the settings.
        device: where to attack.

    Returns:
        A row for each run and G: {"run", "step", "generator", "numbers", "protocol", "problems"}; a number is a list
        with replicas.

    Raises:
        UsageError: no run, no checkpoint, or data that are not where the recipe says.
    """
    return [_row(path, study, device, opponent) for path in paths for opponent in get_args(Opponent)]


def _row(path: Path, study: EnduranceStudy, device: str, opponent: Opponent) -> dict[str, Any]:
    loaded = load_gan(RunFolder.open(path), device)
    real = loaded.data().held_out(study.samples, rng=Rng.of(0, loaded.streams.device)).samples
    metrics = study.run(loaded, real, opponent)
    return {
        "run": str(path),
        "step": loaded.step,
        "generator": opponent,
        "numbers": {name: metric.as_json()["value"] for name, metric in metrics.items()},
        "protocol": metrics["attacks_fake"].protocol,
        "problems": list(loaded.problems),
    }


@torch.no_grad()
def _initial_generator(gan: GAN) -> nn.Module:
    """G as initialised; with the initial batch statistics all samples would be alike, so one large batch sets them."""
    networks, streams = Networks(gan.recipe, gan.networks.space), gan.streams
    generator = networks.generator.to(streams.device)
    for layer in generator.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.momentum = None  # the plain mean over all batches so far
    shape, rng = (*gan.recipe.lead, _WARM_UP), streams.rng("study/settle")
    generator.train()(gan.recipe.generator.draw(shape, networks.space, rng=rng).values)
    return generator

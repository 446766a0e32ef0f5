"""DAT's confirmatory experiment: how many small attacks it takes until D takes one side's samples for the other's.

    xi_fake: until |D(x_hat_f) - mean D(x_r)| <= tolerance,    xi_real: until |D(x_hat_r) - mean D(x_f)| <= tolerance

with x_f of "a generator without convergence", here G as it was initialised, or as it is after training. The paper
states neither the attack nor a cap: here one step of FGSM, epsilon 1/255, and at most 100 of them.

Source: Direct Adversarial Training for GANs, equation (1) and figure 1.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from sparring.attacks import FGSM, Attack
from sparring.core.records import Count, Positive, Record
from sparring.core.shapes import Samples, Space, over_samples
from sparring.gan.sampling import draw
from sparring.gan.state import Networks
from sparring.monitoring.discriminator_probe import Playing, score_of, undisturbed
from sparring.monitoring.repeated_attack import attack_until
from sparring.runs.schema import MetricValue

_SETTLING = 256
"""Latents from which a fresh G takes its batch statistics."""
Opponent = Literal["initial", "trained"]
"""Whose samples x_f are: of G as it was initialised, or as it is now."""


class AttackStudy(Record):
    """The experiment's settings.

    Args:
        tolerance: of |D - mean|, in probability.
        attack: made once a count; its budget holds for one count.
        cap: counts, at most; a sample that never gets there counts as many.
        samples: a side and game, and no more than there are real ones.
    """

    tolerance: Positive = 0.02
    attack: Attack = FGSM(epsilon=1 / 255)
    cap: Count = 100
    samples: Count = 32

    def run(self, playing: Playing, real: Samples, space: Space, opponent: Opponent = "initial") -> dict[str, Tensor]:
        """The numbers of `protocols`, each of shape `(*lead)`.

        Args:
            playing: whose D is attacked.
            real: held-out samples `(n, *space.shape)`; the first `samples` of them are used.
            space: shape and range of the samples.
            opponent: whose generated samples are used.
        """
        recipe, lead = playing.recipe, playing.recipe.lead
        count = self._count(real)
        generator = self._generator(playing, space, opponent)
        fake = draw(recipe, generator, space, playing.streams, count, "study", 0).samples
        real = real[:count].expand(*lead, *real[:count].shape)
        with undisturbed(playing):
            with torch.no_grad():
                means = [over_samples(torch.sigmoid(score_of(playing, side))) for side in (real, fake)]
            target = [
                mean.unsqueeze(-1).expand(side.shape[: len(lead) + 1])
                for mean, side in zip(means, (fake, real), strict=True)
            ]
            found = attack_until(
                torch.cat([fake, real], dim=len(lead)),
                torch.cat(target, dim=-1),
                score=lambda samples: score_of(playing, samples),
                attack=self.attack,
                tolerance=self.tolerance,
                cap=self.cap,
                network=playing.networks.discriminator,
                space=space,
                rng=playing.streams.rng("study/attack"),
            )
        numbers: dict[str, Tensor] = {}
        for name, values in (("", found.attacks), ("_reached", found.reached), ("_overshot", found.overshot)):
            on_fake, on_real = torch.tensor_split(values.double(), [count], dim=-1)
            numbers |= {f"attacks_fake{name}": over_samples(on_fake), f"attacks_real{name}": over_samples(on_real)}
        return numbers

    def entries(
        self, playing: Playing, real: Samples, space: Space, opponent: Opponent = "initial"
    ) -> dict[str, MetricValue]:
        """The numbers of `run` as summary.json has them."""
        numbers, protocol = self.run(playing, real, space, opponent), self.protocol(real, space, opponent)
        return {name: MetricValue(value=values.tolist(), protocol=protocol) for name, values in numbers.items()}

    def protocol(self, real: Samples, space: Space, opponent: Opponent = "initial") -> str:
        """The experiment in words; the arguments are those of `run`."""
        state = {
            "initial": "as it was initialised, with the batch statistics of that state",
            "trained": "as it is after training",
        }[opponent]
        return (
            f"mean number of attacks ({described(self.attack, space)}) until |D(x) - mean D of the other side| <= "
            f"{self.tolerance:g}, D = sigmoid(score) in eval mode; {self._count(real)} samples a side, the generated "
            f"ones of G {state}; at most {self.cap} attacks, which is what a sample that never got there counts; "
            "overshot: the share whose last attack jumped over the tolerance to the far side of the mean"
        )

    def _count(self, real: Samples) -> int:
        return min(self.samples, len(real))

    def _generator(self, playing: Playing, space: Space, opponent: Opponent) -> nn.Module:
        if opponent == "trained":
            return playing.networks.generator
        generator = Networks(playing.recipe, space).generator.to(playing.streams.device)
        _settle(generator, playing)
        return generator


@torch.no_grad()
def _settle(generator: nn.Module, playing: Playing) -> None:
    """Give batch normalisation the statistics of one large batch; without any, eval mode makes grey of every latent."""
    for layer in generator.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.momentum = None  # the plain mean over all batches so far
    shape, rng = (*playing.recipe.lead, _SETTLING), playing.streams.rng("study/settle")
    generator.train()(playing.recipe.generator.draw(shape, playing.networks.space, rng=rng).values)


def described(attack: Attack, space: Space) -> str:
    """An attack with its size on all scales that the samples have, and the settings that are not its own defaults."""
    fields = type(attack).model_fields
    own = {key for key, field in fields.items() if field.is_required() or getattr(attack, key) != field.get_default()}
    other = {key: value for key, value in attack.model_dump(mode="json").items() if key in own - {"epsilon"}}
    return ", ".join([f"{attack.name}, {attack.describe_size(space)}", *(f"{k} {_plain(v)}" for k, v in other.items())])


def _plain(value: Any) -> Any:
    """A piece without keys as its name."""
    return value["name"] if isinstance(value, dict) and value.keys() == {"name"} else value

"""How steep a trained discriminator is: slopes at samples, and `lipschitz_bound` for all inputs.

Every number is a slope of the score in L2, in units of the data as the networks see them; D is in eval mode.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from sparring.core.descent import require_finite
from sparring.core.errors import UsageError
from sparring.core.modules import evaluating, input_gradient
from sparring.core.randomness import Rng
from sparring.core.shapes import over_samples, sample_norm
from sparring.data import Source
from sparring.evaluation.lipschitz_bound import lipschitz_bound
from sparring.gan.load import LoadedGAN
from sparring.gan.sampling import draw
from sparring.runs.schema import MetricValue

_SAMPLES = 512
"""Real samples, and generated samples per game."""
_BATCH = 512
_PROTOCOL = "slopes of D's score in L2, eval mode, samples as D sees them"


def measure_discriminator(loaded: LoadedGAN, source: Source, seed: int) -> tuple[dict[str, MetricValue], list[str]]:
    """Slopes on real and freshly generated samples, and a Lipschitz bound; None for a game that has diverged.

    Args:
        loaded: the networks of a checkpoint.
        source: of real samples.
        seed: number of the latents' stream.

    Returns:
        Metrics by name, and problems; without a bound, a problem names the operation of D whose norm is not known.

    Raises:
        NonFinite: a sample or a number of a single game is not finite.
    """
    lead, network = loaded.recipe.lead, loaded.networks.discriminator
    real = source.held_out(_SAMPLES, rng=Rng.of(0, loaded.streams.device)).samples
    fake = draw(loaded, len(real), "evaluate", seed).samples
    numbers, protocols, problems = dict[str, Tensor](), dict[str, str](), list[str]()
    try:
        numbers["lipschitz_bound"] = lipschitz_bound(network, tuple(real.shape[1:]), lead)
        protocols["lipschitz_bound"] = f"{_PROTOCOL}, for all inputs: by the norms of D's layers"
    except UsageError as error:
        problems.append(error.cause)
    counts = f"{len(real)} {source.facts.evaluated_on} and {len(real)} generated samples"
    protocol = f"{_PROTOCOL}: gradients at {counts}; all pairs of these"
    slopes = steepness(network, real.expand(*lead, *real.shape), fake, len(lead) + 1)
    numbers, protocols = numbers | slopes, protocols | dict.fromkeys(slopes, protocol)
    require_finite("evaluation of D", numbers, loaded.diverged)
    known = loaded.diverged.blank({name: values.tolist() for name, values in numbers.items()})
    return {name: MetricValue(value=value, protocol=protocols[name]) for name, value in known.items()}, problems


def steepness(discriminator: nn.Module, real: Tensor, fake: Tensor, batch_axes: int = 1) -> dict[str, Tensor]:
    """Slopes of a discriminator at samples, one number a game: `(*lead)`.

    Mean and largest ||grad D|| at real and at fake samples, and the largest |D(x) - D(y)| / ||x - y|| of a real x and a
    generated y.

    Args:
        discriminator: returns a `Verdict`.
        real: `(*lead, n, ...)`.
        fake: `(*lead, m, ...)`.
        batch_axes: how many leading axes are batch.
    """
    slopes: dict[str, Tensor] = {}
    for origin, samples in (("real", real), ("fake", fake)):
        norms = gradient_norms(discriminator, samples, batch_axes)
        slopes |= {f"gradient_norm_{origin}": over_samples(norms), f"gradient_norm_{origin}_max": norms.amax(-1)}
    return slopes | {"steepest_pair": steepest_pairs(discriminator, real, fake, batch_axes)}


def gradient_norms(discriminator: nn.Module, samples: Tensor, batch_axes: int = 1) -> Tensor:
    """||grad_x D(x)||_2 of every sample, `(*batch)`.

    Args:
        discriminator: returns a `Verdict`.
        samples: `(*batch, ...)`.
        batch_axes: how many leading axes are batch.
    """
    norms = []
    with evaluating(discriminator):
        for part in torch.split(samples, _BATCH, dim=batch_axes - 1):
            gradient = input_gradient(lambda x: discriminator(x).score, part).gradient
            norms.append(sample_norm(gradient, batch_axes))
    return torch.cat(norms, dim=-1)


@torch.no_grad()
def steepest_pairs(discriminator: nn.Module, real: Tensor, fake: Tensor, batch_axes: int = 1) -> Tensor:
    """max |D(x) - D(y)| / ||x - y||_2 over all pairs of a real x and a generated y, one number a game.

    In fp64, as the bound: at near pairs the rounding of scores is divided by a small distance. Equal pairs count as 0.

    Args:
        discriminator: returns a `Verdict`; a copy of it is measured.
        real: `(*lead, n, ...)`.
        fake: `(*lead, m, ...)`.
        batch_axes: how many leading axes are batch.
    """
    network, samples = copy.deepcopy(discriminator).double().eval(), [real.double(), fake.double()]
    scores = [
        torch.cat([network(part).score for part in torch.split(x, _BATCH, dim=batch_axes - 1)], dim=-1) for x in samples
    ]
    rise = (scores[0].unsqueeze(-1) - scores[1].unsqueeze(-2)).abs()
    ends = [x.flatten(batch_axes) for x in samples]
    distance = torch.cdist(ends[0], ends[1], compute_mode="donot_use_mm_for_euclid_dist")
    return torch.where(distance > 0, rise / distance, 0.0).flatten(batch_axes - 1).amax(-1)

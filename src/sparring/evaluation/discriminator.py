"""How steep a trained discriminator is: slopes at samples, and `lipschitz_bound` for all inputs.

Every number is a slope of the score in L2, in units of the data as the networks see them; D is in eval mode.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sparring.core.errors import UsageError
from sparring.core.gradients import input_gradient
from sparring.core.modules import evaluating
from sparring.core.randomness import Rng
from sparring.core.shapes import sample_norm
from sparring.evaluation.lipschitz_bound import lipschitz_bound
from sparring.evaluation.result import Evaluation
from sparring.gan.load import load_gan
from sparring.runs.folder import RunFolder
from sparring.runs.schema import MetricValue

_SAMPLES = 512
"""Real samples, and generated samples per game."""
_BATCH = 512
_PROTOCOL = "slopes of D's score in L2, eval mode, samples as D sees them"


class GradientNorms(NamedTuple):
    """||grad_x D(x)|| over samples x, in fp32 or fp64."""

    mean: float
    max: float


class Steepness(NamedTuple):
    """How steep the discriminator of one game is.

    Args:
        real: gradient norms at real samples.
        fake: gradient norms at generated samples.
        steepest_pair: the largest |D(x) - D(y)| / ||x - y|| of a real x and a generated y.
    """

    real: GradientNorms
    fake: GradientNorms
    steepest_pair: float


def evaluate_discriminator(path: Path, *, seed: int = 0, device: str = "auto") -> Evaluation:
    """Measure the discriminator of a run's newest checkpoint on real and freshly generated samples.

    Args:
        path: the run folder.
        seed: number of the latents' stream.
        device: where to measure.

    Returns:
        Slopes and a Lipschitz bound; without a bound, a problem names the operation of D whose norm is not known.

    Raises:
        UsageError: no run, or no checkpoint.
        CorruptInput: no checkpoint can be read.
        NonFinite: a sample is not finite.
    """
    loaded = load_gan(RunFolder.open(path), device)
    lead, source = loaded.recipe.lead, loaded.data()
    real = source.held_out(_SAMPLES, rng=Rng.of(0, loaded.streams.device)).samples
    fake = loaded.draw(len(real), "evaluate", seed).samples
    network, problems, metrics = loaded.networks.discriminator, list(loaded.problems), {}
    try:
        bounds = lipschitz_bound(network, tuple(real.shape[1:]), lead).reshape(-1).tolist()
        metrics["lipschitz_bound"] = _metric(bounds, f"{_PROTOCOL}, for all inputs: by the norms of D's layers", lead)
    except UsageError as error:
        problems.append(error.cause)
    games = steepness(network, real.expand(*lead, *real.shape), fake, lead)
    columns = {
        "gradient_norm_real": [game.real.mean for game in games],
        "gradient_norm_real_max": [game.real.max for game in games],
        "gradient_norm_fake": [game.fake.mean for game in games],
        "gradient_norm_fake_max": [game.fake.max for game in games],
        "steepest_pair": [game.steepest_pair for game in games],
    }
    counts = f"{len(real)} {source.facts.evaluated_on} and {len(real)} generated samples"
    protocol = f"{_PROTOCOL}: gradients at {counts}; all pairs of these"
    metrics |= {name: _metric(values, protocol, lead) for name, values in columns.items()}
    return Evaluation(step=loaded.step, metrics=metrics, problems=tuple(problems))


def steepness(discriminator: nn.Module, real: Tensor, fake: Tensor, lead: tuple[int, ...] = ()) -> list[Steepness]:
    """Measure a discriminator, or each of R packed ones.

    Args:
        discriminator: returns a `Verdict`.
        real: `(*lead, n, ...)`.
        fake: `(*lead, m, ...)`.
        lead: `(replicas,)` for packed games.

    Returns:
        One record for each game.
    """
    axes = len(lead) + 1
    pairs = steepest_pairs(discriminator, real, fake, axes).reshape(-1).tolist()
    norms = [gradient_norms(discriminator, samples, axes).reshape(len(pairs), -1) for samples in (real, fake)]
    at_real, at_fake = (
        [GradientNorms(float(game.mean()), float(game.max())) for game in samples_norms] for samples_norms in norms
    )
    return list(map(Steepness, at_real, at_fake, pairs))


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


def _metric(values: list[float], protocol: str, lead: tuple[int, ...]) -> MetricValue:
    return MetricValue(value=tuple(values) if lead else values[0], protocol=protocol)

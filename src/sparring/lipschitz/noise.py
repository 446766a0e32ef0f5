"""Instance noise: decreasing Gaussian noise on the real and generated samples that D sees.

Source: Sønderby et al. 2017; Arjovsky, Bottou 2017, section 3; course notes, section 1.3.1.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sparring.core.pieces import piece
from sparring.core.randomness import RandomSource, Rng
from sparring.core.records import NonNegative
from sparring.core.shapes import Samples
from sparring.lipschitz.base import Lipschitz


@piece("instance_noise")
class InstanceNoise(Lipschitz):
    """D sees x + N(0, s^2), s = sigma max(0, 1 - progress / until).

    Args:
        sigma: the standard deviation at the start, in units of the data as the networks see them: [-1, 1] for images.
        until: share of the rounds after which there is no noise left.
    """

    sigma: NonNegative = 0.1
    until: Annotated[float, Field(gt=0, le=1)] = 1.0

    def disturb(self, samples: Samples, *, progress: float, rng: RandomSource) -> Samples:
        level = self.sigma * max(0.0, 1.0 - progress / self.until)
        return samples + level * Rng.of(rng, samples.device).normal(samples.shape).to(samples)

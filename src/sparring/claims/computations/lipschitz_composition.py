"""The slopes of composed networks against the product of their Lipschitz constants, in fp64.

    ||f(g(x)) - f(g(y))|| <= L_f L_g ||x - y||,   sup ||W x|| / ||x|| = sigma(W),   |relu(a) - relu(b)| <= |a - b|

Source: course notes, section 1.3.1 and problem 2.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sparring.claims.computations.base import Computation
from sparring.claims.values import Value
from sparring.core.modules import input_gradient
from sparring.core.pieces import piece
from sparring.core.randomness import Rng, Streams
from sparring.core.records import Count
from sparring.core.shapes import Space, sample_norm
from sparring.lipschitz import SpectralNorm
from sparring.networks import MLPDiscriminator

_POWER_STEPS = 300


@piece("lipschitz_composition")
class LipschitzComposition(Computation):
    """Two random ReLU networks f and g, and a discriminator under spectral normalisation.

    Returns `largest_ratio`, the largest slope of f(g(.)) between points over L_f L_g, the constants being products of
    spectral norms; `largest_layer_ratio`, the largest slope of a linear map over its spectral norm; `reached`, the
    slope along the first singular vector over the spectral norm; `slope_before`, the largest gradient of a
    discriminator with weights five times those of its initialisation, and `slope_after`, of the same one normalised.

    Args:
        features: width of every layer.
        points: pairs of points, drawn close together and far apart.
    """

    features: Count = 16
    points: Count = 4096

    def compute(self, seed: int) -> Mapping[str, Value]:
        streams, n = Streams(seed), self.features
        weights = [streams.rng("weights", layer).normal((n, n)).double() for layer in range(4)]
        x = streams.rng("x").normal((self.points, n)).double()
        distance = 10 ** streams.rng("distance").uniform((self.points, 1), -3, 1).double()
        y = x + distance * streams.rng("y").normal((self.points, n)).double()
        norms = [_spectral_norm(weight, streams.rng("power", layer)) for layer, weight in enumerate(weights)]
        product = torch.stack([norm for norm, _ in norms]).prod()
        composed = _slopes(_composed(weights, x), _composed(weights, y), x, y)
        linear = _slopes(x @ weights[0].T, y @ weights[0].T, x, y)
        first, direction = norms[0]
        before, after = self._discriminator_slopes(streams, x)
        return {
            "largest_ratio": float(composed.max() / product),
            "largest_layer_ratio": float(linear.max() / first),
            "reached": float((weights[0] @ direction).norm() / first),
            "slope_before": before,
            "slope_after": after,
        }

    def _discriminator_slopes(self, streams: Streams, x: Tensor) -> tuple[float, float]:
        """The largest input gradients of a D before and after spectral normalisation."""
        d = MLPDiscriminator(hidden=(32, 32)).build(Space((self.features,), None), (), rng=streams.rng("d")).double()
        with torch.no_grad():
            for parameter in d.parameters():
                parameter.mul_(5)
        before = _largest_gradient(d, x)
        control = SpectralNorm()
        control.transform(d)
        for _ in range(_POWER_STEPS):
            control.constrain(d)
        return before, _largest_gradient(d, x)


def _composed(weights: list[Tensor], x: Tensor) -> Tensor:
    """f(g(x)): g and f are a linear map, a ReLU and another linear map each."""
    (g1, g2, f1, f2) = weights
    inner = torch.relu(x @ g1.T) @ g2.T
    return torch.relu(inner @ f1.T) @ f2.T


def _slopes(f_x: Tensor, f_y: Tensor, x: Tensor, y: Tensor) -> Tensor:
    slopes: Tensor = torch.linalg.vector_norm(f_x - f_y, dim=-1) / torch.linalg.vector_norm(x - y, dim=-1)
    return slopes


def _spectral_norm(weight: Tensor, rng: Rng) -> tuple[Tensor, Tensor]:
    """The largest singular value and its right vector, by power iteration on W^T W."""
    vector = rng.normal((weight.shape[1],)).double()
    for _ in range(10 * _POWER_STEPS):
        vector = weight.T @ (weight @ vector)
        vector = vector / vector.norm()
    return (weight @ vector).norm(), vector


def _largest_gradient(d: torch.nn.Module, x: Tensor) -> float:
    slope = input_gradient(lambda samples: d(samples).score, x).gradient
    return float(sample_norm(slope, 1).max())

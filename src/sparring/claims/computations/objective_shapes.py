"""Figure 2a: the shapes of objectives as functions of D's probability."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from sparring.claims.computations.base import Computation
from sparring.claims.values import SampledCurve, Value
from sparring.core.pieces import piece
from sparring.objectives import Linear, Objective

_STEPS = 400


@piece("objective_shape")
class ObjectiveShape(Computation):
    """f_D over theta in [0, 1].

    - `oddness`: the largest |f(theta) + f(1 - theta)| on a grid without the ends, over the range of f on it;
    - `rise`: the least increase from one place of the grid to the next, over the mean increase;
    - `middle`: the slope at 1/2 over the mean slope;
    - `shape`: f itself.

    Args:
        objective: its `real`.

    Source: Xu, Li, Jegelka, figure 2a and the definition of H in section 4.
    """

    objective: Objective = Linear()

    def compute(self, seed: int) -> Mapping[str, Value]:
        del seed  # nothing is random
        theta = torch.linspace(0, 1, _STEPS + 1, dtype=torch.float64)
        value = self.objective.real(torch.logit(theta))
        inner, rise = value[1:-1], value[1:-1].diff()
        middle = len(rise) // 2
        kept = value[:: _STEPS // 40]
        return {
            "oddness": float((inner + inner.flip(0)).abs().max() / (inner[-1] - inner[0])),
            "rise": float(rise.min() / rise.mean()),
            "middle": float((rise[middle - 1] + rise[middle]) / 2 / rise.mean()),
            "shape": SampledCurve(
                x=tuple(theta[:: _STEPS // 40].tolist()),
                y=tuple(float(f"{y:.5g}") if abs(y) < float("inf") else None for y in kept.tolist()),
            ),
        }

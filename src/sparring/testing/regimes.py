"""Regimes: D is shown and stepped, batches stay as they are, attacked samples are declared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import Bounds, Space, over_samples
from sparring.regimes import ORIGINS, Origin, Regime, Response, View


class _ToyUpdate:
    """D's update in a toy game: a linear score of points in the unit square."""

    def __init__(self) -> None:
        self.round, self.space, self.couples_samples = 3, Space((2,), Bounds(0.0, 1.0)), False
        self.network = nn.Linear(2, 1)
        with torch.no_grad():
            self.network.weight.copy_(torch.tensor([[1.0, -2.0]]))
        self.steps: list[list[View]] = [[]]

    def show(self, view: View, gradients: Sequence[Origin] = ()) -> Mapping[Origin, Response]:
        self.steps[-1].append(view)
        return {origin: self._response(origin, view, gradients) for origin in ORIGINS}

    def step(self) -> None:
        self.steps.append([])

    def payoff(self, origin: Origin, samples: Tensor, *, labels_of: Origin | None = None) -> Tensor:
        score = self.network(samples).squeeze(-1)
        payoff: Tensor = score if origin == "real" else -score
        return payoff

    def rng(self, name: str) -> Rng:
        return Streams(0).rng(name)

    def mean(self, values: Tensor) -> Tensor:
        assert not values.requires_grad, "a mean over processes has no graph"
        return over_samples(values)

    def record(self, numbers: Mapping[str, Tensor]) -> None:
        assert all(values.shape == (4,) for values in numbers.values()), "numbers are logged per sample"

    def _response(self, origin: Origin, view: View, gradients: Sequence[Origin]) -> Response:
        own, other = (view.real, view.fake) if origin == "real" else (view.fake, view.real)
        leaf = own.detach().requires_grad_()
        payoff = self.payoff(origin, leaf)
        (gradient,) = torch.autograd.grad(payoff.sum(), leaf)
        mean = self.payoff(origin, other).detach().mean()
        return Response(payoff.detach(), lambda: mean, gradient if origin in gradients else None)


def check_regime(regime: Regime) -> None:
    update, real, fake = _ToyUpdate(), Rng.of(1).uniform((4, 2)), Rng.of(2).uniform((4, 2))
    before = real.clone(), fake.clone()
    regime.update(update, real, fake)
    *steps, rest = update.steps
    assert steps and all(steps) and not rest, "every view is followed by a step of D"
    assert torch.equal(real, before[0]) and torch.equal(fake, before[1]), "the batches are not changed"
    for view in (view for step in steps for view in step):
        assert view.real.shape == real.shape and view.fake.shape == fake.shape, "views keep their shape"
        assert torch.equal(view.real, real) or "real" in view.attacked, "attacked samples are declared"
        assert min(view.real.min(), view.fake.min()) >= 0 and max(view.real.max(), view.fake.max()) <= 1, "range"
        assert torch.equal(view.fake, fake) or "fake" in view.attacked, "attacked samples are declared"
    assert all(parameter.grad is None for parameter in update.network.parameters()), "a regime leaves `grad` alone"


CONTRACTS = {Regime: check_regime}

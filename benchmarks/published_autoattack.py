"""AutoAttack in L-infinity in the published way, written plainly, for comparison.

APGD-CE, APGD-T, FAB-T and Square, one after the other, each on the samples that are left. Within APGD and FAB all of
these samples are attacked until the last step, by the network as it is.

Source: Croce and Hein 2020 and 2020b, Andriushchenko et al. 2020, and their published code.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.core.randomness import Rng

Loss = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class PublishedAutoAttack:
    """The ensemble on images in [low, high].

    Args:
        network: to be attacked, in eval mode.
        epsilon: in the units of the images.
        low, high: the range.
        steps: of APGD and FAB.
        targets: of APGD-T and FAB-T.
        queries: of Square.
    """

    network: nn.Module
    epsilon: float
    low: float = -1.0
    high: float = 1.0
    steps: int = 100
    targets: int = 9
    queries: int = 5000

    def robust(self, x: Tensor, y: Tensor, *, seed: int = 0) -> Tensor:
        """Which samples no attack fools, `(n)`."""
        rng = Rng.of(seed)
        with torch.no_grad():
            logits: Tensor = self.network(x)
        robust: Tensor = logits.argmax(1) == y
        order = logits.scatter(1, y[:, None], -torch.inf).argsort(1, descending=True)
        targets = order[:, : min(self.targets, logits.shape[1] - 1)].unbind(1)
        self._try(
            robust, y, x, lambda x, y, _: self._apgd(x, y, lambda z: F.cross_entropy(z, y, reduction="none"), rng)
        )
        for target in targets:
            self._try(robust, y, x, lambda x, y, t: self._apgd(x, y, lambda z: dlr_to(z, y, t), rng), target)
        for target in targets:
            self._try(robust, y, x, self._fab, target)
        self._try(robust, y, x, lambda x, y, _: self._square(x, y, rng))
        return robust

    def _try(
        self,
        robust: Tensor,
        y: Tensor,
        x: Tensor,
        attack: Callable[[Tensor, Tensor, Tensor], Tensor],
        target: Tensor | None = None,
    ) -> None:
        rows = robust.nonzero()[:, 0]
        if len(rows):
            moved = attack(x[rows], y[rows], (y if target is None else target)[rows])
            with torch.no_grad():
                robust[rows] = self.network(moved).argmax(1) == y[rows]

    def _apgd(self, x: Tensor, y: Tensor, loss: Loss, rng: Rng) -> Tensor:
        noise = rng.uniform(x.shape, -1.0, 1.0)
        point = self._clipped(x, x + self.epsilon * noise / noise.flatten(1).abs().amax(1).view(-1, 1, 1, 1))
        best, found = point.clone(), point.clone()
        value, slope, right = self._gradient(point, y, loss)
        highest, best_slope = value.clone(), slope.clone()
        step = torch.full((len(x), 1, 1, 1), 2 * self.epsilon)
        before, checked, halved = point.clone(), highest.clone(), torch.ones(len(x), dtype=torch.bool)
        window, least, less = (max(int(share * self.steps), 1) for share in (0.22, 0.06, 0.03))
        count, rises, last = 0, torch.zeros(len(x)), value
        for number in range(self.steps):
            alpha = 0.75 if number else 1.0
            ahead = self._clipped(x, point + step * slope.sign())
            ahead = self._clipped(x, point + alpha * (ahead - point) + (1 - alpha) * (point - before))
            before, point = point, ahead
            value, slope, right = self._gradient(point, y, loss)
            found[~right] = point[~right]
            rises, last = rises + (value > last), value
            better = value > highest
            best[better], best_slope[better], highest[better] = point[better], slope[better], value[better]
            count += 1
            if count == window:
                stalled = (rises <= 0.75 * window) | (~halved & (checked >= highest))
                step[stalled] /= 2
                point[stalled], slope[stalled] = best[stalled], best_slope[stalled]
                halved, checked, rises, count = stalled, highest.clone(), torch.zeros(len(x)), 0
                window = max(window - less, least)
        return found

    def _fab(self, x: Tensor, y: Tensor, target: Tensor) -> Tensor:
        def margin(logits: Tensor) -> Tensor:
            return logits.gather(1, target[:, None])[:, 0] - logits.gather(1, y[:, None])[:, 0]

        point, nearest, distance = x.clone(), x.clone(), torch.full((len(x),), torch.inf)
        for _ in range(self.steps):
            value, slope, _ = self._gradient(point, y, margin)
            normal = slope.flatten(1)
            from_x = value + (normal * (x - point).flatten(1)).sum(1)
            far = self._to_plane(point.flatten(1), normal, value).view_as(x) - point
            near = self._to_plane(x.flatten(1), normal, from_x).view_as(x) - x
            sizes = far.flatten(1).abs().amax(1), near.flatten(1).abs().amax(1)
            alpha = (sizes[0] / (sizes[0] + sizes[1]).clamp(min=1e-12)).clamp(max=0.1).view(-1, 1, 1, 1)
            point = ((point + 1.05 * far) * (1 - alpha) + (x + 1.05 * near) * alpha).clamp(self.low, self.high)
            with torch.no_grad():
                crossed = self.network(point).argmax(1) != y
            size = (point - x).flatten(1).abs().amax(1)
            closer = crossed & (size < distance)
            nearest[closer], distance[closer] = point[closer], size[closer]
            point[crossed] = x[crossed] + 0.9 * (point - x)[crossed]
        kept = distance <= self.epsilon
        return torch.where(kept.view(-1, 1, 1, 1), nearest, x)

    def _to_plane(self, x: Tensor, normal: Tensor, height: Tensor) -> Tensor:
        """The nearest points, in L-infinity, with height + <normal, z - x> = 0 in the range, by sorted breaks."""
        toward = -normal * height.sign()[:, None]
        room = torch.where(toward > 0, self.high - x, x - self.low).clamp(min=0)
        sorted_room, order = room.sort(1)
        weight = normal.abs().gather(1, order)
        moving = weight.flip(1).cumsum(1).flip(1)
        ended = (weight * sorted_room).cumsum(1) - weight * sorted_room
        reached = ended + moving * sorted_room
        piece = (reached < height.abs()[:, None]).sum(1, keepdim=True).clamp(max=x.shape[1] - 1)
        time = (height.abs()[:, None] - ended.gather(1, piece)) / moving.gather(1, piece).clamp(min=1e-12)
        time = torch.minimum(time, sorted_room.gather(1, piece))
        return x + toward.sign() * torch.minimum(time, room)

    @torch.no_grad()
    def _square(self, x: Tensor, y: Tensor, rng: Rng) -> Tensor:
        count, channels, height, width = x.shape
        signs = 2 * rng.integers((count, channels, 1, width), 2) - 1
        moved = self._clipped(x, x + self.epsilon * signs)
        lowest = self._margin(moved, y)
        for query in range(1, self.queries):
            rows = (lowest > 0).nonzero()[:, 0]
            if not len(rows):
                break
            side = min(max(round(math.sqrt(self._share(query) * height * width)), 1), height - 1)
            top, left = int(rng.integers((1,), height - side)), int(rng.integers((1,), width - side))
            delta = moved[rows] - x[rows]
            signs = 2 * rng.integers((len(rows), channels, 1, 1), 2) - 1
            delta[:, :, top : top + side, left : left + side] = self.epsilon * signs
            tried = self._clipped(x[rows], x[rows] + delta)
            margin = self._margin(tried, y[rows])
            better = margin < lowest[rows]
            moved[rows[better]], lowest[rows[better]] = tried[better], margin[better]
        return moved

    def _share(self, query: int) -> float:
        """Of the pixels that a window has: 0.8, halved nine times on the way."""
        at = 10_000 * query // self.queries
        return 0.8 / 2.0 ** sum(at > each for each in (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000))

    def _margin(self, x: Tensor, y: Tensor) -> Tensor:
        logits: Tensor = self.network(x)
        return logits.gather(1, y[:, None])[:, 0] - logits.scatter(1, y[:, None], -torch.inf).amax(1)

    def _gradient(self, x: Tensor, y: Tensor, loss: Loss) -> tuple[Tensor, Tensor, Tensor]:
        """The loss, its gradient, and which samples are classified correctly."""
        leaf = x.detach().requires_grad_()
        logits = self.network(leaf)
        values = loss(logits)
        (slope,) = torch.autograd.grad(values.sum(), leaf)
        return values.detach(), slope, logits.detach().argmax(1) == y

    def _clipped(self, x: Tensor, moved: Tensor) -> Tensor:
        return torch.max(torch.min(moved, x + self.epsilon), x - self.epsilon).clamp(self.low, self.high)


def dlr_to(logits: Tensor, y: Tensor, target: Tensor) -> Tensor:
    """The targeted difference of logits ratio."""
    top = logits.sort(1).values
    margin = logits.gather(1, target[:, None])[:, 0] - logits.gather(1, y[:, None])[:, 0]
    return margin / (top[:, -1] - (top[:, -3] + top[:, -4]) / 2 + 1e-12)

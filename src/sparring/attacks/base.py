"""Attack: move samples, within a budget and the data's range, to where a loss is higher."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, TypeVar, final

import torch
from pydantic import AfterValidator, BeforeValidator, Field
from torch import Tensor, nn

from sparring.core.balls import Ball, Linf
from sparring.core.boundary import fitted, module_from, per_sample, require_range, samples_from
from sparring.core.errors import UsageError
from sparring.core.modules import untraced
from sparring.core.pieces import Piece, piece
from sparring.core.randomness import RandomSource, Rng
from sparring.core.shapes import Samples, Scores, Space, SpaceLike

LossFunction = Callable[[Samples], Scores]
"""What an attack ascends: `(*batch, ...) -> (*batch)`."""


def _fraction(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    numerator, _, denominator = value.partition("/")
    try:
        return float(numerator) / float(denominator or 1)
    except (ValueError, ZeroDivisionError):
        return value


Epsilon = Annotated[float, BeforeValidator(_fraction), Field(ge=0, le=1e6)]
"""A size in units of [0, 1], whatever range the samples have; may be written `8/255`."""


class Attack(Piece, family="attack"):
    """A search for samples that raise a loss. Members write `search`; the family guarantees:

    - budget: `ball.size(x_adv - x) <= epsilon`, in units of [0, 1], unless the ball is `none`;
    - range: x_adv leaves the data's range only where x does;
    - no trace: parameters, their gradients, buffers and torch's random state are unchanged, bit for bit.

    Args:
        epsilon: the budget, in units of [0, 1].
        ball: the norm of the budget.

    Attributes:
        seeks_boundary: whether it looks for the nearest point at which the loss is 0, and not for the highest loss.
    """

    seeks_boundary: ClassVar[bool] = False

    epsilon: Epsilon
    ball: Ball = Linf()

    def check(self, space: Space) -> None:
        """Refuse samples that the search does not support.

        Raises:
            UsageError: says which samples it supports.
        """

    @final
    def __call__(
        self, x: Any, loss: LossFunction, *, network: nn.Module, space: SpaceLike, rng: RandomSource
    ) -> Samples:
        """Adversarial samples, detached; on the device and in the type of the network's weights.

        Args:
            x: `(*batch, *space.shape)`, a tensor or an array.
            loss: ascended, per sample.
            network: the network that the loss runs, in the mode to be attacked; left unchanged.
            space: shape and range of the samples; or the range alone, `(0, 1)`, for samples with one batch axis.
            rng: of random starts and directions: a seed, a `torch.Generator` or a stream.

        Raises:
            UsageError: an argument is not what it should be; the search does not support these samples, or changed
                their shape.
        """
        samples = fitted(samples_from(x, "x"), module_from(network, "network"))
        space = Space.of(space, samples)
        require_range(samples, space, "x")
        self.require_size(space)
        rng = Rng.of(rng, samples.device)
        return self.perturb(samples, per_sample(loss, space), network=network, space=space, rng=rng)

    @final
    def perturb(self, x: Samples, loss: LossFunction, *, network: nn.Module, space: Space, rng: Rng) -> Samples:
        """The same as the call, without checks of the arguments: for loops.

        Raises:
            UsageError: the search does not support these samples, or changed their shape.
        """
        self.check(space)
        with untraced(network), torch.enable_grad():
            found = self._whole(self.search(x.detach(), loss, space=space, rng=rng), x, "search").detach()
        # Where a gradient of the network is not a number, the sample stays.
        return self.confine(x.detach(), torch.where(found.isfinite(), found, x.detach()), space)

    def describe_size(self, space: Space) -> str:
        """The budget, for reports."""
        return f"epsilon {scales(self.epsilon, space)}"

    @final
    def describe(self, space: Space) -> str:
        """Name and budget, and all settings that differ from their defaults, for reports."""
        parts = [self.name, self.describe_size(space)]
        for key, value in self.model_dump(mode="json").items():
            field = type(self).model_fields.get(key)
            if field is None or key == "epsilon" or getattr(self, key) == field.get_default():
                continue
            is_name = isinstance(value, dict) and value.keys() == {"name"}
            parts.append(f"{key} {value['name'] if is_name else value}")
        return ", ".join(parts)

    @abstractmethod
    def search(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        """The moved samples before the family's final projection."""

    def can_reuse(self) -> bool:
        """Whether one gradient of the loss at x suffices, so that a precomputed one can be reused."""
        return False

    @final
    def from_gradient(self, x: Samples, gradient: Samples, *, space: Space, rng: Rng) -> Samples:
        """The same samples as the call, from a precomputed gradient of the loss at x.

        Raises:
            NotImplementedError: the attack needs more than one gradient; see `can_reuse`.
        """
        return self.confine(x, self._whole(self.along(x, gradient, space=space, rng=rng), x, "along"), space)

    @final
    def advanced(self, delta: Samples, gradient: Samples, *, space: Space, rng: RandomSource) -> Samples:
        """A perturbation after one more step along a gradient, projected on the budget.

        Raises:
            NotImplementedError: the attack needs more than one gradient; see `can_reuse`.
        """
        moved = self.along(delta, gradient, space=space, rng=Rng.of(rng, delta.device))
        moved = torch.where(moved.isfinite(), moved, delta)
        return self.ball.project(moved, self.epsilon * space.width, batch_axes_of(delta, space))

    def along(self, x: Samples, gradient: Samples, *, space: Space, rng: Rng) -> Samples:
        """The moved samples, from one gradient, before the family's projection."""
        raise NotImplementedError(self.name)

    def scaled(self, factor: float) -> Attack:
        """The same attack with its budget multiplied."""
        return self.model_copy(update={"epsilon": factor * self.epsilon})

    def require_size(self, space: Space) -> None:
        """Refuse an epsilon of more than the whole range.

        Raises:
            UsageError: it probably is in 255ths.
        """
        if self.epsilon > 1 and self.ball.norm == Linf.norm and space.bounds is not None:
            remedy = f"for 255ths write {self.epsilon:g}/255"
            raise UsageError(f"epsilon = {self.epsilon:g}: more than the whole range of the samples", remedy)

    def remarks(self) -> list[str]:
        """Warnings about the settings, for the user."""
        if self.epsilon > 1 and self.ball.limited:
            whole = f"attack: epsilon = {self.epsilon:g} is more than the whole range of an image"
            return [f"{whole}; if 255ths are meant, write {self.epsilon:g}/255"]
        return []

    @final
    def confine(self, x: Samples, moved: Samples, space: Space) -> Samples:
        """Samples projected on the budget around x, then clipped to the range, or to x where x lies outside of it."""
        delta = self.ball.project(moved - x, self.epsilon * space.width, batch_axes_of(x, space))
        if space.bounds is None:
            return x + delta
        low, high = space.bounds
        return torch.maximum(torch.minimum(x + delta, x.clamp(min=high)), x.clamp(max=low))

    def _whole(self, found: Any, x: Samples, method: str) -> Samples:
        """What a member found, if it has the shape of x."""
        if not isinstance(found, Tensor) or found.shape != x.shape:
            got = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
            raise UsageError(
                f"attack: {self.name} turned samples of shape {tuple(x.shape)} into {got}",
                f"its `{method}` should return samples of the shape of its input",
            )
        return found


def _ascends(attack: Attack) -> Attack:
    if attack.seeks_boundary:
        raise ValueError(f"{attack.name} looks for a class boundary, and training needs a higher loss; use pgd")
    return attack


TrainingAttack = Annotated[Attack, AfterValidator(_ascends)]
"""An attack of a training: one that looks for the highest loss."""


AnyAttack = TypeVar("AnyAttack", bound=Attack)


def require_radius(attack: AnyAttack) -> AnyAttack:
    """The attack; a validator for members that need a limited ball."""
    if not attack.ball.limited:
        raise ValueError(f"ball: {attack.name} needs one with a radius, and ball is {attack.ball.name}")
    return attack


@piece("none")
class NoAttack(Attack):
    """Leaves samples unchanged: plain training is adversarial training with this attack."""

    epsilon: Annotated[float, Field(ge=0, le=0)] = 0.0

    def search(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        return x


def in_scales(epsilon: float) -> str:
    """A size on the three scales in use.

    Args:
        epsilon: in units of [0, 1].

    Example:
        >>> in_scales(1 / 255)
        '1/255 (0.00392 of [0, 1], 0.00784 of [-1, 1])'
    """
    return f"{255 * epsilon:.3g}/255 ({epsilon:.3g} of [0, 1], {2 * epsilon:.3g} of [-1, 1])"


def scales(epsilon: float, space: Space) -> str:
    """A size on every scale that the samples have."""
    return f"{epsilon:.3g} in the data's units" if space.bounds is None else in_scales(epsilon)


def short_size(epsilon: float, space: Space) -> str:
    """A size in short, as it is usually written: 0.15, or 8/255 for images."""
    decimal, steps = f"{epsilon:.3g}", 255 * epsilon
    is_fraction = space.bounds is not None and abs(steps - round(steps)) < 1e-6 and float(decimal) != epsilon
    return f"{steps:.0f}/255" if is_fraction else decimal


def batch_axes_of(x: Samples, space: Space) -> int:
    """How many leading axes of samples are batch."""
    return x.dim() - len(space.shape)

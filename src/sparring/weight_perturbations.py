"""Weight perturbation: where the gradient of a classifier's loss is taken, at the weights or at worse ones nearby."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, final

import torch
from torch import Tensor, nn

from sparring.core.modules import same_buffers
from sparring.core.pieces import Piece, piece
from sparring.core.records import Positive, Probability

AnyBatch = TypeVar("AnyBatch")
AnyResult = TypeVar("AnyResult")
_TINY = 1e-12


class WeightPerturbation(Piece, family="weight_perturbation"):
    """Where the gradient of the loss is taken: at w + v, with v of every kernel from the gradient at w.

    Kernels are parameters with more than one axis; biases and normalisation layers stay. While it is on, a round has
    one more forward and backward pass, which leaves no trace in running statistics.
    """

    @abstractmethod
    def is_on(self, progress: float) -> bool:
        """Whether weights are perturbed when this share of the rounds, in [0, 1), is complete."""

    @abstractmethod
    def move(self, kernel: Tensor, gradient: Tensor) -> Tensor:
        """v of one kernel.

        Args:
            kernel: w.
            gradient: of the loss at w, of the same shape.
        """

    @final
    def descend(
        self,
        network: nn.Module,
        batches: Iterable[AnyBatch],
        backward: Callable[[Iterable[AnyBatch]], AnyResult],
        *,
        progress: float,
    ) -> AnyResult:
        """Accumulate the gradient of the loss in the weights, which are the same afterwards.

        Args:
            network: in training mode, without gradients.
            batches: of the round; one that is attacked lazily is attacked at the unperturbed weights.
            backward: adds the gradient of the loss on batches to that of the weights.
            progress: share of the rounds that are complete, in [0, 1).

        Returns:
            What the last call of `backward` returned.
        """
        if not self.is_on(progress):
            return backward(batches)
        attacked = list(batches)
        with same_buffers(network):
            backward(attacked)
        kernels = [each for each in network.parameters() if each.dim() > 1 and each.grad is not None]
        kept = [kernel.detach().clone() for kernel in kernels]
        with torch.no_grad():
            for kernel in kernels:
                assert kernel.grad is not None
                kernel.add_(self.move(kernel, kernel.grad))
        for parameter in network.parameters():
            parameter.grad = None
        result = backward(attacked)
        with torch.no_grad():
            for kernel, before in zip(kernels, kept, strict=True):
                kernel.copy_(before)
        return result


@piece("none")
class NoWeightPerturbation(WeightPerturbation):
    """At the weights themselves."""

    def is_on(self, progress: float) -> bool:
        return False

    def move(self, kernel: Tensor, gradient: Tensor) -> Tensor:
        return torch.zeros_like(kernel)


@piece("awp")
class AWP(WeightPerturbation):
    """Adversarial weight perturbation (Wu et al. 2020): at w + v, where the loss of the same batches is higher.

        v_l = gamma ||w_l|| g_l / ||g_l||,    g_l = d loss / d w_l at w, for every kernel w_l

    Args:
        gamma: the length of v_l, as a share of that of w_l; 0.005 in the paper, for TRADES on CIFAR-10.
        start: share of the rounds after which it begins.

    Source: Wu, Xia, Wang 2020, equations (8) and (10), and published code.
    """

    gamma: Positive = 5e-3
    start: Probability = 0.0

    def is_on(self, progress: float) -> bool:
        return progress >= self.start

    def move(self, kernel: Tensor, gradient: Tensor) -> Tensor:
        length: Any = torch.linalg.vector_norm(kernel) / torch.linalg.vector_norm(gradient).clamp(min=_TINY)
        move: Tensor = self.gamma * length * gradient
        return move

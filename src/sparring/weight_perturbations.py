"""Weight perturbation: where the gradient of a classifier's loss is taken, at the weights or at worse ones nearby."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from sparring.core.modules import same_buffers
from sparring.core.pieces import Piece, piece
from sparring.core.records import Positive, Probability

AnyBatch = TypeVar("AnyBatch")
AnyResult = TypeVar("AnyResult")
_TINY = 1e-12


class WeightPerturbation(Piece, family="weight_perturbation"):
    """Where the gradient of the loss is taken."""

    def is_on(self, progress: float) -> bool:
        """Whether weights are perturbed when this share of the rounds, in [0, 1), is complete."""
        return False

    @abstractmethod
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


@piece("none")
class NoWeightPerturbation(WeightPerturbation):
    """At the weights themselves."""

    def descend(
        self,
        network: nn.Module,
        batches: Iterable[AnyBatch],
        backward: Callable[[Iterable[AnyBatch]], AnyResult],
        *,
        progress: float,
    ) -> AnyResult:
        return backward(batches)


@piece("awp")
class AWP(WeightPerturbation):
    """Adversarial weight perturbation (Wu et al. 2020): at w + v, where the loss of the same batches is higher.

        v_l = gamma ||w_l|| g_l / ||g_l||,    g_l = d loss / d w_l at w, for every kernel w_l

    Kernels are parameters with more than one axis; biases and normalisation layers stay. One more forward and backward
    pass a round, which leaves no trace in running statistics.

    Args:
        gamma: the length of v_l, as a share of that of w_l; 0.005 in the paper, for TRADES on CIFAR-10.
        start: share of the rounds after which it begins.

    Source: Wu, Xia, Wang 2020, equations (8) and (10), and published code.
    """

    gamma: Positive = 5e-3
    start: Probability = 0.0

    def is_on(self, progress: float) -> bool:
        return progress >= self.start

    def descend(
        self,
        network: nn.Module,
        batches: Iterable[AnyBatch],
        backward: Callable[[Iterable[AnyBatch]], AnyResult],
        *,
        progress: float,
    ) -> AnyResult:
        if not self.is_on(progress):
            return backward(batches)
        attacked = list(batches)
        with same_buffers(network):
            backward(attacked)
        moves = [(kernel, self._move(kernel)) for kernel in network.parameters() if kernel.dim() > 1]
        for parameter in network.parameters():
            parameter.grad = None
        kept = [kernel.detach().clone() for kernel, _ in moves]
        with torch.no_grad():
            for kernel, move in moves:
                kernel.add_(move)
        result = backward(attacked)
        with torch.no_grad():
            for (kernel, _), before in zip(moves, kept, strict=True):
                kernel.copy_(before)
        return result

    def _move(self, kernel: nn.Parameter) -> Tensor | float:
        if kernel.grad is None:
            return 0.0
        length: Any = torch.linalg.vector_norm(kernel.detach()) / torch.linalg.vector_norm(kernel.grad).clamp(min=_TINY)
        move: Tensor = self.gamma * length * kernel.grad
        return move

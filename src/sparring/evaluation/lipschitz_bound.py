"""An upper bound of a discriminator's Lipschitz constant, propagated through its own forward pass.

One sample runs through the network as a tensor that carries a bound: the largest change of the tensor, in L2, for a
unit change of the sample. An operation multiplies the bound by its norm, a sum of two branches adds their bounds, and
an operation without a known norm raises an error, so that the result is a bound for any code of the network.

Norms are those of the operators in fp64: of a convolution at its actual size, stride and padding, not of its reshaped
kernel; of batch normalisation in eval mode the largest gain; of stacked matrices, one for each replica.

Source: Szegedy et al. 2014, section 4.3 (the product of layer norms); Gouk et al. 2021, section 3 (each layer's norm).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn

from sparring.core.errors import UsageError
from sparring.core.randomness import Rng

_DENSE = 1 << 20
"""Operators with up to this many entries become matrices; the norms of larger ones are iterated."""
_TOLERANCE = 1e-6
"""Relative accuracy of iterated norms; they converge from below, so it is added to them."""


def lipschitz_bound(discriminator: nn.Module, shape: tuple[int, ...], lead: tuple[int, ...] = ()) -> Tensor:
    """A number L with |D(x) - D(y)| <= L ||x - y||_2 for all x and y, D in eval mode.

    Args:
        discriminator: returns a `Verdict`; a copy of it is measured, in fp64 on the CPU.
        shape: of one sample.
        lead: `(replicas,)` for packed games.

    Returns:
        fp64 of shape `lead`.

    Raises:
        UsageError: the norm of an operation is not known; names the operation.
    """
    network = copy.deepcopy(discriminator).to("cpu", torch.float64).eval()
    sample = _bounded(torch.zeros(*lead, 1, *shape, dtype=torch.float64), torch.ones(lead, dtype=torch.float64))
    with torch.no_grad():
        score = network(sample).score
    if not isinstance(score, Bounded):
        raise _unknown("detached from the samples")
    return score.bound


def operator_norm(operator: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> float:
    """sup ||A x - A 0|| / ||x|| of an affine operator on tensors of this shape, in fp64.

    Args:
        operator: affine and differentiable.
        shape: of its argument.
    """
    zero = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        offset = operator(zero)
    if offset.numel() * zero.numel() <= _DENSE:
        with torch.enable_grad():
            matrix = torch.autograd.functional.jacobian(operator, zero, vectorize=True)  # type: ignore[no-untyped-call]
        return float(matrix_norm(matrix.reshape(offset.numel(), zero.numel())))

    def gram(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        image = operator(torch.from_numpy(vector).reshape(shape)) - offset.detach()
        (back,) = torch.autograd.grad(offset, zero, image, retain_graph=True)
        return back.flatten().numpy()

    start = Rng.of(0).normal((zero.numel(),)).double().numpy()
    if not gram(start).any():
        return 0.0
    both = LinearOperator((zero.numel(), zero.numel()), matvec=gram, dtype=np.float64)
    (largest,) = eigsh(both, k=1, v0=start, tol=_TOLERANCE, return_eigenvectors=False)
    return math.sqrt(largest) * (1 + _TOLERANCE)


def matrix_norm(matrix: Tensor) -> Tensor:
    """The largest singular value of every matrix of a stack, `(..., rows, columns) -> (...)`."""
    low = matrix if matrix.shape[-2] <= matrix.shape[-1] else matrix.mT
    eigenvalues: Tensor = torch.linalg.eigvalsh(low @ low.mT)
    return eigenvalues[..., -1].clamp(min=0).sqrt()


class Bounded(Tensor):
    """A tensor that depends on the sample, with a bound of its Lipschitz constant, of shape `lead`."""

    bound: Tensor

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        call = Call(func, tuple(args), kwargs or {})
        with torch._C.DisableTorchFunctionSubclass():
            out = func(*call.args, **call.kwargs)
            if call.name in _QUERIES and not isinstance(out, Tensor):
                return out
            return _bounded(out, _RULES.get(call.name, _refuse)(call))


class Call(NamedTuple):
    """One operation on tensors of which at least one depends on the sample."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def name(self) -> str:
        """The name of the function, without underscores."""
        return self.function.__name__.removeprefix("__").removesuffix("__")

    @property
    def moving(self) -> list[Bounded]:
        """The arguments that depend on the sample."""
        return [each for each in (*self.args, *self.kwargs.values()) if isinstance(each, Bounded)]

    def at(self, x: Tensor) -> Tensor:
        """The operation with another tensor as its only moving argument."""
        out: Tensor = self.function(*(x if isinstance(a, Bounded) else a for a in self.args), **self.kwargs)
        return out


def _bounded(x: Tensor, bound: Tensor) -> Bounded:
    out = x if isinstance(x, Bounded) else x.as_subclass(Bounded)  # the result of an operation in place
    out.bound = bound
    return out


def _unknown(operation: str) -> UsageError:
    return UsageError(
        f"no Lipschitz bound is known for an operation of the discriminator: {operation}",
        "measure slopes at samples, which need no bound",
    )


def _refuse(call: Call) -> NoReturn:
    raise _unknown(call.name)


def _only(call: Call) -> Bounded:
    if len(call.moving) != 1 or not isinstance(call.args[0], Bounded):
        _refuse(call)
    return call.moving[0]


def _affine(call: Call) -> Tensor:
    x = _only(call)
    return x.bound * operator_norm(call.at, tuple(x.shape))


def _matrix(position: int) -> Callable[[Call], Tensor]:
    """A product of samples and a matrix, or a stack of one matrix for each game; the matrix is the next argument."""

    def rule(call: Call) -> Tensor:
        x, weight = call.args[position : position + 2]
        if len(call.moving) != 1 or not isinstance(x, Bounded) or weight.dim() < 2 or call.kwargs:
            _refuse(call)
        norm = matrix_norm(weight)
        if norm.dim() and not norm.shape == x.bound.shape == x.shape[:-2]:  # several matrices for one sample
            _refuse(call)
        return x.bound * norm

    return rule


def _diagonal(call: Call) -> Tensor:
    """An elementwise affine operation; its gains are computed from two points and checked at a third."""
    x = _only(call)
    if call.kwargs.get("rounding_mode"):  # a step function
        _refuse(call)
    probe = Rng.of(0).uniform(x.shape, 1.0, 2.0).double()
    low, middle, high = (call.at(factor * probe) for factor in (0.0, 1.0, 2.0))
    if low.shape != x.shape or not torch.allclose(high - middle, middle - low):
        _refuse(call)
    gain: Tensor = ((middle - low) / probe).abs().max()
    return x.bound * gain


def _piecewise(call: Call) -> Tensor:
    """Activations with one slope below zero and one above."""
    x = _only(call)
    ones = torch.ones(x.shape, dtype=torch.float64)
    steepest: Tensor = torch.maximum(call.at(-ones).abs().max(), call.at(ones).abs().max())
    if steepest > 1 and call.kwargs.get("inplace"):  # other views of x would keep a smaller bound
        _refuse(call)
    return x.bound * steepest


def _at_most(slope: float) -> Callable[[Call], Tensor]:
    return lambda call: slope * _only(call).bound


def _sum(call: Call) -> Tensor:
    first, *rest = call.moving
    if not rest:
        return _diagonal(call)
    if call.kwargs:
        _refuse(call)
    shape = torch.broadcast_shapes(*(each.shape for each in call.moving))  # type: ignore[no-untyped-call]
    return sum((_repeated(call, other, shape) for other in rest), _repeated(call, first, shape))


def _repeated(call: Call, x: Bounded, shape: torch.Size) -> Tensor:
    """The bound of x repeated along the last axis to this shape."""
    if x.shape == shape:
        return x.bound
    if x.shape != (*shape[:-1], 1):
        _refuse(call)
    return x.bound * math.sqrt(shape[-1])


def _max_pool(call: Call) -> Tensor:
    """Maxima over windows that do not overlap: 1-Lipschitz."""
    x, (_, kernel, *more), given = _only(call), call.args, call.kwargs
    apart = given.get("dilation", 1) == 1 and given.get("stride") in (None, kernel)
    if more or not apart or given.get("return_indices"):
        _refuse(call)
    return x.bound


_QUERIES = frozenset({"get", "dim", "size", "numel", "len", "stride", "is_contiguous", "is_floating_point"})
"""Queries that do not read the values of a tensor; `get` reads an attribute, such as the shape."""

_ISOMETRIES = ("flatten", "unflatten", "reshape", "view", "squeeze", "unsqueeze", "permute", "transpose", "contiguous")
_AFFINE = (
    *(f"conv{transposed}{axes}d" for transposed in ("", "_transpose") for axes in (1, 2, 3)),
    *(f"{adaptive}avg_pool{axes}d" for adaptive in ("", "adaptive_") for axes in (1, 2, 3)),
    *("mean", "sum", "interpolate", "pad", "getitem"),
)

_RULES: dict[str, Callable[[Call], Tensor]] = (
    dict.fromkeys(_ISOMETRIES, _at_most(1.0))
    | dict.fromkeys(_AFFINE, _affine)
    | dict.fromkeys(("linear", "matmul"), _matrix(0))
    | dict.fromkeys(("addmm", "baddbmm"), _matrix(1))
    | dict.fromkeys(("mul", "div", "neg", "rsub", "batch_norm"), _diagonal)
    | dict.fromkeys(("add", "sub"), _sum)
    | {"max_pool2d": _max_pool}
    | dict.fromkeys(("relu", "relu_", "leaky_relu", "prelu", "abs"), _piecewise)
    | {"tanh": _at_most(1.0), "sigmoid": _at_most(0.25), "softplus": _at_most(1.0)}
)

"""An architecture table of a paper against the network that a recipe builds, row by row.

The network is run on one sample, and the outputs of its layers are grouped where neighbours hold equally many values,
as a reshaping or an activation does. Group and row are compared by shape and by the number of parameters, which holds
kernel, channels, biases and normalisation:

    convolution       k^2 c_in c_out, + c_out where it is biased
    basic block       k^2 c_in c_out + 2 c_out                             a convolution and BN
    residual block    2 c_in + 9 c_in c + c + 2 c + 9 c^2 + c              BN, convolution, BN, convolution
                      + c_in c + c where c_in is not c                     the 1 x 1 shortcut
    linear            n_in n_out + n_out
    pool              0

Values: `rows`, the rows of the table; `shapes_differ` and `parameters_differ`, in how many rows ours is another;
`parameters`, ours in all.

Source: AS-GAN, appendix G, tables 4 to 11.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import groupby, zip_longest
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from sparring.claims.computations.base import Computation
from sparring.claims.computations.small_games import recipe_of
from sparring.claims.values import Value
from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count, Record
from sparring.core.shapes import IMAGE_BOUNDS, Space
from sparring.networks import Verdict

Shape = Annotated[tuple[int, ...], Field(strict=False)]


class TableRow(Record):
    """One row of the table.

    Args:
        block: what it is.
        kernel: side of the kernel.
        shape: of the output, without the batch.
    """

    block: Literal["convolution", "basic", "residual", "linear", "pool"]
    kernel: Count = 1
    shape: Shape

    def parameters(self, before: Shape, biased: bool) -> int:
        """How many parameters a block with this output has after one with the output `before`."""
        inputs, width = before[0], self.shape[0]
        convolution = self.kernel**2 * inputs * width
        shortcut = inputs * width + width if inputs != width else 0
        return {
            "convolution": convolution + biased * width,
            "basic": convolution + 2 * width,
            "residual": 2 * inputs + convolution + 4 * width + self.kernel**2 * width**2 + shortcut,
            "linear": (math.prod(before) + 1) * math.prod(self.shape),
            "pool": 0,
        }[self.block]


class BuiltGroup(NamedTuple):
    """Neighbouring layers whose outputs hold equally many values: those shapes, and parameters."""

    shapes: list[Shape]
    parameters: int


@piece("architecture")
class Architecture(Computation):
    """Compares a network of a recipe with a table.

    Args:
        recipe: that builds the network.
        network: which one.
        side: of the images, in pixels.
        rows: of the table, from the input on.
        biased: whether convolutions outside of blocks have biases.
    """

    recipe: str
    network: Literal["generator", "discriminator"]
    side: Count
    rows: Annotated[tuple[TableRow, ...], Field(strict=False)]
    biased: bool = False

    def compute(self, seed: int) -> Mapping[str, Value]:
        space = Space((3, self.side, self.side), IMAGE_BOUNDS, 0)
        recipe = recipe_of(self.recipe, seed)
        spec = getattr(recipe, self.network)
        network, rng = spec.build(space, (), rng=Rng.of(seed)), Rng.of(seed)
        shape = space.shape if self.network == "discriminator" else (spec.inputs(space),)
        built = groups_of(network, rng.normal((2, *shape)))
        before = (shape, *(row.shape for row in self.rows))
        expected = [row.parameters(inputs, self.biased) for row, inputs in zip(self.rows, before, strict=False)]
        pairs = list(zip_longest(self.rows, expected, built))
        return {
            "rows": float(len(self.rows)),
            "shapes_differ": float(sum(not (row and group and row.shape in group.shapes) for row, _, group in pairs)),
            "parameters_differ": float(sum(not (group and group.parameters == count) for _, count, group in pairs)),
            "parameters": float(sum(parameter.numel() for parameter in network.parameters())),
        }


def groups_of(network: nn.Module, inputs: Tensor) -> list[BuiltGroup]:
    """The layers of a network in the order in which they run; those before the first with parameters do not count."""
    ran: list[tuple[Shape, int]] = []

    def note(layer: nn.Module, _inputs: object, output: Tensor | Verdict) -> None:
        # A verdict is a single score for each sample.
        shape = (1,) if isinstance(output, Verdict) else tuple(output.shape[1:])
        ran.append((shape, sum(parameter.numel() for parameter in layer.parameters())))

    hooks = [layer.register_forward_hook(note) for layer in _top_layers(network)]
    with torch.no_grad():
        network(inputs)
    for hook in hooks:
        hook.remove()
    first = next(index for index, (_, parameters) in enumerate(ran) if parameters)
    grouped = [list(group) for _, group in groupby(ran[first:], key=lambda each: math.prod(each[0]))]
    return [BuiltGroup([shape for shape, _ in group], sum(count for _, count in group)) for group in grouped]


def _top_layers(network: nn.Module) -> list[nn.Module]:
    """The layers of a sequence, or of D's trunk, and its head."""
    children = dict(network.named_children())
    if "trunk" in children:
        return [*children["trunk"].children(), children["head"]]
    return list(children.values())

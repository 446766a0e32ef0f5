"""What a round is watched for: running means for the log, and the first site where numbers stop being finite.

Nothing leaves the device inside a round; `first_bad` and `means` fetch one small tensor each, between rounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from sparring.core.distributed import SINGLE, ProcessGroup


class StepLog:
    """Running means since the last log row, and the finiteness of one round's numbers.

    Args:
        lead: `()`, or `(replicas,)`; every logged value has this shape.
        device: where the game lives.
        group: the processes that play it; the means and the finiteness are those of them all.
    """

    def __init__(self, lead: tuple[int, ...], device: torch.device, group: ProcessGroup = SINGLE) -> None:
        self._lead = lead
        self._device = device
        self._group = group
        self._noted: list[tuple[str, Tensor]] = []
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._sites: list[str] = []
        self._norms: list[Tensor] = []

    def finite(self, site: str, tensors: Iterable[Tensor]) -> None:
        """Note whether everything at this site of the round is finite; whole numbers are."""
        watched = [tensor.detach() for tensor in tensors if tensor.is_floating_point()]
        if watched:
            self._sites += [site] * len(watched)
            # A norm is finite exactly if all values are (and none is beyond 1e19): one pass, nothing allocated.
            self._norms += [norm.float() for norm in torch._foreach_norm(watched)]

    def slope(self, site: str, tensor: Tensor) -> None:
        """Note whether every gradient with respect to this tensor is finite, whoever takes it in this round."""
        if tensor.requires_grad:
            tensor.register_hook(lambda gradient: self.finite(site, [gradient]))  # type: ignore[no-untyped-call]

    def mean(self, name: str, values: Tensor) -> None:
        """Add to the running mean of this name; `values` has the lead shape."""
        self._noted.append((name, values.detach().to(torch.float64, copy=True)))

    def first_bad(self) -> str | None:
        """The first site of the round that was not finite in any process, or None; forgets the round."""
        self._add_up()
        if not self._norms:
            return None
        norms = torch.stack(self._norms)
        self._group.average([norms])  # of which one is not finite, their mean is not
        flags = torch.isfinite(norms).tolist()
        site = next((name for name, good in zip(self._sites, flags, strict=True) if not good), None)
        self._sites, self._norms = [], []
        return site

    def means(self) -> dict[str, float | list[float]]:
        """The mean of every name since the last call, sorted by name; a list with replicas."""
        self._add_up()
        means: dict[str, float | list[float]] = {
            name: (total / self._counts[name]).tolist() for name, total in sorted(self._sums.items())
        }
        self._sums, self._counts = {}, {}
        return means

    def state(self) -> dict[str, Tensor]:
        """The running sums, each with its count in front."""
        self._add_up()
        return {
            name: torch.cat([torch.tensor([float(self._counts[name])], dtype=torch.float64), total.cpu().flatten()])
            for name, total in self._sums.items()
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from `state`."""
        self._counts = {name: int(packed[0]) for name, packed in state.items()}
        self._sums = {name: packed[1:].reshape(self._lead).to(self._device) for name, packed in state.items()}

    def _add_up(self) -> None:
        """Add what was noted since the last time to the sums, as a mean over the processes."""
        self._group.average([values for _, values in self._noted])
        for noted in _without_repeats(self._noted):
            known = noted.keys() & self._sums.keys()
            if known:
                torch._foreach_add_([self._sums[name] for name in known], [noted[name] for name in known])
            for name, values in noted.items():
                self._sums.setdefault(name, values)
                self._counts[name] = self._counts.get(name, 0) + 1
        self._noted = []


def _without_repeats(noted: Sequence[tuple[str, Tensor]]) -> list[dict[str, Tensor]]:
    """What was first noted of every name, then what was noted second, and so on."""
    times: list[dict[str, Tensor]] = []
    for name, values in noted:
        later = next((each for each in times if name not in each), None)
        if later is None:
            times.append(later := {})
        later[name] = values
    return times

"""Running means of the numbers of rounds, kept on the device until a log row is written."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

import torch
from torch import Tensor

from sparring.core.distributed import SINGLE, ProcessGroup
from sparring.core.diverged import DivergedGames
from sparring.core.shapes import expand_like


class StepLog:
    """Means of named numbers since the last log row, over rounds and processes, in fp64.

    Args:
        lead: `()`, or `(replicas,)`; the shape of every number.
        device: of the numbers.
        group: the processes that train together.
        diverged: packed games whose numbers are zero from then on.
    """

    def __init__(
        self,
        lead: tuple[int, ...],
        device: torch.device,
        group: ProcessGroup = SINGLE,
        diverged: DivergedGames | None = None,
    ) -> None:
        self._lead, self._device, self._group = lead, device, group
        self._diverged = diverged or DivergedGames(0)
        self._round: list[tuple[tuple[str, ...], Tensor]] = []
        self._clear()

    def add(self, numbers: Mapping[str, Tensor]) -> None:
        """Add one value of every name; each has the lead shape."""
        self._round.append((tuple(numbers), torch.stack(list(numbers.values())).detach().double()))

    def add_samples(self, numbers: Mapping[str, Tensor]) -> None:
        """Add the mean over samples of every name; each is `(*batch)`, all of one type."""
        self._round.append((tuple(numbers), torch.stack(list(numbers.values())).detach().double().mean(-1)))

    def end_round(self) -> None:
        """Add the numbers of this round to the sums; every process calls it after every round."""
        self._group.average([values for _, values in self._round])
        if self._lead and self._round:  # a game may have a score that is not finite and a loss that is
            finite = torch.cat([values for _, values in self._round]).isfinite().all(0)
            self._diverged.add((~finite).nonzero().flatten().tolist())
        for names, values in self._round:
            places = self._index[names] if names in self._index else self._places(names)
            if self._diverged.since:
                values[:, self._diverged.games] = 0.0
            self._sums.index_add_(0, places, values)
            self._times[names] += 1
        self._round.clear()

    def means(self) -> dict[str, float | list[float]]:
        """The mean of every name since the last call, sorted by name; a list with replicas."""
        means = dict(zip(self._rows, (self._sums / expand_like(self._counts(), self._sums)).tolist(), strict=True))
        self._clear()
        return dict(sorted(means.items()))

    def state(self) -> dict[str, Tensor]:
        """The sum of every name, with its count in front."""
        packed = torch.cat([self._counts()[:, None], self._sums.reshape(len(self._rows), math.prod(self._lead))], dim=1)
        return dict(zip(self._rows, packed.cpu().unbind(), strict=True))

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue from `state`."""
        self._clear()
        for name, packed in state.items():
            place = self._places((name,))
            self._sums[place] = packed[1:].reshape(1, *self._lead).to(self._device)
            self._times[(name,)] = int(packed[0])

    def _clear(self) -> None:
        self._rows: dict[str, int] = {}
        self._sums = torch.zeros(0, *self._lead, dtype=torch.float64, device=self._device)
        self._index: dict[tuple[str, ...], Tensor] = {}
        self._times: Counter[tuple[str, ...]] = Counter()

    def _places(self, names: tuple[str, ...]) -> Tensor:
        """The rows of the sums for names that are logged together for the first time."""
        for name in names:
            self._rows.setdefault(name, len(self._rows))
        missing = len(self._rows) - len(self._sums)
        self._sums = torch.cat([self._sums, self._sums.new_zeros(missing, *self._lead)])
        self._index[names] = torch.tensor([self._rows[name] for name in names], device=self._device)
        return self._index[names]

    def _counts(self) -> Tensor:
        """How often each name was added, `(names)`."""
        counts = Counter[str]()
        for names, times in self._times.items():
            counts.update(dict.fromkeys(names, times))
        return self._sums.new_tensor([counts[name] for name in self._rows])

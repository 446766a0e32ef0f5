"""How the rounds of a game are played: one operation after the other, or as one recording that is played again.

On a GPU a round of small operations takes as long as the host needs to launch them; there it is captured once as a
graph, which is launched as a whole. Both ways give the same numbers: the round's number, of which random streams are
functions, stands in the device's memory, as rates and real samples do, and whatever else Python holds is the same from
some round on. Until then, and for a few rounds more that let everything be set up, rounds are played plainly.

Source: the constraints of whole-network capture in PyTorch's notes on CUDA graphs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from sparring.core.step_log import Notes
from sparring.data import Batch
from sparring.gan.cuda_tape import CudaTape
from sparring.gan.state import Game
from sparring.gan.step import make_moves, met_in, play_round

Work = Callable[[], None]
WARM_UP = 3
"""Rounds that are like the recorded one and are played before it: kernels are chosen, moments and buffers made."""


@runtime_checkable
class Tape(Protocol):
    """What records work on a device."""

    def aside(self, work: Work) -> None:
        """Do the work as it would be recorded, so that what it sets up is there when it is."""

    def capture(self, work: Work) -> Work:
        """Record the work, which has no effect but on Python; what is returned does it, on the same tensors.

        Raises:
            RuntimeError: it cannot be recorded.
        """

    def random_state(self) -> Tensor:
        """The state of torch's own generator on the device."""


class Rounds(ABC):
    """The rounds of a game, one after the other.

    Args:
        game: which.
    """

    def __init__(self, game: Game) -> None:
        self.game = game

    @abstractmethod
    def play(self, step: int) -> None:
        """Play round `step`."""


class Plain(Rounds):
    """One operation after the other."""

    def play(self, step: int) -> None:
        play_round(self.game, step)


class Recorded(Rounds):
    """One recording that is played again, once all rounds are alike; a game that takes another state is begun anew.

    Args:
        game: which, of one process.
        tape: of its device.
        tell: told why there is no recording.
    """

    def __init__(self, game: Game, tape: Tape, tell: Callable[[str], None]) -> None:
        super().__init__(game)
        self._tape, self._tell = tape, tell
        self._move: Callable[[int], None] = self._warm_up
        self._index = torch.zeros((), dtype=torch.int64, device=game.device)
        self._met: list[Batch] = []
        self._warm = 0

    def play(self, step: int) -> None:
        self.game.set_rates(step)
        self._index.fill_(step)
        self._take(met_in(self.game, step))
        self._move(step)

    def _take(self, met: Sequence[Batch]) -> None:
        """Put real samples where every round finds them."""
        if not self._met:
            self._met = [Batch(new.samples.clone(), None if new.labels is None else new.labels.clone()) for new in met]
        for held, new in zip(self._met, met, strict=True):
            held.samples.copy_(new.samples)
            if held.labels is not None and new.labels is not None:
                held.labels.copy_(new.labels)

    def _plainly(self, step: int) -> None:
        self._tape.aside(lambda: make_moves(self.game, step, self._index, self._met))

    def _warm_up(self, step: int) -> None:
        if self._warm < WARM_UP:
            before = self._tape.random_state()
            self._plainly(step)
            self._warm += step >= self.game.steady_from
            if not torch.equal(before, self._tape.random_state()):
                self._give_up("a network draws random numbers of torch's own")
        else:
            self._record(step)
            self._move(step)

    def _record(self, step: int) -> None:
        """Capture the round, and play the recording from now on."""
        found: list[Notes] = []

        def work() -> None:
            make_moves(self.game, step, self._index, self._met)
            found.append(self.game.watch.taken())

        try:
            replay = self._tape.capture(work)
        except RuntimeError as error:
            self.game.watch.forget()
            self.game.players.zero_grad()
            first = error.__context__ or error  # ending a capture that has failed raises another
            self._give_up(str(first).strip().partition("\n")[0])
            return

        def again(_step: int) -> None:
            replay()
            self.game.watch.note(found[0])

        self._move = again

    def _give_up(self, reason: str) -> None:
        self._tell(f"rounds are played without a CUDA graph: {reason}")
        self._move = self._plainly


def chosen_rounds(game: Game, tell: Callable[[str], None]) -> Rounds:
    """The rounds of a game as its device plays them best.

    Args:
        game: which.
        tell: told where they could be faster.
    """
    if game.device.type != "cuda":
        return Plain(game)
    if game.party.part.of > 1:
        tell("rounds are played without a CUDA graph: several processes play the game")
        return Plain(game)
    return Recorded(game, CudaTape(game.device), tell)

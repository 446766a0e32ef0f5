"""A page with two games on the ring side by side, under the same noise, changed while they train."""

from __future__ import annotations

import json
import time
from threading import Lock
from typing import Annotated, Any, TypeVar

from pydantic import Field

from sparring.core.files import json_mapping
from sparring.core.records import Record
from sparring.live.live_game import (
    SIDE,
    GameSettings,
    LiveGame,
    attacked_regimes,
    choices,
    strengths,
)
from sparring.live.server import LocalServer, PageRequest, PageResponse
from sparring.report.page_file import html_of

BUDGET = 0.08
"""Seconds of a picture, rounds and drawing together; the round that is played last may exceed them."""
Seed = Annotated[int, Field(ge=0, lt=2**31)]
AnyRecord = TypeVar("AnyRecord", bound=Record)


class FrameRequest(Record):
    """What a page asks for: a picture after at most so many further rounds, or fewer if they take too long."""

    rounds: Annotated[int, Field(ge=0, le=100_000)]


class SettingsChange(Record):
    """A change of one game."""

    game: Annotated[int, Field(ge=0, le=1)]
    settings: GameSettings


class RestartRequest(Record):
    """Both games from the beginning, with this seed."""

    seed: Seed


class Playground:
    """Two games of one seed, which play in step.

    Args:
        seed: of both.
    """

    def __init__(self, seed: int = 0) -> None:
        self._lock = Lock()
        self.step, self.seed, self._drawing = 0, seed, 0.0
        self.games = [LiveGame(GameSettings(objective=name), seed) for name in ("log", "linear")]

    def frame(self, rounds: int, *, budget: float = BUDGET) -> dict[str, Any]:
        """What is seen after further rounds of both games.

        Args:
            rounds: at most.
            budget: seconds of rounds and drawing, as long as drawing takes as last time; one round is always played.
        """
        with self._lock:
            ends = time.monotonic() + budget - self._drawing
            for _ in range(rounds):
                for game in self.games:
                    game.play(self.step)
                self.step += 1
                if time.monotonic() >= ends:
                    break
            began = time.monotonic()
            seen = [game.seen(self.step) for game in self.games]
            self._drawing = time.monotonic() - began
            return {"round": self.step, "seed": self.seed, "games": seen}

    def change(self, game: int, settings: GameSettings) -> None:
        """Go on under other settings of one game.

        Raises:
            InvalidRecord: they do not fit.
        """
        with self._lock:
            self.games[game].change(settings)

    def restart(self, seed: int) -> None:
        """Both games from the beginning, under the settings that they have."""
        with self._lock:
            self.step, self.seed = 0, seed
            self.games = [LiveGame(game.settings, seed) for game in self.games]

    def page(self, _request: PageRequest) -> PageResponse:
        """The page itself."""
        values = {
            "title": "sparring: play",
            "choices": choices(),
            "strengths": strengths(),
            "side": SIDE,
            "seed": self.seed,
        }
        values |= {"attacked": sorted(attacked_regimes()), "extent": self.games[0].extent}
        values |= {"centres": self.games[0].centres, "std": self.games[0].std}
        html = html_of(
            "play.html",
            scripts=("play.js",),
            styles=("page.css", "play.css"),
            values=values,
            filters={"json": json.dumps},
            packages=("sparring.live", "sparring.report"),
            connects="'self'",
        )
        return PageResponse(html)

    def answer_frame(self, request: PageRequest) -> PageResponse:
        """A picture, after the rounds that are asked for."""
        return _as_json(self.frame(_read(FrameRequest, request).rounds))

    def answer_change(self, request: PageRequest) -> PageResponse:
        """A change of one game."""
        wanted = _read(SettingsChange, request)
        self.change(wanted.game, wanted.settings)
        return _as_json({})

    def answer_restart(self, request: PageRequest) -> PageResponse:
        """A new start."""
        self.restart(_read(RestartRequest, request).seed)
        return _as_json({})


def play(seed: int = 0, *, port: int = 0) -> LocalServer:
    """A server of a page to play with; start it with `serve_forever`, or `serve_until_stopped`.

    Args:
        seed: of both games.
        port: of 127.0.0.1; 0 takes any that is free.

    Raises:
        UsageError: the port is taken.
    """
    ground = Playground(seed)
    return LocalServer(
        {
            ("GET", "/"): ground.page,
            ("POST", "/frame"): ground.answer_frame,
            ("POST", "/change"): ground.answer_change,
            ("POST", "/restart"): ground.answer_restart,
        },
        port,
    )


def _read(record: type[AnyRecord], request: PageRequest) -> AnyRecord:
    return record.validated(json_mapping(request.body, "the request"), "the request", "load the page again")


def _as_json(value: Any) -> PageResponse:
    return PageResponse(json.dumps(value, allow_nan=False), "application/json")

"""Pages served on this machine while something happens: `watch` a run that trains, `play` with a small game."""

from sparring.live.playground import Playground, play
from sparring.live.server import LocalServer, serve_until_stopped
from sparring.live.watched_folder import watch

__all__ = ["LocalServer", "Playground", "play", "serve_until_stopped", "watch"]

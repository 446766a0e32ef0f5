"""What measures of robustness attack of a game: a classifier, or a head of D, with held-out samples."""

from __future__ import annotations

from sparring.claims.values import PlayedGame
from sparring.robustness.load import RobustnessOptions, open_targets
from sparring.robustness.targets import Target


def opened_target(game: PlayedGame, samples: int, *heads: str) -> Target:
    """The one target of a game.

    Args:
        game: whose run has a checkpoint.
        samples: at most.
        heads: as `RobustnessOptions.on`.

    Raises:
        UsageError, CorruptInput: as `open_targets`.
    """
    options = RobustnessOptions(on=heads, game=game.index, samples=samples)
    (target,) = open_targets(game.trained.folder.path, options, game.device).targets
    return target

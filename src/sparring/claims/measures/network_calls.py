"""What a round of a classifier's training costs, in calls of its network."""

from __future__ import annotations

from typing import Any

from torch import nn

from sparring.claims.measures.base import Measure
from sparring.claims.values import PlayedGame, Value
from sparring.classifier.state import ClassifierState
from sparring.classifier.step import train_step
from sparring.core.errors import UsageError
from sparring.core.pieces import piece
from sparring.training.load import load_training


@piece("network_calls")
class NetworkCalls(Measure):
    """Forward passes of a batch through the classifier in a round of its training; a round is played to count them."""

    def of(self, game: PlayedGame) -> Value:
        state = load_training(game.trained.folder, "cpu").state
        if not isinstance(state, ClassifierState):
            raise UsageError(f"{game.trained.folder.path}: trains a GAN", "measure calls of a classifier's training")
        samples = 0

        def count(_network: nn.Module, inputs: tuple[Any, ...], _output: Any) -> None:
            nonlocal samples
            samples += len(inputs[0])

        state.network.register_forward_hook(count)
        train_step(state, 0)
        return samples / state.recipe.batch_size

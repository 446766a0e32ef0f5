"""What the recipes of GANs and of classifiers share."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_serializer

from sparring.core.pieces import members
from sparring.core.records import Count, Every, Record, nearest
from sparring.data import Data
from sparring.networks import Precision


def path_as_store(value: Any) -> Any:
    """The value of a key of data, in which what is neither a piece nor nearly the name of one is a path."""
    known = members(Data)
    if not isinstance(value, str) or value in known:
        return value
    is_piece = ":" in value or nearest(value, known)
    return value if is_piece and os.sep not in value and not os.path.exists(value) else {"name": "store", "path": value}


DataOrStore = Annotated[Data, BeforeValidator(path_as_store)]
"""Data, or the path of a store."""

TRAINS_NOTHING = frozenset({"description", "planned_steps"})
"""Keys of a recipe in which equal trainings may differ."""


class TrainingRecipe(Record):
    """The data, the length of the training, and the intervals of logs and evaluations.

    Args:
        description: one line for `sparring list recipes`.
        steps: rounds.
        planned_steps: rounds of the recipe by name, where `steps` was overridden; only the verdict reads it.
        precision: `fp32`, `tf32` (matrix products of CUDA in TF32) or `bf16` (networks under autocast).
        log_every, checkpoint_every, evaluate_every: intervals in rounds; 0 means never.
    """

    description: str = ""
    data: DataOrStore
    batch_size: Count
    steps: Count
    planned_steps: Count | None = None
    seed: int = Field(default=0, ge=0, le=2**63 - 1)
    precision: Precision = "fp32"
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    log_every: Every = 100
    checkpoint_every: Every = 1000
    evaluate_every: Every = 1000

    @model_serializer(mode="plain")
    def _ordered(self) -> dict[str, Any]:
        description, data, *shared = TrainingRecipe.model_fields
        own = [key for key in type(self).model_fields if key not in TrainingRecipe.model_fields]
        return {key: getattr(self, key) for key in (description, data, *own, *shared)}

    @property
    def lead(self) -> tuple[int, ...]:
        """The leading shape of every tensor of the training: `()`, or `(replicas,)` when games are packed."""
        return ()

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seed of every game."""
        return (self.seed,)

    @property
    def images_a_round(self) -> int:
        """Real samples that a round shows to each game."""
        return self.batch_size

    @property
    def updates_a_round(self) -> int:
        """Updates of D, or of the classifier, in a round."""
        return 1

    def title(self, game: int) -> str:
        """The name of a packed game: its seed."""
        return f"seed {self.seeds[game]}"

    def warnings(self) -> list[str]:
        """Remarks for the user before the first round."""
        return []

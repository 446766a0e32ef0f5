"""The recipe: one frozen record from which a run follows, and nothing else."""

from __future__ import annotations

import os
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from sparring.data import Data
from sparring.feedback import Feedback, HonestFeedback
from sparring.lipschitz import Lipschitz, Unconstrained
from sparring.networks import ClassifierFeatures, Discriminator, Extractor, Generator
from sparring.objectives import ClassLoss, NoClasses, Objective
from sparring.optimizers import Momentum, Optimizer
from sparring.pieces import members
from sparring.records import Count, Every, InvalidRecord, Problem, Record, as_one, problems_in
from sparring.regimes import Plain, Regime


class Optimizers(Record):
    """One optimizer for each player."""

    generator: Optimizer
    discriminator: Optimizer


class Recipe(Record):
    """A whole game: who plays, for what, against which adversary, for how long.

    Args:
        description: one line for `sparring list recipes`.
        steps: rounds; each is `critic_steps` updates of D and one of G.
        class_loss: what both players are paid for classes, beside what the objective pays for D's score.
        replicas: independent games with seeds seed, seed + 1, ..., packed into one; MLP networks only.
        ema: decay of the running mean of G's weights that samples and measures use; 0 uses G itself.
        extractor: the network in whose features generated and real images are compared.
        precision: `fp32`, `tf32` (matrix products of CUDA in TF32) or `bf16` (networks under autocast).
        log_every, sample_every, checkpoint_every, evaluate_every: intervals in rounds; 0 means never.
    """

    description: str = ""
    data: Data
    generator: Generator
    discriminator: Discriminator
    objective: Objective
    class_loss: ClassLoss = NoClasses()
    feedback: Feedback = HonestFeedback()
    regime: Regime = Plain()
    lipschitz: Lipschitz = Unconstrained()
    optimizers: Optimizers
    batch_size: Count
    steps: Count
    critic_steps: Count = 1
    seed: int = Field(default=0, ge=0)
    replicas: Count = 1
    ema: Momentum = 0.0
    extractor: Extractor = ClassifierFeatures()
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    log_every: Every = 100
    sample_every: Every = 1000
    checkpoint_every: Every = 1000
    evaluate_every: Every = 1000

    @field_validator("data", mode="before")
    @classmethod
    def _a_path_is_a_store(cls, value: Any) -> Any:
        if isinstance(value, str) and value not in members(Data) and (os.sep in value or os.path.isdir(value)):
            return {"name": "store", "path": value}
        return value

    @model_validator(mode="after")
    def _classes_fit(self) -> Recipe:
        head, loss = self.discriminator.head, self.class_loss
        if loss.needs_logits and not head.classifies:
            message = f"class_loss = {loss.name} pays for classes, which this head does not tell; auxiliary does"
            raise as_one([Problem(path=("discriminator", "head"), value=repr(head.name), message=message)])
        if (loss.needs_logits or head.needs_labels) and not self.generator.conditional:
            wanting = f"class_loss = {loss.name}" if loss.needs_logits else f"discriminator.head = {head.name}"
            message = f"{wanting} needs the classes of generated samples; set it to true"
            raise as_one([Problem(path=("generator", "conditional"), value="False", message=message)])
        return self

    @property
    def lead(self) -> tuple[int, ...]:
        """The leading shape of every tensor of the game: `()`, or `(replicas,)` when games are packed."""
        return () if self.replicas == 1 else (self.replicas,)

    def warnings(self) -> list[str]:
        """What a user should know before the first round; nothing here stops a run."""
        notes = []
        honest = self.feedback.honest_probability
        if honest <= 0.5:
            notes.append(
                f"feedback: honest with probability {honest:g}, not more than 1/2, "
                "so no theorem covers this game (definition 3)"
            )
        if self.discriminator.head.classifies and not self.class_loss.real.classes:
            notes.append("class_loss: D's class head is never paid for the class of a real sample, so it learns little")
        return notes


def validated(values: Any, what: str) -> Recipe:
    """A recipe from plain values, as they come from YAML.

    Raises:
        InvalidRecord: with every mistake at once.
    """
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        problems = problems_in(error, Recipe.model_fields)
        raise InvalidRecord(what, problems, "`sparring show RECIPE` prints every key") from None

"""The recipe of a GAN: one frozen record that determines a run."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import BeforeValidator, Field, model_validator

from sparring.core.randomness import Streams
from sparring.core.records import Count, Every, Problem, Record, as_one
from sparring.data import DiffAugmentations
from sparring.feedback import Feedback, HonestFeedback
from sparring.lipschitz import Lipschitz, Unconstrained
from sparring.networks import ClassifierFeatures, Discriminator, Extractor, Generator
from sparring.objectives import ClassLoss, NoClasses, Objective
from sparring.optimizers import Momentum, Optimizer
from sparring.recipes.base import TrainingRecipe
from sparring.regimes import Plain, Regime

MOST_GAMES = 10_000
"""Largest number of packed games."""


MeanDecay = Annotated[
    Momentum, BeforeValidator(lambda value: 0.0 if value is None else value, json_schema_input_type=Momentum | None)
]
"""A decay; null is read as 0."""


class Optimizers(Record):
    """The optimizers of G and D."""

    generator: Optimizer
    discriminator: Optimizer


class Recipe(TrainingRecipe):
    """A GAN: networks, objectives, adversaries, and the length of the training.

    Args:
        steps: rounds; each is `critic_steps` updates of D and one of G.
        class_loss: payoffs for classes, in addition to those of the objective for D's score.
        diff_augment: differentiable augmentations of all that D sees, real and generated, in D's and in G's update.
        fresh_latents: whether G learns from latents of its own; otherwise from those that D saw last.
        replicas: independent games with seeds seed, seed + 1, ..., packed into one; MLP networks only.
        ema: decay of the running mean of G's weights that samples and measures use; after t updates of G it is
            min(ema, (1 + t) / (10 + t)), so that the mean of a short run is near G. 0, or null, uses G itself.
        compile: whether G and D are compiled by `torch.compile` for training.
        extractor: the network in whose features generated and real images are compared.
        sample_every: interval of pictures in rounds; 0 means never.
    """

    generator: Generator
    discriminator: Discriminator
    objective: Objective
    class_loss: ClassLoss = NoClasses()
    feedback: Feedback = HonestFeedback()
    regime: Regime = Plain()
    lipschitz: Lipschitz = Unconstrained()
    optimizers: Optimizers
    diff_augment: DiffAugmentations = ()
    critic_steps: Count = 1
    fresh_latents: bool = False
    replicas: int = Field(default=1, ge=1, le=MOST_GAMES)
    ema: MeanDecay = 0.0
    compile: bool = False
    extractor: Extractor = ClassifierFeatures()
    sample_every: Every = 1000

    @model_validator(mode="after")
    def _classes_fit(self) -> Recipe:
        head, loss = self.discriminator.head, self.class_loss
        if loss.needs_logits and not head.classifies:
            message = f"class_loss = {loss.name} pays for classes, and this head has no class logits; auxiliary has"
            raise as_one([Problem(path=("discriminator", "head"), value=repr(head.name), message=message)])
        if (loss.needs_logits or head.needs_labels) and not self.generator.conditional:
            wanting = f"class_loss = {loss.name}" if loss.needs_logits else f"discriminator.head = {head.name}"
            message = f"{wanting} needs the classes of generated samples; set it to true"
            raise as_one([Problem(path=("generator", "conditional"), value="False", message=message)])
        return self

    @model_validator(mode="after")
    def _can_be_compiled(self) -> Recipe:
        if self.compile and self.lipschitz.needs_second_derivatives:
            message = f"lipschitz = {self.lipschitz.name} needs second derivatives, which torch.compile does not have"
            raise as_one([Problem(path=("compile",), value="True", message=message)])
        return self

    @property
    def images_a_round(self) -> int:
        return self.critic_steps * self.batch_size

    @property
    def updates_a_round(self) -> int:
        return self.critic_steps * self.regime.steps

    @property
    def lead(self) -> tuple[int, ...]:
        """The leading shape of every tensor of the game: `()`, or `(replicas,)` when games are packed."""
        return () if self.replicas == 1 else (self.replicas,)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seed of every game."""
        return tuple(range(self.seed, self.seed + self.replicas))

    def streams(self, device: torch.device | str = "cpu") -> Streams:
        """The random streams of the games."""
        return Streams(self.seed, self.replicas if self.lead else None, device)

    def single(self, game: int) -> Recipe:
        """The recipe of one packed game."""
        return self.model_copy(update={"replicas": 1, "seed": self.seed + game})

    def warnings(self) -> list[str]:
        """Remarks for the user before the first round."""
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

"""The recipe of a game: one frozen record from which a run follows, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import torch
from pydantic import Field, ValidationError, model_validator

from sparring.core.randomness import Streams
from sparring.core.records import Count, Every, Problem, Record, as_one, problems_in
from sparring.feedback import Feedback, HonestFeedback
from sparring.lipschitz import Lipschitz, Unconstrained
from sparring.networks import ClassifierFeatures, Discriminator, Extractor, Generator
from sparring.objectives import ClassLoss, NoClasses, Objective
from sparring.optimizers import Momentum, Optimizer
from sparring.recipes.common import TrainingRecipe
from sparring.recipes.variation import SEED, grouped, holding, mistakes, of_game, of_one, value_at
from sparring.regimes import Plain, Regime

MOST_GAMES = 10_000
"""What one process packs."""
OneEach = Annotated[tuple[Any, ...], Field(strict=False)]
"""A value for every packed game, as the key that it is for takes it."""


class Optimizers(Record):
    """One optimizer for each player."""

    generator: Optimizer
    discriminator: Optimizer


class Recipe(TrainingRecipe):
    """A whole game: who plays, for what, against which adversary, for how long.

    Args:
        steps: rounds; each is `critic_steps` updates of D and one of G.
        class_loss: what both players are paid for classes, beside what the objective pays for D's score.
        replicas: independent games with seeds seed, seed + 1, ..., packed into one; MLP networks only.
        vary: dotted keys of numbers that differ between those games, `seed` among them, each with a value for every
            game, which stands in place of the recipe's own; without `replicas` there are as many games as values.
        ema: decay of the running mean of G's weights that samples and measures use; 0 uses G itself.
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
    critic_steps: Count = 1
    replicas: int = Field(default=1, ge=1, le=MOST_GAMES)
    vary: dict[str, OneEach] = Field(default_factory=dict)
    ema: Momentum = 0.0
    extractor: Extractor = ClassifierFeatures()
    sample_every: Every = 1000

    @model_validator(mode="before")
    @classmethod
    def _as_many_games_as_values(cls, values: Any) -> Any:
        if isinstance(values, dict) and "replicas" not in values and isinstance(values.get("vary"), dict):
            counts = [len(each) for each in values["vary"].values() if isinstance(each, list | tuple)]
            return values | {"replicas": max(counts)} if counts else values
        return values

    @model_validator(mode="after")
    def _games_are_valid(self) -> Recipe:
        problems = list(mistakes(self, self.vary, self.replicas))
        if problems:
            raise as_one(problems)
        for game in range(self.replicas if self.vary else 0):
            try:
                self.single(game)
            except ValidationError as error:
                raise as_one(of_one(problem, game) for problem in problems_in(error)) from None
        return self

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

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seed of every game."""
        return tuple(int(seed) for seed in self.vary.get(SEED, range(self.seed, self.seed + self.replicas)))

    def streams(self, device: torch.device | str = "cpu") -> Streams:
        """The random streams of the games."""
        return Streams.packed(self.seeds, device) if self.lead else Streams(self.seed, None, device)

    def title(self, game: int) -> str:
        """A game by its seed, and by what else is its own."""
        own = (f"{key} {each[game]}" for key, each in self.vary.items() if key != SEED)
        return ", ".join([super().title(game), *own])

    def single(self, game: int) -> Recipe:
        """The recipe of one of the games by itself."""
        return type(self).model_validate(of_game(self.model_dump(mode="json"), self.vary, game))

    @property
    def variants(self) -> tuple[Recipe, ...]:
        """The recipes of the games where numbers differ between them; this one stands for all where none does."""
        differ = self.vary.keys() - {SEED}
        return tuple(self.single(game) for game in range(self.replicas)) if differ else (self,)

    def packed(self, device: torch.device) -> Recipe:
        """The recipe that the games play as one: what differs between them is a `shapes.Number`."""
        recipe, variants = self, self.variants
        for key in self.vary.keys() - {SEED}:
            each = [[value_at(variant, key)] for variant in variants]
            recipe = holding(recipe, key, torch.tensor(each, dtype=torch.get_default_dtype(), device=device))
        return recipe

    def told(self, notes: Callable[[Recipe], list[str]]) -> list[str]:
        """What is to be said of the games, each note once."""
        return grouped([notes(variant) for variant in self.variants], self.title)

    def warnings(self) -> list[str]:
        """What a user should know before the first round; nothing here stops a run."""
        return self.told(Recipe._warnings)

    def _warnings(self) -> list[str]:
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

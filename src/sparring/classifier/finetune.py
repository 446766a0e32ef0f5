"""Fine-tuning: the recipe of a classifier, which is the class branch of a GAN's discriminator.

    min over w of E_(x, y) real l(f(x_adv; w), y) + lambda E_(x, y) generated l(f(x_adv; w), y)

Batch, rate and epochs are those published with the paper: 20, 20, 10 and 10 epochs of batches of 128, Adam with its
usual betas from 1e-3 on, a tenth of it after every stage, PGD of 5 steps, lambda between 0.3 and 0.8.

Source: Rob-GAN, section 3.3, equation (10) and figure 5.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from sparring.attacks import PGD, Attack
from sparring.core.errors import UsageError
from sparring.data import Facts
from sparring.gan.load import load_gan
from sparring.networks import Branch
from sparring.optimizers import Adam, StepDecay
from sparring.recipes import ClassifierRecipe, Fakes, Recipe, StartingPoint, changed, require_classifier, validated
from sparring.runs.folder import RunFolder

STAGES = (20, 20, 10, 10)
"""Epochs at each rate."""
BATCH_SIZE = 128
RATE = 1e-3
_ENDLESS = 10_000
"""Rounds on synthetic data, which have no epochs."""


class FineTuning(NamedTuple):
    """A recipe, and remarks on how it was made."""

    recipe: ClassifierRecipe
    notes: tuple[str, ...]


def finetuning(run: RunFolder, *, game: int = 0, overrides: list[str] | None = None) -> FineTuning:
    """The recipe that fine-tunes the class branch of a run's discriminator.

    Args:
        run: of a GAN.
        game: index of the packed game.
        overrides: `KEY=VALUE`, as in `load`.

    Raises:
        UsageError: the run trains a classifier, has no checkpoint yet, or its data have no labels.
        CorruptInput: no checkpoint is intact.
        InvalidRecord: the overrides do not validate.
    """
    gan_recipe = run.game_recipe()
    facts = gan_recipe.data.open(torch.device("cpu")).facts
    if not facts.classes:
        raise UsageError(
            f"{run.path}: its data, {gan_recipe.data.name!r}, have no labels, so there is no class to tune for",
            "fine-tune a run on labelled data",
        )
    load_gan(run, "cpu")  # raises if the saved networks are not those of the recipe
    values = _recipe(run, gan_recipe, game, facts).model_dump(mode="json")
    what = f"finetune {run.path}"
    recipe = require_classifier(validated(changed(values, overrides or []), what), what)
    return FineTuning(recipe, tuple(_notes(run, gan_recipe, game, facts)))


def _recipe(run: RunFolder, gan_recipe: Recipe, game: int, facts: Facts) -> ClassifierRecipe:
    path, epochs = str(run.path.resolve()), sum(STAGES)
    steps = max(1, epochs * facts.count // BATCH_SIZE) if facts.count else _ENDLESS
    ends = [sum(STAGES[: index + 1]) / epochs for index in range(len(STAGES) - 1)]
    return ClassifierRecipe(
        description=f"The class branch of the discriminator of {run.path.resolve().name}, fine-tuned",
        data=gan_recipe.data,
        classifier=Branch(discriminator=gan_recipe.discriminator),
        attack=_attack(gan_recipe) or PGD(steps=5),
        fakes=Fakes(run=path, game=game) if gan_recipe.generator.conditional else None,
        start=StartingPoint(run=path, game=game),
        optimizer=Adam(lr=RATE, beta1=0.9, schedule=StepDecay(after=tuple(ends))),
        batch_size=BATCH_SIZE,
        steps=steps,
        seed=gan_recipe.seed,
        precision=gan_recipe.precision,
        memory_format=gan_recipe.memory_format,
        log_every=max(1, steps // 200),
        checkpoint_every=max(1, steps // 10),
        evaluate_every=max(1, steps // 20),
    )


def _attack(gan_recipe: Recipe) -> Attack | None:
    """The attack of D's training, if it is limited to a ball."""
    attack = gan_recipe.regime.trained_against
    return attack if attack and attack.ball.limited else None


def _notes(run: RunFolder, gan_recipe: Recipe, game: int, facts: Facts) -> list[str]:
    notes = []
    if gan_recipe.lead:
        notes.append(f"{run.path} packs {gan_recipe.replicas} games; this is game {game}, counted from 0")
    if not gan_recipe.generator.conditional:
        notes.append(
            f"the generator of {run.path} is unconditional, so its samples have no labels: "
            "lambda = 0, real samples alone"
        )
    if _attack(gan_recipe) is None:
        notes.append(
            f"the discriminator of {run.path} was trained against no attack with a budget in a ball: "
            f"PGD of 5 steps, {PGD().describe_size(facts.space)}"
        )
    if not gan_recipe.discriminator.head.classifies:
        notes.append(f"the discriminator of {run.path} has no class logits: its trunk gets a fresh class layer")
    return notes

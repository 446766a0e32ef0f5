"""A run made longer: `steps` changes, and what depended on it is said and recorded."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from sparring.core.distributed import ProcessGroup
from sparring.core.errors import UsageError
from sparring.core.process import process_count
from sparring.core.randomness import Part
from sparring.optimizers import Optimizer
from sparring.recipes import AnyRecipe, ClassifierRecipe, Recipe, changed, validated
from sparring.runs.folder import RunFolder
from sparring.runs.length import EarlierLength, set_length
from sparring.training.load import load_training


def lengthen(path: Path, override: str) -> str:
    """Plan another number of rounds for a run; `resume` then trains up to it.

    On a CPU the state then equals that of a run which had this length from the start, unless a rate or noise follows
    the share of all rounds: then the remark says so, and environment.json records it. The log keeps the rows of the
    shorter run, whose collapse was checked more often.

    Args:
        path: the run folder.
        override: `steps=N`.

    Returns:
        The remark; empty if the lengths agree in all rounds so far.

    Raises:
        UsageError: another key, no more rounds than are trained, or as `load_training`.
        CorruptInput: the run cannot be read, or its data have changed.
        FolderBusy: another process owns it.
    """
    run = RunFolder.open(path)
    with run.owned():
        recipe = run.recipe()
        if override.partition("=")[0] != "steps":
            raise UsageError(
                f"{override}: of a run that has begun only steps can change",
                f"train a new run: `sparring train {shlex.quote(str(run.recipe_path))} {override} --out NEW`",
            )
        steps = validated(changed(recipe.model_dump(mode="json"), [override]), str(path)).steps
        # Refused here, before the run is changed, is all that `resume` would refuse after it.
        trained = load_training(run, "cpu", ProcessGroup(Part(0, process_count()))).step
        if steps <= trained:
            raise UsageError(
                f"{path}: {trained:,} rounds are trained, and {override} asks for no more", "give a larger number"
            )
        if steps == recipe.steps:
            return ""
        bound = tuple(_bound_to_length(recipe, steps, trained))
        set_length(path, steps, EarlierLength(steps=recipe.steps, trained=trained, followed_by=bound))
        summary = run.summary()
        if summary is not None:
            run.write_summary(summary.model_copy(update={"status": "interrupted"}))
    if not bound:
        return ""
    return (
        f"{' and '.join(bound)} depend on the share of all rounds: the first {trained:,} followed {recipe.steps:,} "
        f"rounds, the next follow {steps:,}, so this run is not one of {steps:,} from the start"
    )


def _bound_to_length(recipe: AnyRecipe, steps: int, trained: int) -> Iterator[str]:
    """Keys whose meaning in the rounds so far would have been another one with this length."""
    for key, optimizer in _optimizers(recipe).items():
        factor = optimizer.schedule.factor
        if any(factor(step / recipe.steps) != factor(step / steps) for step in range(trained)):
            yield f"{key}.schedule"
    if isinstance(recipe, Recipe) and recipe.lipschitz.disturbs and trained:
        yield "lipschitz"
    if isinstance(recipe, ClassifierRecipe):
        is_on = recipe.weight_perturbation.is_on
        if any(is_on(step / recipe.steps) != is_on(step / steps) for step in range(trained)):
            yield "weight_perturbation"
        if recipe.selection and trained == recipe.steps and trained % recipe.selection.every:
            yield "selection"  # it has measured the last round


def _optimizers(recipe: AnyRecipe) -> dict[str, Optimizer]:
    if not isinstance(recipe, Recipe):
        return {"optimizer": recipe.optimizer}
    both = recipe.optimizers
    return {"optimizers.generator": both.generator, "optimizers.discriminator": both.discriminator}

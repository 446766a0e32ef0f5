"""The heads of a run as subjects: a discriminator's classes, its source, or both; or a classifier.

    source    logits (-s/2, s/2) of the classes fake and real, s the score; half of the samples are generated
    both      log p(c | x) + log p(t | x) for class c and source t, at 2 c + t; real samples alone

A network is evaluated in fp32, whatever the precision that it was trained in: rounding hides gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from sparring.core.errors import UsageError
from sparring.core.randomness import Rng, Streams, derive
from sparring.data import Batch, Facts, Source
from sparring.gan.load import LoadedGAN, load_classifier, load_gan
from sparring.networks import Verdict, prepared_for_attack
from sparring.recipes import ClassifierRecipe, Recipe
from sparring.robustness.targets import Subject, in_eval_mode
from sparring.runs.folder import RunFolder

On = Literal["class", "source", "both"]


class Opened(NamedTuple):
    """A run's subjects, and where they come from.

    Args:
        subjects: one for each head that was asked for.
        step: rounds played; None of a model that is no run.
        problems: what was wrong with newer checkpoints.
    """

    subjects: tuple[Subject, ...]
    step: int | None
    problems: tuple[str, ...]


def subjects_of_run(
    path: Path,
    *,
    on: tuple[str, ...] = (),
    game: int = 0,
    samples: int = 500,
    seed: int = 0,
    device: str = "auto",
) -> Opened:
    """What of a run's newest checkpoint can be attacked.

    Args:
        path: the run folder, of a game or a classifier.
        on: `class`, `source`, `both`; by default `class` where there is a class head, else `source`.
        game: which one, where the run packs several.
        samples: how many, at most, and as many training samples.
        seed: which samples they are.
        device: where.

    Raises:
        UsageError: no run, no checkpoint, no such game, or no such head.
        CorruptInput: no checkpoint is sound.
    """
    run = RunFolder.open(path)
    if isinstance(run.recipe(), ClassifierRecipe):
        if game:
            raise UsageError(f"{path}: trains one classifier, not several games", "leave --game out")
        return _classifier(run, on, samples, seed, device)
    loaded = load_gan(run, device).game(game)
    source = loaded.data()
    chosen = on or (("class",) if loaded.recipe.discriminator.head.classifies else ("source",))
    for name in chosen:
        _require_head(name, loaded.recipe, source.facts, path)
    picked = {"class": _class_head, "source": _source_head, "both": _both_heads}
    found = tuple(picked[name](loaded, source, samples, seed) for name in chosen)
    return Opened(found, loaded.step, loaded.problems)


def labelled(source: Source, count: int, seed: int, device: torch.device) -> tuple[Batch, Batch]:
    """Samples for evaluation, and as many training samples, never augmented."""
    held_out = source.held_out(count, rng=Rng.of(derive(seed, "robustness/samples", 0), device))
    training = source.unaugmented().batch(0, len(held_out.samples), Streams(seed, None, device))
    return held_out, training


def _classifier(run: RunFolder, on: tuple[str, ...], samples: int, seed: int, device: str) -> Opened:
    if on not in ((), ("class",)):
        raise UsageError(f"{run.path}: a classifier has no {' and '.join(on)} head", "leave --on out")
    loaded = load_classifier(run, device)
    place = next(loaded.network.parameters()).device
    source = loaded.data()
    held_out, training = labelled(source, samples, seed, place)
    assert held_out.labels is not None
    subject = Subject(
        name="classifier",
        network=loaded.network,
        classify=in_eval_mode(loaded.network, _same),
        attacked=in_eval_mode(prepared_for_attack(loaded.network, held_out.samples), _same),
        space=loaded.space,
        samples=held_out.samples,
        labels=held_out.labels,
        classes=source.facts.classes,
        evaluated_on=source.facts.evaluated_on,
        training=training,
        trained_against=loaded.recipe.trained_against,
    )
    return Opened((subject,), loaded.step, loaded.problems)


def _class_head(loaded: LoadedGAN, source: Source, samples: int, seed: int) -> Subject:
    held_out, training = labelled(source, samples, seed, loaded.streams.device)
    return _subject("class head", loaded, source, _classes, held_out, training, source.facts.classes)


def _source_head(loaded: LoadedGAN, source: Source, samples: int, seed: int) -> Subject:
    halves = labelled(source, max(1, samples // 2), seed, loaded.streams.device)
    held_out, training = (
        _beside_generated(real, loaded.draw(len(real.samples), f"robustness/{name}", seed).samples)
        for real, name in zip(halves, ("samples", "training"), strict=True)
    )
    return _subject("source head", loaded, source, _source, held_out, training, ("fake", "real"))


def _both_heads(loaded: LoadedGAN, source: Source, samples: int, seed: int) -> Subject:
    batches = labelled(source, samples, seed, loaded.streams.device)
    held_out, training = (Batch(batch.samples, 2 * _labels(batch) + 1) for batch in batches)
    names = tuple(f"{name} {side}" for name in source.facts.classes for side in ("fake", "real"))
    return _subject("both", loaded, source, _both, held_out, training, names)


def _subject(
    name: str,
    loaded: LoadedGAN,
    source: Source,
    head: Callable[[Verdict], Tensor],
    held_out: Batch,
    training: Batch,
    classes: tuple[str, ...],
) -> Subject:
    discriminator = loaded.networks.discriminator
    return Subject(
        name=name,
        network=discriminator,
        classify=in_eval_mode(discriminator, head),
        attacked=in_eval_mode(prepared_for_attack(discriminator, held_out.samples), head),
        space=loaded.networks.space,
        samples=held_out.samples,
        labels=_labels(held_out),
        classes=classes,
        evaluated_on=source.facts.evaluated_on,
        training=training,
        trained_against=loaded.recipe.regime.trained_against,
    )


def _same(logits: Tensor) -> Tensor:
    return logits


def _classes(verdict: Verdict) -> Tensor:
    assert verdict.classes is not None
    return verdict.classes


def _source(verdict: Verdict) -> Tensor:
    return torch.stack([-verdict.score / 2, verdict.score / 2], dim=-1)


def _both(verdict: Verdict) -> Tensor:
    sides = F.logsigmoid(torch.stack([-verdict.score, verdict.score], dim=-1))
    return (F.log_softmax(_classes(verdict), dim=-1)[:, :, None] + sides[:, None, :]).flatten(1)


def _beside_generated(real: Batch, generated: Tensor) -> Batch:
    """Real samples (1) and generated ones (0) in turns, so that every part of them holds both."""
    samples = torch.stack([real.samples, generated], dim=1).flatten(0, 1)
    return Batch(samples, torch.tensor([1, 0], device=samples.device).repeat(len(generated)))


def _labels(batch: Batch) -> Tensor:
    assert batch.labels is not None
    return batch.labels


def _require_head(name: str, recipe: Recipe, facts: Facts, path: Path) -> None:
    if name not in get_args(On):
        raise UsageError(f"on = {name!r}: no such head", f"one of: {', '.join(get_args(On))}")
    if name != "source" and not recipe.discriminator.head.classifies:
        raise UsageError(f"{path}: its discriminator has no class head", "evaluate its source head: --on source")
    if name != "source" and not facts.classes:
        raise UsageError(f"{path}: its data have no classes", "evaluate its source head: --on source")

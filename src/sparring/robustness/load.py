"""Targets: the heads of a discriminator, the classifier of a run, or a model of the user's own.

    class     the discriminator's class logits
    source    logits (-s/2, s/2) of the classes fake and real, s the score; half of the samples are generated
    both      log p(c | x) + log p(t | x) for class c and source t, at 2 c + t; real samples alone

Networks are evaluated in fp32, whatever the precision of their training: rounding can mask gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from sparring.attacks import Epsilon
from sparring.classifier.load import load_classifier, load_final_classifier
from sparring.core.errors import UsageError
from sparring.core.modules import full_precision
from sparring.core.process import SILENT, Progress
from sparring.core.records import Count, Every, Record
from sparring.data import SampleSet, Source
from sparring.export.export_config import is_export
from sparring.gan.load import LoadedGAN, load_gan
from sparring.gan.sampling import draw
from sparring.networks import Verdict
from sparring.recipes import ClassifierRecipe
from sparring.robustness.attacked_samples import evaluation_samples, labels_of, named_data, with_generated
from sparring.robustness.exported_target import exported_target
from sparring.robustness.input_scale import input_check
from sparring.robustness.own_model import Ends, OwnModel
from sparring.robustness.targets import Target, target_of_set
from sparring.runs.environment import choose_device
from sparring.runs.folder import RunFolder

_BEST, _FINAL = "classifier", "final classifier"
_CHECKPOINTS = {"best": (_BEST,), "final": (_FINAL,), "both": (_BEST, _FINAL)}
_CLASSIFIERS = {_BEST: load_classifier, _FINAL: load_final_classifier}
Words = Annotated[tuple[str, ...], Field(strict=False)]


class RobustnessOptions(Record):
    """What is attacked, and how.

    Args:
        on: heads of a discriminator: class, source, both; the class head by default if there is one.
        epsilons: sizes of the main attack; by default half, one and two times that of the adversarial training.
        range: the scale of `epsilons`, low and high: 2/255 of [-1, 1] is 1/255 of [0, 1].
        threats: names of sets and of threats, or a file.
        samples: how many, at most, and as many training samples.
        checkpoint: of a run that chooses its classifier by robust accuracy: the one that it chose, that of the last
            round, or both.
        transfer_from: run folders (the first of packed games) and models whose adversarial samples are tried as well.
        game: index of a packed game.
        data: for a model: `digits`, a store, images on disk, or another source as in a recipe.
        draws: of a randomised network; the expectation over so many is attacked and judged.
        radius: whether the median robust radius is measured.
        seed: of samples and attacks.
    """

    on: Words = ()
    epsilons: Annotated[tuple[Epsilon, ...], Field(strict=False)] | None = None
    range: Ends = (0.0, 1.0)
    threats: str = "standard"
    samples: Count = 500
    checkpoint: Literal["best", "final", "both"] = "best"
    transfer_from: Words = ()
    game: Every = 0
    data: str | None = None
    draws: Count = 1
    radius: bool = False
    seed: Every = 0

    @property
    def sizes(self) -> tuple[float, ...] | None:
        """`epsilons` in units of [0, 1]."""
        low, high = self.range
        return None if self.epsilons is None else tuple(epsilon / (high - low) for epsilon in self.epsilons)


class OpenedTargets(NamedTuple):
    """Targets and their origin.

    Args:
        targets: one for each head or classifier that was asked for.
        step: the round of the first one; None for a model of the user's own.
        problems: newer checkpoints that could not be read.
    """

    targets: tuple[Target, ...]
    step: int | None
    problems: tuple[str, ...]


def open_targets(
    what: Path | OwnModel, options: RobustnessOptions, device: str = "auto", progress: Progress = SILENT
) -> OpenedTargets:
    """The targets of a run's newest checkpoint, or a model of the user's own, with samples to attack.

    Args:
        what: the folder of a run or of an exported classifier, or a model.
        options: the heads, the game and the samples.
        device: where to attack.
        progress: says how images on disk are prepared.

    Raises:
        UsageError: no run, no checkpoint, no labelled images, or an option does not fit; see also `OwnModel.load`.
        CorruptInput: no checkpoint can be read.
    """
    if isinstance(what, OwnModel):
        _require_one_head(what.model, options)
        _require_choice(what.model, options, chooses=False)
        return OpenedTargets((_own_model(what, options, choose_device(device), progress),), None, ())
    if is_export(what):
        _require_one_head(str(what), options)
        _require_choice(str(what), options, chooses=False)
        place = choose_device(device)
        target, step = exported_target(what, options.data, options.samples, options.seed, place, progress)
        return OpenedTargets((target,), step, ())
    if options.data is not None:
        raise UsageError(f"{what}: a run has its own data", "leave --data out")
    run = RunFolder.open(what)
    recipe = run.recipe()
    if isinstance(recipe, ClassifierRecipe):
        _require_one_head(str(what), options)
        _require_choice(str(what), options, chooses=recipe.selection is not None)
        return _classifiers(run, options, device)
    _require_choice(str(what), options, chooses=False)
    return _heads(run, options, device)


def _require_one_head(name: str, options: RobustnessOptions) -> None:
    if options.on not in ((), ("class",)) or options.game:
        raise UsageError(f"{name}: a classifier has one head and is not packed", "leave --on and --game out")


def _require_choice(name: str, options: RobustnessOptions, *, chooses: bool) -> None:
    if options.checkpoint != "best" and not chooses:
        raise UsageError(
            f"checkpoint = {options.checkpoint}: {name} chooses no classifier by robust accuracy",
            "leave --checkpoint out; a classifier's recipe chooses one with the key `selection`",
        )


def _own_model(model: OwnModel, options: RobustnessOptions, device: torch.device, progress: Progress) -> Target:
    if options.data is None:
        raise UsageError(f"{model.model}: no data are given", "add --data digits, or --data with a folder of images")
    loaded = model.open(device)  # first, as images may take minutes to prepare
    source, scaling = named_data(options.data, device, progress)
    _require_channels(model, source.facts.shape[0])
    held_out, training = evaluation_samples(source, options.samples, options.seed, device)
    facts, attacked = source.facts, (loaded.of_pixels(model), held_out.samples, labels_of(held_out))
    target = target_of_set(*attacked, facts.space, name=model.model, names=facts.classes)
    if facts.evaluated_on == "held-out":  # one split alone may be a test set of the user's own
        target = replace(target, evaluated_on="held-out", training=training)
    with full_precision():
        check = input_check(loaded, target)
    return replace(target, gradients=not model.is_onnx, remarks=loaded.remarks, scaling=scaling, checks=(check,))


def _require_channels(model: OwnModel, channels: int) -> None:
    for name, values in (("mean", model.mean), ("std", model.std)):
        if len(values) not in (1, channels):
            raise UsageError(
                f"{name} has {len(values)} numbers, the images have {channels} channel{'s' * (channels > 1)}",
                f"give one number for all channels, or {channels} separated by commas",
            )


def _classifiers(run: RunFolder, options: RobustnessOptions, device: str) -> OpenedTargets:
    loaded = {name: _CLASSIFIERS[name](run, device) for name in _CHECKPOINTS[options.checkpoint]}
    first = next(iter(loaded.values()))
    source, place = first.data(), next(first.network.parameters()).device
    held_out, training = evaluation_samples(source, options.samples, options.seed, place)
    targets = tuple(
        Target(
            name=name,
            network=each.network,
            space=each.space,
            samples=held_out.samples,
            labels=labels_of(held_out),
            classes=source.facts.classes,
            evaluated_on=source.facts.evaluated_on,
            training=training,
            trained_against=each.recipe.trained_against,
            remarks=(f"as it was after the last round, {each.step:,}, whichever the run chose",) * (name == _FINAL),
        )
        for name, each in loaded.items()
    )
    return OpenedTargets(targets, first.step, first.problems)


def _heads(run: RunFolder, options: RobustnessOptions, device: str) -> OpenedTargets:
    loaded = load_gan(run, device).game(options.game)
    classifies = loaded.recipe.discriminator.head.classifies
    chosen = options.on or (("class",) if classifies else ("source",))
    for name in chosen:
        if name not in _HEADS:
            raise UsageError(f"on = {name!r}: no such head", f"one of: {', '.join(_HEADS)}")
        if name != "source" and not classifies:
            raise UsageError(f"{run.path}: its discriminator has no class head", "evaluate the other: --on source")
    source = loaded.data()
    targets = tuple(_HEADS[name](loaded, source, options.samples, options.seed) for name in chosen)
    return OpenedTargets(targets, loaded.step, loaded.problems)


def _class_head(loaded: LoadedGAN, source: Source, samples: int, seed: int) -> Target:
    held_out, training = evaluation_samples(source, samples, seed, loaded.streams.device)
    return _head("class head", loaded, source, _class_logits, held_out, training, source.facts.classes)


def _source_head(loaded: LoadedGAN, source: Source, samples: int, seed: int) -> Target:
    halves = evaluation_samples(source, max(1, samples // 2), seed, loaded.streams.device)
    held_out, training = (
        with_generated(real, draw(loaded, len(real.samples), f"robustness/{name}", seed).samples)
        for real, name in zip(halves, ("samples", "training"), strict=True)
    )
    return _head("source head", loaded, source, _source_logits, held_out, training, ("fake", "real"))


def _both_heads(loaded: LoadedGAN, source: Source, samples: int, seed: int) -> Target:
    batches = evaluation_samples(source, samples, seed, loaded.streams.device)
    held_out, training = (SampleSet(each.samples, 2 * labels_of(each) + 1) for each in batches)
    names = tuple(f"{name} {origin}" for name in source.facts.classes for origin in ("fake", "real"))
    return _head("both", loaded, source, _both_logits, held_out, training, names)


_HEADS: dict[str, Callable[[LoadedGAN, Source, int, int], Target]] = {
    "class": _class_head,
    "source": _source_head,
    "both": _both_heads,
}


def _head(
    name: str,
    loaded: LoadedGAN,
    source: Source,
    read: Callable[[Verdict], Tensor],
    held_out: SampleSet,
    training: SampleSet,
    classes: tuple[str, ...],
) -> Target:
    return Target(
        name=name,
        network=loaded.networks.discriminator,
        space=loaded.networks.space,
        samples=held_out.samples,
        labels=labels_of(held_out),
        classes=classes,
        read=read,
        evaluated_on=source.facts.evaluated_on,
        training=training,
        trained_against=loaded.recipe.regime.trained_against,
    )


def _class_logits(verdict: Verdict) -> Tensor:
    assert verdict.classes is not None
    return verdict.classes


def _source_logits(verdict: Verdict) -> Tensor:
    return torch.stack([-verdict.score / 2, verdict.score / 2], dim=-1)


def _both_logits(verdict: Verdict) -> Tensor:
    source = F.logsigmoid(torch.stack([-verdict.score, verdict.score], dim=-1))
    return (F.log_softmax(_class_logits(verdict), dim=-1)[:, :, None] + source[:, None, :]).flatten(1)

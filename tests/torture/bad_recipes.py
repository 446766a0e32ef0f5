"""A recipe with a mistake is refused at once, with the key and the name that was meant, and nothing is made."""

from __future__ import annotations

import copy
import json
import os
import random
import string
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import yaml

from sparring.core.pieces import FAMILIES, members
from sparring.recipes import load, recipe_names, to_yaml
from sparring.runs.folder import RunFolder
from torture.command import sparring
from torture.games import made_once
from torture.promise import Promise, Trial

SECONDS = 2.0
"""What a refusal may take of the processor."""
RECIPES = recipe_names()
NAMES = frozenset(name for family in FAMILIES.values() for name in members(family))
OPTIONAL = frozenset({"step_size", "coordinates", "halvings", "bounds", "fakes", "start"})
"""Keys that may be null."""
CHOICES = frozenset({"precision", "memory_format", "attacked", "at"})
"""Keys whose values are a few words."""
HALVED = frozenset({"lr", "std", "weight", "probability", "sigma"})
"""Keys of positive numbers, of which half is as valid."""

FOLDER, UNLABELLED = "FOLDER", "UNLABELLED"
"""In an argument: where a trial's files lie, and a store without labels."""

Place = tuple[str | int, ...]
Values = Any


@dataclass(frozen=True)
class Mistake:
    """What goes wrong.

    Args:
        told: what must all stand in the refusal.
        values: what the recipe says then.
    """

    told: tuple[str, ...]
    values: Values


@dataclass(frozen=True)
class Command:
    """A command line that goes wrong.

    Args:
        arguments: behind `sparring train`.
        told: what must all stand in the refusal.
        files: text by the name of its file; in the trial's folder.
        make: makes what is no plain file.
    """

    arguments: tuple[str, ...]
    told: tuple[str, ...]
    files: dict[str, bytes] = field(default_factory=dict)
    make: Callable[[Path], object] = lambda _folder: None


def _trial(trial: Trial) -> None:
    draw = trial.draw
    sound = load(draw.choice(RECIPES)).model_dump(mode="json")
    if trial.index % 5 == 0:
        _accepted(trial.folder, sound, draw)
    wrong = trial.turn(WRONG)
    if isinstance(wrong, Command):
        for name, content in wrong.files.items():
            (trial.folder / name).write_bytes(content)
        wrong.make(trial.folder)
        _refused(trial.folder, [_placed(each, trial) for each in wrong.arguments], wrong.told)
        return
    mistake = next(found for found in (wrong(draw, copy.deepcopy(sound)) for _ in range(100)) if found)
    path = trial.folder / "recipe.yaml"
    _write(path, mistake.values)
    _refused(trial.folder, [str(path)], mistake.told)
    if trial.index % 100 == 99:
        _refused_by_a_process(trial.folder, [str(path)], mistake.told)


def _accepted(folder: Path, values: Values, draw: random.Random) -> None:
    """What is no mistake must pass, or refusing everything would keep the promise."""
    varied = copy.deepcopy(values)
    numbers = [place for place, value in _leaves(varied) if isinstance(value, float) and place[-1] in HALVED]
    for place in draw.sample(numbers, min(2, len(numbers))):
        _put(varied, place, _at(varied, place) * draw.uniform(0.5, 1.0))
    varied |= {"seed": draw.randrange(2**63), "steps": draw.randint(1, 10**6), "log_every": 0}
    path = folder / "sound.yaml"
    _write(path, varied)
    text = draw.choice(["a", "'true'", "3 x 4", "ü", "a=b", "'no'", "'# not a comment'"])
    found = sparring("show", str(path), f"description={text}", "precision=bf16", "--json")
    assert found.code == 0, found.err
    assert json.loads(found.out) == varied | {"description": yaml.safe_load(text), "precision": "bf16"}


def _write(path: Path, values: Values) -> None:
    path.write_text(yaml.dump(values, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), allow_unicode=True))


def _refused(folder: Path, arguments: list[str], told: tuple[str, ...]) -> None:
    out = folder / "run"
    with mock.patch.object(RunFolder, "create", side_effect=AssertionError("a folder was to be made")):
        found = sparring("train", *arguments, "--out", str(out))
    _require_refusal(found.code, found.err, arguments, told)
    assert not out.exists() and not list(folder.glob(".partial*"))
    assert found.seconds < SECONDS, f"{found.seconds:.1f} s: {found.err[:500]}"


def _refused_by_a_process(folder: Path, arguments: list[str], told: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "sparring", "train", *arguments, "--out", str(folder / "run")]
    found = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    _require_refusal(found.returncode, found.stderr, arguments, told)
    assert not (folder / "run").exists()


def _require_refusal(code: int, text: str, arguments: list[str], told: tuple[str, ...]) -> None:
    assert code == 2, (code, arguments, told, text)
    missing = [word for word in told if word not in text]
    assert not missing, f"{missing} not in: {text}"
    assert "Traceback" not in text and "error: unexpected" not in text, text
    assert "error: " in text and "\n  try: " in text, text
    assert len(text) < 20_000, f"{len(text)} letters: {text[:1000]}"


def _placed(argument: str, trial: Trial) -> str:
    if UNLABELLED in argument:
        return argument.replace(UNLABELLED, str(_unlabelled(trial.shared)))
    return argument.replace(FOLDER, str(trial.folder))


def _unlabelled(shared: Path) -> Path:
    """A store without labels."""

    def make(store: Path) -> None:
        arrays = store.with_suffix(".npz")
        np.savez(arrays, samples=np.zeros((40, 1, 16, 16), np.uint8))
        found = sparring("data", "prepare", str(arrays), "--out", str(store))
        assert found.code == 0, found.err

    return made_once(shared / "unlabelled", make)


# Places of a recipe.


def _leaves(values: Values, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _leaves(value, (*place, key))
    elif isinstance(values, list) and values:
        for index, value in enumerate(values):
            yield from _leaves(value, (*place, index))
    else:
        yield place, values


def _mappings(values: Values, place: Place = ()) -> Iterator[Place]:
    if isinstance(values, dict):
        yield place
        for key, value in values.items():
            yield from _mappings(value, (*place, key))
    elif isinstance(values, list):
        for index, value in enumerate(values):
            yield from _mappings(value, (*place, index))


def _at(values: Values, place: Place) -> Any:
    for key in place:
        values = values[key]
    return values


def _put(values: Values, place: Place, value: Any) -> None:
    _at(values, place[:-1])[place[-1]] = value


def _dotted(place: Place) -> str:
    return ".".join(map(str, place))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# Mistakes in a recipe; None where it has no place for one.


def _slip(word: str, draw: random.Random) -> str:
    """A word with one slip of the fingers; of a short one nothing is lost."""
    at, letter = draw.randrange(len(word)), draw.choice(string.ascii_lowercase)
    slips = [word[:at] + letter + word[at:], word[: at + 1] + word[at:], word + letter]
    if len(word) > 4:
        slips += [word[:at] + word[at + 1 :], word[:at] + letter + word[at + 1 :]]
        slips += [word[:at] + word[at : at + 2][::-1] + word[at + 2 :]]
    return draw.choice([*slips, word.upper(), word.title(), f" {word}", word.replace("_", "-")])


def _unknown_key(draw: random.Random, values: Values) -> Mistake | None:
    place = draw.choice(list(_mappings(values)))
    key = "q" + "".join(draw.choices("qxzjw", k=6))
    _at(values, place)[key] = draw.choice([1, "a", None, [], {"name": "hinge"}])
    return Mistake((_dotted((*place, key)), "unknown key"), values)


def _mistyped_key(draw: random.Random, values: Values) -> Mistake | None:
    place = draw.choice([place for place in _mappings(values) if set(_at(values, place)) - {"name"}])
    inside = _at(values, place)
    key = draw.choice(sorted(set(inside) - {"name"}))
    slip = _slip(key, draw)
    if slip in inside:
        return None
    inside[slip] = inside.pop(key)
    return Mistake((_dotted((*place, slip)), "unknown key", "did you mean", key), values)


def _mistyped_name(draw: random.Random, values: Values) -> Mistake | None:
    place = draw.choice([place for place, _ in _leaves(values) if place[-1] == "name"])
    name = _at(values, place)
    slip = _slip(name, draw)
    _put(values, place, slip)
    return None if slip in NAMES else Mistake((_dotted(place), "did you mean", name), values)


def _mistyped_choice(draw: random.Random, values: Values) -> Mistake | None:
    place = draw.choice([place for place, _ in _leaves(values) if place[-1] in CHOICES])
    word = _at(values, place)
    slip = _slip(word, draw)
    _put(values, place, slip)
    return None if slip == word else Mistake((_dotted(place), repr(word)), values)


def _wrong_type(draw: random.Random, values: Values) -> Mistake | None:
    place, value = draw.choice([(place, value) for place, value in _leaves(values) if value is not None])
    wrong: list[Any] = [[value], {"name": value}, {"a": {"b": 1}}]
    if isinstance(value, bool):
        wrong += ["False", "True", "yes", "no", "on", "true", "", 0, 1, 1.0]
    elif isinstance(value, float):
        wrong += ["fast", True, False, "", "1e-4x", "0x10", "1/0", "nan", "1_0.0", "１.0"]
    elif _is_count(value):
        wrong += ["many", str(value), value + 0.5, float(value), True, False, "", " ", "1_000"]
    elif isinstance(value, str):
        wrong += [3, 1.5, True, ["a"]]
    else:
        wrong = [3, True, {"a": 1}, "word"]
    _put(values, place, draw.choice(wrong if place[-1] in OPTIONAL else [*wrong, None]))
    return Mistake((_dotted(place),), values)


def _wrong_shape(draw: random.Random, values: Values) -> Mistake | None:
    place = draw.choice([place for place in _mappings(values) if place])
    held = _at(values, place)
    wrong: list[Any] = [3, 1.5, True, False, [], [held], [1, 2], list(held), ""]
    wrong += [{}] if "name" in held else []
    _put(values, place, draw.choice(wrong if place[-1] in OPTIONAL else [*wrong, None]))
    return Mistake((_dotted(place),), values)


def _not_finite(draw: random.Random, values: Values) -> Mistake | None:
    numbers = [place for place, value in _leaves(values) if isinstance(value, float) or _is_count(value)]
    place = draw.choice(numbers)
    _put(values, place, draw.choice([float("nan"), float("inf"), -float("inf")]))
    return Mistake((_dotted(place),), values)


def _out_of_range(draw: random.Random, values: Values) -> Mistake | None:
    place = draw.choice([place for place, value in _leaves(values) if _is_count(value)])
    _put(values, place, draw.choice([-1, -(10**9), 10**30, -(10**30), 2**64]))
    return Mistake((_dotted(place),), values)


def _left_out(draw: random.Random, values: Values) -> Mistake | None:
    own = ["optimizer"] if "classifier" in values else ["generator", "discriminator", "objective", "optimizers"]
    key = draw.choice(["data", "batch_size", "steps", *own])
    del values[key]
    return Mistake((key, "required"), values)


def _the_kind(draw: random.Random, values: Values) -> Mistake | None:
    """The key that says what is trained, mistyped."""
    key = "classifier" if "classifier" in values else draw.choice(["generator", "discriminator", "objective"])
    slip = _slip(key, draw)
    values[slip] = values.pop(key)
    return None if slip == key else Mistake((slip, f"did you mean {key}?", "2 mistakes"), values)


def _several(draw: random.Random, values: Values) -> Mistake | None:
    part = "classifier" if "classifier" in values else "discriminator"
    values |= {"stepz": 3, "log_every": -1, "batch_size": "many", "precision": "fp8", "seed": None}
    values[part]["widht"] = 3
    return Mistake(("stepz", "log_every", "batch_size", "precision", "seed", f"{part}.widht", "6 mistakes"), values)


IN_A_RECIPE: list[Callable[[random.Random, Values], Mistake | None]] = [
    _unknown_key, _mistyped_key, _mistyped_name, _mistyped_choice, _wrong_type, _wrong_shape, _not_finite,
    _out_of_range, _left_out, _the_kind, _several,
]  # fmt: skip


# Files that are no recipe.


def _of_text(text: str | bytes, *told: str) -> Command:
    content = text.encode() if isinstance(text, str) else text
    return Command(("FOLDER/recipe.yaml",), ("recipe.yaml", *told), {"recipe.yaml": content})


def _of_place(make: Callable[[Path], object], *told: str) -> Command:
    return Command(("FOLDER/recipe.yaml",), ("recipe.yaml", *told), make=lambda folder: make(folder / "recipe.yaml"))


def _large(path: Path) -> None:
    path.touch()
    os.truncate(path, 100_000_000)


_BOMB = "a: &a [1, 1]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
_RING = to_yaml(load("dishonest/ring"))
FILES = [
    _of_text("steps: 1\nsteps: 2\n", "line 2", "given twice: steps"),
    _of_text(f"{_RING}\nobjective: {{name: hinge, margin: 1.0, margin: 2.0}}\n", "given twice"),
    _of_text(_BOMB, "line 1", "aliases"),
    _of_text("a: &a [*a]\n", "line 1", "aliases"),
    _of_text("a: &a {b: 1}\nc: {<<: *a}\n", "line 1", "aliases"),
    _of_text(f"{_RING}\n<<: {{steps: 3}}\n", "<<", "unknown key"),
    _of_text("a: !!python/object/apply:os.system [ls]\n", "line 1", "tags"),
    _of_text("steps: !!int 010\n", "line 1", "tags"),
    _of_text("hidden: !!set {1, 2}\n", "line 1", "tags"),
    _of_text("a: !<tag:x.org,2026:y> 3\n", "line 1", "tags"),
    _of_text("data:\n\tname: ring\n", "line 2", "\\t"),
    _of_text("a: [1\nb: 2\n", "line 2"),
    _of_text("a: 'never closed\n", "line"),
    _of_text("- steps: 1\n", "a mapping of keys, not list"),
    _of_text("ring\n", "a mapping of keys, not str"),
    _of_text("3\n", "a mapping of keys, not int"),
    _of_text("a: 1\n---\nb: 2\n", "line 2"),
    _of_text("? [a, b]\n: 1\n", "line 1", "a key should be a word"),
    _of_text("1: a\n", "line 1", "a key should be a word"),
    _of_text("null: a\n", "line 1", "a key should be a word"),
    _of_text("true: a\n", "line 1", "a key should be a word"),
    _of_text("", "a mapping of keys"),
    _of_text("# nothing\n", "a mapping of keys"),
    _of_text(b"steps: \xff\xfe\n", "not UTF-8 text (byte 7)"),
    _of_text(_RING.encode("utf-16"), "not UTF-8"),
    _of_text(b"\x80\x04\x95", "not UTF-8"),
    _of_text("steps: \x00\n", "not YAML"),
    _of_text("steps: \x1b[31m3\n", "not YAML"),
    _of_text("[" * 10_000, "nested more than"),
    _of_text("a: {" * 5_000, "nested more than"),
    _of_text("- " * 20_000, "nested more than"),
    _of_text(f"{_RING}\nepochs: {'9' * 5_000}\n", "recipe.yaml"),
    _of_text("".join(f"key{index}: 1\n" for index in range(4_000)), "key0", "more"),
    _of_text(f"{_RING}\n{'k' * 500}: 1\n", "unknown key"),
    _of_text(f"{_RING}\ndata: {{name: {'x' * 5_000}}}\n", "given twice"),
    _of_text(_RING.replace("steps: ", "steps: 0"), "steps"),
    _of_text(_RING.replace("steps: ", "steps: 1_"), "steps"),
    _of_text(_RING.replace("steps: ", "steps: 0x"), "steps"),
    _of_text(_RING.replace("steps: ", "steps: 1:"), "steps"),
    _of_text("extends: dishonest/rimg\n", "did you mean dishonest/ring"),
    _of_text("extends: recipe.yaml\n", "extends it"),
    _of_text("extends: 3\n", "extends = 3"),
    _of_text("extends: null\n", "extends = None"),
    _of_text("extends: [dishonest/ring]\n", "extends"),
    _of_text("extends: /dev/zero\n", "not a file"),
    _of_text("extends: dishonest/ring\nfeedback.probabilty: 0.1\n", "feedback.probabilty", "did you mean probability?"),
    _of_text("extends: dishonest/ring\nsteps.more: 1\n", "steps holds no keys"),
    _of_text("extends: dishonest/ring\n.: 1\n", "unknown key"),
    _of_place(Path.mkdir, "not a file"),
    _of_place(os.mkfifo, "not a file"),
    _of_place(_large, "more than 65,536 bytes"),
    _of_place(lambda path: path.symlink_to("/dev/zero"), "not a file"),
    _of_place(lambda path: path.symlink_to(path), "recipe.yaml"),
    _of_place(lambda path: path.symlink_to("nowhere"), "no such file"),
    Command(("FOLDER/nothing.yaml",), ("nothing.yaml", "no such file")),
    Command(("dishonest/rimg",), ("did you mean dishonest/ring",)),
    Command(("Dishonest/Ring",), ("did you mean dishonest/ring",)),
    Command(("ring",), ("ring: no such file",)),
    Command(("",), ("not a file",)),
    Command(("/dev/zero",), ("not a file",)),
    Command(("/",), ("not a file",)),
    Command(("x" * 5_000,), ("cannot be read",)),
    Command(("../" * 5 + "dishonest/ring",), ("no such file",)),
]


# Mistakes on the command line, behind a sound recipe.


def _overridden(recipe: str, *overrides: str, told: tuple[str, ...]) -> Command:
    return Command((recipe, "steps=1", *overrides), told)


def _on_the_ring(override: str, *told: str) -> Command:
    return _overridden("dishonest/ring-small", override, told=told)


OVERRIDES = [
    _on_the_ring("a=b=c", "a = 'b=c'", "unknown key"),
    _on_the_ring("steps", "'steps' is not KEY=VALUE"),
    _on_the_ring("=3", "'=3' is not KEY=VALUE"),
    _on_the_ring("=", "'=' is not KEY=VALUE"),
    _on_the_ring("", "'' is not KEY=VALUE"),
    _on_the_ring("steps=", "steps = None"),
    _on_the_ring("steps==3", "steps"),
    _on_the_ring(" steps=3", "did you mean steps?"),
    _on_the_ring("steps =3", "did you mean steps?"),
    _on_the_ring("steps.=3", "steps holds no keys"),
    _on_the_ring(".steps=3", "unknown key"),
    _on_the_ring("regime..epsilon=1", "regime", "unknown key"),
    _on_the_ring("steps.more=3", "steps holds no keys"),
    _on_the_ring("steps.more.and.more=3", "steps holds no keys"),
    _on_the_ring("generator.hidden.0=3", "generator.hidden holds no keys", "give the whole value"),
    _on_the_ring("generator[hidden]=3", "unknown key"),
    _on_the_ring("a." * 3_000 + "b=1", "a key of 3,001 parts"),
    _on_the_ring("regime={name: symmetric, attack: {name: fgsm, epsilon: 1e300}}", "regime.attack.epsilon", "1000000"),
    _on_the_ring("data.radius=1e300", "data.radius", "1000000"),
    _on_the_ring("data.std=1e7", "data.std", "1000000"),
    _on_the_ring("objective.margn=1", "objective.margn", "unknown key"),
    _on_the_ring("generator.hiden=[8]", "generator.hiden", "did you mean hidden?"),
    _on_the_ring("objective={name: hinge, margn: 1}", "objective.margn", "did you mean margin?"),
    _on_the_ring("optimisers.generator.lr=1", "optimisers", "did you mean optimizers?"),
    _on_the_ring("steps=!!python/name:os.system", "tags"),
    _on_the_ring("steps=*a", "aliases"),
    _on_the_ring("steps=[1", "steps=[1", "line 1"),
    _on_the_ring("steps=\x00", "not YAML"),
    _on_the_ring("steps=" + "[" * 5_000, "nested more than"),
    _on_the_ring("steps=1e3", "steps = 1000.0", "valid integer"),
    _on_the_ring("ema=False", "ema", "valid number"),
    _on_the_ring("generator.conditional=yes", "generator.conditional", "valid boolean"),
    _on_the_ring("generator.conditional=False", "generator.conditional", "valid boolean"),
    _on_the_ring("precision=FP32", "precision", "'fp32'"),
    _on_the_ring("objective=this:that", "objective.name", "cannot be imported"),
    _on_the_ring("objective=unittest.__main__:x", "objective.name", "cannot be imported"),
    _on_the_ring("objective=nowhere.module:Thing", "objective.name", "cannot be imported"),
    _on_the_ring("objective=os:system", "objective.name", "not a subclass"),
    _on_the_ring("objective=sparring.objectives:Objective", "objective.name", "is abstract"),
    _on_the_ring("objective=../evil:Thing", "objective.name", "package.module:attribute"),
    _on_the_ring("feedback={name: function, psi: nowhere:psi}", "feedback"),
    _overridden("dishonest/ring-small", "stepz=1", "log_every=x", "ema=7",
                told=("3 mistakes", "stepz", "log_every", "ema")),
    _overridden("dishonest/ring-small", "steps", "=3", "seed=x=y", told=("'steps'", "'=3'")),
]  # fmt: skip


# Parts of a recipe that are right by themselves and cannot be together; of data that are here.

_CNN = "generator={name: mnist, latent: 8, width: 4}"
_CLASSIFIER = "robgan/digits-adversarial-training"
_FGSM = "{name: symmetric, attack: %s}"
PAIRS = [
    _overridden("dishonest/digits", "generator={name: dcgan, width: 4}", told=("'dcgan'", "replicas = 3")),
    _overridden("dishonest/digits", "discriminator={name: mnist, width: 4}", told=("'mnist'", "replicas = 3")),
    _overridden("dishonest/ring-small", "replicas=1", _CNN, told=("generator", "(2,)")),
    _overridden("dishonest/ring-small", "replicas=1", "discriminator=sngan_resnet", told=("discriminator", "(2,)")),
    _overridden("dishonest/digits", "data=UNLABELLED", "generator.conditional=true",
                told=("generator.conditional", "no labels")),
    _overridden("dishonest/digits", "data=UNLABELLED", "generator.conditional=true", "discriminator.head=projection",
                told=("no labels",)),
    _overridden("dishonest/digits", "discriminator.head=projection", told=("generator.conditional", "set it to true")),
    _overridden("dishonest/digits", "class_loss=split", told=("discriminator.head", "auxiliary")),
    _overridden("dishonest/digits", "class_loss=split", "discriminator.head=auxiliary",
                told=("generator.conditional", "set it to true")),
    _overridden("robgan/digits", "generator.conditional=false", told=("generator.conditional", "class_loss = split")),
    _overridden(_CLASSIFIER, "data=UNLABELLED", told=("data", "no labels")),
    _overridden(_CLASSIFIER, "data=ring", "classifier={name: small_cnn, width: 2}", told=("classifier", "(2,)")),
    _overridden(_CLASSIFIER, "data=ring", "classifier={name: vgg16, width: 2}", told=("classifier", "(2,)")),
    _overridden(_CLASSIFIER, "fakes={run: nowhere}", told=("nowhere", "not a run folder")),
    _overridden(_CLASSIFIER, "start={run: nowhere}", told=("nowhere", "not a run folder")),
    _overridden(_CLASSIFIER, "classifier=branch", told=("classifier.discriminator", "required")),
    _overridden(_CLASSIFIER, "generator=mlp", told=("generator", "unknown key")),
    _overridden(_CLASSIFIER, "replicas=2", told=("replicas", "unknown key")),
    _overridden(_CLASSIFIER, "attack={name: none, epsilon: 0.1}", told=("attack.epsilon",)),
    _overridden(_CLASSIFIER, "attack={name: square_l2, ball: linf}", told=("attack", "square_l2 searches l2")),
    _overridden("dishonest/digits", "classifier=vgg16", told=("classifier", "unknown key")),
    _overridden("dishonest/digits", "attack=pgd", told=("attack", "unknown key")),
    _overridden("dishonest/digits", "replicas=1", _CNN, "lipschitz=gradient_penalty",
                "discriminator={name: mnist, width: 4, batch_norm: true}", told=("gradient_penalty", "batch_norm")),
    _overridden("dishonest/digits", "lipschitz={name: together, controls: [spectral_norm, spectral_norm]}",
                told=("spectral_norm", "once")),
    _overridden("dishonest/digits", f"regime={_FGSM % '{name: square, ball: l2}'}", told=("regime.attack", "linf")),
    _overridden("dishonest/digits", "data.augment=[{name: resized_crop, smallest: 0.9, largest: 0.1}]",
                told=("data.augment.0", "smallest")),
    _overridden("dishonest/digits", "extractor={name: inception, weights: nowhere.pth}", "evaluate_every=1",
                told=("extractor.weights", "nowhere.pth")),
    _overridden("dishonest/ring-small", f"regime={_FGSM % 'dimming'}", told=("attack", "dimming")),
    _overridden("dishonest/ring-small", f"regime={_FGSM % '{name: pgd, ball: none}'}", told=("regime.attack", "ball")),
    _overridden("dishonest/ring-small", "regime=symmetric", "regime.warmup={start: 10, end: 3}",
                told=("regime.warmup", "end = 3")),
    _overridden("dishonest/ring-small", "regime={name: plain, attack: fgsm}", told=("regime.attack", "unknown key")),
    _overridden("dishonest/ring-small", "lipschitz={name: adversarial_lipschitz_penalty, epsilon: [3, 1]}",
                told=("lipschitz.epsilon",)),
    _overridden("dishonest/ring-small", "objective={name: piecewise_linear, knee: 0.4, inner_slope: 1.9}",
                told=("objective", "inner_slope")),
    _overridden("dishonest/ring-small", "feedback={name: mixture, perturbations: []}",
                told=("feedback.perturbations",)),
    _overridden("dishonest/ring-small", "feedback={name: mixture, perturbations: [{perturbation: flip, "
                "probability: 0.7}, {perturbation: sqrt, probability: 0.6}]}",
                told=("feedback.perturbations", "at most 1")),
    _overridden("dishonest/ring-small", "data={name: store, path: nowhere/at/all}", told=("nowhere/at/all",)),
    _overridden("dishonest/ring-small", "data={name: store, path: ''}", told=("data.path",)),
    _overridden("dishonest/ring-small", "data={name: store, path: UNLABELLED, split: trian}",
                told=("data.split", "did you mean train?")),
    _overridden("dishonest/ring-small", "extends=dishonest/ring", told=("extends", "unknown key")),
]  # fmt: skip

WRONG = [*(IN_A_RECIPE * 13), *FILES, *OVERRIDES, *PAIRS]

PROMISE = Promise(
    number=11,
    title="A recipe with a mistake is refused at once, with the key and what was meant; nothing is made",
    quick=300,
    long=5_000,
    trial=_trial,
)

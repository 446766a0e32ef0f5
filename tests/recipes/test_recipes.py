"""Recipes: every mistake at once, a round trip through YAML, dotted keys, and a schema for editors."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparring.core.errors import UsageError
from sparring.core.pieces import FAMILIES, json_schema, members
from sparring.core.records import InvalidRecord
from sparring.data import Store
from sparring.recipes import AnyRecipe, Recipe, load, parse_yaml, recipe_names, to_yaml, validated, with_keys


@pytest.mark.parametrize("name", recipe_names())
def test_a_shipped_recipe_round_trips(name: str) -> None:
    recipe = load(name)
    assert recipe.description
    assert validated(parse_yaml(to_yaml(recipe), name), name) == recipe


def test_the_ring_has_the_papers_hyper_parameters() -> None:
    ring = load("dishonest/ring")
    assert (ring.generator.latent, ring.batch_size) == (256, 512)
    assert (ring.optimizers.generator.lr, ring.optimizers.discriminator.lr) == (1e-4, 1e-4)
    assert ring.optimizers.generator.model_dump()["beta1"] == 0.5
    assert ring.lipschitz.model_dump() == {"name": "clip", "bound": 0.1, "when": "before"}


@settings(deadline=None, max_examples=20)
@given(
    st.floats(0, 1),
    st.sampled_from([name for name in members(FAMILIES["objective"]) if name != "apart"]),
    st.integers(1, 10**6),
)
def test_any_override_round_trips(probability: float, objective: str, steps: int) -> None:
    keys = [f"feedback.probability={probability!r}", f"objective={objective}", f"steps={steps}"]
    recipe = load("dishonest/ring", keys)
    assert recipe.feedback.model_dump()["probability"] == probability
    assert (recipe.objective.name, recipe.steps) == (objective, steps)
    assert validated(parse_yaml(to_yaml(recipe), "again"), "again") == recipe


MISTAKES = {
    "objectve=log": ("objectve", "did you mean objective?"),
    "objective=hinj": ("objective.name", "did you mean hinge?"),
    "objective={name: hinge, margn: 1}": ("objective.margn", "did you mean objective.margin?"),
    "steps=many": ("steps", "should be a valid integer"),
    "steps=0": ("steps", "greater than or equal to 1"),
    "ema=1": ("ema", "less than 1"),
    "feedback.probability=1.2": ("feedback.probability", "less than or equal to 1"),
    "feedback.probability=.nan": ("feedback.probability", "finite"),
    "optimizers.generator.lr=-1e-4": ("optimizers.generator.lr", "greater than 0"),
    "regime.epsilon=-8/255": ("regime.epsilon", "unknown key"),
    "generator.hidden=[64, -1]": ("generator.hidden.1", "greater than or equal to 1"),
    "precision=fp8": ("precision", "'fp32', 'tf32' or 'bf16'"),
    "objective=nowhere.module:Thing": ("objective.name", "cannot be imported"),
    "objective=sparring.objectives:Hinje": ("objective.name", "has no Hinje; did you mean Hinge?"),
    "objective=pathlib:Path": ("objective.name", "not a subclass"),
    "data=3": ("data", "name or a mapping"),
    "feedback={probability: 0.1}": ("feedback.name", "`name` is missing"),
    "feedback={name: mixture, perturbations: [{perturbation: flip, probability: 0.7}, "
    "{perturbation: sqrt, probability: 0.7}]}": ("feedback.perturbations", "at most 1"),
}


@pytest.mark.parametrize("override", MISTAKES)
def test_a_mistake_is_named_with_its_key_path(override: str) -> None:
    path, words = MISTAKES[override]
    with pytest.raises(InvalidRecord) as caught:
        load("dishonest/ring", [override])
    assert caught.value.exit_code == 2
    assert [".".join(problem.path) for problem in caught.value.problems] == [path]
    assert words in str(caught.value.problems[0])


MEANT = {
    "epsilon=0.1": "did you mean regime.attack.epsilon?",
    "regime.epsilon=0.1": "did you mean regime.attack.epsilon?",
    "attack=fgsm": "did you mean regime.attack?",
    "lr=1e-3": "did you mean optimizers.generator.lr or optimizers.discriminator.lr?",
    "latnt=3": "did you mean generator.latent?",
    "regime.attack.stepss=3": "did you mean regime.attack.steps?",
}


@pytest.mark.parametrize("override", MEANT)
def test_the_whole_key_of_an_unknown_one_is_suggested(override: str) -> None:
    with pytest.raises(InvalidRecord) as caught:
        load("robgan/digits", [override])
    assert caught.value.cause.endswith(f"unknown key; {MEANT[override]}")


@pytest.mark.parametrize(
    ("override", "remedy"),
    [
        ("feedback.probability=0.4", "probability is a key of feedback=flip; "),
        ("optimizers.generator.momentum=0.9", "momentum is a key of optimizers.generator=sgd; "),
        ("feedback.perturbations=[{perturbation: flip, probability: 0.1, odds: 1}]", ""),
        ("feedback.perturbations=[{perturbation: {name: flip, odds: 1}, probability: 0.1}]", ""),
        ("regime.attack.momentum=0.9", ""),
    ],
)
def test_a_key_of_another_member_of_the_family_is_told(override: str, remedy: str) -> None:
    with pytest.raises(InvalidRecord) as caught:
        load("dishonest/images", ["regime=symmetric", override])
    assert caught.value.remedy == f"{remedy}`sparring show RECIPE` prints every key"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("steps: 1\nsteps: 2\n", "line 2: key given twice: steps"),
        ("a: &a [1]\nb: *a\n", "line 1: no anchors and aliases"),
        ("a: !!python/object/apply:os.system [ls]\n", "line 1"),
        ("data:\n\tname: ring\n", "line 2"),
        ("a: [1\nb: 2\n", "line 2"),
        ("1: a\n", "a key should be a word"),
        ("- steps: 1\n", "a mapping of keys, not list"),
        ("", "a mapping of keys"),
        ("\x00", "not YAML"),
        ("extends: dishonest/rimg\n", "did you mean dishonest/ring"),
        ("extends: recipe.yaml\n", "extends it"),
        ("extends: dishonest/ring\nsteps.more: 1\n", "steps holds no keys"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(UsageError) as caught:
        load(str(tmp_path / "recipe.yaml"))
    assert words in caught.value.cause
    assert "recipe.yaml" in caught.value.cause


@pytest.mark.parametrize(
    ("name", "words"),
    [("dishonest/rimg", "did you mean dishonest/ring?"), ("nowhere.yaml", "no such file"), ("/", "not a file")],
)
def test_a_recipe_that_is_not_there_is_refused(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        load(name)


def test_the_recipe_of_a_run_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("{}")
    with pytest.raises(UsageError, match="a run folder, not a recipe") as caught:
        load(str(tmp_path))
    assert str(tmp_path / "recipe.yaml") in caught.value.remedy


def test_every_malformed_override_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        load("dishonest/ring", ["steps", "=3", "generator.hidden.0=3", "seed=1"])
    assert [line.split(":")[0].split(" is ")[0] for line in caught.value.cause.splitlines()] == [
        "'steps'",
        "'=3'",
        "generator.hidden.0",
    ]


def test_a_recipe_may_extend_another(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    child, grandchild = tmp_path / "child.yaml", tmp_path / "below" / "grandchild.yaml"
    child.write_text("extends: dishonest/ring\nfeedback.probability: 0.1\nsteps: 7\n")
    grandchild.write_text("extends: ../child.yaml\nsteps: 8\nregime.attack.epsilon: 2/255\nregime: symmetric\n")
    recipe = load(str(grandchild), ["batch_size=3"])
    expected = ["feedback.probability=0.1", "steps=8", "regime={name: symmetric, attack: {name: fgsm, epsilon: 2/255}}"]
    assert recipe == load("dishonest/ring", [*expected, "batch_size=3"]).model_copy(update={"planned_steps": None})


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-4", 1e-4), ("1.5", 1.5), ("3", 3), ("no", "no"), ("true", True), ("010", "010"), ("1_0", "1_0")],
)
def test_yaml_numbers_are_what_they_look_like(text: str, value: Any) -> None:
    assert parse_yaml(text, "value") == value
    assert type(parse_yaml(text, "value")) is type(value)


def test_keys_below_what_a_piece_leaves_out_can_be_changed(short: Callable[..., Recipe]) -> None:
    recipe = short("regime=mixed", "regime.attack.epsilon=0.25", "regime.attack.ball.name=l2")
    assert recipe == short("regime={name: mixed, attack: {name: direct, epsilon: 0.25, ball: l2}}")


def test_another_piece_takes_its_own_defaults() -> None:
    assert load("dat/cifar10-dcgan", ["regime.attack.name=fgsm"]) == load("dat/cifar10-dcgan", ["regime.attack=fgsm"])


def test_a_path_of_data_may_have_keys() -> None:
    data = load("robgan/digits", ["data=stores/mine", "data.share=0.1"]).data
    assert data == Store(path="stores/mine", share=0.1)


def test_a_piece_and_its_name_come_before_the_keys_below_it(short: Callable[..., Recipe]) -> None:
    wanted = short("feedback={name: flip, probability: 0.4}")
    for piece in ("feedback=flip", "feedback.name=flip"):
        assert short("feedback.probability=0.4", piece) == short(piece, "feedback.probability=0.4") == wanted
    keys = {"feedback.probability": 0.4, "feedback.name": "flip"}
    assert with_keys({}, keys) == with_keys({}, dict(reversed(keys.items())))


@pytest.mark.parametrize(("probability", "warned"), [(0.0, False), (0.49, False), (0.5, True), (0.9, True)])
def test_a_dishonest_majority_is_warned_of(probability: float, warned: bool) -> None:
    warnings = load("dishonest/ring", [f"feedback.probability={probability}"]).warnings()
    assert bool(warnings) is warned
    assert all("no theorem covers" in warning for warning in warnings)


def test_null_is_no_running_mean() -> None:
    recipe = load("robgan/digits", ["ema=null"])
    assert recipe == load("robgan/digits", ["ema=0"])
    assert "\nema: 0.0\n" in to_yaml(recipe)
    schema = jsonschema.Draft202012Validator(json_schema(Recipe) | {"required": []})
    assert schema.is_valid({"ema": None})
    assert not schema.is_valid({"ema": 1})


def test_the_schema_knows_every_key_and_member() -> None:
    schema = json_schema(Recipe)
    assert set(schema["properties"]) == set(Recipe.model_fields)
    text = json.dumps(schema)
    assert "$family" not in text
    for family in FAMILIES:
        names = schema["$defs"][family]["anyOf"][0]["enum"]
        assert names == list(members(FAMILIES[family]))


def test_the_schema_accepts_the_recipes_and_refuses_mistakes() -> None:
    validator = jsonschema.Draft202012Validator(json_schema(AnyRecipe))
    for name in recipe_names():
        validator.validate(load(name).model_dump(mode="json"))
    whole = load("dishonest/ring").model_dump(mode="json")
    for mistake in ({"objective": {"name": "hinge", "margn": 1.0}}, {"feedback": {"name": "flip"}}):
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(whole | mistake)

"""Grids of recipes, and which of their cells share a run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparring.core.errors import UsageError
from sparring.recipes import unvalidated
from sparring.sweeps.grid import Cell, cells_of, packs, parse_grid

RING = "dishonest/ring-small"


def cells(*words: str) -> list[Cell]:
    return cells_of(unvalidated(RING), parse_grid(words), RING)


@pytest.mark.parametrize(
    ("word", "key", "values"),
    [
        ("seed=0..3", "seed", (0, 1, 2, 3)),
        ("seed=5,7..8", "seed", (5, 7, 8)),
        ("a.b=0.1,1e-3,true,null,sqrt", "a.b", (0.1, 1e-3, True, None, "sqrt")),
        ("hidden=[16, 16],[32]", "hidden", ([16, 16], [32])),
        ("objective={name: hinge, margin: 2.0},log", "objective", ({"name": "hinge", "margin": 2.0}, "log")),
        ("description='a, b'", "description", ("a, b",)),
        ("offset=-1..1", "offset", (-1, 0, 1)),
    ],
)
def test_values_of_a_key(word: str, key: str, values: tuple[Any, ...]) -> None:
    assert parse_grid([word]) == {key: values}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seed"], "not KEY=VALUES"),
        (["=1"], "not KEY=VALUES"),
        (["seed=0", "seed=1"], "given twice"),
        (["seed=3..1"], "range is empty"),
        (["seed=0..2,1"], "a value is given twice"),
        (["seed="], "no values"),
        (["seed=0..99999999"], "more than 10,000 values"),
        (["seed=[1"], "seed="),
    ],
)
def test_mistakes_in_a_grid_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_grid(words)


def test_every_combination_is_a_cell_the_last_key_fastest() -> None:
    found = cells("objective=log,square_root", "feedback.probability=0.0,0.4", "seed=3..4")
    assert [cell.index for cell in found] == list(range(8))
    assert [(cell.recipe.objective.name, cell.settings["seed"]) for cell in found[2:5]] == [
        ("log", 3),
        ("log", 4),
        ("square_root", 3),
    ]
    assert [cell.recipe.seed for cell in found] == [3, 4] * 4
    assert list(found[0].settings) == ["objective", "feedback.probability", "seed"], "keys that vary"


def test_a_piece_comes_before_the_keys_below_it_whatever_the_order() -> None:
    words = ("regime.attack.epsilon=2/255,8/255", "regime=symmetric")
    for order in (words, words[::-1]):
        found = [cell.recipe for cell in cells(*order)]
        assert [each.regime.name for each in found] == ["symmetric"] * 2  # type: ignore[union-attr]
        assert [each.regime.attack.epsilon for each in found] == pytest.approx([2 / 255, 8 / 255])  # type: ignore[union-attr]


def test_a_cell_is_one_game_even_if_the_recipe_has_replicas() -> None:
    assert [(cell.recipe.seed, cell.recipe.replicas) for cell in cells()] == [(0, 1)]
    assert [(cell.recipe.seed, cell.recipe.replicas) for cell in cells("seed=7,8")] == [(7, 1), (8, 1)]
    with pytest.raises(UsageError, match="replicas: a sweep chooses"):
        cells("replicas=2")


def test_the_first_cell_with_mistakes_is_named() -> None:
    with pytest.raises(UsageError, match=r"cell 4 \(objective=hinje batch_size=16 seed=0\): .*did you mean hinge\?"):
        cells("objective=log,hinje", "batch_size=16,32", "seed=0,1")
    with pytest.raises(UsageError, match="more than 10,000"):
        cells("seed=0..9999", "steps=1,2")


@given(
    seeds=st.lists(st.integers(0, 12), min_size=1, max_size=6, unique=True),
    objectives=st.integers(1, 3),
    workers=st.integers(1, 9),
    seeds_first=st.booleans(),
)
@settings(deadline=None, max_examples=20)
def test_packs_hold_every_cell_once_and_train_the_same_games(
    seeds: list[int], objectives: int, workers: int, seeds_first: bool
) -> None:
    words = [f"objective={','.join(['log', 'linear', 'square_root'][:objectives])}"]
    words.insert(0 if seeds_first else 1, f"seed={','.join(map(str, seeds))}")
    found = cells(*words)
    made = packs(found, workers)
    assert sorted(cell.index for pack in made for cell in pack.cells) == list(range(len(found)))
    assert len({pack.name for pack in made}) == len(made), "names differ"
    for pack in made:
        assert pack.recipe.replicas == len(pack.cells)
        for game, cell in enumerate(pack.cells):
            assert pack.recipe.model_copy(update={"replicas": 1, "seed": pack.recipe.seed + game}) == cell.recipe
    assert len(made) >= min(workers, len(found)), "no worker is idle while a run could be divided"


def test_consecutive_seeds_are_packed_and_nothing_else() -> None:
    def sizes(*words: str, workers: int = 1) -> list[int]:
        return [len(pack.cells) for pack in packs(cells(*words), workers)]

    assert sizes("seed=0..2") == [3]
    assert sizes("seed=0..2,4") == [3, 1]
    assert sizes("feedback.probability=0.1,0.3", "seed=0,1") == [2, 2]
    assert sizes("seed=0..199") == [50] * 4
    assert sizes("seed=0..6", workers=3) == [2, 2, 3]
    images = ("data=digits", "generator={name: mnist, latent: 4}", "discriminator={name: mnist}", "seed=0..1")
    assert sizes(*images) == [1, 1], "convolutional networks are not packed"
    kernels = "optimizers.generator={name: sgd, lr: 0.1, weight_decay: 1e-4, decayed: kernels}"
    assert sizes(kernels, "seed=0..1") == [1, 1], "packed biases have as many axes as kernels"

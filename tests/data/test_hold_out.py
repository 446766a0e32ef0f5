"""Held-out parts: the same share of every class, the same images for the same seed, none in both parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_layouts import images, png, write_folder
from sparring.core.errors import CorruptInput, UsageError
from sparring.data import Selection, StoreManifest, prepare

SIZES = {"ant": 20, "bee": 9, "cat": 2, "dog": 1}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder of four classes of different sizes."""
    pixels = iter(images(sum(SIZES.values()), 6, 6))
    files = {f"{name}/{index:02}.png": png(next(pixels)) for name, count in SIZES.items() for index in range(count)}
    return write_folder(tmp_path / "source", files)


def arrays(store: Path, manifest: StoreManifest) -> dict[str, Any]:
    return {name: np.load(store / name / "samples.npy") for name in manifest.splits}


def test_the_same_share_of_every_class_is_held_out(source: Path, tmp_path: Path) -> None:
    made = {}
    for name, fraction, seed in (("a", 0.25, 0), ("b", 0.25, 0), ("c", 0.25, 1), ("all", 0, 0)):
        store, selection = tmp_path / name, Selection(test_fraction=fraction, seed=seed)
        manifest = prepare(str(source), store, selection=selection)
        made[name] = manifest, arrays(store, manifest)
    manifest, splits = made["a"]
    assert manifest.splits["test"].per_class == (5, 2, 1, 0)
    assert manifest.splits["train"].per_class == (15, 7, 1, 1)
    assert (manifest.selection.test_fraction, manifest.selection.seed) == (0.25, 0)
    assert made["b"][0].fingerprint == manifest.fingerprint != made["c"][0].fingerprint
    assert made["c"][0].splits["test"].per_class == (5, 2, 1, 0)
    both = [each.tobytes() for split in splits.values() for each in split]
    assert sorted(both) == sorted(each.tobytes() for each in made["all"][1]["train"])
    assert len(set(both)) == len(both)


def test_images_without_classes_are_one_class(tmp_path: Path) -> None:
    source = write_folder(
        tmp_path / "source", {f"{index}.png": png(each) for index, each in enumerate(images(10, 4, 4))}
    )
    manifest = prepare(str(source), tmp_path / "store", selection=Selection(test_fraction=0.2))
    assert {name: split.count for name, split in manifest.splits.items()} == {"train": 8, "test": 2}


def test_a_test_split_of_its_own_is_kept(tmp_path: Path) -> None:
    digits = prepare("digits", tmp_path / "digits")
    assert {name: split.count for name, split in digits.splits.items()} == {"train": 1437, "test": 360}
    assert digits.selection.test_fraction is None
    assert digits.what_is_held_out == "360 images are held out for evaluation"


def test_what_cannot_be_held_out(source: Path, tmp_path: Path, sparring: Any) -> None:
    with pytest.raises(UsageError, match="a test split of its own"):
        prepare("digits", tmp_path / "store", selection=Selection(test_fraction=0.1))
    files = {f"{name}/1.png": png(each) for name, each in zip("ab", images(2, 4, 4), strict=True)}
    one_each = str(write_folder(tmp_path / "one", files))
    for fraction in (0.1, None):
        with pytest.raises(CorruptInput, match=r"train: 2 samples, with no two of a class.*--test-fraction 0"):
            prepare(one_each, tmp_path / "store", selection=Selection(test_fraction=fraction))
    assert not (tmp_path / "store").exists()
    assert prepare(one_each, tmp_path / "store", selection=Selection(test_fraction=0)).splits["train"].count == 2
    told = sparring("data", "prepare", source, "--out", tmp_path / "other", "--test-fraction", "1.5")
    assert told.code == 2 and "test_fraction = 1.5: should be less than 1" in told.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--test-fraction", "0.25", "--seed", 3], "8 images are held out for evaluation, 0.25 of every class"),
        ([], "4 images are held out for evaluation, 0.1 of every class"),
        (["--test-fraction", "0"], "no images are held out for evaluation"),
    ],
)
def test_the_command_line_says_what_is_held_out(
    options: list[Any], said: str, source: Path, tmp_path: Path, sparring: Any
) -> None:
    told = sparring("data", "prepare", source, "--out", tmp_path / "store", *options)
    assert told.code == 0 and f"\n{said}\n" in told.out

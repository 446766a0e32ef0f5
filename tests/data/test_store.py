"""Prepared stores: planted damage is found, all of it in one error, when a store is opened; and what it then gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from data_layouts import LABELS, Bytes, found_all, images, png, write_folder, write_parquet
from sparring.core.errors import CorruptInput, UsageError
from sparring.core.files import sha256
from sparring.core.randomness import Rng, Streams
from sparring.data import Selection, Source, Store, are_classes_of, describe, prepare, verify

GREY = images(6, 5, 4)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A sound store of six images."""
    np.savez(tmp_path / "pets.npz", x_train=GREY, y_train=LABELS, x_test=GREY, y_test=LABELS)
    prepare(str(tmp_path / "pets.npz"), tmp_path / "store")
    return tmp_path / "store"


def opened(path: Path) -> Source:
    return Store(path=str(path)).open(torch.device("cpu"))


def test_a_flipped_bit_is_found(store: Path) -> None:
    file = store / "test" / "samples.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    for check in (verify, describe, opened):
        with pytest.raises(CorruptInput, match=r"test/samples\.npy: its SHA-256 is not the manifest's"):
            check(store)


def test_all_damage_of_a_store_is_reported_in_one_error(store: Path) -> None:
    samples = store / "train" / "samples.npy"
    samples.write_bytes(samples.read_bytes()[:-1])
    (store / "train" / "labels.npy").unlink()
    np.save(store / "test" / "labels.npy", np.array([0, 0, 0, 0, 0, 1]))
    with pytest.raises(CorruptInput) as caught:
        opened(store)
    found_all(
        caught.value.cause,
        "train/samples.npy: 247 bytes, but the manifest says 248",
        "train/labels.npy: missing",
        "test/labels.npy: its SHA-256 is not the manifest's",
    )


def test_a_pickle_in_a_store_is_never_read(store: Path) -> None:
    file = store / "train" / "labels.npy"
    manifest = (store / "manifest.json").read_text()
    before = file.stat().st_size, sha256(file)
    np.save(file, np.array([{}], dtype=object), allow_pickle=True)
    for old, new in zip(before, (file.stat().st_size, sha256(file)), strict=True):
        manifest = manifest.replace(str(old), str(new))
    (store / "manifest.json").write_text(manifest)
    with pytest.raises(CorruptInput, match=r"train/labels\.npy: Array can't be memory-mapped: Python objects in dtype"):
        opened(store)


def _set(*path: str, value: object) -> Callable[[str], str]:
    def edit(text: str) -> str:
        whole = json.loads(text)
        place = whole
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        return json.dumps(whole)

    return edit


@pytest.mark.parametrize(
    ("edit", "messages"),
    [
        (lambda text: text[:-20], ["manifest.json: ", "Invalid JSON"]),
        (_set("format", value=2), ["format = 2"]),
        (_set("shape", value=[1, 4, 5]), ["train/samples.npy: holds (6, 1, 5, 4)", "test/samples.npy"]),
        (_set("splits", "train", "count", value=7), ["train/samples.npy", "train/labels.npy"]),
        (_set("splits", "../up", value={}), ["../up"]),
        (_set("colour", value="red"), ["colour = 'red': unknown key"]),
    ],
)
def test_a_manifest_that_does_not_hold(store: Path, edit: Callable[[str], str], messages: list[str]) -> None:
    file = store / "manifest.json"
    file.write_text(edit(file.read_text()))
    with pytest.raises(CorruptInput) as caught:
        verify(store)
    for message in messages:
        assert message in caught.value.cause


def test_paths_that_are_no_store(store: Path) -> None:
    write_parquet(store.parent / "raw" / "train.parquet", [png(each) for each in GREY], LABELS)
    for path in ("raw", "none"):
        with pytest.raises(UsageError, match=f"{path}: (no such data|not a prepared store)") as caught:
            opened(store.parent / path)
        assert "sparring data prepare" in caught.value.remedy


def test_an_unknown_split_suggests_the_nearest(store: Path) -> None:
    with pytest.raises(UsageError, match="no such split") as caught:
        Store(path=str(store), split="tset").open(torch.device("cpu"))
    assert caught.value.remedy == "did you mean test?"


def test_description_and_batches_agree(store: Path) -> None:
    split = describe(store)["splits"]["train"]
    source = opened(store)
    assert source.facts.fingerprint == opened(store).facts.fingerprint
    samples = source.batch(0, 6, Streams(0)).samples.double()
    assert split["count"] == 6
    np.testing.assert_allclose(split["mean"], samples.mean((0, 2, 3)), atol=1e-6)
    np.testing.assert_allclose(split["std"], samples.std((0, 2, 3), correction=0), atol=1e-6)
    np.testing.assert_allclose(split["range"], [samples.min(), samples.max()], atol=1e-6)


@pytest.mark.parametrize(("split", "held"), [("test", 2), ("val", 2), (None, 0)])
def test_evaluation_takes_the_test_or_validation_split(tmp_path: Path, split: str | None, held: int) -> None:
    names = ("train/a.png", "train/b.png") + ((f"{split}/c.png",) if split else ())
    files = {name: png(pixels) for name, pixels in zip(names, GREY, strict=False)}
    prepare(str(write_folder(tmp_path / "faces", files)), tmp_path / "store", selection=Selection(test_fraction=0))
    batch = opened(tmp_path / "store").held_out(9, rng=Rng.of(0)).samples
    wanted = GREY[held : len(names)]
    assert {each.tobytes() for each in as_bytes(batch)} == {each.tobytes() for each in wanted}


def as_bytes(samples: torch.Tensor) -> Bytes:
    return ((samples + 1) * 127.5).round().byte().numpy()[:, 0]


@pytest.mark.parametrize(
    ("names", "fits"),
    [
        (("cat", "dog"), True),
        (("0", "1"), True),
        (("dog", "cat"), False),
        (("cat", "fox"), False),
        (("0", "dog"), False),
    ],
)
def test_labels_mean_classes_by_their_names_or_their_numbers(names: tuple[str, ...], fits: bool) -> None:
    assert are_classes_of(names, ("cat", "dog")) == fits

"""Prepared stores: planted damage is found, all of it at once, before the first step; and what an opened one gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import sparring.data.store as store_module
from data_layouts import found_all, images, png, write_parquet
from sparring.core.errors import CorruptInput, UsageError
from sparring.core.randomness import Streams
from sparring.data import Store, describe, inspect, prepare, verify

GREY = images(6, 5, 4)
LABELS = [0, 1, 1, 0, 1, 1]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A sound store of six images."""
    np.savez(tmp_path / "pets.npz", x_train=GREY, y_train=LABELS, x_test=GREY, y_test=LABELS)
    prepare(str(tmp_path / "pets.npz"), tmp_path / "store")
    return tmp_path / "store"


def test_a_flipped_bit_is_found_by_verify(store: Path) -> None:
    file = store / "test" / "samples.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    inspect(store)
    for check in (verify, describe):
        with pytest.raises(CorruptInput, match=r"test/samples\.npy: its SHA-256 is not the manifest's"):
            check(store)


def test_all_damage_of_a_store_is_told_at_once(store: Path) -> None:
    samples = store / "train" / "samples.npy"
    samples.write_bytes(samples.read_bytes()[:-1])
    (store / "train" / "labels.npy").unlink()
    np.save(store / "test" / "labels.npy", np.array([0, 0, 0, 0, 0, 1]))
    content = bytearray((store / "test" / "samples.npy").read_bytes())
    content[8:20] = b"junk junk ju"
    (store / "test" / "samples.npy").write_bytes(content)
    with pytest.raises(CorruptInput) as caught:
        Store(path=str(store)).open(torch.device("cpu"))
    found_all(
        caught.value.cause,
        "train/samples.npy: 247 bytes, but the manifest says 248",
        "train/labels.npy: missing",
        "test/samples.npy: its header says that it takes 30,058 bytes",
        "test/labels.npy: its SHA-256 is not the manifest's",
    )


def test_a_flipped_byte_is_found_when_a_store_is_opened(store: Path) -> None:
    samples = store / "test" / "samples.npy"
    content = bytearray(samples.read_bytes())
    content[-1] ^= 1
    samples.write_bytes(content)
    with pytest.raises(CorruptInput, match=r"test/samples\.npy: its SHA-256"):
        Store(path=str(store)).open(torch.device("cpu"))


def test_labels_are_checked_without_hashing(store: Path) -> None:
    np.save(store / "train" / "labels.npy", np.array([0, 0, 0, 0, 0, 7]))
    with pytest.raises(CorruptInput, match=r"train/labels\.npy\[5\]: label 7, where 0 to 1 is allowed"):
        inspect(store)
    np.save(store / "train" / "labels.npy", np.array([0, 0, 0, 0, 0, 1]))
    with pytest.raises(CorruptInput, match=r"train/labels\.npy: its counts per class are not the manifest's"):
        inspect(store)


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_pickle_in_a_store_is_never_run(store: Path, wrapped: bool) -> None:
    file = store / "train" / "labels.npy"
    size = file.stat().st_size
    file.write_bytes(b"cos\nmkdir\n(S'" + str(store / "sprung").encode() + b"'\ntR.")
    if wrapped:
        np.save(file, np.array([{}], dtype=object), allow_pickle=True)
    manifest = (store / "manifest.json").read_text()
    (store / "manifest.json").write_text(manifest.replace(f'"bytes": {size}', f'"bytes": {file.stat().st_size}'))
    with pytest.raises(CorruptInput, match="objects, which only a pickle holds" if wrapped else "not a .npy file"):
        inspect(store)
    assert not (store / "sprung").exists()


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
        (lambda text: text[:-20], ["manifest.json: not JSON"]),
        (lambda text: "", ["manifest.json: not JSON"]),
        (_set("format", value=2), ["format = 2"]),
        (_set("shape", value=[1, 5]), ["shape"]),
        (_set("shape", value=[1, 4, 5]), ["train/samples.npy: holds uint8 (6, 1, 5, 4)", "test/samples.npy"]),
        (_set("splits", "train", "count", value=7), ["add up to 7", "train/samples.npy", "train/labels.npy"]),
        (_set("splits", "train", "labels", value=None), ["labels without classes, or classes without labels"]),
        (_set("classes", value=["cat"]), ["train has 2 class counts for 1", "test has 2 class counts for 1"]),
        (_set("splits", "../up", value={}), ["../up"]),
        (_set("colour", value="red"), ["colour = 'red': unknown key"]),
    ],
)
def test_a_manifest_that_does_not_hold(store: Path, edit: Callable[[str], str], messages: list[str]) -> None:
    file = store / "manifest.json"
    file.write_text(edit(file.read_text()))
    with pytest.raises(CorruptInput) as caught:
        inspect(store)
    for message in messages:
        assert message in caught.value.cause


def test_a_missing_manifest_is_damage(store: Path) -> None:
    (store / "manifest.json").unlink()
    with pytest.raises(CorruptInput, match=r"manifest\.json: missing"):
        inspect(store)


def test_paths_that_are_no_store(store: Path) -> None:
    write_parquet(store.parent / "raw" / "train.parquet", [png(each) for each in GREY], LABELS)
    for path, remedy in (("raw", "run `sparring data prepare"), ("none", "check the path")):
        with pytest.raises(UsageError) as caught:
            Store(path=str(store.parent / path)).open(torch.device("cpu"))
        assert remedy in caught.value.remedy


def test_an_unknown_split_suggests_the_nearest(store: Path) -> None:
    with pytest.raises(UsageError, match="no such split") as caught:
        Store(path=str(store), split="tset").open(torch.device("cpu"))
    assert caught.value.remedy == "did you mean test?"


def test_held_out_comes_from_the_test_split(tmp_path: Path) -> None:
    for name, arrays in (("both", {"x_train": GREY, "x_test": GREY[:2] // 2}), ("one", {"x": GREY})):
        np.savez(tmp_path / f"{name}.npz", **arrays)
        prepare(str(tmp_path / f"{name}.npz"), tmp_path / name)
        source = Store(path=str(tmp_path / name)).open(torch.device("cpu"))
        rng = Streams(0).rng("evaluation")
        held = ((source.held_out(9, rng=rng).samples + 1) * 127.5).round().byte().numpy()[:, 0]
        expected = arrays.get("x_test", GREY)
        assert {each.tobytes() for each in held} == {each.tobytes() for each in expected}


@pytest.mark.parametrize("swapped_while", ["opened", "checked"])
def test_a_store_put_in_the_place_of_another_is_not_trained_on(
    store: Path, swapped_while: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(store.parent / "others.npz", x_train=255 - GREY, y_train=LABELS, x_test=GREY, y_test=LABELS)
    prepare(str(store.parent / "others.npz"), store.parent / "other")

    def swap() -> None:
        store.rename(store.parent / "gone")
        (store.parent / "other").rename(store)

    if swapped_while == "checked":
        tensors = store_module._tensors
        swaps = iter([swap])
        monkeypatch.setattr(store_module, "_tensors", lambda arrays: (next(swaps, lambda: None)(), tensors(arrays))[1])
    source = Store(path=str(store)).open(torch.device("cpu"))
    if swapped_while == "opened":
        swap()
    bytes_ = ((source.batch(0, 6, Streams(0)).samples + 1) * 127.5).round().byte().numpy()[:, 0]
    assert {each.tobytes() for each in bytes_} == {each.tobytes() for each in GREY}
    assert Store(path=str(store)).open(torch.device("cpu")).facts.fingerprint != source.facts.fingerprint

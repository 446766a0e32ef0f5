"""Every layout of a source, built small, prepared and read back byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from data_layouts import Bytes, images, png, write_folder, write_idx, write_parquet
from sparring.core.errors import SparringError, UsageError
from sparring.core.randomness import Rng, Streams
from sparring.data import Manifest, Store, describe, load_digits, prepare, verify
from sparring.data.faults import Faults
from sparring.data.sources.npz import _scaled
from sparring.data.sources.rows import Rows

GREY = images(6, 5, 4)
COLOUR = images(6, 5, 4, 3)
LABELS = [0, 1, 1, 0, 1, 1]


def check(out: Path, manifest: Manifest, split: str, pixels: Bytes, labels: list[int] | None) -> None:
    """The store holds these images, `(n, channels, height, width)`, and these labels."""
    assert verify(out) == manifest
    np.testing.assert_array_equal(np.load(out / split / "samples.npy"), pixels)
    if labels is None:
        assert not (out / split / "labels.npy").exists()
        assert manifest.classes == ()
    else:
        np.testing.assert_array_equal(np.load(out / split / "labels.npy"), labels)
        counts = tuple(labels.count(index) for index in range(len(manifest.classes)))
        assert manifest.splits[split].per_class == counts
    assert manifest.splits[split].count == len(pixels)


def test_parquet_folder_with_class_names(tmp_path: Path) -> None:
    source, out = tmp_path / "pets", tmp_path / "deep" / "store"
    first, second = [png(each) for each in GREY[:4]], [png(each) for each in GREY[4:]]
    write_parquet(source / "data" / "train-00000-of-00002.parquet", first, LABELS[:4])
    write_parquet(source / "data" / "train-00001-of-00002.parquet", second, LABELS[4:])
    write_parquet(source / "data" / "test-00000-of-00001.parquet", first, LABELS[:4])
    ticks: list[tuple[int, int]] = []
    manifest = prepare(str(source), out, progress=lambda done, total: ticks.append((done, total)))
    assert (manifest.source, manifest.classes, manifest.shape) == ("pets", ("cat", "dog"), (1, 5, 4))
    assert list(manifest.splits) == ["train", "test"]
    assert ticks == [(10, 10)]
    check(out, manifest, "train", GREY[:, None], LABELS)
    check(out, manifest, "test", GREY[:4, None], LABELS[:4])
    assert str(tmp_path) not in (out / "manifest.json").read_text()
    assert sorted(path.name for path in source.rglob("*.*")) == sorted(path.name for path in source.rglob("*.parquet"))


@pytest.mark.parametrize("columns", [("img", "fine_label"), ("image", "labels"), ("picture", "kind")])
@pytest.mark.parametrize("names", [("cat", "dog"), None])
def test_parquet_file_with_other_columns(tmp_path: Path, columns: tuple[str, str], names: Any) -> None:
    contents = [png(each) for each in COLOUR]
    source = write_parquet(tmp_path / "pets.parquet", contents, LABELS, columns=columns, names=names)
    manifest = prepare(str(source), tmp_path / "store")
    assert manifest.classes == (names or ("0", "1"))
    check(tmp_path / "store", manifest, "train", COLOUR.transpose(0, 3, 1, 2), LABELS)


def test_parquet_without_labels(tmp_path: Path) -> None:
    source = write_parquet(tmp_path / "train.parquet", [png(each) for each in GREY], None)
    manifest = prepare(str(source), tmp_path / "store")
    check(tmp_path / "store", manifest, "train", GREY[:, None], None)
    assert Store(path=str(tmp_path / "store")).open(torch.device("cpu")).batch(0, 4, Streams(0)).labels is None


def test_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    rows = {"image": [{"bytes": png(each), "path": None} for each in GREY], "label": LABELS}
    table = datasets.Dataset.from_dict(rows, features=features)
    asked: list[str] = []
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda self, name, timeout: asked.append(name))
    monkeypatch.setattr(datasets, "load_dataset", lambda name: datasets.DatasetDict(train=table, test=table))
    manifest = prepare("someone/pets", tmp_path / "store")
    assert asked == ["someone/pets"]
    assert (manifest.source, manifest.classes) == ("someone/pets", ("cat", "dog"))
    check(tmp_path / "store", manifest, "test", GREY[:, None], LABELS)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / "raw"
    for word, split in (("train", GREY), ("t10k", GREY[2:])):
        write_idx(source / f"{word}-images-idx3-ubyte{suffix}", split)
        write_idx(source / f"{word}-labels-idx1-ubyte{suffix}", np.array(LABELS[-len(split) :], np.uint8))
    manifest = prepare(str(source), tmp_path / "store")
    check(tmp_path / "store", manifest, "train", GREY[:, None], LABELS)
    check(tmp_path / "store", manifest, "test", GREY[2:, None], LABELS[2:])


def test_idx_beside_its_gzipped_twin(tmp_path: Path) -> None:
    for suffix in ("", ".gz"):
        write_idx(tmp_path / "raw" / f"train-images-idx3-ubyte{suffix}", GREY)
    manifest = prepare(str(tmp_path / "raw"), tmp_path / "store")
    check(tmp_path / "store", manifest, "train", GREY[:, None], None)


@pytest.mark.parametrize("prefix", ["", "train/"])
def test_image_folder_with_classes(tmp_path: Path, prefix: str) -> None:
    files = {f"{prefix}{'cd'[label]}/{index}.png": png(GREY[index]) for index, label in enumerate(LABELS)}
    files |= {f"{prefix}.hidden/x.png": b"x", f"{prefix}c/.thumb.png": b"x", "notes.txt": b"x"}
    if prefix:
        files |= {"test/c/a.png": png(GREY[0]), "test/d/nested/b.PNG": png(GREY[1])}
    manifest = prepare(str(write_folder(tmp_path / "pets", files)), tmp_path / "store")
    order = sorted(range(6), key=lambda index: (LABELS[index], index))
    assert manifest.classes == ("c", "d")
    check(tmp_path / "store", manifest, "train", GREY[order][:, None], [LABELS[index] for index in order])
    if prefix:
        check(tmp_path / "store", manifest, "test", GREY[:2, None], [0, 1])


def test_image_folder_without_classes(tmp_path: Path) -> None:
    files = {f"{index}.png": png(each) for index, each in enumerate(COLOUR)}
    manifest = prepare(str(write_folder(tmp_path / "faces", files)), tmp_path / "store")
    check(tmp_path / "store", manifest, "train", COLOUR.transpose(0, 3, 1, 2), None)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("x y, N H W", lambda: {"x": GREY, "y": LABELS}),
        ("images labels, N C H W", lambda: {"images": GREY[:, None], "labels": np.array(LABELS, np.int16)}),
        ("samples labels, N H W C", lambda: {"samples": GREY[..., None], "labels": LABELS}),
        ("floats in [0, 1]", lambda: {"x": (GREY / 255).astype(np.float32), "y": LABELS}),
        ("doubles in [-1, 1]", lambda: {"x": GREY / 127.5 - 1, "y": LABELS}),
        ("both splits", lambda: {"x_train": GREY, "y_train": LABELS, "x_test": GREY[:3], "y_test": LABELS[:3]}),
    ],
)
def test_npz(tmp_path: Path, name: str, make: Callable[[], dict[str, Any]]) -> None:
    arrays = make()
    np.savez(tmp_path / "pets.npz", **arrays)
    manifest = prepare(str(tmp_path / "pets.npz"), tmp_path / "store")
    check(tmp_path / "store", manifest, "train", GREY[:, None], LABELS)
    if "x_test" in arrays:
        check(tmp_path / "store", manifest, "test", GREY[:3, None], LABELS[:3])


def test_npz_in_colour(tmp_path: Path) -> None:
    for name, array in (("last", COLOUR), ("first", COLOUR.transpose(0, 3, 1, 2))):
        np.savez_compressed(tmp_path / f"{name}.npz", x=array)
        manifest = prepare(str(tmp_path / f"{name}.npz"), tmp_path / name)
        check(tmp_path / name, manifest, "train", COLOUR.transpose(0, 3, 1, 2), None)


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=4, max_dims=4, max_side=3)), st.sampled_from(["f4", "f8"]))
@settings(deadline=None, max_examples=60)
def test_floats_are_bytes_or_refused(pixels: Bytes, kind: str) -> None:
    faults = Faults()

    def scaled(array: np.ndarray) -> Bytes | None:
        rows = _scaled("train", Rows.of(array.astype(kind)), faults)
        return None if rows is None else np.stack(list(rows))

    np.testing.assert_array_equal(scaled(pixels / 255), pixels)
    if pixels.min() < 128:
        np.testing.assert_array_equal(scaled(pixels / 127.5 - 1), pixels)
    assert not len(faults)
    assert scaled((pixels // 2 + 0.25) / 255) is None


def test_digits(tmp_path: Path) -> None:
    manifest = prepare("digits", tmp_path / "store")
    samples, labels = load_digits()
    spread = np.rint(samples * (255 / 16))
    check(tmp_path / "store", manifest, "train", spread[:1437], labels[:1437].tolist())
    check(tmp_path / "store", manifest, "test", spread[1437:], labels[1437:].tolist())


def test_size_crops_the_middle_and_colours_grey(tmp_path: Path) -> None:
    wide = np.zeros((4, 8, 3), np.uint8)
    wide[:, 2:6] = 200
    files = {"a.png": png(wide), "b.png": png(np.full((4, 4), 7, np.uint8)), "c.png": png(np.full((9, 8), 7, np.uint8))}
    manifest = prepare(str(write_folder(tmp_path / "faces", files)), tmp_path / "store", size=4)
    assert (manifest.size, manifest.shape) == (4, (3, 4, 4))
    samples = np.load(tmp_path / "store" / "train" / "samples.npy")
    assert samples[0].mean() == 200
    assert (samples[1:] == 7).all()


@pytest.mark.parametrize(("mode", "format"), [("1", "PNG"), ("P", "GIF"), ("RGBA", "WEBP"), ("CMYK", "JPEG")])
def test_modes_of_eight_bits_are_converted(tmp_path: Path, mode: str, format: str) -> None:
    stream = BytesIO()
    Image.fromarray(COLOUR[0]).convert(mode).save(stream, format)
    manifest = prepare(str(write_folder(tmp_path / "faces", {"a.png": stream.getvalue()})), tmp_path / "store")
    assert manifest.shape == (1 if mode == "1" else 3, 5, 4)


def test_description_and_batches_agree(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "faces", {f"{i}.png": png(each) for i, each in enumerate(COLOUR)})
    prepare(str(source), tmp_path / "store")
    told = describe(tmp_path / "store")["splits"]["train"]
    opened = Store(path=str(tmp_path / "store")).open(torch.device("cpu"))
    assert opened.facts.fingerprint == Store(path=str(tmp_path / "store")).open(torch.device("cpu")).facts.fingerprint
    samples = opened.held_out(99, rng=Rng.of(0)).samples.double()
    assert told["count"] == 6
    np.testing.assert_allclose(told["mean"], samples.mean((0, 2, 3)), atol=1e-6)
    np.testing.assert_allclose(told["std"], samples.std((0, 2, 3), correction=0), atol=1e-6)
    np.testing.assert_allclose(told["range"], [samples.min(), samples.max()], atol=1e-6)


@pytest.mark.parametrize(
    ("source", "remedy"), [("nothing/at/all", "give a folder"), ("no.npz", "give a folder"), ("unknown", "hub id")]
)
def test_nothing_there(tmp_path: Path, source: str, remedy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(self: object, name: str, timeout: float) -> None:
        raise ConnectionError("no network\nat all")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", unreachable)
    with pytest.raises(UsageError, match=f"^{source}: no such file or folder") as caught:
        prepare(source, tmp_path / "made" / "store")
    assert remedy in caught.value.remedy
    assert "\n" not in caught.value.cause
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_read_or_overwritten(tmp_path: Path) -> None:
    write_folder(tmp_path / "texts", {"a.txt": b"x"})
    store = tmp_path / "store"
    prepare("digits", store)
    cases: list[tuple[str, Path, str]] = [
        (str(tmp_path / "texts"), tmp_path / "out", "nothing here that can be read"),
        (str(store), tmp_path / "out", "a prepared store already"),
        ("digits", store, "exists already"),
    ]
    for source, out, message in cases:
        with pytest.raises(UsageError, match=message):
            prepare(source, out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store", "texts"]


def test_the_extra_is_named_when_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_parquet(tmp_path / "train.parquet", [png(GREY[0])], None)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(SparringError) as caught:
        prepare(str(source), tmp_path / "store")
    assert caught.value.exit_code == 2
    assert caught.value.remedy == "pip install 'sparring[data]'"


@pytest.mark.parametrize("layout", ["folder", "Parquet", "two splits"])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 0, 3, 2)])
def test_with_a_size_grey_among_colour_is_taken_in_any_order(
    tmp_path: Path, order: tuple[int, ...], layout: str
) -> None:
    contents = [(png(GREY[0]), png(COLOUR[0]), png(GREY[1]), png(COLOUR[1]))[index] for index in order]
    named = {
        "folder": {f"{index}.png": content for index, content in enumerate(contents)},
        "Parquet": {},
        "two splits": {f"{('train', 'test')[index % 2]}/{index}.png": each for index, each in enumerate(contents)},
    }
    source = write_folder(tmp_path / "pets", named[layout])
    if layout == "Parquet":
        write_parquet(source / "train.parquet", contents, None)
    manifest = prepare(str(source), tmp_path / "store", size=4)
    assert manifest.shape == (3, 4, 4)
    stored = [np.load(tmp_path / "store" / split / "samples.npy") for split in manifest.splits]
    grey = [bool((image[0] == image[1]).all() and (image[0] == image[2]).all()) for image in np.concatenate(stored)]
    positions = [0, 2, 1, 3] if layout == "two splits" else [0, 1, 2, 3]
    assert grey == [order[position] % 2 == 0 for position in positions]


def test_with_a_size_grey_images_alone_stay_grey(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "faces", {f"{index}.png": png(each) for index, each in enumerate(GREY)})
    assert prepare(str(source), tmp_path / "store", size=4).shape == (1, 4, 4)


@pytest.mark.parametrize("name", ["class_id", "label_idx", "category_id", "Class_Index", "fine_label_id"])
def test_a_number_of_a_class_is_a_label_though_it_is_called_an_id(tmp_path: Path, name: str) -> None:
    contents = [{"bytes": png(each), "path": None} for each in GREY]
    table = pa.table({"image": contents, name: LABELS, "image_id": range(6), "class_person_id": range(6)})
    pq.write_table(table, tmp_path / "train.parquet")
    manifest = prepare(str(tmp_path / "train.parquet"), tmp_path / "store")
    check(tmp_path / "store", manifest, "train", GREY[:, None], LABELS)


@pytest.mark.parametrize("names", [("train", "test"), ("Training", "val"), ("train",)])
def test_folders_without_images_beside_the_splits_are_ignored(tmp_path: Path, names: tuple[str, ...]) -> None:
    files = {
        f"{name}/{'cd'[label]}/{index}.png": png(GREY[index]) for name in names for index, label in enumerate(LABELS)
    }
    files |= {"__MACOSX/train/._0.png": b"x", "docs/readme.txt": b"x"}
    manifest = prepare(str(write_folder(tmp_path / "pets", files)), tmp_path / "store")
    assert manifest.classes == ("c", "d")
    assert len(manifest.splits) == len(names)
    assert manifest.splits["train"].per_class == (2, 4)

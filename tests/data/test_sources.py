"""Every layout of a source, built small, prepared and read back byte for byte."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from data_layouts import (
    DEVKIT_IDS,
    FACES,
    LABELS,
    TRAIN,
    TRUE_LABELS,
    VALIDATION,
    WNIDS,
    Bytes,
    colours,
    images,
    photo,
    png,
    write_celeba,
    write_devkit,
    write_folder,
    write_idx,
    write_imagenet,
    write_lmdb,
    write_parquet,
)
from sparring.core.process import Progress
from sparring.data import Selection, StoreManifest, load_digits, prepare, verify
from sparring.data.faults import Faults
from sparring.data.sources.npz import _levels

GREY = images(6, 5, 4)
COLOUR = images(6, 5, 4, 3)
ROOMS = {f"{hash_:040x}": photo(hash_, format="WEBP" if hash_ % 2 else "JPEG") for hash_ in (7, 3, 5, 2)}
"""By key, not in the order of the keys."""
IN_ORDER = [ROOMS[key] for key in sorted(ROOMS)]
TRAIN_IN_ORDER = [TRAIN[name] for name in sorted(TRAIN)]
TRAIN_LABELS = [0, 0, 1, 1, 2, 2]


def check(
    out: Path, manifest: StoreManifest, split: str, pixels: Bytes | list[bytes], labels: Sequence[int] | None = None
) -> None:
    """The store holds these images, arrays or encoded in colour, in this order, and these labels."""
    assert verify(out) == manifest
    assert manifest.splits[split].count == len(pixels)
    wanted = colours(pixels) if isinstance(pixels, list) else pixels
    np.testing.assert_array_equal(np.load(out / split / "samples.npy"), wanted)
    assert (out / split / "labels.npy").exists() == bool(manifest.classes) == (labels is not None)
    if labels is not None:
        np.testing.assert_array_equal(np.load(out / split / "labels.npy"), labels)
        counts = tuple(list(labels).count(index) for index in range(len(manifest.classes)))
        assert manifest.splits[split].per_class == counts


def prepared(source: Path, **options: Any) -> tuple[Path, StoreManifest]:
    """The store of a source; making it leaves no trace beside the source's files."""
    before = {path: path.stat().st_mtime_ns for path in source.rglob("*")}
    out = source.parent / f"{source.name}-store"
    manifest = prepare(str(source), out, selection=Selection(test_fraction=0), **options)
    assert {path: path.stat().st_mtime_ns for path in source.rglob("*")} == before
    return out, manifest


# Parquet and the hub


def test_parquet_folder_with_class_names(tmp_path: Path) -> None:
    source, out = tmp_path / "pets", tmp_path / "deep" / "store"
    first, second = [png(each) for each in GREY[:4]], [png(each) for each in GREY[4:]]
    write_parquet(source / "data" / "train-00000-of-00002.parquet", first, LABELS[:4])
    write_parquet(source / "data" / "train-00001-of-00002.parquet", second, LABELS[4:])
    write_parquet(source / "data" / "test-00000-of-00001.parquet", first, LABELS[:4])
    ticks: list[tuple[int, int]] = []

    class Counter(Progress):
        def advance(self, done: int, total: int) -> None:
            ticks.append((done, total))

    manifest = prepare(str(source), out, progress=Counter())
    assert (manifest.source, manifest.classes, manifest.shape) == ("pets", ("cat", "dog"), (1, 5, 4))
    assert list(manifest.splits) == ["train", "test"]
    assert ticks == [(10, 10)]
    check(out, manifest, "train", GREY[:, None], LABELS)
    check(out, manifest, "test", GREY[:4, None], LABELS[:4])
    assert str(tmp_path) not in (out / "manifest.json").read_text()


@pytest.mark.parametrize("name", ["class_id", "Class_Index", "fine_label_id", "fine_label", "kind"])
def test_the_label_is_the_column_that_identifies_no_image_or_person(tmp_path: Path, name: str) -> None:
    table = pa.table({"image": [png(each) for each in GREY], name: LABELS, "image_id": range(6), "person_id": range(6)})
    pq.write_table(table, tmp_path / "train.parquet")
    out, manifest = prepared(tmp_path / "train.parquet")
    check(out, manifest, "train", GREY[:, None], LABELS)


def test_unpublished_labels_in_parquet(tmp_path: Path) -> None:
    pictures = [photo(each) for each in range(3)]
    for split, labels in (("train", [0, 1, 1]), ("validation", [1, 1, 0]), ("test", [-1] * 3)):
        write_parquet(tmp_path / "imagenet" / f"{split}-00000-of-00001.parquet", pictures, labels)
    assert list(prepared(tmp_path / "imagenet")[1].splits) == ["train", "validation"]


def test_imagenet_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, labels = [photo(each) for each in range(4)], [0, 1, 1, 0]
    classes = datasets.ClassLabel(names=["tench", "goldfish"])
    features = datasets.Features(
        {"image": datasets.Image(), "label": classes, "photographer_id": datasets.Value("int8")}
    )
    rows = {"image": [{"bytes": each, "path": None} for each in pictures], "photographer_id": [5, 9, 5, 9]}
    known, unknown = (
        datasets.Dataset.from_dict(rows | {"label": each}, features=features) for each in (labels, [-1] * 4)
    )
    tables = datasets.DatasetDict(train=known, valid=known, test=unknown)
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda self, name, timeout: None)
    monkeypatch.setattr(datasets, "load_dataset", lambda name: tables)
    manifest = prepare("someone/imagenet-1k", tmp_path / "store")
    assert (manifest.source, manifest.classes) == ("someone/imagenet-1k", ("tench", "goldfish"))
    assert list(manifest.splits) == ["train", "validation"]
    check(tmp_path / "store", manifest, "validation", pictures, labels)


# IDX, npz and the digits


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx(tmp_path: Path, suffix: str) -> None:
    for word, split in (("train", GREY), ("t10k", GREY[2:])):
        write_idx(tmp_path / "raw" / f"{word}-images-idx3-ubyte{suffix}", split)
        write_idx(tmp_path / "raw" / f"{word}-labels-idx1-ubyte{suffix}", np.array(LABELS[-len(split) :], np.uint8))
    write_idx(tmp_path / "raw" / f"train-images-idx3-ubyte{'' if suffix else '.gz'}", GREY)  # a twin
    out, manifest = prepared(tmp_path / "raw")
    check(out, manifest, "train", GREY[:, None], LABELS)
    check(out, manifest, "test", GREY[2:, None], LABELS[2:])


@pytest.mark.parametrize(
    "arrays",
    [
        {"images": COLOUR.transpose(0, 3, 1, 2), "labels": np.array(LABELS, np.int16)},
        {"samples": COLOUR, "labels": LABELS},
        {"x": (GREY / 255).astype(np.float32), "y": LABELS},
        {"x": GREY / 127.5 - 1, "y": LABELS},
        {"x_train": GREY, "y_train": LABELS, "x_test": GREY[:3], "y_test": LABELS[:3]},
    ],
    ids=["N C H W", "N H W C", "floats in [0, 1]", "doubles in [-1, 1]", "both splits"],
)
def test_npz(tmp_path: Path, arrays: dict[str, Any]) -> None:
    np.savez(tmp_path / "pets.npz", **arrays)
    out, manifest = prepared(tmp_path / "pets.npz")
    pixels = COLOUR.transpose(0, 3, 1, 2) if manifest.shape[0] == 3 else GREY[:, None]
    check(out, manifest, "train", pixels, LABELS)
    if "x_test" in arrays:
        check(out, manifest, "test", GREY[:3, None], LABELS[:3])


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=4, max_dims=4, max_side=3)), st.sampled_from(["f4", "f8"]))
@settings(deadline=None, max_examples=60)
def test_floats_are_rounded_to_bytes_and_that_is_noted(pixels: Bytes, kind: str) -> None:
    faults, notes = Faults(), dict[str, None]()
    np.testing.assert_array_equal(_levels("train", (pixels / 255).astype(kind), faults, notes), pixels)
    if pixels.min() < 127:
        np.testing.assert_array_equal(_levels("train", (pixels / 127.5 - 1).astype(kind), faults, notes), pixels)
    if pixels.max() > 127:
        np.testing.assert_array_equal(_levels("train", pixels.astype(kind), faults, notes), pixels)
    assert not len(faults)
    ends = ["[0, 1]", *(["[-1, 1]"] if pixels.min() < 127 else []), *(["[0, 255]"] if pixels.max() > 127 else [])]
    assert list(notes) == [f"{np.dtype(kind)} images in {each} are rounded to 256 levels" for each in ends]


@pytest.mark.parametrize("folder", [True, False])
def test_npz_as_kmnist_ships_them(tmp_path: Path, folder: bool) -> None:
    parts = {"train-imgs": GREY, "train-labels": LABELS, "test-imgs": GREY[:3], "test-labels": LABELS[:3]}
    (tmp_path / "kmnist").mkdir()
    for name, array in parts.items():
        np.savez(tmp_path / "kmnist" / f"kmnist-{name}.npz", array)
    source = tmp_path / "kmnist" / ("" if folder else "kmnist-train-imgs.npz")
    out, manifest = prepared(source)
    assert list(manifest.splits) == (["train", "test"] if folder else ["train"])
    check(out, manifest, "train", GREY[:, None], LABELS)
    if folder:
        check(out, manifest, "test", GREY[:3, None], LABELS[:3])


def test_digits(tmp_path: Path) -> None:
    manifest = prepare("digits", tmp_path / "store")
    samples, labels = load_digits()
    spread = np.rint(samples * (255 / 16)).astype(np.uint8)
    check(tmp_path / "store", manifest, "train", spread[:1437], labels[:1437].tolist())
    check(tmp_path / "store", manifest, "test", spread[1437:], labels[1437:].tolist())


# Image folders


@pytest.mark.parametrize("prefix", ["", "train/"])
def test_image_folder_with_classes(tmp_path: Path, prefix: str) -> None:
    files = {f"{prefix}{'cd'[label]}/{index}.png": png(GREY[index]) for index, label in enumerate(LABELS)}
    files |= {f"{prefix}.hidden/x.png": b"x", f"{prefix}c/.thumb.png": b"x", "notes.txt": b"x"}
    if prefix:
        files |= {"val/c/a.png": png(GREY[0]), "val/d/nested/b.PNG": png(GREY[1])}
        files |= {"__MACOSX/train/._0.png": b"x", "docs/readme.txt": b"x"}
    out, manifest = prepared(write_folder(tmp_path / "pets", files))
    order = sorted(range(6), key=lambda index: (LABELS[index], index))
    assert manifest.classes == ("c", "d")
    check(out, manifest, "train", GREY[order][:, None], [LABELS[index] for index in order])
    if prefix:
        check(out, manifest, "validation", GREY[:2, None], [0, 1])


def test_image_folder_without_classes(tmp_path: Path) -> None:
    files = {f"{index}.png": png(each) for index, each in enumerate(COLOUR)}
    out, manifest = prepared(write_folder(tmp_path / "faces", files))
    check(out, manifest, "train", COLOUR.transpose(0, 3, 1, 2))


def test_size_crops_the_middle_and_colours_grey(tmp_path: Path) -> None:
    wide = np.zeros((4, 8, 3), np.uint8)
    wide[:, 2:6] = 200
    grey = {"a.png": png(np.full((4, 4), 7, np.uint8)), "b.png": png(np.full((9, 8), 7, np.uint8))}
    assert prepared(write_folder(tmp_path / "grey", grey), size=4)[1].shape == (1, 4, 4)
    out, manifest = prepared(write_folder(tmp_path / "faces", grey | {"c.png": png(wide)}), size=4)
    assert (manifest.size, manifest.shape) == (4, (3, 4, 4))
    samples = np.load(out / "train" / "samples.npy")
    assert (samples[:2] == 7).all()
    assert samples[2].mean() == 200


@pytest.mark.parametrize(("mode", "format"), [("1", "PNG"), ("P", "GIF"), ("RGBA", "WEBP"), ("CMYK", "JPEG")])
def test_modes_of_eight_bits_are_converted(tmp_path: Path, mode: str, format: str) -> None:
    stream = BytesIO()
    Image.fromarray(COLOUR[0]).convert(mode).save(stream, format)
    _, manifest = prepared(write_folder(tmp_path / "faces", {"a.png": stream.getvalue()}))
    assert manifest.shape == (1 if mode == "1" else 3, 5, 4)


# CelebA, LSUN and ImageNet as distributed


@pytest.mark.parametrize(
    ("folder", "partition"),
    [
        ("img_align_celeba", "list_eval_partition.txt"),
        ("Img/img_align_celeba", "Eval/list_eval_partition.txt"),
        ("img_align_celeba/img_align_celeba", "list_eval_partition.csv"),
    ],
)
def test_celeba(tmp_path: Path, folder: str, partition: str) -> None:
    out, manifest = prepared(write_celeba(tmp_path, folder, partition))
    assert (manifest.kind, manifest.shape, manifest.classes) == ("CelebA", (3, 218, 178), ())
    assert list(manifest.splits) == ["train", "test", "validation"]
    for split, names in (("train", "127"), ("validation", "3"), ("test", "5")):
        check(out, manifest, split, [FACES[f"00000{name}.jpg"] for name in names])


def test_celeba_resized_keeps_the_middle_rows(tmp_path: Path) -> None:
    out, manifest = prepared(write_celeba(tmp_path), size=64)
    assert (manifest.size, manifest.shape) == (64, (3, 64, 64))
    whole = Image.fromarray(colours([FACES["000003.jpg"]])[0].transpose(1, 2, 0))
    middle = np.asarray(whole.resize((64, 64), Image.Resampling.LANCZOS, box=(0, 20, 178, 198)))
    np.testing.assert_array_equal(np.load(out / "validation/samples.npy")[0], middle.transpose(2, 0, 1))
    # The protocol of DCGAN-type papers, the shorter side to 64 and then the middle, differs by what 78.4 rounds to.
    usual = np.asarray(whole.resize((64, 78), Image.Resampling.LANCZOS).crop((0, 7, 64, 71)))
    assert np.abs(usual.astype(int) - middle).mean() < 1


def test_one_category_of_lsun(tmp_path: Path) -> None:
    out, manifest = prepared(write_lmdb(tmp_path / "bedroom_train_lmdb", ROOMS))
    assert (manifest.kind, manifest.shape, manifest.classes) == ("LSUN", (3, 7, 9), ())
    check(out, manifest, "train", IN_ORDER)


def test_categories_of_lsun_are_classes(tmp_path: Path) -> None:
    for name, first in (("church_outdoor_train_lmdb", 20), ("bedroom", 10), ("bedroom_val_lmdb", 30)):
        pictures = {f"{first + each}": photo(first + each, mode="RGB" if each else "L") for each in range(2)}
        write_lmdb(tmp_path / "lsun" / name, pictures)
    write_lmdb(tmp_path / "lsun" / "test_lmdb", {"a": b"of no known category"})
    out, manifest = prepared(tmp_path / "lsun")
    assert manifest.classes == ("bedroom", "church_outdoor")
    check(out, manifest, "train", [photo(10, mode="L"), photo(11), photo(20, mode="L"), photo(21)], [0, 0, 1, 1])
    check(out, manifest, "validation", [photo(30, mode="L"), photo(31)], [0, 0])


@pytest.mark.parametrize(("train", "val"), [("ILSVRC2012_img_train", "ILSVRC2012_img_val"), ("train", "val")])
def test_imagenet(tmp_path: Path, train: str, val: str) -> None:
    source = write_devkit(write_imagenet(tmp_path, train, val), DEVKIT_IDS)
    write_folder(source, {"test/ILSVRC2012_test_00000001.JPEG": b"without a class", "LOC_synset_mapping.txt": b"x"})
    out, manifest = prepared(source)
    assert (manifest.kind, manifest.classes) == ("ImageNet", WNIDS)
    check(out, manifest, "train", TRAIN_IN_ORDER, TRAIN_LABELS)
    check(out, manifest, "validation", list(VALIDATION.values()), TRUE_LABELS)


def test_imagenet_with_sorted_validation_or_none(tmp_path: Path) -> None:
    source = write_imagenet(tmp_path)
    folder = source / "ILSVRC2012_img_val"
    for (name, _), label in zip(VALIDATION.items(), TRUE_LABELS, strict=True):
        (folder / WNIDS[label]).mkdir(exist_ok=True)
        (folder / name).rename(folder / WNIDS[label] / name)
    out, manifest = prepared(source)
    order = sorted(range(5), key=lambda index: (TRUE_LABELS[index], index))
    check(out, manifest, "train", TRAIN_IN_ORDER, TRAIN_LABELS)
    check(out, manifest, "validation", [list(VALIDATION.values())[each] for each in order], sorted(TRUE_LABELS))
    shutil.rmtree(out)
    shutil.rmtree(folder)
    assert list(prepared(source)[1].splits) == ["train"]

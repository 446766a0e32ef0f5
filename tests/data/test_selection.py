"""Parts of data sets: ranges of classes, least sides and crops, of every kind of source, and what is recorded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from data_layouts import images, png, write_folder, write_idx, write_lmdb, write_parquet
from sparring.core.errors import CorruptInput, UsageError
from sparring.core.randomness import Streams
from sparring.data import Dropped, Selection, Store, label_range, prepare, verify
from sparring.data.sources.images import resized

CLASSES = ("ant", "bee", "cat", "dog")
COLOUR = images(8, 6, 5, 3)
LABELS = [0, 0, 1, 1, 2, 2, 3, 3]
CONTENTS = [png(each) for each in COLOUR]
MIDDLE = Selection(labels=(1, 2), test_fraction=0)


def folder(root: Path) -> Path:
    files = {f"{CLASSES[label]}/{index}.png": CONTENTS[index] for index, label in enumerate(LABELS)}
    return write_folder(root / "source", files)


def parquet(root: Path) -> Path:
    return write_parquet(root / "source" / "train.parquet", CONTENTS, LABELS, names=CLASSES)


def npz(root: Path) -> Path:
    np.savez(root / "source.npz", x=COLOUR, y=LABELS)
    return root / "source.npz"


def idx(root: Path) -> Path:
    write_idx(root / "source" / "train-images-idx3-ubyte", COLOUR[..., 0])
    write_idx(root / "source" / "train-labels-idx1-ubyte", np.array(LABELS, np.uint8))
    return root / "source"


def lsun(root: Path) -> Path:
    for label, name in enumerate(CLASSES):
        chosen = [index for index, each in enumerate(LABELS) if each == label]
        write_lmdb(root / "source" / f"{name}_train_lmdb", {f"{index}": CONTENTS[index] for index in chosen})
    return root / "source"


NUMBERED = ("1", "2")
NAMED = ("bee", "cat")
SOURCES: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "class folders": (folder, NAMED),
    "Parquet": (parquet, NAMED),
    "npz": (npz, NUMBERED),
    "IDX": (idx, NUMBERED),
    "LSUN": (lsun, NAMED),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_a_range_of_classes_of_any_source(tmp_path: Path, kind: str) -> None:
    write, names = SOURCES[kind]
    manifest = prepare(str(write(tmp_path)), tmp_path / "store", selection=MIDDLE)
    assert verify(tmp_path / "store") == manifest
    assert (manifest.classes, manifest.selection) == (names, MIDDLE)
    train = manifest.splits["train"]
    assert (train.count, train.per_class, train.dropped) == (4, (2, 2), Dropped(other_classes=4))
    pixels = COLOUR[2:6].transpose(0, 3, 1, 2)[:, : manifest.shape[0]]
    np.testing.assert_array_equal(np.load(tmp_path / "store" / "train" / "samples.npy"), pixels)
    np.testing.assert_array_equal(np.load(tmp_path / "store" / "train" / "labels.npy"), [0, 0, 1, 1])
    batch = Store(path=str(tmp_path / "store")).open(torch.device("cpu")).batch(0, 4, Streams(0))
    assert batch.labels is not None and sorted(batch.labels.tolist()) == [0, 0, 1, 1]


@pytest.mark.parametrize("kind", SOURCES)
def test_a_range_beyond_the_classes_is_refused(tmp_path: Path, kind: str) -> None:
    source = SOURCES[kind][0](tmp_path)
    with pytest.raises(UsageError, match=rf"^labels = 2\.\.4: {source.name} has 4 classes, counted from 0"):
        prepare(str(source), tmp_path / "made" / "store", selection=Selection(labels=(2, 4), test_fraction=0))
    assert not (tmp_path / "made").exists()


def test_images_of_other_classes_are_not_decoded(tmp_path: Path) -> None:
    source = folder(tmp_path)
    (source / "ant" / "0.png").write_bytes(b"x")
    assert prepare(str(source), tmp_path / "store", selection=MIDDLE).splits["train"].count == 4


def sized(*sides: tuple[int, int]) -> dict[str, bytes]:
    """Images of these widths and heights, of one class each three."""
    made = [png(images(1, height, width, 3, seed=index)[0]) for index, (width, height) in enumerate(sides)]
    return {f"{'ab'[index // 3]}/{index}.png": content for index, content in enumerate(made)}


def test_small_images_are_dropped_and_counted(tmp_path: Path) -> None:
    files = {f"train/{name}": each for name, each in sized((9, 8), (7, 20), (8, 8), (8, 9), (20, 7), (7, 7)).items()}
    files |= {f"test/{name}": each for name, each in sized((9, 8), (8, 8), (7, 8), (30, 30)).items()}
    source = write_folder(tmp_path / "pets", files)
    manifest = prepare(str(source), tmp_path / "store", size=4, selection=Selection(min_side=8, test_fraction=0))
    assert verify(tmp_path / "store") == manifest
    train, test = manifest.splits["train"], manifest.splits["test"]
    assert (train.count, train.per_class, train.dropped) == (3, (2, 1), Dropped(small=3))
    assert (test.count, test.per_class, test.dropped) == (3, (2, 1), Dropped(small=1))
    kept = [Image.open(source / "train" / name) for name in ("a/0.png", "a/2.png", "b/3.png")]
    wanted = [resized(np.asarray(image).transpose(2, 0, 1), 4) for image in kept]
    np.testing.assert_array_equal(np.load(tmp_path / "store" / "train" / "samples.npy"), np.stack(wanted))


def test_a_selection_that_leaves_nothing_is_refused(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "pets", sized((9, 9), (9, 9), (9, 9), (7, 9), (7, 9)))
    with pytest.raises(CorruptInput, match="train: class 'b' has no samples with sides of at least 8"):
        prepare(str(source), tmp_path / "store", size=4, selection=Selection(min_side=8, test_fraction=0))
    both = Selection(labels=(1, 1), test_fraction=0, min_side=8)
    with pytest.raises(CorruptInput, match="left; dropped: 3 of other classes and 2 with a side under 8"):
        prepare(str(source), tmp_path / "store", size=4, selection=both)
    assert [path.name for path in tmp_path.iterdir()] == ["pets"]


def test_the_middle_is_cropped_before_it_is_scaled(tmp_path: Path) -> None:
    framed = np.zeros((30, 44, 3), np.uint8)
    framed[7:23, 14:30] = images(1, 16, 16, 3)[0]
    source = write_folder(tmp_path / "pets", {"a.png": png(framed)})
    inner = framed[7:23, 14:30].transpose(2, 0, 1)
    for size, wanted in ((None, inner), (8, resized(inner, 8)), (16, inner)):
        manifest = prepare(str(source), tmp_path / f"{size}", size=size, selection=Selection(crop=16, test_fraction=0))
        np.testing.assert_array_equal(np.load(tmp_path / f"{size}" / "train" / "samples.npy")[0], wanted)
        assert (manifest.size, manifest.selection.crop) == (size, 16)


def test_images_smaller_than_the_crop_are_faults_unless_they_are_dropped(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "pets", sized((9, 8), (9, 5), (8, 8)))
    with pytest.raises(CorruptInput, match=r"a/1\.png: 5x9 pixels, too few to crop 8; --min-side 8 drops such"):
        prepare(str(source), tmp_path / "store", selection=Selection(crop=8, test_fraction=0))
    manifest = prepare(str(source), tmp_path / "store", selection=Selection(crop=8, min_side=8, test_fraction=0))
    assert (manifest.shape, manifest.splits["train"].count) == ((3, 8, 8), 2)


@pytest.mark.parametrize("text", ["151", "151-293", "9..3", "-1..3", "a..b"])
def test_what_is_no_range_of_classes(text: str) -> None:
    assert label_range("151..293") == (151, 293)
    with pytest.raises(UsageError, match=r"not a range FIRST\.\.LAST"):
        label_range(text)

"""Planted faults in sources and stores: each is found, all are told at once, and nothing half-made stays."""

from __future__ import annotations

import errno
import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_layouts import found_all, images, png, write_folder, write_idx, write_parquet
from sparring.core.errors import CorruptInput, StorageError
from sparring.data import prepare

GREY = images(6, 5, 4)
LABELS = [0, 1, 1, 0, 1, 1]
CONTENTS = [png(each) for each in GREY]


def refused(source: Path, tmp_path: Path) -> str:
    """The cause that `prepare` gives, once it is clear that it left nothing behind."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CorruptInput) as caught:
        prepare(str(source), tmp_path / "made" / "store")
    assert caught.value.exit_code == 4
    assert caught.value.remedy
    assert sorted(tmp_path.rglob("*")) == before
    return caught.value.cause


def test_parquet_files_that_are_missing_of_a_split(tmp_path: Path) -> None:
    for name in ("train-00000-of-00003", "train-00002-of-00003-ab12", "test-00000-of-00001"):
        write_parquet(tmp_path / "pets" / f"{name}.parquet", CONTENTS, LABELS)
    told = "train-NNNNN-of-00003: 2 of the 3 files that their names tell of"
    assert told in refused(tmp_path / "pets", tmp_path)
    prepare(str(tmp_path / "pets" / "train-00000-of-00003.parquet"), tmp_path / "store")  # given by itself


def test_labels_that_are_spans_of_time(tmp_path: Path) -> None:
    np.savez(tmp_path / "pets.npz", x=GREY, y=np.array(LABELS, "timedelta64[s]"))
    assert "labels of type timedelta64[s]" in refused(tmp_path / "pets.npz", tmp_path)


def test_parquet_with_every_fault_of_a_row(tmp_path: Path) -> None:
    unlike = png(images(1, 4, 4)[0])
    contents = [CONTENTS[0], b"not an image", unlike, None, CONTENTS[1][:60], CONTENTS[2], CONTENTS[3]]
    labels = [0, 0, 0, 0, 0, None, 0]
    write_parquet(tmp_path / "pets" / "train.parquet", contents, labels)
    write_parquet(tmp_path / "pets" / "test.parquet", [b"neither"], [1])
    found_all(
        refused(tmp_path / "pets", tmp_path),
        "test[0]: unreadable image",
        "train[1]: unreadable image: none of PNG",
        "train[2]: shape 1x4x4, where the others have 1x5x4",
        "train[3]: no image",
        "train[4]: unreadable image",
        "train[5]: no label",
        "train: class 'dog' has no samples",
    )


def test_truncated_parquet_beside_a_broken_image(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "pets" / "train.parquet", CONTENTS, LABELS)
    write_parquet(tmp_path / "pets" / "test.parquet", [b"x"], [0])
    file.write_bytes(file.read_bytes()[:-100])
    cause = refused(tmp_path / "pets", tmp_path)
    found_all(cause, "train.parquet: damaged or cut short", "test[0]: unreadable image")


def test_truncated_parquet_is_one_line(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "train.parquet", CONTENTS, LABELS)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert refused(file, tmp_path).startswith("train.parquet: train.parquet: damaged or cut short")


def test_parquet_damaged_in_the_middle(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "train.parquet", CONTENTS, LABELS)
    content = bytearray(file.read_bytes())
    content[4:200] = bytes(196)
    file.write_bytes(content)
    assert "train.parquet: damaged or cut short (a page without a size)" in refused(file, tmp_path)


def test_parquet_whose_files_disagree(tmp_path: Path) -> None:
    write_parquet(tmp_path / "pets" / "train.parquet", CONTENTS, LABELS)
    write_parquet(tmp_path / "pets" / "test.parquet", CONTENTS, LABELS, names=("dog", "cat"))
    write_parquet(tmp_path / "pets" / "more.parquet", CONTENTS, LABELS)
    cause = refused(tmp_path / "pets", tmp_path)
    found_all(cause, "the labels differ between", "more.parquet: train or test does not appear in its name")


def test_parquet_without_images(tmp_path: Path) -> None:
    file = tmp_path / "train.parquet"
    pq.write_table(pa.table({"text": ["a"], "label": [0]}), file)
    assert "no single column of images among text, label" in refused(file, tmp_path)


def test_a_path_in_parquet_is_not_followed(tmp_path: Path) -> None:
    write_folder(tmp_path, {"x.png": CONTENTS[0]})
    rows = [{"bytes": None, "path": str(tmp_path / "x.png")}]
    pq.write_table(pa.table({"image": rows}), tmp_path / "train.parquet")
    assert "train[0]: no image; a path, if there is one, is not followed" in refused(
        tmp_path / "train.parquet", tmp_path
    )


def test_idx_with_every_fault(tmp_path: Path) -> None:
    source = tmp_path / "raw"
    write_idx(source / "train-images-idx3-ubyte", GREY)
    write_idx(source / "train-labels-idx1-ubyte", np.array([0, 2, 2, 0, 2], np.uint8))
    write_idx(source / "t10k-images-idx3-ubyte", GREY, kind=13)
    short = write_idx(source / "t10k-labels-idx1-ubyte.gz", np.array(LABELS, np.uint8))
    short.write_bytes(short.read_bytes()[:-9])
    write_idx(source / "validation-labels-idx1-ubyte", np.array([0], np.uint8))
    write_idx(source / "extra-images-idx3-ubyte", GREY).write_bytes(b"\0\0\x08\x03\0\0\0\x02")
    found_all(
        refused(source, tmp_path),
        "train: 6 images, but 5 labels",
        "train[5]: no label",
        "train: class '1' has no samples",
        "t10k-images-idx3-ubyte: type 0x0d with 3 axes",
        "t10k-labels-idx1-ubyte.gz: cannot be read",
        "validation: there is no file of images",
        "extra-images-idx3-ubyte: train or t10k does not appear in its name",
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\x08",
        b"\0\0\x08\x03\0\0\0\x02",
        b"rubbish",
        b"\0\0\x08\x03" + b"\xff" * 40,
        b"\0\0\x08\x03" + b"\0\0\0\x01" * 3 + b"ab",
    ],
)
def test_idx_of_the_wrong_length(tmp_path: Path, content: bytes) -> None:
    write_folder(tmp_path / "raw", {"train-images-idx3-ubyte": content})
    assert "train-images-idx3-ubyte: " in refused(tmp_path / "raw", tmp_path)


def test_image_folder_with_every_fault(tmp_path: Path) -> None:
    deep, stream = BytesIO(), BytesIO()
    Image.fromarray(GREY[0].astype(np.uint16) * 256).save(deep, "PNG")
    Image.new("1", (10000, 10000)).save(stream, "PNG")
    Image.fromarray(GREY[0]).save(foreign := BytesIO(), "PCX")
    files = {
        "train/cat/0.png": CONTENTS[0],
        "train/cat/1.png": deep.getvalue(),
        "train/cat/bomb.png": stream.getvalue(),
        "train/cat/foreign.png": foreign.getvalue(),
        "train/cat/short.png": CONTENTS[1][:50],
        "train/dog/0.png": CONTENTS[2],
        "train/loose.png": CONTENTS[3],
        "train/sheep/.keep": b"",
        "test/cat/0.png": png(images(1, 5, 4, 3)[0]),
        "test/dog/text.jpg": b"%!PS-Adobe-3.0 EPSF-3.0",
    }
    found_all(
        refused(write_folder(tmp_path / "pets", files), tmp_path),
        "train/cat/1.png: mode I;16; 8 bits a channel are needed",
        "train/cat/bomb.png: 10,000 x 10,000 pixels take 953 MiB to decode, where 256 are allowed",
        "train/cat/foreign.png: unreadable image: none of PNG",
        "train/cat/short.png: unreadable image",
        "train/loose.png: lies beside the class folders",
        "train/sheep: a class without an image",
        "train: class 'sheep' has no samples",
        "test/cat/0.png: shape 3x5x4, where the others have 1x5x4",
        "test/dog/text.jpg: unreadable image",
    )


def test_images_beside_the_splits_are_faults_not_classes(tmp_path: Path) -> None:
    names = ("train/cat", "test/cat", "unlabeled", "more/train", "__MACOSX/train", "val/cat", "valid/cat")
    files = {f"{name}/0.png": CONTENTS[0] for name in names}
    found_all(
        refused(write_folder(tmp_path / "pets", files), tmp_path),
        "more: holds images, but is no split, unlike test, train, val",
        "unlabeled: holds images, but is no split, unlike test, train, val",
        "valid: val is the validation split already",
    )


def test_a_test_folder_alone_is_no_class(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "pets", {"test/cat/0.png": CONTENTS[0]})
    assert "no train split, only test" in refused(source, tmp_path)


def test_npz_with_every_fault(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "pets.npz",
        x_train=GREY.astype(np.float32),
        y_train=np.array([0, 1, 3, 0, -1, 1, 1]),
        x_test=images(6, 20),
        y_test=np.array(["cat"] * 6),
        z=GREY,
    )
    found_all(
        refused(tmp_path / "pets.npz", tmp_path),
        "z: not a name such as x",
        f"train: values from {GREY.min()} to {GREY.max()}, outside of [0, 1] and [-1, 1]",
        "test: images of shape (6, 20)",
        "test: labels of type <U3",
        "train[4]: label -1, where 0 to 65535 is allowed",
        "train: class '2' has no samples",
    )


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (GREY.astype(np.int64), "images of type int64, where uint8 is needed"),
        (GREY > 99, "images of type bool, where uint8 is needed"),
        (np.full((6, 5, 4), np.nan), "values from nan to nan"),
        (np.full((6, 5, 4), 0.3), "120 values of type float64 are not k/255"),
        (np.full((6, 5, 4), -0.3), "120 values of type float64 are not 2k/255 - 1"),
        (np.zeros((6, 3, 5, 3), np.uint8), "images of shape (6, 3, 5, 3)"),
        (np.zeros((0, 5, 4), np.uint8), "train: no samples"),
        (np.array([None, {}]), "x: cannot be read (objects, which only a pickle holds"),
    ],
)
def test_npz_of_the_wrong_kind(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.savez(tmp_path / "pets.npz", x=array)
    assert message in refused(tmp_path / "pets.npz", tmp_path)


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    trap = tmp_path / "trap.npz"
    trap.write_bytes(b"cos\nmkdir\n(S'" + str(tmp_path / "sprung").encode() + b"'\ntR.")
    assert "damaged, or not a .npz file" in refused(trap, tmp_path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("cut", [10, 200, 400])
def test_npz_cut_short(tmp_path: Path, cut: int) -> None:
    np.savez(tmp_path / "pets.npz", x=GREY, y=LABELS)
    content = (tmp_path / "pets.npz").read_bytes()
    (tmp_path / "pets.npz").write_bytes(content[:-cut])
    assert "damaged, or not a .npz file" in refused(tmp_path / "pets.npz", tmp_path)


def test_npz_damaged_inside(tmp_path: Path) -> None:
    np.savez(tmp_path / "pets.npz", x=GREY, y=LABELS)
    content = bytearray((tmp_path / "pets.npz").read_bytes())
    content[content.index(GREY.tobytes())] ^= 1
    (tmp_path / "pets.npz").write_bytes(content)
    assert "x: cannot be read (Bad CRC-32" in refused(tmp_path / "pets.npz", tmp_path)


def test_many_faults_are_counted(tmp_path: Path) -> None:
    files = {f"{index:02}.png": b"x" for index in range(57)} | {"ok.png": CONTENTS[0]}
    lines = refused(write_folder(tmp_path / "faces", files), tmp_path).split("\n  ")
    assert lines[0] == "faces has 57 faults:"
    assert len(lines) == 22
    assert lines[-1] == "and 37 more unreadable images"


def test_only_a_test_split(tmp_path: Path) -> None:
    write_parquet(tmp_path / "pets" / "test.parquet", CONTENTS, LABELS)
    assert "no train split, only test" in refused(tmp_path / "pets", tmp_path)


@pytest.mark.parametrize("target", ["os.fsync", "os.rename", "pathlib.Path.open", "pathlib.Path.mkdir"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_refuses(tmp_path: Path, target: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    out = tmp_path / "made" / "store"
    with monkeypatch.context() as patched:
        patched.setattr(target, refuse)
        with pytest.raises(StorageError, match=os.strerror(number)) as caught:
            prepare("digits", out)
    assert caught.value.exit_code == 5
    assert "\n" not in caught.value.cause
    assert ("free some space" in caught.value.remedy) == (number == errno.ENOSPC)
    assert list(tmp_path.iterdir()) == []


def test_a_stop_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare("digits", tmp_path / "made" / "store", progress=stop)
    assert list(tmp_path.iterdir()) == []

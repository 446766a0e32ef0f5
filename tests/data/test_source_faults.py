"""Planted faults in sources: each is found, one error reports them all, and nothing half-made is left behind."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_layouts import (
    FACES,
    LABELS,
    WNIDS,
    found_all,
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
from sparring.core.errors import CorruptInput, UsageError
from sparring.data import Selection, prepare

GREY = images(6, 5, 4)
CONTENTS = [png(each) for each in GREY]
DEVKIT = "ILSVRC2012_devkit_t12/data"
TRUTH = f"{DEVKIT}/ILSVRC2012_validation_ground_truth.txt"


def refused(source: Path) -> str:
    """The cause that `prepare` gives; it leaves nothing behind."""
    before = sorted(source.parent.rglob("*"))
    with pytest.raises(CorruptInput) as caught:
        prepare(str(source), source.parent / "made" / "store")
    assert caught.value.exit_code == 4
    assert caught.value.remedy
    assert sorted(source.parent.rglob("*")) == before
    return caught.value.cause


# What is no source


@pytest.mark.parametrize("name", ["data.pkl", "data_batch_1"])
def test_a_pickle_is_never_read(tmp_path: Path, name: str) -> None:
    trap = b"\x80\x04cos\nmkdir\n(S'" + str(tmp_path / "sprung").encode() + b"'\ntR."
    source = write_folder(tmp_path / "cifar", {name: trap})
    assert f"{name}: a pickle, which can run any program when it is read" in refused(source)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("objects", [True, False])
def test_a_pickle_in_npz_is_never_read(tmp_path: Path, objects: bool) -> None:
    trap = tmp_path / "trap.npz"
    trap.write_bytes(b"cos\nmkdir\n(S'" + str(tmp_path / "sprung").encode() + b"'\ntR.")
    if objects:
        np.savez(trap, x=np.array([None, {}]))
    assert ("Object arrays cannot be loaded" if objects else "not a zip file") in refused(trap)
    assert not (tmp_path / "sprung").exists()


def test_an_archive_is_not_unpacked(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "pets", {"pets.tar.gz": b"x", "readme.txt": b"x"})
    with pytest.raises(UsageError, match=r"pets\.tar\.gz: an archive") as caught:
        prepare(str(source), tmp_path / "store")
    assert caught.value.remedy.startswith("unpack it")


@pytest.mark.parametrize(("source", "remedy"), [("nothing/at/all", "give"), ("no.npz", "give"), ("unknown", "hub id")])
def test_nothing_there(tmp_path: Path, source: str, remedy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(self: object, name: str, timeout: float) -> None:
        raise ConnectionError("no network\nat all")

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", unreachable)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=f"{source}: no such file or folder") as caught:
        prepare(source, tmp_path / "store")
    assert remedy in caught.value.remedy
    assert "\n" not in caught.value.cause


# Links


@pytest.mark.parametrize(
    ("link", "target"), [("a/1.png", "../../secret/private.png"), ("c", "../secret"), ("a/up", "..")]
)
def test_no_link_out_of_a_source_is_followed(tmp_path: Path, link: str, target: str) -> None:
    write_folder(tmp_path, {"secret/private.png": CONTENTS[0]})
    source = write_folder(tmp_path / "pets", {"a/0.png": CONTENTS[1], "b/0.png": CONTENTS[2]})
    (source / link).symlink_to(target)
    assert f"{link}: a link to a folder or out of the source" in refused(source)


def test_a_path_in_parquet_is_not_followed(tmp_path: Path) -> None:
    write_folder(tmp_path, {"x.png": CONTENTS[0]})
    rows = [{"bytes": CONTENTS[1], "path": None}, {"bytes": None, "path": str(tmp_path / "x.png")}]
    pq.write_table(pa.table({"image": rows}), tmp_path / "train.parquet")
    found_all(refused(tmp_path / "train.parquet"), "[1]: no image; a path, if there is one, is not followed")


# Images


def test_image_folder_with_every_fault(tmp_path: Path) -> None:
    deep, foreign = BytesIO(), BytesIO()
    Image.fromarray(GREY[0].astype(np.uint16) * 256).save(deep, "PNG")
    Image.fromarray(GREY[0]).save(foreign, "PCX")
    files = {
        "train/cat/0.png": CONTENTS[0],
        "train/cat/1.png": deep.getvalue(),
        "train/cat/foreign.png": foreign.getvalue(),
        "train/cat/short.png": CONTENTS[1][:50],
        "train/dog/0.png": CONTENTS[2],
        "train/loose.png": CONTENTS[3],
        "train/sheep/.keep": b"",
        "more/x.png": CONTENTS[0],
        "test/cat/0.png": png(images(1, 6, 4)[0]),
        "test/dog/text.jpg": b"%!PS-Adobe-3.0 EPSF-3.0",
    }
    found_all(
        refused(write_folder(tmp_path / "pets", files)),
        "train/cat/1.png: unreadable image: mode I;16; 8 bits a channel are needed",
        "train/cat/foreign.png: unreadable image: none of PNG",
        "train/cat/short.png: unreadable image",
        "train/loose.png: lies beside the class folders",
        "train/sheep: a class without an image",
        "more: holds images, but is no split, unlike test, train",
        "train: class 'sheep' has no samples",
        "test/cat/0.png: shape 1x6x4, where the first has 1x5x4; --size makes them alike",
        "test/dog/text.jpg: unreadable image",
    )


def test_too_large_images_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10 * 10)
    files = {f"{side}.png": png(np.zeros((side, 10), np.uint8)) for side in (10, 11, 21)}
    found_all(
        refused(write_folder(tmp_path / "faces", files)),
        "11.png: unreadable image: Image size (110 pixels) exceeds limit of 100 pixels",
        "21.png: unreadable image: Image size (210 pixels) exceeds limit of 200 pixels",
    )


def test_many_faults_are_counted(tmp_path: Path) -> None:
    files = {f"{index:02}.png": b"x" for index in range(57)} | {"ok.png": CONTENTS[0]}
    lines = refused(write_folder(tmp_path / "faces", files)).split("\n  ")
    assert (lines[0], len(lines), lines[-1]) == ("faces has 57 faults:", 22, "and 37 more")


def test_names_are_escaped_in_messages_and_manifests(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "p\x1b[2Jets", {"a\nb/0.png": CONTENTS[0], "c/0.png": CONTENTS[1]})
    manifest = prepare(str(source), tmp_path / "store", selection=Selection(test_fraction=0))
    assert (manifest.source, manifest.classes) == ("p\\x1b[2Jets", ("a\\nb", "c"))
    (source / "c" / "\u202e.png").write_bytes(b"x")
    with pytest.raises(CorruptInput, match=r"p\\x1b\[2Jets: c/\\u202e\.png: unreadable image"):
        prepare(str(source), tmp_path / "other")


# Parquet, IDX and npz


def test_parquet_with_every_fault_of_a_row(tmp_path: Path) -> None:
    unlike = png(images(1, 4, 4)[0])
    contents = [CONTENTS[0], b"not an image", unlike, None, CONTENTS[1][:60], CONTENTS[2], CONTENTS[3]]
    write_parquet(tmp_path / "pets" / "train.parquet", contents, [0, 0, 0, 0, 0, None, 0])
    write_parquet(tmp_path / "pets" / "test.parquet", [b"neither"], [1])
    found_all(
        refused(tmp_path / "pets"),
        "test.parquet[0]: unreadable image",
        "train.parquet[1]: unreadable image: none of PNG",
        "train.parquet[2]: shape 1x4x4, where the first has 1x5x4",
        "train.parquet[3]: no image",
        "train.parquet[4]: unreadable image",
        "train.parquet[5]: no label",
        "train: class 'dog' has no samples",
    )


def test_truncated_parquet_is_one_line(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "pets" / "train.parquet", CONTENTS, LABELS)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    found_all(refused(tmp_path / "pets"), "pets: train.parquet: damaged or cut short")


def test_parquet_files_that_are_missing_or_disagree(tmp_path: Path) -> None:
    for name in ("train-00000-of-00003", "train-00002-of-00003-ab12"):
        write_parquet(tmp_path / "pets" / f"{name}.parquet", CONTENTS, LABELS)
    write_parquet(tmp_path / "pets" / "test.parquet", CONTENTS, LABELS, names=("dog", "cat"))
    write_parquet(tmp_path / "pets" / "more.parquet", CONTENTS, LABELS)
    found_all(
        refused(tmp_path / "pets"),
        "train-NNNNN-of-00003: only 2 of 3 files are here",
        "more.parquet: train or test does not appear in its name",
        "the labels differ between",
    )
    prepare(str(tmp_path / "pets" / "train-00000-of-00003.parquet"), tmp_path / "store")  # alone, it is whole


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": ["a"], "label": [0]}, "no single column of encoded images among text, label"),
        ({"image": [CONTENTS[0]], "label": ["cat"]}, "the labels in 'label' are neither classes nor whole numbers"),
    ],
)
def test_parquet_with_the_wrong_columns(tmp_path: Path, columns: dict[str, list[object]], message: str) -> None:
    pq.write_table(pa.table(columns), tmp_path / "train.parquet")
    assert message in refused(tmp_path / "train.parquet")


def test_idx_with_every_fault(tmp_path: Path) -> None:
    source = tmp_path / "raw"
    write_idx(source / "train-images-idx3-ubyte", GREY)
    write_idx(source / "train-labels-idx1-ubyte", np.array([0, 2, 2, 0, 2], np.uint8))
    write_idx(source / "t10k-images-idx3-ubyte", GREY, kind=13)
    short = write_idx(source / "t10k-labels-idx1-ubyte.gz", np.array(LABELS, np.uint8))
    short.write_bytes(short.read_bytes()[:-9])
    write_idx(source / "validation-labels-idx1-ubyte", np.array([0], np.uint8))
    write_folder(source, {"extra-images-idx3-ubyte": b"\0\0\x08\x03\0\0\0\x02"})
    found_all(
        refused(source),
        "train: 6 images, but 5 labels",
        "train: class '1' has no samples",
        "t10k-images-idx3-ubyte: cannot be read (not an IDX file of uint8 with 3 axes)",
        "t10k-labels-idx1-ubyte.gz: cannot be read (Compressed file ended",
        "validation: there are no images",
        "extra-images-idx3-ubyte: train or t10k does not appear in its name",
    )


def test_npz_with_every_fault(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "pets.npz",
        x_train=GREY,
        y_train=np.array([0, 1, 3, 0, -1, 1]),
        x_test=images(6, 20),
        y_test=np.array(["cat"] * 6),
        x_val=GREY.astype(np.float32) - 300,
        z=GREY,
    )
    found_all(
        refused(tmp_path / "pets.npz"),
        "z: not a name such as x",
        f"validation: values from {GREY.min() - 300.0:g} to {GREY.max() - 300.0:g}, neither of [0, 1] or [-1, 1]",
        "validation: there are no labels",
        "test: images of shape (6, 20)",
        "test: labels of type <U3",
        "train[4]: label -1, where 0 to 65535 is allowed",
        "train: class '2' has no samples",
    )


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (GREY.astype(np.int64), "images of type int64, where uint8 is needed"),
        (np.full((6, 5, 4), np.nan), "values from nan to nan"),
        (np.full((6, 5, 4), 16.0), "values from 16 to 16, neither of [0, 1] or [-1, 1] nor of [0, 255]"),
        (np.linspace(-2, 1, 120).reshape(6, 5, 4), "values from -2 to 1, neither of [0, 1] or [-1, 1]"),
        (np.zeros((6, 3, 5, 3), np.uint8), "images of shape (6, 3, 5, 3)"),
        (np.zeros((0, 5, 4), np.uint8), "train: no samples"),
    ],
)
def test_npz_of_the_wrong_kind(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.savez(tmp_path / "pets.npz", x=array)
    assert message in refused(tmp_path / "pets.npz")


def test_damaged_npz(tmp_path: Path) -> None:
    file = tmp_path / "pets.npz"
    np.savez(file, x=GREY, y=LABELS)
    whole = file.read_bytes()
    file.write_bytes(whole[:-200])
    assert "damaged, or not a .npz file of plain arrays (not a zip file)" in refused(file)
    flipped = bytearray(whole)
    flipped[whole.index(GREY.tobytes())] ^= 1
    file.write_bytes(flipped)
    assert "damaged, or not a .npz file of plain arrays (Bad CRC-32" in refused(file)


# CelebA, LSUN and ImageNet


def test_celeba_with_every_fault(tmp_path: Path) -> None:
    listed = {"000001.jpg": 0, "000002.jpg": 0, "../secret.jpg": 0, "000003.jpg": 3, "000007.jpg": 2}
    source = write_celeba(tmp_path, listed=listed)
    write_folder(source, {"secret.jpg": FACES["000001.jpg"]})
    with (source / "list_eval_partition.txt").open("ab") as file:
        file.write(b"\xff\xfe\n")
    face = source / "img_align_celeba" / "000002.jpg"
    face.write_bytes(face.read_bytes()[:-400])
    found_all(
        refused(source),
        "list_eval_partition.txt:4: not the name of an image and 0, 1 or 2",
        "list_eval_partition.txt:6: not the name of an image and 0, 1 or 2",
        "../secret.jpg: listed in list_eval_partition.txt, but not in img_align_celeba",
        "img_align_celeba/000003.jpg: not listed in list_eval_partition.txt",
        "img_align_celeba/000005.jpg: not listed in list_eval_partition.txt",
        "img_align_celeba/000002.jpg: unreadable image: image file is truncated",
    )


def test_lsun_with_every_fault(tmp_path: Path) -> None:
    source = tmp_path / "lsun"
    write_lmdb(source / "bedroom_train_lmdb", {"a": photo(1), "bad": photo(9)[:-90], "text": b"not an image"})
    write_lmdb(source / "bridge_train_lmdb", {})
    write_lmdb(tmp_path / "cat_train_lmdb", {"a": photo(1)})
    (source / "cat_train_lmdb").symlink_to(tmp_path / "cat_train_lmdb")
    write_folder(source, {"tower_val_lmdb/data.mdb": b"not a database" * 999, "tower_train_lmdb/data.mdb": b""})
    found_all(
        refused(source),
        "cat_train_lmdb: a link out of the source",
        "bedroom_train_lmdb[bad]: unreadable image: image file is truncated",
        "bedroom_train_lmdb[text]: unreadable image: none of PNG",
        "tower_val_lmdb/data.mdb: damaged, or not an LMDB file",
        "tower_train_lmdb/data.mdb: damaged, or not an LMDB file",
        "train: class 'bridge' has no samples",
        "train: class 'tower' has no samples",
    )


def test_imagenet_with_every_fault(tmp_path: Path) -> None:
    wnids, truth = ("n02084071", "n09999999", "n01443537"), "1\n3\n2\n7\n4\n3\n"
    source = write_devkit(write_imagenet(tmp_path), wnids, truth)
    validation, train = source / "ILSVRC2012_img_val", source / "ILSVRC2012_img_train"
    (validation / "ILSVRC2012_val_00000002.JPEG").unlink()
    write_folder(train, {"x.JPEG": photo(1), "n03000000/notes.txt": b"x", "dogs/1.JPEG": photo(1)})
    image = train / WNIDS[2] / f"{WNIDS[2]}_3.JPEG"
    image.write_bytes(image.read_bytes()[:-60])
    found_all(
        refused(source),
        "ILSVRC2012_img_train/dogs: not the wnid of a training folder",
        "ILSVRC2012_img_train/n03000000: a class without an image",
        "ILSVRC2012_img_train/x.JPEG: lies beside the class folders",
        f"ILSVRC2012_img_val: 4 images, but 6 lines in {TRUTH}",
        *(f"{TRUTH}:{line} is not the ILSVRC2012_ID of a training folder" for line in ("3: 2", "4: 7", "5: 4")),
        "ILSVRC2012_img_val/ILSVRC2012_val_00000002.JPEG: unreadable image: No such file",
        "ILSVRC2012_img_val/ILSVRC2012_val_00000006.JPEG: unreadable image: No such file",
        f"{WNIDS[2]}_3.JPEG: unreadable image: image file is truncated",
        "train: class 'n03000000' has no samples",
    )
    (source / DEVKIT / "meta.mat").write_bytes(b"MATLAB 5.0 MAT-file" + b"\0" * 200)
    assert "meta.mat: damaged, or not the devkit's" in refused(source)

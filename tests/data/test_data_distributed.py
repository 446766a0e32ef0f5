"""CelebA, LSUN and ImageNet: small sets in exactly the layouts in which they are distributed, whole and damaged."""

from __future__ import annotations

import shutil
import tempfile
import tracemalloc
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import datasets
import huggingface_hub
import lmdb
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data_layouts import colours, found_all, photo, write_devkit, write_folder, write_lmdb, write_parquet
from sparring.core.errors import CorruptInput
from sparring.core.randomness import Rng
from sparring.data import Manifest, Selection, Store, prepare, verify
from sparring.data.faults import Faults
from sparring.data.sources import Example, Raw, Split, open_source
from sparring.data.sources.lmdb import Database
from sparring.data.survey import Survey

FACE = (178, 218)
WNIDS = ("n01440764", "n01443537", "n02084071")
DEVKIT = "ILSVRC2012_devkit_t12/data"
TRUTH = "ILSVRC2012_validation_ground_truth.txt"


def check(out: Path, manifest: Manifest, split: str, contents: list[bytes], labels: list[int] | None = None) -> None:
    """The store holds what Pillow decodes these images to, in this order, with these labels."""
    assert verify(out) == manifest
    assert manifest.splits[split].count == len(contents)
    np.testing.assert_array_equal(np.load(out / split / "samples.npy"), colours(contents))
    assert (out / split / "labels.npy").exists() == (labels is not None)
    if labels is not None:
        np.testing.assert_array_equal(np.load(out / split / "labels.npy"), labels)


def prepared(source: Path) -> tuple[Path, Manifest]:
    """The store of a source, once it is clear that making it left no trace beside the source's files."""
    before = {path: path.stat().st_mtime_ns for path in source.rglob("*")}
    out = source.parent / f"{source.name}-store"
    manifest = prepare(str(source), out)
    assert {path: path.stat().st_mtime_ns for path in source.rglob("*")} == before
    return out, manifest


def refused(source: Path) -> str:
    """The cause that `prepare` gives, once it is clear that it left nothing behind."""
    before = sorted(source.parent.rglob("*"))
    with pytest.raises(CorruptInput) as caught:
        prepare(str(source), source.parent / "made" / "store")
    assert sorted(source.parent.rglob("*")) == before
    return caught.value.cause


# CelebA

FACES = {f"{number:06}.jpg": photo(number, size=FACE) for number in range(1, 8)}
PARTS = {"train": ("000001.jpg", "000002.jpg", "000007.jpg"), "validation": ("000003.jpg",), "test": ("000005.jpg",)}
PARTITION = {"000001.jpg": 0, "000002.jpg": 0, "000003.jpg": 1, "000005.jpg": 2, "000007.jpg": 0}


def celeba(root: Path, images: str, partition: str, listed: Mapping[str, int] = PARTITION) -> Path:
    lines = [f"{name} {split}" for name, split in listed.items()]
    if partition.endswith(".csv"):
        lines = ["image_id,partition", *(line.replace(" ", ",") for line in lines)]
    files = {f"{images}/{name}": FACES[name] for name in PARTITION}
    attributes = "5\n5_o_Clock_Shadow Arched_Eyebrows\n000001.jpg -1  1\n"
    files |= {partition: "\n".join([*lines, ""]).encode(), "list_attr_celeba.txt": attributes.encode()}
    return write_folder(root / "celeba", files)


@pytest.mark.parametrize(
    ("images", "partition"),
    [
        ("img_align_celeba", "list_eval_partition.txt"),
        ("Img/img_align_celeba", "Eval/list_eval_partition.txt"),
        ("img_align_celeba/img_align_celeba", "list_eval_partition.csv"),
    ],
)
def test_celeba(tmp_path: Path, images: str, partition: str) -> None:
    out, manifest = prepared(celeba(tmp_path, images, partition))
    assert (manifest.kind, manifest.shape, manifest.classes) == ("CelebA", (3, 218, 178), ())
    assert list(manifest.splits) == ["train", "test", "validation"]
    for split, names in PARTS.items():
        check(out, manifest, split, [FACES[name] for name in names])


def test_celeba_resized_keeps_the_middle_rows(tmp_path: Path) -> None:
    manifest = prepare(
        str(celeba(tmp_path, "img_align_celeba", "list_eval_partition.txt")), tmp_path / "store", size=64
    )
    assert (manifest.size, manifest.shape) == (64, (3, 64, 64))
    whole = Image.fromarray(colours([FACES["000003.jpg"]])[0].transpose(1, 2, 0))
    middle = np.asarray(whole.resize((64, 64), Image.Resampling.LANCZOS, box=(0, 20, 178, 198)))
    np.testing.assert_array_equal(np.load(tmp_path / "store/validation/samples.npy")[0], middle.transpose(2, 0, 1))
    # The protocol of DCGAN-type papers, the shorter side to 64 and then the middle, differs by what 78.4 rounds to.
    usual = np.asarray(whole.resize((64, 78), Image.Resampling.LANCZOS).crop((0, 7, 64, 71)))
    assert np.abs(usual.astype(int) - middle).mean() < 1


def test_celeba_with_every_fault(tmp_path: Path) -> None:
    listed = {"000001.jpg": 0, "000002.jpg": 0, "000004.jpg": 0, "000003.jpg": 3, "../secret.jpg": 1, "000007.jpg": 2}
    source = celeba(tmp_path, "img_align_celeba", "list_eval_partition.txt", listed)
    write_folder(tmp_path, {"celeba/secret.jpg": FACES["000001.jpg"]})
    with (source / "list_eval_partition.txt").open("ab") as file:
        file.write(b"000001.jpg 2\n\xff\xfe\n")
    face = source / "img_align_celeba" / "000002.jpg"
    face.write_bytes(face.read_bytes()[:-400])
    found_all(
        refused(source),
        "list_eval_partition.txt:4: not the name of an image and 0, 1 or 2",
        "list_eval_partition.txt:7: 000001.jpg is listed already",
        "list_eval_partition.txt:8: not the name of an image and 0, 1 or 2",
        "000004.jpg: listed in list_eval_partition.txt, but not in img_align_celeba",
        "../secret.jpg: listed in list_eval_partition.txt, but not in img_align_celeba",
        "img_align_celeba/000003.jpg: not listed in list_eval_partition.txt",
        "img_align_celeba/000005.jpg: not listed in list_eval_partition.txt",
        "img_align_celeba/000002.jpg: unreadable image: image file is truncated",
    )


def test_half_of_celeba(tmp_path: Path) -> None:
    source = celeba(tmp_path, "img_align_celeba", "list_eval_partition.txt")
    (source / "list_eval_partition.txt").rename(tmp_path / "elsewhere.txt")
    assert "list_eval_partition.txt: not here" in refused(source)
    (tmp_path / "elsewhere.txt").rename(source / "list_eval_partition.txt")
    shutil.rmtree(source / "img_align_celeba")
    assert "img_align_celeba: not here" in refused(source)


# LSUN

ROOMS = {f"{hash_:040x}": photo(hash_, format="WEBP" if hash_ % 2 else "JPEG") for hash_ in (7, 3, 5, 2)}
"""By key, not in the order of the keys."""

IN_ORDER = [ROOMS[key] for key in sorted(ROOMS)]


@pytest.mark.parametrize("locked", [True, False])
def test_one_category_of_lsun(tmp_path: Path, locked: bool) -> None:
    source = write_lmdb(tmp_path / "bedroom_train_lmdb", ROOMS)
    if not locked:
        (source / "lock.mdb").unlink()
    out, manifest = prepared(source)
    assert (manifest.kind, manifest.shape, manifest.classes) == ("LSUN", (3, 7, 9), ())
    check(out, manifest, "train", IN_ORDER)


def test_a_category_of_lsun_and_its_validation(tmp_path: Path) -> None:
    write_lmdb(tmp_path / "lsun" / "bedroom_train_lmdb", ROOMS)
    write_lmdb(tmp_path / "lsun" / "bedroom_val_lmdb", {"a": photo(9)})
    write_lmdb(tmp_path / "lsun" / "test_lmdb", {"a": b"of no known category"})
    out, manifest = prepared(tmp_path / "lsun")
    assert (list(manifest.splits), manifest.classes) == (["train", "validation"], ())
    check(out, manifest, "train", IN_ORDER)
    check(out, manifest, "validation", [photo(9)])


def test_categories_of_lsun_are_classes(tmp_path: Path) -> None:
    for name, first in (("church_outdoor_train_lmdb", 20), ("bedroom_train_lmdb", 10), ("bedroom_val_lmdb", 30)):
        write_lmdb(tmp_path / "lsun" / name, {f"{first + each}": photo(first + each) for each in range(2)})
    out, manifest = prepared(tmp_path / "lsun")
    assert manifest.classes == ("bedroom", "church_outdoor")
    check(out, manifest, "train", [photo(10), photo(11), photo(20), photo(21)], [0, 0, 1, 1])
    check(out, manifest, "validation", [photo(30), photo(31)], [0, 0])


def test_objects_of_lsun_have_no_split(tmp_path: Path) -> None:
    for name, index in (("airplane", 1), ("cat", 2)):
        write_lmdb(tmp_path / "objects" / name, {"a": photo(index)})
    out, manifest = prepared(tmp_path / "objects")
    assert manifest.classes == ("airplane", "cat")
    check(out, manifest, "train", [photo(1), photo(2)], [0, 1])


def test_grey_photographs_become_colour_though_they_come_first(tmp_path: Path) -> None:
    contents = {"a": photo(1, mode="L"), "b": photo(2), "c": photo(3, mode="CMYK")}
    out, manifest = prepared(write_lmdb(tmp_path / "cat", contents))
    check(out, manifest, "train", list(contents.values()))


def test_lsun_with_every_fault(tmp_path: Path) -> None:
    source = tmp_path / "lsun"
    write_lmdb(source / "bedroom_train_lmdb", ROOMS | {"bad": photo(9)[:-90], "text": b"not an image"})
    write_lmdb(source / "bridge_train_lmdb", {})
    write_lmdb(source / "church_train", {"a": photo(1)})
    write_lmdb(source / "church_train_lmdb", {"a": photo(1)})
    write_folder(source, {"tower_val_lmdb/data.mdb": b"not a database" * 999, "tower_train_lmdb/data.mdb": b""})
    found_all(
        refused(source),
        "bedroom_train_lmdb[bad]: unreadable image: image file is truncated",
        "bedroom_train_lmdb[text]: unreadable image: none of PNG",
        "church_train_lmdb: church_train holds the same category and split",
        "tower_val_lmdb/data.mdb: damaged, or not an LMDB file",
        "tower_train_lmdb/data.mdb: damaged, or not an LMDB file",
        "train: class 'bridge' has no samples",
        "train: class 'tower' has no samples",
    )


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.99])
def test_lsun_cut_short(tmp_path: Path, kept: float) -> None:
    file = write_lmdb(tmp_path / "bedroom_train_lmdb", ROOMS) / "data.mdb"
    file.write_bytes(file.read_bytes()[: int(kept * file.stat().st_size)])
    assert "bedroom_train_lmdb/data.mdb: " in (cause := refused(file.parent))
    assert "cut short" in cause or "damaged" in cause


def test_an_empty_database_and_one_for_validation_only(tmp_path: Path) -> None:
    assert "train: no samples" in refused(write_lmdb(tmp_path / "bedroom_train_lmdb", {}))
    assert "no train split, only validation" in refused(write_lmdb(tmp_path / "bedroom_val_lmdb", ROOMS))


@given(
    st.dictionaries(st.binary(min_size=1, max_size=300), st.binary(max_size=9000), max_size=40),
    st.lists(st.integers(0, 39), max_size=20),
)
@settings(deadline=None, max_examples=40)
def test_databases_are_read_as_lmdb_reads_them(values: dict[bytes, bytes], gone: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with lmdb.open(folder, map_size=1 << 24) as environment:
            for key, value in values.items():
                with environment.begin(write=True) as transaction:
                    transaction.put(key, value)
            for key in {list(values)[index] for index in gone if index < len(values)}:
                with environment.begin(write=True) as transaction:
                    transaction.delete(key)
            with environment.begin() as transaction:
                expected = list(transaction.cursor())
        with Database(Path(folder) / "data.mdb") as database:
            assert [(key, value()) for key, value in database.items()] == expected
            assert database.entries == len(expected)


# ImageNet

TRAIN = {
    f"{wnid}/{wnid}_{number}.JPEG": photo(100 * label + number, mode="L" if label == 0 else "RGB")
    for label, wnid in enumerate(WNIDS)
    for number in (3, 10)
}
VALIDATION = {
    f"ILSVRC2012_val_{number:08}.JPEG": photo(500 + number, mode="L" if number == 1 else "RGB")
    for number in range(1, 6)
}
"""Some are grey, as in the whole set."""

IDS = ("n02084071", "n01440764", "n01443537")
"""By ILSVRC2012_ID, whose order is not that of the WordNet ids."""

TRUE_LABELS = [0, 2, 1, 1, 2]
GROUND_TRUTH = "".join(f"{IDS.index(WNIDS[label]) + 1}\n" for label in TRUE_LABELS)


def imagenet(root: Path, train: str = "ILSVRC2012_img_train", val: str = "ILSVRC2012_img_val") -> Path:
    files = {f"{train}/{name}": content for name, content in TRAIN.items()}
    return write_folder(root / "imagenet", files | {f"{val}/{name}": each for name, each in VALIDATION.items()})


def check_imagenet(source: Path) -> None:
    out, manifest = prepared(source)
    assert (manifest.kind, manifest.classes) == ("ImageNet", WNIDS)
    check(out, manifest, "train", [TRAIN[name] for name in sorted(TRAIN)], [0, 0, 1, 1, 2, 2])
    check(out, manifest, "validation", list(VALIDATION.values()), TRUE_LABELS)


@pytest.mark.parametrize(("train", "val"), [("ILSVRC2012_img_train", "ILSVRC2012_img_val"), ("train", "val")])
def test_imagenet(tmp_path: Path, train: str, val: str) -> None:
    source = write_devkit(imagenet(tmp_path, train, val), IDS, GROUND_TRUTH)
    write_folder(source, {"test/ILSVRC2012_test_00000001.JPEG": b"without a class", "LOC_synset_mapping.txt": b"x"})
    check_imagenet(source)


@pytest.mark.parametrize("names", [("ILSVRC2012_img_train", "ILSVRC2012_img_val"), ("train", "val")])
@pytest.mark.parametrize("devkit", [True, False])
def test_imagenet_with_sorted_validation(tmp_path: Path, names: tuple[str, str], devkit: bool) -> None:
    source = imagenet(tmp_path, *names)
    for (name, _), label in zip(VALIDATION.items(), TRUE_LABELS, strict=True):
        (source / names[1] / WNIDS[label]).mkdir(exist_ok=True)
        (source / names[1] / name).rename(source / names[1] / WNIDS[label] / name)
    if devkit:
        write_devkit(source, IDS, "rubbish that is not needed")
    out, manifest = prepared(source)
    order = sorted(range(5), key=lambda index: (TRUE_LABELS[index], index))
    check(out, manifest, "train", [TRAIN[name] for name in sorted(TRAIN)], [0, 0, 1, 1, 2, 2])
    check(out, manifest, "validation", [list(VALIDATION.values())[each] for each in order], [0, 1, 1, 2, 2])


def test_imagenet_without_validation(tmp_path: Path) -> None:
    source = imagenet(tmp_path)
    shutil.rmtree(source / "ILSVRC2012_img_val")
    out, manifest = prepared(source)
    assert list(manifest.splits) == ["train"]
    check(out, manifest, "train", [TRAIN[name] for name in sorted(TRAIN)], [0, 0, 1, 1, 2, 2])


@pytest.mark.parametrize("word", ["val", "valid", "validation", "test", "ILSVRC2012_img_test"])
def test_a_subset_of_imagenet_by_wnid(tmp_path: Path, word: str) -> None:
    source = write_folder(
        tmp_path / "imagenet2", {f"{part}/{name}": TRAIN[name] for part in ("train", word) for name in TRAIN}
    )
    out, manifest = prepared(source)
    split = "test" if "test" in word else "validation"
    assert list(manifest.splits) == ["train", split]
    check(out, manifest, split, [TRAIN[name] for name in sorted(TRAIN)], [0, 0, 1, 1, 2, 2])


def test_imagenet_with_every_fault(tmp_path: Path) -> None:
    source = write_devkit(imagenet(tmp_path), ("n02084071", "n09999999", "n01443537"), "1\n3\n2\n7\n4\n3\n")
    validation, train = source / "ILSVRC2012_img_val", source / "ILSVRC2012_img_train"
    (validation / "ILSVRC2012_val_00000002.JPEG").unlink()
    write_folder(
        source, {f"{validation.name}/ILSVRC2012_val_00000009.JPEG": photo(1), f"{train.name}/x.JPEG": photo(1)}
    )
    write_folder(train, {"n03000000/notes.txt": b"x", "dogs/1.JPEG": photo(1)})
    image = train / WNIDS[2] / f"{WNIDS[2]}_3.JPEG"
    image.write_bytes(image.read_bytes()[:-60])
    found_all(
        refused(source),
        "ILSVRC2012_img_train/dogs: not the wnid of a training folder",
        "ILSVRC2012_img_train/n03000000: a class without an image",
        "ILSVRC2012_img_train/x.JPEG: lies beside the class folders",
        f"{TRUTH}:3: n09999999 is not the wnid of a training folder",
        f"{TRUTH}:4: 7 is no ILSVRC2012_ID of meta.mat",
        f"{TRUTH}:5: n00001740 is not the wnid of a training folder",
        f"ILSVRC2012_img_val/ILSVRC2012_val_00000002.JPEG: in {TRUTH}, but not here",
        f"ILSVRC2012_img_val/ILSVRC2012_val_00000006.JPEG: in {TRUTH}, but not here",
        f"ILSVRC2012_img_val/ILSVRC2012_val_00000009.JPEG: not one of the 6 images of {TRUTH}",
        f"{WNIDS[2]}_3.JPEG: unreadable image: image file is truncated",
        "train: class 'n03000000' has no samples",
    )


@pytest.mark.parametrize(
    ("lines", "message"), [(4, "00000005.JPEG: not one of the 4 images"), (6, "00000006.JPEG: in")]
)
def test_a_ground_truth_of_the_wrong_length(tmp_path: Path, lines: int, message: str) -> None:
    truth = "\n".join([*GROUND_TRUTH.split(), "1"][:lines])
    assert f"ILSVRC2012_val_{message}" in refused(write_devkit(imagenet(tmp_path), IDS, truth))


@pytest.mark.parametrize("content", [b"", b"rubbish", b"MATLAB 5.0 MAT-file" + b"\0" * 200])
def test_a_damaged_devkit_is_one_fault(tmp_path: Path, content: bytes) -> None:
    source = write_devkit(imagenet(tmp_path), IDS, GROUND_TRUTH)
    (source / DEVKIT / "meta.mat").write_bytes(content)
    found_all(refused(source), "meta.mat: damaged, or not the devkit's")


def _moved(old: str, new: str) -> Callable[[Path], None]:
    return lambda source: (source / old).rename(source / new) and None


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (_moved("ILSVRC2012_devkit_t12", "devkit"), [f"{DEVKIT}/{TRUTH}: not here", f"{DEVKIT}/meta.mat: not here"]),
        (_moved(f"{DEVKIT}/meta.mat", f"{DEVKIT}/meta2.mat"), [f"{DEVKIT}/meta.mat: not here"]),
        (_moved("ILSVRC2012_img_train", "images"), ["ILSVRC2012_img_train: not here; the training images are needed"]),
        (
            lambda source: [child.rename(child.with_suffix(".tar")) for child in source.glob("*train/*")] and None,
            ["ILSVRC2012_img_train: no folders by wnid, such as n01440764"],
        ),
    ],
)
def test_parts_of_imagenet(tmp_path: Path, change: Callable[[Path], None], messages: list[str]) -> None:
    source = write_devkit(imagenet(tmp_path), IDS, GROUND_TRUTH)
    change(source)
    found_all(refused(source), *messages)


def test_files_named_like_splits_are_not_imagenet(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "pets", {"train": b"x", "val": b"x", "a/1.png": photo(1), "b/2.png": photo(2)})
    assert prepared(source)[1].kind == "image folder"


def test_validation_in_folders_that_training_lacks(tmp_path: Path) -> None:
    source = imagenet(tmp_path, "train", "val")
    write_folder(source, {"val/n05555555/a.JPEG": photo(1), f"val/{WNIDS[1]}/.keep": b""})
    write_folder(source, {f"val/{WNIDS[0]}/a.JPEG": photo(1)})
    found_all(
        refused(source),
        "val/n05555555: not the wnid of a training folder",
        f"val/{WNIDS[1]}: a class without an image",
        *(f"val/{name}: lies beside the class folders" for name in VALIDATION),
    )


# Copies on the hub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Callable[[datasets.DatasetDict], None]:
    """Puts a data set on a hub that answers to every id."""

    def put(tables: datasets.DatasetDict) -> None:
        monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda self, name, timeout: None)
        monkeypatch.setattr(datasets, "load_dataset", lambda name: tables)

    return put


def table(contents: list[bytes], columns: Mapping[str, tuple[object, list[object]]]) -> datasets.Dataset:
    features = {"image": datasets.Image()} | {name: feature for name, (feature, _) in columns.items()}
    rows = {"image": [{"bytes": each, "path": None} for each in contents]}
    rows |= {name: values for name, (_, values) in columns.items()}
    return datasets.Dataset.from_dict(rows, features=datasets.Features(features))


Hub = Callable[[datasets.DatasetDict], None]
CLASSES = datasets.ClassLabel(names=["tench", "goldfish"])


def test_celeba_on_the_hub(tmp_path: Path, hub: Hub) -> None:
    faces = [FACES[name] for name in PARTS["train"]]
    columns = {
        "celeb_id": (datasets.Value("int64"), [5, 9, 5]),
        "Bald": (datasets.Value("bool"), [True, False, False]),
    }
    hub(datasets.DatasetDict(train=table(faces, columns), valid=table(faces, columns), test=table(faces, columns)))
    manifest = prepare("someone/celeba", tmp_path / "store")
    assert list(manifest.splits) == ["train", "test", "validation"]
    for split in manifest.splits:
        check(tmp_path / "store", manifest, split, faces)


def test_lsun_on_the_hub(tmp_path: Path, hub: Hub) -> None:
    hub(datasets.DatasetDict(train=table(IN_ORDER, {})))
    check(tmp_path / "store", prepare("someone/lsun-bedrooms", tmp_path / "store"), "train", IN_ORDER)


def test_imagenet_on_the_hub(tmp_path: Path, hub: Hub) -> None:
    pictures, labels = [photo(each) for each in range(4)], [0, 1, 1, 0]
    known = table(pictures, {"label": (CLASSES, labels)})
    hub(datasets.DatasetDict(train=known, validation=known, test=table(pictures, {"label": (CLASSES, [-1] * 4)})))
    manifest = prepare("someone/imagenet-1k", tmp_path / "store")
    assert (list(manifest.splits), manifest.classes) == (["train", "validation"], ("tench", "goldfish"))
    check(tmp_path / "store", manifest, "validation", pictures, labels)


def test_unpublished_labels_in_parquet(tmp_path: Path) -> None:
    pictures = [photo(each) for each in range(3)]
    for split, labels in (("train", [0, 1, 1]), ("validation", [-1, 1, 0]), ("test", [-1] * 3)):
        write_parquet(tmp_path / "imagenet" / f"{split}-00000-of-00001.parquet", pictures, labels)
    found_all(refused(tmp_path / "imagenet"), "validation[0]: label -1, where 0 to 1 is allowed")
    write_parquet(tmp_path / "imagenet" / "validation-00000-of-00001.parquet", pictures, [1, 1, 0])
    _, manifest = prepared(tmp_path / "imagenet")
    assert list(manifest.splits) == ["train", "validation"]


def test_two_names_of_one_split_on_the_hub(tmp_path: Path, hub: Hub) -> None:
    hub(datasets.DatasetDict(train=table(IN_ORDER, {}), val=table(IN_ORDER, {}), validation=table(IN_ORDER, {})))
    with pytest.raises(CorruptInput, match="validation: another split is the validation split already"):
        prepare("someone/lsun", tmp_path / "store")


def test_evaluation_takes_the_validation_images_where_there_is_no_test_split(tmp_path: Path) -> None:
    prepare(str(write_devkit(imagenet(tmp_path), IDS, GROUND_TRUTH)), tmp_path / "store")
    opened = Store(path=str(tmp_path / "store")).open(torch.device("cpu"))
    held_out = opened.held_out(99, rng=Rng.of(0))
    assert held_out.labels is not None and sorted(held_out.labels.tolist()) == sorted(TRUE_LABELS)


def test_a_set_is_never_held_in_memory(tmp_path: Path) -> None:
    content = photo(1, size=(64, 64))
    source = write_lmdb(tmp_path / "bedroom_train_lmdb", {f"{index}": content for index in range(600)})
    prepare(str(source), tmp_path / "warm")
    tracemalloc.start()
    manifest = prepare(str(source), tmp_path / "store")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    written = manifest.splits["train"].samples.bytes
    assert written > 600 * 64 * 64 * 3
    assert peak < written / 3


def test_a_survey_keeps_no_names_beyond_those_it_may_tell() -> None:
    pixels = np.zeros((3, 4, 4), np.uint8)
    survey = Survey(Raw("LSUN", False, {"train": Split(500, partial(iter, ()))}), Selection(), None, Faults())
    tracemalloc.start()
    for index in range(500):
        survey.passed("train", Example(f"{index}{'x' * 10_000}", lambda: pixels))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500 * 10_000 / 5


def test_images_are_opened_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    original = Image.open

    def counted(*args: object, **kwargs: object) -> object:
        opened.append(args)
        return original(*args, **kwargs)  # type: ignore[arg-type]

    sources = [
        celeba(tmp_path, "img_align_celeba", "list_eval_partition.txt"),
        write_lmdb(tmp_path / "bedroom_train_lmdb", ROOMS),
        write_devkit(imagenet(tmp_path), IDS, GROUND_TRUTH),
    ]
    monkeypatch.setattr(Image, "open", counted)
    for source in sources:
        opened.clear()
        examples = open_source(str(source), Faults()).splits["train"].examples()
        assert len(opened) == 0
        first, second = next(examples), next(examples)
        assert len(opened) == 0
        first.read(), second.read()
        assert len(opened) == 2


def test_unlike_shapes_are_counted(tmp_path: Path) -> None:
    contents = {f"{index:03}": photo(index, size=(9, 7) if index % 3 else (8, 7)) for index in range(99)}
    lines = refused(write_lmdb(tmp_path / "bedroom_train_lmdb", contents)).split("\n  ")
    assert lines[0] == "bedroom_train_lmdb has 33 faults:"
    assert lines[1].startswith("bedroom_train_lmdb[000]: shape 3x7x8, where the others have 3x7x9")
    assert (len(lines), lines[-1]) == (22, "and 13 more unlike shapes")

"""Small sources in every layout that `prepare` reads, for the tests of data."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path

import datasets
import lmdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.io
from PIL import Image

Bytes = npt.NDArray[np.uint8]

LABELS = [0, 1, 1, 0, 1, 1]
PARTITION = {"000001.jpg": 0, "000002.jpg": 0, "000003.jpg": 1, "000005.jpg": 2, "000007.jpg": 0}
"""The split of CelebA's images."""
WNIDS = ("n01440764", "n01443537", "n02084071")
DEVKIT_IDS = ("n02084071", "n01440764", "n01443537")
"""By ILSVRC2012_ID, whose order is not that of the WordNet ids."""
TRUE_LABELS = [0, 2, 1, 1, 2]
"""Of ImageNet's validation images."""


def images(count: int, *shape: int, seed: int = 0) -> Bytes:
    """Random bytes, `(count, *shape)`."""
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


def png(pixels: Bytes) -> bytes:
    """A PNG file of `(height, width)` or `(height, width, 3)` bytes."""
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def photo(index: int, *, size: tuple[int, int] = (9, 7), mode: str = "RGB", format: str = "JPEG") -> bytes:
    """An encoded image of `size`, (width, height), that differs by its index."""
    stream = BytesIO()
    channels = {"L": (), "RGB": (3,), "CMYK": (4,)}[mode]
    coarse = Image.fromarray(images(1, 4, 4, *channels, seed=index)[0], mode=None if mode != "CMYK" else "CMYK")
    coarse.resize(size, Image.Resampling.BILINEAR).save(stream, format, quality=90)
    return stream.getvalue()


def colours(contents: Iterable[bytes]) -> Bytes:
    """What Pillow makes of encoded images, `(n, 3, height, width)`."""
    decoded = [np.asarray(Image.open(BytesIO(content)).convert("RGB")) for content in contents]
    return np.stack(decoded).transpose(0, 3, 1, 2)


def write_lmdb(path: Path, contents: Mapping[str, bytes]) -> Path:
    """An LMDB folder of values by key, its lock file beside it."""
    path.mkdir(parents=True)
    with lmdb.open(str(path), map_size=1 << 22) as environment, environment.begin(write=True) as transaction:
        for key, content in contents.items():
            transaction.put(key.encode(), content)
    return path


FACES = {name: photo(int(name[5]), size=(178, 218)) for name in PARTITION}
TRAIN = {
    f"{wnid}/{wnid}_{number}.JPEG": photo(100 * label + number, mode="L" if label == 0 else "RGB")
    for label, wnid in enumerate(WNIDS)
    for number in (3, 10)
}
VALIDATION = {f"ILSVRC2012_val_{number:08}.JPEG": photo(500 + number) for number in range(1, 6)}


def write_celeba(
    root: Path,
    images: str = "img_align_celeba",
    partition: str = "list_eval_partition.txt",
    listed: Mapping[str, int] = PARTITION,
) -> Path:
    """A folder of CelebA."""
    lines = [f"{name} {split}" for name, split in listed.items()]
    if partition.endswith(".csv"):
        lines = ["image_id,partition", *(line.replace(" ", ",") for line in lines)]
    files = {f"{images}/{name}": content for name, content in FACES.items()}
    return write_folder(root / "celeba", files | {partition: "\n".join([*lines, ""]).encode()})


def write_imagenet(root: Path, train: str = "ILSVRC2012_img_train", val: str = "ILSVRC2012_img_val") -> Path:
    """A folder of ImageNet without the devkit."""
    files = {f"{train}/{name}": content for name, content in TRAIN.items()}
    return write_folder(root / "imagenet", files | {f"{val}/{name}": each for name, each in VALIDATION.items()})


def write_devkit(root: Path, wnids: Sequence[str], truth: str | None = None) -> Path:
    """The parts of ImageNet's devkit that hold the classes of validation images; ids count from 1, inner nodes last."""
    if truth is None:
        truth = "".join(f"{wnids.index(WNIDS[label]) + 1}\n" for label in TRUE_LABELS)
    fields = [("ILSVRC2012_ID", object), ("WNID", object), ("words", object), ("num_children", object)]
    rows = [(number, wnid, f"word {wnid}", 0) for number, wnid in enumerate(wnids, 1)]
    inner = (len(wnids) + 1, "n00001740", "entity", len(wnids))
    folder = root / "ILSVRC2012_devkit_t12" / "data"
    folder.mkdir(parents=True)
    scipy.io.savemat(folder / "meta.mat", {"synsets": np.array([*rows, inner], fields)[:, None]})
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text(truth)
    return root


def write_parquet(
    path: Path,
    contents: Sequence[bytes | None],
    labels: Sequence[int | None] | None,
    *,
    names: Sequence[str] | None = ("cat", "dog"),
    columns: tuple[str, str] = ("image", "label"),
) -> Path:
    """A Parquet file in the layout of the hub; with `names` its schema is the hub's, with class names, else bare."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[object]] = {columns[0]: [{"bytes": each, "path": None} for each in contents]}
    features: dict[str, object] = {columns[0]: datasets.Image()}
    if labels is not None:
        rows[columns[1]] = list(labels)
        features[columns[1]] = datasets.ClassLabel(names=list(names or ()))
    schema = datasets.Features(features).arrow_schema if names else None
    pq.write_table(pa.table(rows, schema=schema), path, row_group_size=4)
    return path


def write_idx(path: Path, array: Bytes, *, kind: int = 8) -> Path:
    """An IDX file, gzipped if its name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def write_folder(root: Path, files: Mapping[str, bytes]) -> Path:
    """A folder of files by relative path."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def found_all(cause: str, *expected: str) -> None:
    """Every fault has its line, and there are no others."""
    lines = cause.split("\n  ")
    assert len(lines) == (1 if len(expected) == 1 else 1 + len(expected)), cause
    for each in expected:
        assert any(each in line for line in lines), f"{each!r} is not in\n{cause}"

"""CelebA as it is distributed: `img_align_celeba/*.jpg`, and `list_eval_partition`, which gives each image its split.

A line of the partition is the name of an image and 0 for training, 1 for validation or 2 for test; the .csv copy has
commas and a header. Both may lie in `Img/` and `Eval/`. The images keep the partition's order. They have no labels:
the identities and the 40 attributes are no classes, and are not read.
Source: Z. Liu, P. Luo, X. Wang, X. Tang, Deep learning face attributes in the wild (ICCV 2015).
"""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterator, Sequence
from functools import partial
from pathlib import Path

from sparring.core.errors import CorruptInput
from sparring.data.faults import Faults, first_line
from sparring.data.opening import lines
from sparring.data.sources.base import Example, Raw, Split, first_of
from sparring.data.sources.images import decoded
from sparring.data.sources.tree import Tree

_FOLDERS = ("img_align_celeba/img_align_celeba", "img_align_celeba", "Img/img_align_celeba")
_PARTITIONS = ("list_eval_partition.txt", "Eval/list_eval_partition.txt", "list_eval_partition.csv")
_SPLITS = ("train", "validation", "test")
_LINE = re.compile(r"(?P<name>[^\s,]+)[\s,]+(?P<split>[012])")
_HEADER = "image_id,partition"


def has_celeba(path: Path) -> bool:
    """Whether a folder holds the aligned images or the partition."""
    return first_of(path, _FOLDERS + _PARTITIONS) is not None


def read_celeba(path: Path, faults: Faults) -> Raw:
    """Open a folder of CelebA."""
    folder, partition = first_of(path, _FOLDERS), first_of(path, _PARTITIONS)
    if folder is None:
        faults.add("missing folders", "img_align_celeba: not here; the aligned and cropped images are needed")
    if partition is None:
        faults.add("missing files", f"{_PARTITIONS[0]}: not here; it tells training, validation and test images apart")
    if folder is None or partition is None:
        return Raw("CelebA", False, {})
    found = dict.fromkeys(map(os.path.basename, Tree(path, faults).images(folder, nested=False)))
    listed = _listed(path / partition, found, os.path.basename(folder), faults)
    for name in found:
        if name not in listed:
            faults.add("unlisted files", f"{os.path.basename(folder)}/{name}: not listed in {Path(partition).name}")
    splits: dict[str, list[str]] = {}
    for name, split in listed.items():
        splits.setdefault(split, []).append(name)
    return Raw(
        "CelebA",
        False,
        {split: Split(len(names), partial(_examples, path / folder, names)) for split, names in splits.items()},
    )


def _listed(partition: Path, found: Container[str], folder: str, faults: Faults) -> dict[str, str]:
    """The split of every image that is listed and found."""
    listed: dict[str, str] = {}
    try:
        for number, line in lines(partition):
            match = _LINE.fullmatch(line.strip())
            if match is None:
                if line.strip() not in ("", _HEADER):
                    faults.add("unreadable lines", f"{partition.name}:{number}: not the name of an image and 0, 1 or 2")
            elif match["name"] not in found:
                faults.add("missing files", f"{match['name']}: listed in {partition.name}, but not in {folder}")
            elif match["name"] in listed:
                faults.add("doubtful lines", f"{partition.name}:{number}: {match['name']} is listed already")
            else:
                listed[match["name"]] = _SPLITS[int(match["split"])]
    except (CorruptInput, OSError) as error:
        faults.add("unreadable files", f"{partition.name}: {first_line(error)}")
    return listed


def _examples(folder: Path, names: Sequence[str]) -> Iterator[Example]:
    for name in names:
        yield Example(f"{folder.name}/{name}", partial(decoded, folder / name))

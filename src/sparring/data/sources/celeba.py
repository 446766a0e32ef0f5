"""CelebA as it is distributed: `img_align_celeba/*.jpg`, and `list_eval_partition`, which gives each image its split.

A line of the partition is the name of an image and 0 for training, 1 for validation or 2 for test; the .csv copy has
commas and a header. Both may lie in `Img/` and `Eval/`. The images keep the partition's order. They have no labels:
the identities and the 40 attributes are no classes, and are not read.
Source: Z. Liu, P. Luo, X. Wang, X. Tang, Deep learning face attributes in the wild (ICCV 2015).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from sparring.data.faults import Faults
from sparring.data.sources.base import RawDataset, first_of
from sparring.data.sources.image_folders import FolderTree, file_split

_FOLDERS = ("img_align_celeba/img_align_celeba", "img_align_celeba", "Img/img_align_celeba")
_PARTITIONS = ("list_eval_partition.txt", "Eval/list_eval_partition.txt", "list_eval_partition.csv")
_SPLITS = ("train", "validation", "test")
_LINE = re.compile(r"(?P<name>[^\s,]+)[\s,]+(?P<split>[012])")
_HEADER = "image_id,partition"


def has_celeba(path: Path) -> bool:
    """Whether a folder holds the aligned images or the partition."""
    return first_of(path, _FOLDERS + _PARTITIONS) is not None


def read_celeba(path: Path, faults: Faults) -> RawDataset:
    """Open a folder of CelebA."""
    folder, partition = first_of(path, _FOLDERS), first_of(path, _PARTITIONS)
    if folder is None:
        faults.add("img_align_celeba: missing; the aligned and cropped images are needed")
    if partition is None:
        faults.add(f"{_PARTITIONS[0]}: missing; it says which images are for training, validation and test")
    if folder is None or partition is None:
        return RawDataset("CelebA", False, {})
    images = {os.path.basename(name): name for name in FolderTree(path, faults).images(folder, nested=False)}
    unlisted = dict.fromkeys(images)
    files: dict[str, list[tuple[str, int | None]]] = {}
    for number, line in enumerate((path / partition).read_text(errors="replace").splitlines(), 1):
        match = _LINE.fullmatch(line.strip())
        if match is None:
            if line.strip() not in ("", _HEADER):
                faults.add(f"{partition}:{number}: not the name of an image and 0, 1 or 2")
        elif match["name"] not in images:
            faults.add(f"{match['name']}: listed in {partition}, but not in {folder}")
        else:
            files.setdefault(_SPLITS[int(match["split"])], []).append((images[match["name"]], None))
            unlisted.pop(match["name"], None)
    for name in unlisted:
        faults.add(f"{images[name]}: not listed in {partition}")
    return RawDataset("CelebA", False, {split: file_split(path, listed) for split, listed in files.items()})

"""ImageNet (ILSVRC 2012) as it is distributed: training images by class, validation images flat, and the devkit.

    ILSVRC2012_img_train/n01440764/*.JPEG                                 or train/
    ILSVRC2012_img_val/ILSVRC2012_val_00000001.JPEG                       or val/
    ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt     line k: the ILSVRC2012_ID of image k
    ILSVRC2012_devkit_t12/data/meta.mat                                   ILSVRC2012_ID to WordNet id

Classes are the WordNet ids (wnids) of the training folders, sorted. Validation images may also lie in folders by wnid;
then no devkit is needed. Flat test images are left out, since their classes are not published; subsets of the data may
have theirs by wnid.
Source: O. Russakovsky et al., ImageNet large scale visual recognition challenge (IJCV 2015), and the devkit's readme.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from sparring.data.faults import Faults, first_line
from sparring.data.sources.base import RawDataset, RawSplit, first_of
from sparring.data.sources.image_folders import FolderTree, class_split, file_split

_TRAIN = ("ILSVRC2012_img_train", "train")
_VALIDATION = ("ILSVRC2012_img_val", "val", "valid", "validation")
_TEST = ("ILSVRC2012_img_test", "test")
_TRUTH = "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"
_META = "ILSVRC2012_devkit_t12/data/meta.mat"
_WNID = re.compile(r"n\d{8}")


def has_imagenet(path: Path) -> bool:
    """Whether the official folders are here, or training images by wnid."""
    official = first_of(path, (_TRAIN[0], _VALIDATION[0])) is not None
    train = path / (first_of(path, _TRAIN) or _TRAIN[0])
    return official or (train.is_dir() and any(_WNID.fullmatch(child.name) for child in train.iterdir()))


def read_imagenet(path: Path, faults: Faults) -> RawDataset:
    """Open a folder of ImageNet."""
    tree = FolderTree(path, faults)
    train = first_of(path, _TRAIN) or _TRAIN[0]
    classes = _wnids(tree, train)
    if not classes:
        faults.add(f"{train}: no folders by wnid, such as n01440764; the unpacked training images are needed")
        return RawDataset("ImageNet", True, {})
    splits = {"train": _by_wnid(tree, train, classes, faults)}
    validation = first_of(path, _VALIDATION)
    if validation is not None and _wnids(tree, validation):
        splits["validation"] = _by_wnid(tree, validation, classes, faults)
    elif validation is not None:
        splits["validation"] = _flat(tree, validation, classes, faults)
    test = first_of(path, _TEST)
    if test is not None and _wnids(tree, test):
        splits["test"] = _by_wnid(tree, test, classes, faults)
    return RawDataset("ImageNet", True, splits, tuple(classes))


def _wnids(tree: FolderTree, folder: str) -> list[str]:
    return [name for name in tree.folders(folder) if _WNID.fullmatch(name)]


def _by_wnid(tree: FolderTree, root: str, classes: list[str], faults: Faults) -> RawSplit:
    for child in tree.folders(root):
        if child not in classes:
            faults.add(f"{root}/{child}: not the wnid of a training folder")
    return class_split(tree, root, classes, faults)


def _flat(tree: FolderTree, root: str, classes: list[str], faults: Faults) -> RawSplit:
    """Validation images without folders: the ground truth lists the class of image 1, 2, ..."""
    images = tree.images(root, nested=False)
    files: list[tuple[str, int | None]] = []
    for name in (_TRUTH, _META):
        if not (tree.root / name).is_file():
            faults.add(f"{name}: missing; without it, sort the validation images into folders by wnid")
            return file_split(tree.root, files)
    wnids = _synsets(tree.root / _META, faults)
    identifiers = (tree.root / _TRUTH).read_text(errors="replace").split()
    if len(identifiers) != len(images):
        faults.add(f"{root}: {len(images):,} images, but {len(identifiers):,} lines in {_TRUTH}")
    labels = {wnid: label for label, wnid in enumerate(classes)}
    for number, identifier in enumerate(identifiers, 1):
        label = labels.get(wnids.get(identifier, ""))
        if label is not None:
            files.append((f"{root}/ILSVRC2012_val_{number:08}.JPEG", label))
        elif wnids:
            faults.add(f"{_TRUTH}:{number}: {identifier} is not the ILSVRC2012_ID of a training folder")
    return file_split(tree.root, files)


def _synsets(meta: Path, faults: Faults) -> dict[str, str]:
    """WordNet ids by ILSVRC2012_ID; inner nodes of the hierarchy are among them, but no image's class."""
    from scipy.io import loadmat  # a fifth of a second that only this source needs

    try:
        synsets = np.atleast_1d(loadmat(meta, squeeze_me=True, variable_names="synsets")["synsets"])
        return dict(zip(map(str, synsets["ILSVRC2012_ID"]), map(str, synsets["WNID"]), strict=True))
    except Exception as error:  # SciPy's reader raises almost anything on a damaged file
        faults.add(f"{_META}: damaged, or not the devkit's ({first_line(error)})")
        return {}

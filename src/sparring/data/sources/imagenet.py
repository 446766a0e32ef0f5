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

import os
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from sparring.core.errors import CorruptInput
from sparring.data.faults import Faults, first_line
from sparring.data.opening import lines
from sparring.data.sources.base import Example, Raw, Split, first_of
from sparring.data.sources.images import coloured
from sparring.data.sources.synsets import read_synsets
from sparring.data.sources.tree import Tree

_TRAIN = ("ILSVRC2012_img_train", "train")
_VALIDATION = ("ILSVRC2012_img_val", "val", "valid", "validation")
_TEST = ("ILSVRC2012_img_test", "test")
_DEVKIT = "ILSVRC2012_devkit_t12/data"
_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_META = "meta.mat"
_WNID = re.compile(r"n\d{8}")
_IMAGE = "ILSVRC2012_val_{:08d}.JPEG"


def has_imagenet(path: Path) -> bool:
    """Whether the official folders are here, or training images by wnid."""
    train = first_of(path, _TRAIN)
    official = first_of(path, (_TRAIN[0], _VALIDATION[0])) is not None
    return official or (train is not None and bool(_wnids(Tree(path, Faults()), train)))


def read_imagenet(path: Path, faults: Faults) -> Raw:
    """Open a folder of ImageNet."""
    tree = Tree(path, faults)
    train, validation = first_of(path, _TRAIN), first_of(path, _VALIDATION)
    if train is None:
        faults.add("missing folders", f"{_TRAIN[0]}: not here; the training images are needed")
        return Raw("ImageNet", True, {})
    classes = {wnid: label for label, wnid in enumerate(_wnids(tree, train))}
    if not classes:
        faults.add("missing folders", f"{train}: no folders by wnid, such as n01440764; unpack every class there")
        return Raw("ImageNet", True, {})
    splits = {"train": _by_wnid(tree, train, classes, faults)}
    if validation is not None and _wnids(tree, validation):
        splits["validation"] = _by_wnid(tree, validation, classes, faults)
    elif validation is not None and _has_devkit(path / _DEVKIT, faults):
        splits["validation"] = _flat(tree, validation, classes, faults)
    test = first_of(path, _TEST)
    if test is not None and _wnids(tree, test):
        splits["test"] = _by_wnid(tree, test, classes, faults)
    return Raw("ImageNet", True, splits, tuple(classes))


def _wnids(tree: Tree, folder: str) -> list[str]:
    return [name for name in tree.folders(folder) if _WNID.fullmatch(name)]


def _by_wnid(tree: Tree, root: str, classes: Mapping[str, int], faults: Faults) -> Split:
    count = 0
    for child in tree.folders(root):
        if child not in classes:
            faults.add("unknown classes", f"{root}/{child}: not the wnid of a training folder")
        else:
            inside = sum(1 for _ in tree.images(f"{root}/{child}", nested=False))
            count += inside
            if not inside:
                faults.add("empty classes", f"{root}/{child}: a class without an image")
    for name in tree.images(root, nested=False):
        faults.add("images without a class", f"{name}: lies beside the class folders")
    return Split(count, partial(_examples_by_wnid, tree, root, classes))


def _examples_by_wnid(tree: Tree, root: str, classes: Mapping[str, int]) -> Iterator[Example]:
    present = set(tree.folders(root))
    for wnid, label in classes.items():
        # Listed again, class by class, so that 1.3 million names are never held at once.
        for name in tree.images(f"{root}/{wnid}", nested=False) if wnid in present else ():
            yield Example(name, partial(coloured, tree.root / name), label)


def _has_devkit(devkit: Path, faults: Faults) -> bool:
    missing = [name for name in (_TRUTH, _META) if not (devkit / name).is_file()]
    for name in missing:
        faults.add("missing files", f"{_DEVKIT}/{name}: not here; without it, sort the validation images by wnid")
    return not missing


def _flat(tree: Tree, root: str, classes: Mapping[str, int], faults: Faults) -> Split:
    found = dict.fromkeys(map(os.path.basename, tree.images(root, nested=False)))
    truth = _ground_truth(tree.root / _DEVKIT, root, found, classes, faults)
    return Split(len(truth), partial(_examples, tree.root / root, truth))


def _ground_truth(
    devkit: Path, root: str, found: Mapping[str, None], classes: Mapping[str, int], faults: Faults
) -> dict[str, int]:
    """The class of every validation image that is found, by its name; 0 for one whose fault is told."""
    wnids = read_synsets(devkit / _META, faults)
    truth: dict[str, int] = {}
    number = 0
    try:
        for number, line in lines(devkit / _TRUTH):
            identifier = line.strip()
            wnid = wnids.get(identifier)
            if wnids and wnid is None:
                faults.add("labels", f"{_TRUTH}:{number}: {identifier} is no ILSVRC2012_ID of {_META}")
            elif wnids and wnid not in classes:
                faults.add("labels", f"{_TRUTH}:{number}: {wnid} is not the wnid of a training folder")
            if _IMAGE.format(number) in found:
                truth[_IMAGE.format(number)] = classes.get(wnid or "", 0)
            else:
                faults.add("missing files", f"{root}/{_IMAGE.format(number)}: in {_TRUTH}, but not here")
    except (CorruptInput, OSError) as error:
        faults.add("unreadable files", f"{_TRUTH}: {first_line(error)}")
    for name in found:
        if name not in truth:
            faults.add("unlisted files", f"{root}/{name}: not one of the {number:,} images of {_TRUTH}")
    return truth


def _examples(root: Path, labels: Mapping[str, int]) -> Iterator[Example]:
    for name, label in labels.items():
        yield Example(f"{root.name}/{name}", partial(coloured, root / name), label)

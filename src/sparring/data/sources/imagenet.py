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
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from sparring.data.faults import Faults, first_line
from sparring.data.sources.base import Example, Raw, Split, first_of, visible
from sparring.data.sources.images import coloured, image_names

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
    return official or (train is not None and bool(_wnids(train)))


def read_imagenet(path: Path, faults: Faults) -> Raw:
    """Open a folder of ImageNet."""
    train, validation = first_of(path, _TRAIN), first_of(path, _VALIDATION)
    if train is None:
        faults.add("missing folders", f"{_TRAIN[0]}: not here; the training images are needed")
        return Raw("ImageNet", True, {})
    classes = {wnid: label for label, wnid in enumerate(_wnids(train))}
    if not classes:
        faults.add("missing folders", f"{train.name}: no folders by wnid, such as n01440764; unpack every class there")
        return Raw("ImageNet", True, {})
    splits = {"train": _by_wnid(train, classes, faults)}
    if validation is not None and _wnids(validation):
        splits["validation"] = _by_wnid(validation, classes, faults)
    elif validation is not None and _has_devkit(path / _DEVKIT, faults):
        splits["validation"] = _flat(validation, path / _DEVKIT, classes, faults)
    test = first_of(path, _TEST)
    if test is not None and _wnids(test):
        splits["test"] = _by_wnid(test, classes, faults)
    return Raw("ImageNet", True, splits, tuple(classes))


def _wnids(folder: Path) -> list[str]:
    return sorted(child.name for child in folder.glob("n*") if _WNID.fullmatch(child.name) and child.is_dir())


def _by_wnid(root: Path, classes: Mapping[str, int], faults: Faults) -> Split:
    count = 0
    for child in visible((child for child in root.iterdir() if child.is_dir()), root):
        if child.name not in classes:
            faults.add("unknown classes", f"{root.name}/{child.name}: not the wnid of a training folder")
        else:
            inside = len(image_names(child))
            count += inside
            if not inside:
                faults.add("empty classes", f"{root.name}/{child.name}: a class without an image")
    for name in image_names(root):
        faults.add("images without a class", f"{root.name}/{name}: lies beside the class folders")
    return Split(count, partial(_examples_by_wnid, root, classes))


def _examples_by_wnid(root: Path, classes: Mapping[str, int]) -> Iterator[Example]:
    for wnid, label in classes.items():
        # Listed again, class by class, so that 1.3 million names are never held at once.
        for name in image_names(root / wnid) if (root / wnid).is_dir() else ():
            yield Example(f"{root.name}/{wnid}/{name}", partial(coloured, root / wnid / name), label)


def _has_devkit(devkit: Path, faults: Faults) -> bool:
    missing = [name for name in (_TRUTH, _META) if not (devkit / name).is_file()]
    for name in missing:
        faults.add("missing files", f"{_DEVKIT}/{name}: not here; without it, sort the validation images by wnid")
    return not missing


def _flat(root: Path, devkit: Path, classes: Mapping[str, int], faults: Faults) -> Split:
    truth = _ground_truth(devkit, classes, faults)
    found = dict.fromkeys(image_names(root))
    for name in truth:
        if name not in found:
            faults.add("missing files", f"{root.name}/{name}: in {_TRUTH}, but not here")
    for name in found:
        if name not in truth:
            faults.add("unlisted files", f"{root.name}/{name}: not one of the {len(truth):,} images of {_TRUTH}")
    labels = {name: label for name, label in truth.items() if name in found}
    return Split(len(labels), partial(_examples, root, labels))


def _ground_truth(devkit: Path, classes: Mapping[str, int], faults: Faults) -> dict[str, int]:
    """The class of every validation image by its name; 0 for one whose fault is told."""
    wnids = _synsets(devkit / _META, faults)
    truth: dict[str, int] = {}
    for number, line in enumerate((devkit / _TRUTH).read_text(errors="replace").split(), 1):
        wnid = wnids.get(line)
        if wnids and wnid is None:
            faults.add("labels", f"{_TRUTH}:{number}: {line} is no ILSVRC2012_ID of {_META}")
        elif wnids and wnid not in classes:
            faults.add("labels", f"{_TRUTH}:{number}: {wnid} is not the wnid of a training folder")
        truth[_IMAGE.format(number)] = classes.get(wnid or "", 0)
    return truth


def _synsets(meta: Path, faults: Faults) -> dict[str, str]:
    """WordNet ids by ILSVRC2012_ID; inner nodes of the hierarchy are among them, but no image's class."""
    from scipy.io import loadmat  # a fifth of a second, which no other data should cost

    try:
        synsets = np.atleast_1d(loadmat(meta, squeeze_me=True, variable_names="synsets")["synsets"])
        return dict(zip(map(str, synsets["ILSVRC2012_ID"]), map(str, synsets["WNID"]), strict=True))
    except Exception as error:  # SciPy's reader raises almost anything on a damaged file
        faults.add("unreadable files", f"{_META}: damaged, or not the devkit's ({first_line(error)})")
        return {}


def _examples(root: Path, labels: Mapping[str, int]) -> Iterator[Example]:
    for name, label in labels.items():
        yield Example(f"{root.name}/{name}", partial(coloured, root / name), label)

"""Image folders: SPLIT/CLASS/*.png, CLASS/*.png, or images without classes. Hidden files are ignored.

If any folder is named like a split, all folders must be splits; others that hold images are faults.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from sparring.data.faults import Faults
from sparring.data.sources.base import SPLITS, RawDataset, RawSample, RawSplit
from sparring.data.sources.images import SUFFIXES, decoded


class FolderTree:
    """The files below a folder, by name relative to it and sorted by the parts of the name.

    Hidden files and `__MACOSX` are ignored. Links to folders and links that lead out of the folder are faults: nothing
    outside of a source is read.

    Args:
        root: the folder.
        faults: links are added.

    Raises:
        OSError: a folder cannot be listed.
    """

    def __init__(self, root: Path, faults: Faults) -> None:
        self.root = root
        self._names: dict[str, tuple[list[str], list[str]]] = {}
        """The folders and the files directly in every folder."""

        def refuse(error: OSError) -> None:
            raise error

        for path, folders, files in os.walk(root, onerror=refuse):
            inside = os.path.relpath(path, root)
            for name in sorted(filter(_visible, folders + files)):
                if _leads_out(os.path.join(path, name), root):
                    faults.add(f"{os.path.normpath(os.path.join(inside, name))}: {_LINK}")
                    (folders if name in folders else files).remove(name)
            folders[:] = sorted(filter(_visible, folders))
            self._names[inside] = folders, sorted(filter(_visible, files))

    def folders(self, inside: str = ".") -> list[str]:
        """The names of the folders directly in a folder."""
        return self._names.get(os.path.normpath(inside), ([], []))[0]

    def files(self, fits: Callable[[str], bool], inside: str = ".", *, nested: bool = True) -> list[str]:
        """The files below a folder whose own name fits; only those directly in it if not nested."""
        inside = os.path.normpath(inside)
        folders, files = self._names.get(inside, ([], []))
        found = [os.path.normpath(os.path.join(inside, name)) for name in files if fits(name)]
        for name in folders if nested else ():
            found += self.files(fits, os.path.join(inside, name))
        return sorted(found, key=lambda name: name.split(os.sep))

    def images(self, inside: str = ".", *, nested: bool = True) -> list[str]:
        """The files with the suffix of an image."""
        return self.files(is_image, inside, nested=nested)


_LINK = "a link to a folder or out of the source; put the files themselves in its place"


def _visible(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def _leads_out(path: str, root: Path) -> bool:
    return os.path.islink(path) and (os.path.isdir(path) or not Path(path).resolve().is_relative_to(root.resolve()))


def is_image(name: str) -> bool:
    """Whether a file name has the suffix of an image."""
    return os.path.splitext(name)[1].lower() in SUFFIXES


def has_images(path: Path) -> bool:
    """Whether an image lies anywhere below a folder."""
    return path.is_dir() and any(is_image(file.name) for file in path.rglob("*"))


def read_folder(path: Path, faults: Faults) -> RawDataset:
    """Open a folder of images."""
    tree = FolderTree(path, faults)
    roots = _split_folders(tree, faults)
    classes = tuple(sorted({child for root in roots.values() for child in tree.folders(root)}))
    splits = {}
    for name, root in roots.items():
        if classes:
            splits[name] = class_split(tree, root, classes, faults)
        else:
            splits[name] = file_split(path, [(image, None) for image in tree.images(root)])
    return RawDataset("image folder", bool(classes), splits, classes)


def file_split(root: Path, files: Sequence[tuple[str, int | None]]) -> RawSplit:
    """A split of image files.

    Args:
        root: the source's folder.
        files: their names relative to it, and their labels.
    """

    def samples() -> Iterator[RawSample]:
        for name, label in files:
            yield RawSample(name, partial(decoded, root / name), label)

    return RawSplit(len(files), samples)


def class_split(tree: FolderTree, root: str, classes: Sequence[str], faults: Faults) -> RawSplit:
    """A split of one folder a class.

    Args:
        tree: the source.
        root: the folder of the split in it.
        classes: the names of the classes' folders; the split may lack some.
        faults: classes without images, and images without a class, are added.
    """
    files: list[tuple[str, int | None]] = []
    present = set(tree.folders(root))
    for label, name in enumerate(classes):
        images = tree.images(os.path.join(root, name))
        files += [(image, label) for image in images]
        if name in present and not images:
            faults.add(f"{os.path.normpath(os.path.join(root, name))}: a class without an image")
    for image in tree.images(root, nested=False):
        faults.add(f"{image}: lies beside the class folders")
    return file_split(tree.root, files)


def _split_folders(tree: FolderTree, faults: Faults) -> dict[str, str]:
    """The folder of every split."""
    roots: dict[str, str] = {}
    others = []
    for child in tree.folders():
        split = SPLITS.get(child.lower())
        if split is None:
            others.append(child)
        elif roots.setdefault(split, child) != child:
            faults.add(f"{child}: {roots[split]} is the {split} split already")
    if not roots:
        return {"train": "."}
    for child in others:
        if tree.images(child):
            faults.add(f"{child}: holds images, but is no split, unlike {', '.join(roots.values())}")
    return roots

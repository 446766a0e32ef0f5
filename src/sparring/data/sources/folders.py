"""Image folders: SPLIT/CLASS/*.png, CLASS/*.png, or images without classes. Hidden files are ignored.

One folder that is called as a split makes all of them splits; others with images beside it are faults.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sparring.data.faults import Faults
from sparring.data.sources.base import SPLITS, Example, Raw, Split
from sparring.data.sources.images import decoded
from sparring.data.sources.tree import Tree


def has_images(path: Path) -> bool:
    """Whether an image, or what is called as one, lies anywhere below a folder."""
    faults = Faults()
    return path.is_dir() and (any(Tree(path, faults).images()) or len(faults) > 0)


def read_folder(path: Path, faults: Faults) -> Raw:
    """Open a folder of images."""
    tree = Tree(path, faults)
    roots = _split_folders(tree, faults)
    classes = tuple(sorted({child for root in roots.values() for child in tree.folders(root)}))
    splits = {name: _split(tree, root, classes, faults) for name, root in roots.items()}
    return Raw("image folder", bool(classes), splits, classes)


def _split_folders(tree: Tree, faults: Faults) -> dict[str, str]:
    roots: dict[str, str] = {}
    others = []
    for child in tree.folders():
        split = SPLITS.get(child.lower())
        if split is None:
            others.append(child)
        elif roots.setdefault(split, child) != child:
            faults.add("doubtful folders", f"{child}: {roots[split]} is the {split} split already")
    if not roots:
        return {"train": ""}
    splits = ", ".join(roots.values())
    for child in others:
        if any(tree.images(child)):
            faults.add("folders without a split", f"{child}: holds images, but is no split, unlike {splits}")
    return roots


def _split(tree: Tree, root: str, classes: tuple[str, ...], faults: Faults) -> Split:
    files: list[tuple[str, int | None]] = []
    present = set(tree.folders(root))
    for label, name in enumerate(classes):
        folder = os.path.join(root, name)
        before = len(files)
        if name in present:
            files += [(image, label) for image in tree.images(folder)]
            if len(files) == before:
                faults.add("empty classes", f"{folder}: a class without an image")
    for image in tree.images(root, nested=not classes):
        if classes:
            faults.add("images without a class", f"{image}: lies beside the class folders")
        else:
            files.append((image, None))

    def examples() -> Iterator[Example]:
        for image, label in files:
            yield Example(image, partial(decoded, tree.root / image), label)

    return Split(len(files), examples)

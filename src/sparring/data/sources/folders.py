"""Image folders: SPLIT/CLASS/*.png, CLASS/*.png, or images without classes. Hidden files are ignored.

One folder that is called as a split makes all of them splits; others with images beside it are faults.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sparring.data.faults import Faults
from sparring.data.sources.base import SPLITS, Example, Raw, Split, visible
from sparring.data.sources.images import SUFFIXES, decoded


def has_images(path: Path) -> bool:
    """Whether an image lies anywhere below a folder."""
    return path.is_dir() and bool(_images(path))


def read_folder(path: Path, faults: Faults) -> Raw:
    """Open a folder of images."""
    roots = _split_folders(path, faults)
    classes = tuple(sorted({child.name for root in roots.values() for child in _folders(root)}))
    splits = {name: _split(path, root, classes, faults) for name, root in roots.items()}
    return Raw("image folder", bool(classes), splits, classes)


def _split_folders(path: Path, faults: Faults) -> dict[str, Path]:
    roots: dict[str, Path] = {}
    others = []
    for child in _folders(path):
        split = SPLITS.get(child.name.lower())
        if split is None:
            others.append(child)
        elif roots.setdefault(split, child) != child:
            faults.add("doubtful folders", f"{child.name}: {roots[split].name} is the {split} split already")
    if not roots:
        return {"train": path}
    splits = ", ".join(root.name for root in roots.values())
    for child in others:
        if _images(child):
            faults.add("folders without a split", f"{child.name}: holds images, but is no split, unlike {splits}")
    return roots


def _split(path: Path, root: Path, classes: tuple[str, ...], faults: Faults) -> Split:
    files: list[tuple[Path, int | None]] = []
    for label, name in enumerate(classes):
        images = _images(root / name)
        if not images and (root / name).is_dir():
            faults.add("empty classes", f"{(root / name).relative_to(path)}: a class without an image")
        files += [(image, label) for image in images]
    for image in _images(root, nested=not classes):
        if classes:
            faults.add("images without a class", f"{image.relative_to(path)}: lies beside the class folders")
        else:
            files.append((image, None))

    def examples() -> Iterator[Example]:
        for image, label in files:
            yield Example(str(image.relative_to(path)), partial(decoded, image), label)

    return Split(len(files), examples)


def _folders(path: Path) -> list[Path]:
    return visible((child for child in path.iterdir() if child.is_dir()), path)


def _images(path: Path, *, nested: bool = True) -> list[Path]:
    found = path.rglob("*") if nested else path.glob("*")
    return visible((child for child in found if child.suffix.lower() in SUFFIXES and child.is_file()), path)

"""Prepared stores of a stranger: manifests that lie, and files that are not what they say."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sparring.data import prepare
from torture.payloads.arrays import header, npy, raw_npy
from torture.payloads.case import READ, REFUSED, Case, Payload, Plot, damaged, picture

Edit = Callable[[Plot, dict[str, Any]], None]


def _store(plot: Plot, count: int = 12) -> Path:
    source = plot.folder.parent / "sound.npz"
    plot.folder.parent.mkdir(parents=True, exist_ok=True)
    labels = np.arange(count) % 3
    np.savez(source, x=picture(plot.draw, count, 8, 8), y=labels, x_test=picture(plot.draw, 6, 8, 8), y_test=labels[:6])
    prepare(str(source), plot.folder)
    return plot.folder


def _manifest(plot: Plot) -> dict[str, Any]:
    found = json.loads((plot.folder / "manifest.json").read_text())
    assert isinstance(found, dict)
    return found


def _edited(edit: Edit) -> Callable[[Plot], Path]:
    def make(plot: Plot) -> Path:
        store = _store(plot)
        manifest = _manifest(plot)
        edit(plot, manifest)
        (store / "manifest.json").write_text(json.dumps(manifest))
        return store

    return make


def _put(plot: Plot, manifest: dict[str, Any], name: str, content: bytes) -> None:
    """A file whose size and hash the manifest knows, as a stranger can see to."""
    split, file = name.split("/")
    (plot.folder / name).write_bytes(content)
    facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest["splits"][split][file.removesuffix(".npy")] = facts


def _lie(plot: Plot, manifest: dict[str, Any]) -> None:
    train = manifest["splits"]["train"]
    place, value = plot.draw.choice(
        (
            ((manifest, "shape"), [1, 8, 9]),
            ((manifest, "shape"), [1, 2**40, 2**40]),
            ((manifest, "shape"), [-1, 8, 8]),
            ((manifest, "shape"), [1, 8]),
            ((manifest, "classes"), ["a", "b"]),
            ((manifest, "classes"), ["a", "b", "c\x1b[31m"]),
            ((manifest, "classes"), ["a", "b", "\ud800"]),
            ((manifest, "classes"), [f"{index}" for index in range(10**5)]),
            ((manifest, "source"), "\x1b]0;title\x07"),
            ((manifest, "format"), 10**30),
            ((manifest, "kind"), None),
            ((train, "count"), 13),
            ((train, "count"), 2**63),
            ((train, "count"), 11),
            ((train, "per_class"), [4, 4, 3]),
            ((train, "per_class"), [5, 4, 3]),
            ((train, "per_class"), [2**62, 2**62, 4]),
            ((train, "labels"), None),
            ((train["samples"], "bytes"), 1),
            ((train["samples"], "sha256"), "0" * 64),
            ((train["samples"], "sha256"), "../../../etc/passwd"),
            ((manifest["splits"], "../../train"), train),
            ((manifest["splits"], "/etc"), train),
            ((manifest["splits"], "x\n"), train),
            ((manifest["splits"], "x" * 5000), train),
            ((manifest["splits"], "tset"), train),
            ((manifest, "files"), ["../x"]),
        )
    )
    place[0][place[1]] = value


def _bad_labels(plot: Plot, manifest: dict[str, Any]) -> None:
    labels = np.arange(12) % 3
    labels[plot.draw.randrange(12)] = plot.draw.choice((-1, 3, 2**62, -(2**63)))
    _put(plot, manifest, "train/labels.npy", npy(labels))


def _bad_array(plot: Plot, manifest: dict[str, Any]) -> None:
    file = plot.draw.choice(("labels", "samples"))
    count = plot.draw.randrange(10**9, 10**13)
    contents = (
        pickle.dumps(Payload(plot.shell)),
        npy(np.array([Payload(plot.shell)] * 12, dtype=object), pickled=True),
        raw_npy(header(f"({count}, 1, 8, 8)"), bytes(99)),
        raw_npy(header("(12, 1, 8, 8)"), bytes(99)),
        raw_npy(header("(12,)", "'<i8'"), bytes(9)),
        raw_npy(header("(12,)", "'|O'"), bytes(96)),
        raw_npy(header("(12, 1, 8, 8)", fortran=True), bytes(768)),
        raw_npy(header("(12, 1, 8, 8)"), bytes(768), version=2, length=2**32 - 1),
        raw_npy(header("(12, 1, 8, 8)"), bytes(768), version=9),
        npy(np.zeros((12, 1, 8, 8))),
        npy(np.full(12, np.nan)),
        b"PK\3\4" + bytes(500),
        b"PK\5\6" + bytes(18),
    )
    _put(plot, manifest, f"train/{file}.npy", plot.draw.choice(contents))


def _no_array(plot: Plot, manifest: dict[str, Any]) -> None:
    """A link, a pipe or a device; where there is a size, the manifest knows it."""
    path = plot.folder / plot.draw.choice(("train", "test")) / plot.draw.choice(("samples.npy", "labels.npy"))
    content = path.read_bytes()
    path.unlink()
    kind = plot.draw.randrange(4)
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.symlink_to(plot.draw.choice(("/dev/zero", "/dev/random", "nowhere", path.name)))
    elif kind == 2:
        (plot.secret / "same.npy").write_bytes(content)
        path.symlink_to(plot.secret / "same.npy")
    else:
        path.mkdir()


def _no_manifest(plot: Plot) -> Path:
    store = _store(plot)
    path = store / "manifest.json"
    text = path.read_text()
    path.unlink()
    kind = plot.draw.randrange(8)
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.symlink_to(plot.draw.choice(("/dev/zero", "/dev/random", "nowhere")))
    elif kind == 2:
        with path.open("wb") as file:
            file.truncate(20 << 30)
    elif kind == 3:
        path.write_text("[" * 10**6)
    elif kind == 4:
        path.write_text(text.replace('"format"', '"format": 1, "format"', 1))
    elif kind == 5:
        path.write_text(text.replace('"format": 1', '"format": NaN', 1))
    elif kind == 6:
        path.write_bytes(pickle.dumps(Payload(plot.shell)))
    else:
        path.write_text("{" + ", ".join(f'"{index}": [' + "{}," * 999 + "{}]" for index in range(1000)) + "}")
    return store


def _changed(plot: Plot) -> Path:
    store = _store(plot)
    path = store / plot.draw.choice(("train", "test")) / plot.draw.choice(("samples.npy", "labels.npy"))
    content = path.read_bytes()
    path.write_bytes(plot.draw.choice((damaged(content, plot.draw), content[:-1], content + b"\0", content[:80])))
    return store


def _unusual(plot: Plot) -> Path:
    store = _store(plot)
    (store / "notes.txt").write_text("beside")
    (store / "train" / "extra.npy").write_bytes(pickle.dumps(Payload(plot.shell)))
    linked = store.parent / "linked"
    linked.symlink_to(store)
    manifest = _manifest(plot)
    manifest["classes"] = ["<script>alert(1)</script>", "&amp;", "Schönes; DROP TABLE"]
    (store / "manifest.json").write_text(json.dumps(manifest))
    return plot.draw.choice((store, linked))


def _looked_at(source: Path, out: Path, draw: random.Random) -> Sequence[str]:
    return draw.choice(
        (
            ["data", "inspect", str(source)],
            ["verify", str(source)],
            ["train", "dishonest/digits", f"data={source}", "--out", str(out)],
            ["train", "dishonest/digits", "data.name=store", f"data.path={source}", "--out", str(out)],
        )
    )


def _case(name: str, make: Callable[[Plot], Path], says: str, codes: tuple[int, ...] = (REFUSED,)) -> Case:
    return Case(f"store: {name}", make, codes, says, command=_looked_at if REFUSED in codes else _inspected)


def _inspected(source: Path, out: Path, draw: random.Random) -> Sequence[str]:
    return [*draw.choice((["data", "inspect"], ["verify"])), str(source), *draw.choice(([], ["--json"]))]


CASES = (
    _case("a manifest that lies", _edited(_lie), ""),
    _case("labels beyond the classes", _edited(_bad_labels), "label"),
    _case("arrays that are none", _edited(_bad_array), r"train/\w+.npy: "),
    _case("links, pipes and devices", _edited(_no_array), r"t/|train/"),
    _case("a manifest that is none", _no_manifest, "manifest.json"),
    _case("with bytes changed", _changed, r"npy: "),
    _case("unusual, but sound", _unusual, "", (READ,)),
)

"""What is never read: pickles of CIFAR and others, archives; and YAML that names code."""

from __future__ import annotations

import io
import os
import pickle
import random
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch

from torture.payloads.case import REFUSED, USAGE, Case, Payload, Plot, pngs

_CIFAR = ("data_batch_1", "data_batch_2", "test_batch", "batches.meta")


def _batch(plot: Plot) -> bytes:
    return pickle.dumps({b"data": Payload(plot.shell), b"labels": [0, 1]}, plot.draw.randrange(2, 6))


def _cifar(plot: Plot) -> Path:
    names = plot.draw.choice((_CIFAR, ("train", "test", "meta")))
    for name in names:
        plot.write(name, _batch(plot))
    return plot.draw.choice((plot.folder, plot.folder / names[0]))


def _pickle(plot: Plot) -> Path:
    suffix = plot.draw.choice(("pkl", "pickle", "pt", "pth", "ckpt", "joblib"))
    path = plot.write(f"data.{suffix}", _batch(plot))
    if suffix in ("pt", "pth"):
        torch.save({"x": Payload(plot.shell)}, path)
    return plot.draw.choice((plot.folder, path))


def _tar(plot: Plot) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=plot.draw.choice(("w", "w:gz", "w:xz"))) as archive:
        for name, kind, target in (
            (f"../{plot.canary.name}", tarfile.REGTYPE, ""),
            (str(plot.canary), tarfile.REGTYPE, ""),
            ("link", tarfile.SYMTYPE, str(plot.secret)),
            ("link/planted", tarfile.REGTYPE, ""),
            ("hard", tarfile.LNKTYPE, "/etc/passwd"),
            ("device", tarfile.CHRTYPE, ""),
            ("pipe", tarfile.FIFOTYPE, ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
        member = tarfile.TarInfo("cat/0.png")
        content = pngs(plot.draw, 1)[0]
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def _zip(plot: Plot) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in (f"../{plot.canary.name}", str(plot.canary), "cat/0.png"):
            archive.writestr(name, pngs(plot.draw, 1)[0])
    return stream.getvalue()


def _archive(plot: Plot) -> Path:
    name = plot.draw.choice(("cifar-10-python.tar.gz", "data.tar", "data.tgz", "data.zip", "train.tar.xz"))
    path = plot.write(name, _zip(plot) if name.endswith("zip") else _tar(plot))
    return plot.draw.choice((plot.folder, path))


def _nothing(plot: Plot) -> Path:
    plot.folder.mkdir(parents=True)
    return plot.folder


def _yaml(source: Path, out: Path, draw: random.Random) -> Sequence[str]:
    canary = source.parent / "canary"
    laughs = "{path: [&a [x,x,x,x,x,x,x,x,x]" + "".join(
        f", &{chr(98 + index)} [{','.join([f'*{chr(97 + index)}'] * 9)}]" for index in range(9)
    )
    data = draw.choice(
        (
            f"!!python/object/apply:os.system ['touch {canary}']",
            f"!!python/object/new:os.system ['touch {canary}']",
            f"{{name: store, path: !!python/object/apply:os.system ['touch {canary}']}}",
            "{name: store, path: !!python/name:os.system }",
            "!!python/module:antigravity",
            laughs + "]}",
            "{name: store, path: " + "[" * 5000 + "]" * 5000 + "}",
            "{name: store, path: x, path: y}",
            "{name: 'store\x1b[31m', path: x}",
            "{name: store, path: 'x\x1b[31m'}",
            f"{{name: store, path: '{os.devnull}'}}",
            "{name: no_module_at_all:Data}",
        )
    )
    return ["train", "dishonest/digits", f"data={data}", "--out", str(out)]


CASES = (
    Case("CIFAR's pickles", _cifar, (REFUSED,), "a pickle, which can run any program"),
    Case("other pickles", _pickle, (REFUSED,), "a pickle, which can run any program"),
    Case("archives", _archive, (USAGE,), "an archive; archives are not unpacked"),
    Case("YAML", _nothing, (USAGE,), "data", command=_yaml),
)

"""Runs as a stranger might hand them over: hostile, with hashes that agree."""

from __future__ import annotations

import io
import json
import random
import shutil
import struct
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from safetensors.torch import load, save

from sparring.runs.checkpoint import MANIFEST, STATE, TENSORS
from sparring.runs.folder import RunFolder
from torture import manifests
from torture.games import made_once, play, recipe_of
from torture.observed import MARK

GAME = "flip"
DEEP = 100_000
"""Levels of nesting."""
PAYLOAD = f"__import__('os').system('touch {MARK}')"
Spoil = Callable[[Path, random.Random], None]
"""Spoils the run in a folder."""
Header = dict[str, Any]


def whole_run(shared: Path) -> Path:
    """A run that nothing is wrong with."""
    recipe = recipe_of(GAME, shared, "log_every=5")  # so that a checkpoint holds sums that are not logged yet
    return made_once(shared / f"whole {GAME}", lambda path: play(recipe, path))


def copy_of(shared: Path, folder: Path) -> Path:
    """A copy of it with one checkpoint alone, so that there is nothing to fall back to."""
    run = RunFolder.open(Path(shutil.copytree(whole_run(shared), folder / "run")))
    shutil.rmtree(run.saved()[-1])
    return run.path


def rehash(run: Path) -> None:
    """Let the manifest say what is there."""
    manifests.rehash(_checkpoint(run))


def _checkpoint(run: Path) -> Path:
    return RunFolder.open(run).saved()[-1]


def _tensors(change: Callable[[Header, bytes], bytes | tuple[Any, bytes]]) -> Spoil:
    """Spoil the header of tensors.safetensors, or the whole file."""

    def spoil(run: Path, _draw: random.Random) -> None:
        path = _checkpoint(run) / TENSORS
        content = path.read_bytes()
        (length,) = struct.unpack("<Q", content[:8])
        changed = change(json.loads(content[8 : 8 + length]), content[8 + length :])
        path.write_bytes(changed if isinstance(changed, bytes) else joined(*changed))
        rehash(run)

    return spoil


def joined(header: Any, data: bytes) -> bytes:
    """A safetensors file."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def _named(name: str) -> Spoil:
    """Give a tensor another name."""

    def change(header: Header, data: bytes) -> tuple[Header, bytes]:
        first = next(iter(header))
        return {name if key == first else key: facts for key, facts in header.items()}, data

    return _tensors(change)


def _facts(**values: Any) -> Spoil:
    """Say something else of a tensor of weights."""

    def change(header: Header, data: bytes) -> tuple[Header, bytes]:
        name = next(name for name, facts in header.items() if facts["dtype"] == "F32" and len(facts["shape"]) == 2)
        return header | {name: header[name] | values}, data

    return _tensors(change)


def _values(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Spoil:
    """Other tensors, in a file that is sound."""
    return _tensors(lambda header, data: save(change(load(joined(header, data)))))


def _first(tensors: dict[str, torch.Tensor], pattern: str) -> str:
    return next(name for name in sorted(tensors) if pattern in name)


def _changed(pattern: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Spoil:
    return _values(lambda tensors: tensors | {(name := _first(tensors, pattern)): change(tensors[name]).contiguous()})


def _without(pattern: str) -> Spoil:
    def change(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        gone = _first(tensors, pattern)
        return {name: tensor for name, tensor in tensors.items() if name != gone}

    return _values(change)


def _with(name: str) -> Spoil:
    return _values(lambda tensors: tensors | {name: torch.zeros(1)})


def _many(count: int) -> Spoil:
    nothing = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    return _tensors(
        lambda _header, _data: joined(
            ("{" + ",".join(f'"players/{number}":{nothing}' for number in range(count)) + "}").encode(), b""
        )
    )


def _length(length: int) -> Spoil:
    return _tensors(lambda header, data: struct.pack("<Q", length) + joined(header, data)[8:])


def _repeated(header: Header, data: bytes) -> tuple[bytes, bytes]:
    name, facts = next(iter(header.items()))
    return f'{json.dumps(header)[:-1]}, "{name}": {json.dumps(facts)}}}'.encode(), data


def _metadata(value: Any) -> Spoil:
    return _tensors(lambda header, data: ({"__metadata__": value} | header, data))


def _overlapping(header: Header, data: bytes) -> tuple[Header, bytes]:
    (_, one), (second, other) = list(header.items())[:2]
    return header | {second: other | {"data_offsets": one["data_offsets"]}}, data


def _state(**values: Any) -> Spoil:
    """Other values in state.json."""

    def spoil(run: Path, _draw: random.Random) -> None:
        path = _checkpoint(run) / STATE
        path.write_text(json.dumps(json.loads(path.read_text()) | values))
        rehash(run)

    return spoil


def _of_recipe(key: str, **values: Any) -> Spoil:
    """Other values below a key of the recipe, of which the state knows."""

    def spoil(run: Path, draw: random.Random) -> None:
        path = run / "recipe.yaml"
        recipe = yaml.safe_load(path.read_text())
        recipe[key] = values if "name" in values else recipe[key] | values
        path.write_text(yaml.safe_dump(recipe))
        _state(recipe_sha256=sha256(path.read_bytes()).hexdigest())(run, draw)

    return spoil


def _document(name: str, change: Callable[[bytes], bytes]) -> Spoil:
    """Another JSON document."""

    def spoil(run: Path, _draw: random.Random) -> None:
        path = _checkpoint(run) / name
        path.write_bytes(change(path.read_bytes()))
        if name != MANIFEST:
            rehash(run)

    return spoil


def _said(**values: Any) -> Spoil:
    return _document(MANIFEST, lambda content: manifests.as_written(json.loads(content) | values).encode())


def _deeper(content: bytes) -> bytes:
    return content.replace(b"{", b'{"x":' + b"[" * DEEP + b"]" * DEEP + b",", 1)


_SURPRISES: dict[str, Callable[[bytes], bytes]] = {
    "a key twice": lambda content: content.replace(b"{", b'{"step": 1, "format": 2, "step": 1, "format": 2,', 1),
    "NaN": lambda content: content.replace(b"{", b'{"seconds": NaN,', 1),
    "Infinity": lambda content: content.replace(b"{", b'{"seconds": -Infinity,', 1),
    "beyond doubles": lambda content: content.replace(b"{", b'{"seconds": 1e999,', 1),
    "a million digits": lambda content: content.replace(b"{", b'{"step":' + b"9" * 1_000_000 + b",", 1),
    "a thousand digits": lambda content: content.replace(b"{", b'{"step":' + b"9" * 1_000 + b",", 1),
    "deep": _deeper,
    "deep list": lambda _content: b"[" * DEEP,
    "a list": lambda content: b"[" + content + b"]",
    "nothing": lambda _content: b"",
    "null": lambda _content: b"null",
    "latin-1": lambda content: content.replace(b"{", b'{"\xe9": 1,', 1),
    "utf-16": lambda content: content.decode().encode("utf-16"),
    "a mark of byte order": lambda content: b"\xef\xbb\xbf" + content,
    "half a surrogate pair": lambda content: content.replace(b"{", b'{"x": "\\ud800",', 1),
    "control characters": lambda content: content.replace(b"{", b'{"\\u001b[2J\\r\\n\\u202e": 1, ', 1),
    "much": lambda content: content + b" " * (65 << 20),
    "two documents": lambda content: content + content,
    "YAML": lambda _content: f"!!python/object/apply:os.system ['touch {MARK}']".encode(),
}
"""JSON that is not what it should be."""
CHECKPOINTS: dict[str, Spoil] = {
    **{f"name {name[:20]!r}": _named(name) for name in (
        "../../../x", "/etc/passwd", "", "\0", "a\nb", "\x1b[2J\x1b[31m", "\u202eplayers", "players/" + "x" * 100_000,
        "players/generator.__class__", "watch/\x1b[2J", "watch/" + "x" * 1000, "optimizer.generator/99/exp_avg",
        "optimizer.generator/-1/step", "optimizer.generator/x/step", "optimizer.generator/0/y", "watch/", "players/",
    )},
    "names, 100,000": _many(100_000),
    "names, 1,000,000": _many(1_000_000),
    **{f"header of {length}": _length(length) for length in (0, 1, 2**31, 2**63, 2**64 - 1)},
    **{f"metadata {metadata}": _metadata(metadata) for metadata in (3, [1], {"a": 1}, {"a": {"b": "c"}})},
    "header repeats a name": _tensors(_repeated),
    "header is deep": _tensors(lambda header, data: (b'{"a":' + b"[" * DEEP + b"]" * DEEP + b"}", data)),
    "header is a list": _tensors(lambda header, data: ([header], data)),
    "header holds NaN": _tensors(lambda header, data: (json.dumps(header).replace("[0,", "[NaN,").encode(), data)),
    "offsets overlap": _tensors(_overlapping),
    "offsets beyond": _facts(data_offsets=[2**62, 2**62 + 64]),
    "offsets negative": _facts(data_offsets=[-64, 0]),
    "offsets reversed": _facts(data_offsets=[64, 0]),
    "offsets of text": _facts(data_offsets=["0", "64"]),
    "shape overflows": _facts(shape=[2**62, 4]),
    "shape overflows at zero": _facts(shape=[0, 2**63, 2**40]),
    "shape negative": _facts(shape=[-1, 64]),
    "shape of text": _facts(shape="x"),
    "shape of 100,000 axes": _facts(shape=[1] * DEEP),
    "type unknown": _facts(dtype="XX"),
    "type of half bytes": _facts(dtype="F4"),
    "type of whole numbers": _facts(dtype="I32"),
    "key unknown": _facts(surprise=1),
    "data cut": _tensors(lambda header, data: (header, data[:-4])),
    "data longer": _tensors(lambda header, data: (header, data + bytes(4))),
    "file empty": _tensors(lambda _header, _data: b""),
    "file of zeros": _tensors(lambda _header, _data: bytes(1000)),
    "no tensors": _tensors(lambda _header, _data: joined({}, b"")),
    "a pickle": _tensors(lambda _header, _data: pickled()),
    "an archive": _tensors(lambda _header, _data: archived()),
    "weights missing": _without("players/"),
    "moments missing": _without("exp_avg_sq"),
    "tensor too many": _with("players/generator.extra"),
    "tensor of nothing": _with("extra"),
    "weights in halves": _changed("players/generator", torch.Tensor.half),
    "weights in doubles": _changed("players/generator", torch.Tensor.double),
    "weights transposed": _changed(".weight", lambda x: x.transpose(-1, -2)),
    "weights with an axis more": _changed(".weight", lambda x: x[None]),
    "weights to broadcast": _changed(".bias", lambda x: x[..., :1]),
    "weights a scalar": _changed(".bias", lambda x: x.flatten()[0].clone()),
    "weights of nothing": _changed(".bias", lambda x: x[..., :0]),
    "weights not numbers": _changed(".weight", lambda x: x * float("nan")),
    "weights infinite": _changed(".weight", lambda x: x + float("inf")),
    "moments infinite": _changed("/exp_avg", lambda x: x + float("inf")),
    "moments a scalar": _changed("/exp_avg", lambda x: x.flatten()[0].clone()),
    "moments to broadcast": _changed("/exp_avg", lambda x: x[..., :1]),
    "sums too long": _changed("watch/", lambda x: torch.cat([x, x])),
    "sums of singles": _changed("watch/", torch.Tensor.float),
    "sums of no rounds": _changed("watch/", lambda x: x * 0),
    "sums of half a round": _changed("watch/", lambda x: x * 0 + 0.5),
    "networks larger": _of_recipe("generator", hidden=[17, 16]),
    "networks of petabytes": _of_recipe("generator", hidden=[2**25, 2**25]),
    "networks of many latents": _of_recipe("generator", latent=2**31 - 1),
    "data of another shape": _of_recipe("data", name="digits"),
    **{f"state: {name}": _document(STATE, change) for name, change in _SURPRISES.items()},
    **{f"state: {key} = {str(value)[:20]}": _state(**{key: value}) for key, value in [
        ("step", 1), ("step", -1), ("step", True), ("step", "24"), ("step", 24.0), ("step", None), ("step", 10**30),
        ("seconds", -1.0), ("seconds", "x"), ("threads", 0), ("threads", 10**9), ("log_bytes", -1),
        ("log_bytes", 10**15), ("log_bytes", 1), ("log_sha256", "0" * 64), ("log_sha256", "\x1b[2J"),
        ("recipe_sha256", "0" * 64), ("recipe_sha256", None), ("space", None), ("space", []),
        ("space", {"shape": [2**40, 2**40], "bounds": None, "classes": 0}),
        ("space", {"shape": [], "bounds": None, "classes": 0}),
        ("space", {"shape": [-2], "bounds": None, "classes": 0}),
        ("space", {"shape": [2], "bounds": [1.0, -1.0], "classes": 0}),
        ("space", {"shape": [2], "bounds": None, "classes": 2**40}),
        ("space", {"shape": [3, 8, 8], "bounds": [-1.0, 1.0], "classes": 10}),
        ("surprise\x1b[2J", 1),
    ]},
    **{f"manifest: {name}": _document(MANIFEST, change) for name, change in _SURPRISES.items()},
    **{f"manifest: {name}": _said(**values) for name, values in {
        "format of before": {"format": 1}, "format of later": {"format": 3}, "format of text": {"format": "\x1b[2J"},
        "format of much": {"format": "x" * 10_000}, "no files": {"files": {}}, "files of text": {"files": "x"},
        "files elsewhere": {"files": {"../../recipe.yaml": {"bytes": 1, "sha256": "0" * 64}}},
        "files of nothing": {"files": {TENSORS: None, STATE: None}},
        "surprise": {"surprise": 1},
    }.items()},
}  # fmt: skip
"""Each makes the only checkpoint of a run one that must not be continued."""


def _billion() -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    return "\n".join(lines).encode()


RECIPES: dict[str, Callable[[bytes], bytes]] = {
    "tags": lambda text: text + f"\nx: !!python/object/apply:os.system ['touch {MARK}']\n".encode(),
    "names": lambda text: text + b"\nx: !!python/name:os.system\n",
    "a billion laughs": lambda text: text + b"\n" + _billion(),
    "latin-1": lambda text: text + b"\n# \xe9\n",
    "control characters": lambda text: text.replace(b"description:", b"description: \x1b[2J", 1),
    "zeros": lambda text: text + bytes(10),
    "deep": lambda text: text + b"\nx: " + b"[" * DEEP,
    "much": lambda text: text + b"\n#" + b"x" * (2 << 20),
    "nothing": lambda _text: b"",
    "a word": lambda _text: b"recipe",
    "half": lambda text: text[: len(text) // 2],
    "code": lambda text: text.replace(b"objective:", b"objective: {name: 'os:system'}\nx:", 1),
    "binary": lambda text: bytes(range(256)) + text,
}
"""recipe.yaml that is not what it should be."""

DOCUMENTS: dict[str, Callable[[bytes], bytes]] = {
    name: change for name, change in _SURPRISES.items() if name != "control characters"
}
"""Other JSON files of a run that are not what they should be."""


class _Payload:
    """Runs when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return eval, (PAYLOAD,)


def pickled() -> bytes:
    """A pickle that leaves its mark."""
    import pickle

    return pickle.dumps(_Payload())


def archived() -> bytes:
    """What `torch.save` writes, with a payload in it."""
    out = io.BytesIO()
    torch.save({"weight": _Payload()}, out)
    return out.getvalue()


def with_objects() -> bytes:
    """An npz whose arrays hold objects."""
    out = io.BytesIO()
    arrays = {
        name: np.array([_Payload()], dtype=object) for name in ("points", "landscape", "extent", "real", "0/clean")
    }
    np.savez(out, **arrays)  # type: ignore[arg-type]
    return out.getvalue()


def climbing() -> bytes:
    """An npz with members that would like to lie elsewhere."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(f"../../{MARK}.npy", b"x")
        archive.writestr("points.npy", pickled())
    return out.getvalue()

"""The classes of ImageNet's devkit: `meta.mat`, a MATLAB file (level 5) of small compressed parts.

A part that unpacks to more than the whole devkit's table takes is never unpacked.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from sparring.data.faults import Faults, first_line
from sparring.data.opening import contents

_LARGEST = 2**22
"""Bytes of the file, and of what it unpacks to; the devkit's take 0.1 and 1.5 million."""
_HEADER, _TAG = 128, 8
_COMPRESSED = 15


def read_synsets(meta: Path, faults: Faults) -> dict[str, str]:
    """WordNet ids by ILSVRC2012_ID; inner nodes of the hierarchy are among them, but no image's class."""
    try:
        content = contents(meta, _LARGEST)
        _refuse_bombs(content)
        found = loadmat(BytesIO(content), squeeze_me=True, variable_names="synsets")
        synsets = np.atleast_1d(found["synsets"])
        return dict(zip(map(str, synsets["ILSVRC2012_ID"]), map(str, synsets["WNID"]), strict=True))
    except Exception as error:  # SciPy's reader raises almost anything on a damaged file
        faults.add("unreadable files", f"{meta.name}: damaged, or not the devkit's ({first_line(error)})")
        return {}


def _refuse_bombs(content: bytes) -> None:
    order = ">" if content[_HEADER - 2 : _HEADER] == b"MI" else "<"
    at, room = _HEADER, _LARGEST
    while at + _TAG <= len(content):
        kind, size = struct.unpack_from(f"{order}2I", content, at)
        at += _TAG
        if kind == _COMPRESSED:
            room -= len(zlib.decompressobj().decompress(content[at : at + size], room + 1))
            if room < 0:
                raise ValueError(f"unpacks to more than {_LARGEST:,} bytes")
        at += size

"""Data from strangers: whatever is in them, they are read or refused, and nothing else happens."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from pathlib import Path

from PIL import Image

from sparring.data import verify
from torture.payloads import CASES
from torture.payloads.case import READ, Case, Plot
from torture.promise import Promise, Trial
from torture.quarantine import Outcome, quarantined

MOST_MEMORY = 300 * 10**6
"""Bytes more than before the command."""

_TOLD = re.compile(r"(images: .+\n)*error: .+\n(  .+\n)*  try: .+\n")
_UNPRINTABLE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def trial(trial: Trial) -> None:
    """Plant one kind of data, name it to the library, and look at all that came of it."""
    case, stage = trial.turn(CASES), trial.folder / "stage"
    work, place, secret = (stage / name for name in ("work", "planted", "secret"))
    for folder in (work, place, secret):
        folder.mkdir(parents=True)
    Image.new("L", (8, 8)).save(secret / "private.png")
    (secret / "notes.txt").write_text("of nobody's concern")
    canary, made = place / "canary", place / "made"
    source = case.plant(Plot(place / "source", canary, secret, trial.draw))
    arguments = case.arguments(source, made / "out", trial.draw)
    before = _seen(stage)
    outcome = quarantined(arguments, work=work, printed=trial.folder / "printed", allowed=made, secret=secret)
    told = f"{case.name}: sparring {' '.join(arguments)}\n{outcome.text.decode(errors='replace')}"
    _check(case, outcome, made / "out", told)
    assert not canary.exists(), f"a payload ran\n{told}"
    shutil.rmtree(made, ignore_errors=True)
    after = _seen(stage)
    assert after == before, f"{sorted({*after.items()} ^ {*before.items()})[:9]}\n{told}"


def _check(case: Case, outcome: Outcome, out: Path, told: str) -> None:
    assert outcome.code in case.codes, f"exit {outcome.code}, where {case.codes} is due\n{told}"
    assert outcome.memory <= MOST_MEMORY, f"{outcome.memory / 1e6:,.0f} MB more\n{told}"
    assert not outcome.misdeeds, f"{outcome.misdeeds[:5]}\n{told}"
    text = outcome.text.decode()
    strange = _UNPRINTABLE.search(text)
    assert not strange, f"prints {strange}\n{told}"
    if outcome.code == READ:
        if case.command is None:
            verify(out)
        return
    assert _TOLD.fullmatch(text), f"not progress, a cause and a remedy\n{told}"
    assert re.search(case.says, text), f"does not say {case.says!r}\n{told}"
    assert not out.parent.exists(), f"something half-made is left\n{told}"


def _seen(folder: Path) -> dict[str, str]:
    """Every file below a folder, by its kind, size and content."""
    found = {}
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(root, name)
            facts = os.lstat(path)
            content = ""
            if stat.S_ISREG(facts.st_mode) and facts.st_size < 1 << 26:
                content = hashlib.sha256(Path(path).read_bytes()).hexdigest()
            found[path] = f"{facts.st_mode:o} {facts.st_size if not stat.S_ISDIR(facts.st_mode) else 0} {content}"
    return found


PROMISE = Promise(
    number=8,
    title="Data from strangers are read or refused: no payload runs, nothing is written elsewhere, 300 MB at most",
    quick=len(CASES),
    long=600,
    trial=trial,
)

"""A run of version 0.1.0 opens, or is refused with one line that names the file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sparring.core.errors import CorruptInput
from sparring.report import report_run
from sparring.runs.folder import RunFolder
from sparring.training.load import load_training

CORPUS = Path(__file__).parents[1] / "corpus" / "0.1.0"


OPENS = {"attacked": False, "classes": False, "classifier": True, "finetuned": False, "ring": True}


@pytest.mark.parametrize("name", sorted(path.name for path in CORPUS.iterdir()))
def test_a_run_of_an_earlier_version_opens_or_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(CORPUS, tmp_path / "corpus")
    monkeypatch.chdir(tmp_path / "corpus")  # the fine-tuned run names another one by its path
    run = RunFolder.open(Path(name))
    refusal = None
    try:
        assert report_run(run).stat().st_size > 10_000
        assert load_training(run, "cpu").step == 12
    except CorruptInput as error:
        refusal = error
    if OPENS[name]:
        assert refusal is None
    else:
        assert refusal is not None and refusal.cause.startswith(name) and refusal.remedy

"""What a notebook shows: progress as one line that changes in place, and a run as a card."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import sparring
from report_pages import Page, measured, pictured
from sparring.cli.terminal import show_progress


def test_progress_is_a_line_that_changes_in_place(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    lines = list[list[str]]()

    class Handle:
        def __init__(self) -> None:
            lines.append([])
            self.line = lines[-1]

        def display(self, data: dict[str, str], raw: bool) -> None:
            self.update(data, raw)

        def update(self, data: dict[str, str], raw: bool) -> None:
            assert raw
            self.line.append(data["text/plain"])

    display = ModuleType("IPython.display")
    display.DisplayHandle = Handle  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr("sparring.cli.terminal.Console", in_a_notebook(sparring.cli.terminal.Console))
    with show_progress("rounds") as progress:
        progress.advance(1, 3)
        progress.part("images").advance(5, 5)
        progress.advance(3, 3)
        progress.note("a remark")
    assert lines == [["", "rounds: 1 of 3", "rounds: 3 of 3"], ["", "images: 5 of 5"]]
    assert capsys.readouterr().err == "a remark\n"


def in_a_notebook(console: Callable[..., Any]) -> Callable[..., Any]:
    def made(**options: Any) -> Any:
        return console(force_jupyter=True, **options)

    return made


def test_a_run_shows_itself(tmp_path: Path) -> None:
    run = measured(pictured(tmp_path / "run", 8), "G draws <7> of 10 classes.")
    card = tmp_path / "card.html"
    card.write_text(sparring.load(run.path)._repr_html_(), encoding="utf-8")
    page = Page(card)
    assert "G draws <7> of 10 classes." in page.text and "complete, 200 rounds" in page.text
    sources = [each["src"] or "" for each in page.named("img")]
    assert len(sources) == 4 and all(source.startswith("data:image/png;base64,") for source in sources)
    assert not page.ids and not page.scripts and not page.named("style")
    assert not (run.path / "report.html").exists()

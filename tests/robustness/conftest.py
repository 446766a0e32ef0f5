"""What takes the time of an evaluation is left out where a test is about something else."""

from __future__ import annotations

import pytest

from sparring.robustness import worst_case


@pytest.fixture(autouse=True)
def _without_charts(undrawn: None) -> None: ...


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluations without sanity checks."""
    monkeypatch.setattr(worst_case, "sanity_checks", lambda *_, **__: [])

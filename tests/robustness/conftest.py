"""What takes the time of an evaluation is left out where a test is about something else."""

from __future__ import annotations

import pytest

from sparring.robustness import transfer, worst_case


@pytest.fixture(autouse=True)
def _without_charts(undrawn: None) -> None: ...


@pytest.fixture
def quick_substitute(monkeypatch: pytest.MonkeyPatch) -> None:
    """The substitute of a black-box attacker after three updates; tests of sanity checks and of transfer train it."""
    monkeypatch.setattr(transfer, "_UPDATES", 3)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluations without sanity checks."""
    monkeypatch.setattr(worst_case, "sanity_checks", lambda *_, **__: [])

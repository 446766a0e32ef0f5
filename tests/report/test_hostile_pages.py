"""The trials of hostile reports can fail: a browser does what a page without its defences says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from torture.browser import browser, listening, loaded
from torture.hostile_reports import Page
from torture.injections import OWNED, PAYLOADS, PORT, harmless

POLICY = "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; base-uri 'none'\">"


def written(path: Path, head: str, body: str) -> Path:
    path.write_text(f"<!doctype html><html><head>{head}</head><body>{body}</body></html>")
    return path


@pytest.mark.skipif(not browser(), reason="no browser here")
@pytest.mark.parametrize("payload", ["script", "image", "svg"])
def test_a_browser_runs_what_a_page_lets_in_and_a_policy_alone_stops_it(payload: str, tmp_path: Path) -> None:
    for head, owned in (("", True), (POLICY, False)):
        with listening() as port:
            page = written(tmp_path / "page.html", head, PAYLOADS[payload].replace(PORT, str(port.number)))
            source = loaded(page, tmp_path / "profile")
        assert (f"{OWNED}=" in source.split(">")[1]) == owned
        assert bool(port.reached) == owned


@pytest.mark.parametrize(
    "name", [name for name, text in PAYLOADS.items() if re.search(r"<[a-z]", text, re.IGNORECASE) and "&" not in text]
)
def test_structure_tells_a_payload_that_is_let_in(name: str) -> None:
    twin = Page(f"<p>{harmless(PAYLOADS[name])}</p><p>after</p>")
    try:
        hostile = Page(f"<p>{PAYLOADS[name]}</p><p>after</p>")
    except AssertionError:
        return  # an address, an event handler or a comment
    assert hostile.structure != twin.structure

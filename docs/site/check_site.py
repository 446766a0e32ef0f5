"""The built site: links lead somewhere, every public name is in the reference, no request leaves a page."""

from __future__ import annotations

import ast
import functools
import http.server
import json
import re
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from sphinx.util.inventory import InventoryFile

ROOT = Path(__file__).parents[2]
SITE = (ROOT / "build" / "docs").resolve()
sys.path.append(str(ROOT / "tests"))

from browser import browser, loaded  # noqa: E402

_HIGHLIGHTING = re.compile(r'<span class="[\w ]+">|</span>')
"""Most of the tags of a page of source. They have neither anchors nor links."""


class Page(HTMLParser):
    """The anchors and links of a page, and the addresses of what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.feed(_HIGHLIGHTING.sub("", path.read_text()))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if "src" in values:
            self.loads.add(values["src"])
        if tag in ("a", "link") and "href" in values:
            (self.links if tag == "a" else self.loads).add(values["href"])


@functools.cache
def pages() -> dict[Path, Page]:
    """All pages by path, but for the list of sources, which no page links to."""
    files = {*SITE.rglob("*.html")} - {*(SITE / "_static").rglob("*"), SITE / "_modules/index.html"}
    return {path: Page(path) for path in sorted(files)}


@functools.cache
def place(folder: Path, address: str) -> Path:
    """What the path of a link means on the pages of a folder."""
    return (folder / unquote(address)).resolve()


def test_links_lead_to_a_page_and_a_place_on_it() -> None:
    broken = []
    for path, page in pages().items():
        for link in page.links | page.loads:
            address = urlsplit(link)
            if address.scheme or address.netloc:
                continue
            target = place(path.parent, address.path) if address.path else path
            whole = target in pages() and not (
                address.fragment and unquote(address.fragment) not in pages()[target].anchors
            )
            if not whole and not (target.is_file() and target not in pages()):
                broken.append(f"{path.relative_to(SITE)}: {link}")
    assert not broken


def test_every_public_name_is_in_the_reference() -> None:
    inventory = InventoryFile.loads((SITE / "objects.inv").read_bytes(), uri="")
    known = {name for kind, names in inventory.data.items() if kind.startswith("py:") for name in names}
    missing = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        module = path.relative_to(ROOT / "src").with_suffix("").parts
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                # Under its module, or under a package above that exports it.
                paths = {".".join([*module[:depth], node.name]) for depth in range(1, len(module) + 1)}
                missing += [".".join([*module, node.name])] * (not paths & known)
    assert [name for name in missing if not name.startswith("sparring.__main__")] == []


def test_pages_name_nothing_of_another_host() -> None:
    assert {address for page in pages().values() for address in page.loads if urlsplit(address).netloc} == set()


@pytest.mark.skipif(not browser(), reason="no browser is installed")
def test_no_request_leaves_the_site(tmp_path: Path) -> None:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(SITE))

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        origin = f"http://127.0.0.1:{server.server_port}"
        frames = [
            f'<iframe src="{origin}/{path.relative_to(SITE)}"></iframe>'
            for path in pages()
            if SITE / "_modules" not in path.parents
        ]
        harness, log = tmp_path / "harness.html", tmp_path / "network.json"
        harness.write_text("".join(frames))
        loaded(harness, tmp_path / "profile", f"--log-net-log={log}")
        server.shutdown()
    requests = [
        event["params"] for event in json.loads(log.read_text())["events"] if "initiator" in event.get("params", {})
    ]
    # The browser's own requests, for updates, are initiated by no page.
    urls = {request["url"] for request in requests if request["initiator"].startswith((origin, "file"))}
    assert any(url.startswith(origin) for url in urls)
    assert {url for url in urls if urlsplit(url).netloc and not url.startswith(origin)} == set()

"""Every picture of a report is whole, and shown by a browser, however many letters its address has."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_layouts import images
from report_pages import Page
from sparring.data import prepare
from sparring.recipes import Recipe
from sparring.report import report_run, report_runs
from sparring.runs.folder import RunFolder
from sparring.training.loop import train
from torture.browser import browser, loaded

SIDES = (28, 32, 64)
"""Pixels of the pictures' sides."""
LARGE = 40_000
"""Letters of the longest address of a picture on a page, at least."""
PROBE = """<script>
addEventListener("load", () => {
  for (const image of document.images) image.dataset.found = image.naturalWidth;
});
</script>"""

in_a_browser = pytest.mark.skipif(not browser(), reason="no browser here")


@pytest.fixture
def played(short: Callable[..., Recipe], tmp_path: Path, no_metrics: None) -> Callable[[int], RunFolder]:
    """A run on coloured noise of a side, with saved samples and a look at what D sees."""

    def play(side: int) -> RunFolder:
        pixels, labels, folder = images(12, side, side, 3), [0, 1] * 6, tmp_path / str(side)
        folder.mkdir()
        np.savez(folder / "noise.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
        prepare(str(folder / "noise.npz"), folder / "store")
        recipe = short(
            f"data={{name: store, path: {folder / 'store'}}}",
            "generator={name: mnist, latent: 8, width: 4}",
            "discriminator={name: mnist, width: 4}",
            "regime=symmetric",
            "batch_size=8",
            "steps=2",
            "sample_every=1",
            "evaluate_every=1",
        )
        train(recipe, folder / "run", device="cpu")
        return RunFolder.open(folder / "run")

    return play


def require_shown(page: Path, folder: Path) -> None:
    """Every picture has pixels in a browser, under the page's own policy for pictures."""
    source = page.read_text(encoding="utf-8")
    open_to_the_probe, policies = re.subn(r"script-src '[^']*'", "script-src 'unsafe-inline'", source)
    assert policies == 1
    probed = folder / "probed.html"
    probed.write_text(open_to_the_probe.replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    seen = folder / "seen.html"
    seen.write_text(loaded(probed, folder / "profile"), encoding="utf-8")
    pictures = Page(seen).named("img")
    assert len(pictures) == len(Page(page).named("img"))
    assert [found["alt"] for found in pictures if found.get("data-found") != found["width"]] == []


def test_every_address_of_a_picture_is_a_whole_png(played: Callable[[int], RunFolder]) -> None:
    addresses = [found["src"] or "" for found in Page(report_run(played(28))).named("img")]
    assert max(map(len, addresses)) > LARGE
    for address in addresses:
        content = base64.b64decode(address.removeprefix("data:image/png;base64,"), validate=True)
        Image.open(io.BytesIO(content)).load()


@in_a_browser
@pytest.mark.parametrize("side", SIDES)
def test_every_picture_of_a_run_is_shown(side: int, played: Callable[[int], RunFolder], tmp_path: Path) -> None:
    require_shown(report_run(played(side)), tmp_path)


@in_a_browser
def test_every_picture_of_several_runs_is_shown(played: Callable[[int], RunFolder], tmp_path: Path) -> None:
    runs = [played(side) for side in SIDES]
    require_shown(report_runs(runs, tmp_path / "all.html", title="several"), tmp_path)

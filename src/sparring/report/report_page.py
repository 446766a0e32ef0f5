"""A page of a report before it is drawn: its template and what that shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from sparring.core.files import write_whole
from sparring.recipes import to_yaml
from sparring.report.films import across
from sparring.report.format import piece, share_interval
from sparring.report.page_file import html_of
from sparring.report.robustness_section import rate_interval
from sparring.report.sentences import pace, verdict
from sparring.sweeps.grid import assignments


@dataclass(frozen=True)
class ReportPage:
    """A page of a report before it is drawn.

    Args:
        out: where it belongs on disk.
        template: a file of this package.
        values: of the template.
    """

    out: Path
    template: str
    values: Mapping[str, Any]

    def html(self, *scripts: str, packages: Sequence[str] = (), connects: str = "") -> str:
        """The page as one self-contained document.

        Args:
            scripts: files that run after the page's own.
            packages: whose folders `templates` have them.
            connects: what its scripts may fetch, as in a content security policy; nothing by default.
        """
        return html_of(
            self.template,
            scripts=("page.js", *scripts),
            styles=("page.css",),
            filters=_FILTERS,
            values=self.values,
            packages=("sparring.report", *packages),
            connects=connects,
        )

    def write(self) -> Path:
        """Write the page and return its path.

        Raises:
            StorageError: the disk refused.
        """
        write_whole(self.out, self.html().encode())
        return self.out


def _shade(share: float) -> str:
    """The CSS of a cell of a map: from white to blue, with a readable text colour."""
    colour = [round(low + (high - low) * share) for low, high in zip((247, 247, 242), (0, 90, 150), strict=True)]
    return f"background:rgb({colour[0]},{colour[1]},{colour[2]});color:{'#fff' if share > 0.5 else '#222'}"


_FILTERS: dict[str, Callable[..., Any]] = {
    "share_interval": share_interval,
    "rate_interval": rate_interval,
    "settings": assignments,
    "shade": _shade,
    "across": across,
    "piece": piece,
    "yaml": to_yaml,
    "verdict": verdict,
    "pace": pace,
    "png": lambda chart: chart.png(),
    "svg": lambda chart: Markup(chart.svg()),  # matplotlib escapes every text
}
"""Of the templates."""

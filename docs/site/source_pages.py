"""Pages of source: their links back to the reference lead to the name under which it has an entry.

viewcode takes one module for all names of a file; here some are listed under the package that exports them.
"""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

_LINK = re.compile(r'(href="[^"#]*/api/[^"#]*)#([\w.]+)"')


def _mend(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    if not pagename.startswith("_modules/sparring"):
        return
    module = pagename.split("/")[1:]
    entries = app.env.get_domain("py").objects  # type: ignore[attr-defined]

    def to_entry(link: re.Match[str]) -> str:
        parts = link[2].split(".")
        ends = [parts[-depth:] for depth in (2, 1)]  # of a method, of a class or function
        names = [".".join([*module[:depth], *end]) for end in ends for depth in range(1, len(module) + 1)]
        return next((f'{link[1]}#{entries[name].node_id}"' for name in names if name in entries), link[0])

    context["body"] = _LINK.sub(to_entry, context["body"])


def setup(app: Sphinx) -> dict[str, Any]:
    """Mend the links before a page is written."""
    app.connect("html-page-context", _mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

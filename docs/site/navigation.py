"""The navigation beside every page, made from the titles of the documents alone.

The contents of a page of the reference list every name on it. For the navigation of each page Sphinx would copy all of
them and drop them again.
"""

from __future__ import annotations

from functools import cache
from pathlib import PurePosixPath
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


@cache
def _titles(env: BuildEnvironment) -> dict[str, nodes.bullet_list]:
    """The contents of every document without its sections and names: its title, and the documents below it."""
    contents = {document: toc.deepcopy() for document, toc in env.tocs.items()}
    for toc in contents.values():
        for entry in toc.children:
            if len(entry) > 1:  # a title and what is below it
                entry[1][:] = list(entry.findall(addnodes.toctree))
    return contents


_navigations: dict[str, str] = {}


def _shorten(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    # No document lists a page of source: its navigation is that of all pages in its folder.
    place = str(PurePosixPath(pagename).parent) if pagename.startswith("_modules/") else pagename
    from_contents = context["toctree"]

    def from_titles(**options: Any) -> str:
        if place not in _navigations:
            contents, app.env.tocs = app.env.tocs, _titles(app.env)
            _navigations[place] = from_contents(**options)
            app.env.tocs = contents
        return _navigations[place]

    context["toctree"] = from_titles


def setup(app: Sphinx) -> dict[str, Any]:
    """Replace Sphinx's function before the theme calls it."""
    app.connect("html-page-context", _shorten, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

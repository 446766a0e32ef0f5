"""One self-contained HTML file from a template, without network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from sparring.core.intervals import percent
from sparring.report.format import duration, flatten, number, plain

_PACKAGE = "sparring.report"


def html_of(
    template: str,
    *,
    scripts: Sequence[str],
    styles: Sequence[str],
    values: Mapping[str, Any],
    filters: Mapping[str, Callable[..., Any]],
    packages: Sequence[str] = (_PACKAGE,),
    connects: str = "",
) -> str:
    """A page as one document.

    The template escapes every value; the policy of the page allows its own script and no network.

    Args:
        template, scripts, styles: names of files in the folder `templates` of a package.
        values: of the template.
        filters: of the template, besides those of numbers; the same functions at every call, as a template is
            compiled once for them.
        packages: in which files are looked for, the first that has one.
        connects: what the scripts may fetch, as in a content security policy; nothing by default.
    """

    environment = _environment(tuple(packages), tuple(filters.items()))
    text = partial(_text, tuple(packages))
    code = "\n".join(text(name) or "" for name in scripts).strip()
    parts = {
        "css": Markup("\n".join(text(name) or "" for name in styles)),
        "script": Markup(code),
        "script_hash": base64.b64encode(hashlib.sha256(code.encode()).digest()).decode(),
        "connects": connects,
    }
    return environment.get_template(template).render(dict(values) | parts)


def _text(packages: tuple[str, ...], name: str) -> str | None:
    for package in packages:
        file = resources.files(package).joinpath("templates", name)
        if file.is_file():
            return file.read_text(encoding="utf-8")
    return None


@cache
def _environment(packages: tuple[str, ...], filters: tuple[tuple[str, Callable[..., Any]], ...]) -> jinja2.Environment:
    """It keeps its templates compiled, for all pages of a process."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(partial(_text, packages)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "duration": duration, "percent": percent, "plain": plain}
    environment.filters |= {"flatten": flatten} | dict(filters)
    return environment

"""One self-contained HTML file from a template, without network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from sparring.core.files import write_whole
from sparring.core.intervals import percent
from sparring.report.format import duration, flatten, number, plain

_PACKAGE = "sparring.report"


def write_page_file(
    out: Path,
    template: str,
    *,
    script: str,
    styles: Sequence[str],
    values: Mapping[str, Any],
    filters: Mapping[str, Callable[..., Any]],
    packages: Sequence[str] = (_PACKAGE,),
) -> Path:
    """Write a page and return its path.

    The template escapes every value; the policy of the page allows its own script and no network.

    Args:
        out: the page's path.
        template, script, styles: names of files in the folder `templates` of a package.
        values: of the template.
        filters: of the template, besides those of numbers.
        packages: in which files are looked for, the first that has one.

    Raises:
        StorageError: the disk refused.
    """

    def text(name: str) -> str | None:
        for package in packages:
            file = resources.files(package).joinpath("templates", name)
            if file.is_file():
                return file.read_text(encoding="utf-8")
        return None

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "duration": duration, "percent": percent, "plain": plain}
    environment.filters |= {"flatten": flatten} | dict(filters)
    code = (text(script) or "").strip()
    parts = {
        "css": Markup("\n".join(text(name) or "" for name in styles)),
        "script": Markup(code),
        "script_hash": base64.b64encode(hashlib.sha256(code.encode()).digest()).decode(),
    }
    page = environment.get_template(template).render(dict(values) | parts)
    write_whole(out, page.encode())
    return out

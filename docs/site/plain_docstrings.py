"""Docstrings in plain text, as `help` shows them, as reStructuredText.

Code is in single backticks. An indented block after a blank line is a formula or a program and is shown as it is. Signs
that reStructuredText would take for markup, as in `lambda_`, |x| and *batch, are escaped.
"""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

_SECTION = re.compile(r"[A-Z][a-z]+:$")
_BULLET = re.compile(r"\s*[*-] ")
_NAMES = re.compile(r"^( +)(\w+(?:, \w+)+)(?=: )")
_CODE = re.compile(r"(``?[^`]+``?)")
_MARKUP = re.compile(r"([*|\\]|(?<=\w)_(?!\w))")


def restructured(lines: list[str]) -> list[str]:
    """The lines of a docstring as reStructuredText with sections in Google's style."""
    result: list[str] = []
    in_section = in_block = in_example = False
    for line in lines:
        text, indent = line.strip(), len(line) - len(line.lstrip())
        in_example = text.startswith(">>>") or (in_example and bool(text))
        if text and not indent:
            in_section, in_block = bool(_SECTION.match(text)), False
        after_blank = not result or not result[-1].strip()
        if text and indent and not in_section and not in_block and after_blank:
            result += ["::", ""]
            in_block = True
        if line == "Returns:":  # napoleon would take what stands before a colon for a type
            line = ":returns:"
        if in_section:  # of `csv, parquet: files of its results` napoleon would take the first name for a type
            line = _NAMES.sub(lambda names: names[0].replace(", ", ","), line)
        result.append(line if in_block or in_example else _escaped(line))
    return result


def _escaped(line: str) -> str:
    bullet = _BULLET.match(line)
    parts = _CODE.split(line[bullet.end() :] if bullet else line)
    parts[::2] = [_MARKUP.sub(r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [f"``{part.strip('`')}``" for part in parts[1::2]]
    return (bullet[0] if bullet else "") + "".join(parts)


def _process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    text = restructured(lines)
    # Without the comment napoleon takes what stands before a colon for a type.
    lines[:] = ["..", "", *text] if what in ("attribute", "data", "property") else text


def setup(app: Sphinx) -> dict[str, Any]:
    """Rewrite docstrings before napoleon reads their sections."""
    app.connect("autodoc-process-docstring", _process, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
